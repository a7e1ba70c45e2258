/**
 * Servers that write their messages wrong, whatever these say (protocol section 4).
 */
import type { Fault } from "./fault.ts";
import { GoodSession, type Json, type Message } from "./good_session.ts";

const ODD_VALUES: readonly Json[] = [
  null,
  0,
  "",
  {},
  [null],
  [[]],
  true,
  [{ type: "audio", format: null, channels: null, rate: {} }],
  -1e300,
  [0, {}],
  { length: 1 },
  ["\ud800"],
];

export const ENVELOPE_FAULTS = {
  "no-parameters": {
    section: 4,
    wrong: "omits parameters when they are empty",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        const { parameters: _, ...rest } = super.envelope(type, parameters);
        return Object.keys(parameters).length === 0 ? rest : { ...rest, parameters };
      }
    },
  },
  "seq-from-0": {
    section: 4,
    wrong: "counts its messages from 0",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        const envelope = super.envelope(type, parameters);
        return { ...envelope, seq: envelope.seq - 1 };
      }
    },
  },
  "seq-gap": {
    section: 4,
    wrong: "leaves a number out after its first message",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        if (this.sent === 1) this.sent++;
        return super.envelope(type, parameters);
      }
    },
  },
  "seq-repeats": {
    section: 4,
    wrong: "uses the number of its first message twice",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      #hasRepeated = false;
      override envelope(type: string, parameters: Json): Message {
        if (this.sent === 1 && !this.#hasRepeated) {
          this.#hasRepeated = true;
          this.sent = 0;
        }
        return super.envelope(type, parameters);
      }
    },
  },
  "seq-of-all-sessions": {
    section: 4,
    wrong: "counts the messages of all sessions together",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        this.sent = this.surroundings.nextOfAll() - 1;
        return super.envelope(type, parameters);
      }
    },
  },
  "clientseq-behind": {
    section: 4,
    wrong: "clientseq is one behind",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        const envelope = super.envelope(type, parameters);
        return { ...envelope, clientseq: Math.max(0, envelope.clientseq - 1) };
      }
    },
  },
  "clientseq-ahead": {
    section: 4,
    wrong: "clientseq is one ahead",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        const envelope = super.envelope(type, parameters);
        return { ...envelope, clientseq: envelope.clientseq + 1 };
      }
    },
  },
  "clientseq-0": {
    section: 4,
    wrong: "clientseq is always 0",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        return { ...super.envelope(type, parameters), clientseq: 0 };
      }
    },
  },
  "clientseq-counts-audio": {
    section: 4,
    wrong: "counts audio frames as messages of the client",
    cases: ["audio.usual-frames", "ping.during-audio", "close.after-audio"],
    session: class extends GoodSession {
      #frames = 0;
      override onAudio(bytes: Uint8Array): void {
        this.#frames++;
        super.onAudio(bytes);
      }
      override envelope(type: string, parameters: Json): Message {
        const envelope = super.envelope(type, parameters);
        return { ...envelope, clientseq: envelope.clientseq + this.#frames };
      }
    },
  },
  "version-number": {
    section: 4,
    wrong: "version is the number 2",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        return { ...super.envelope(type, parameters), version: 2 };
      }
    },
  },
  "other-id": {
    section: 4,
    wrong: "id is an identifier of its own",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      readonly #id = crypto.randomUUID();
      override envelope(type: string, parameters: Json): Message {
        return { ...super.envelope(type, parameters), id: this.#id };
      }
    },
  },
  "no-id": {
    section: 4,
    wrong: "leaves id out",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        const { id: _, ...rest } = super.envelope(type, parameters);
        return rest;
      }
    },
  },
  "text-as-binary": {
    section: 1,
    wrong: "sends its messages in binary frames",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override transmit(data: string | Uint8Array): void {
        super.transmit(typeof data === "string" ? new TextEncoder().encode(data) : data);
      }
    },
  },
  "not-json": {
    section: 1,
    wrong: "greets in plain text before its first message",
    cases: ["open.answered-in-time", "close.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        if (this.sent === 0) this.transmit("Hello!");
        return super.envelope(type, parameters);
      }
    },
  },
  "values-of-other-types": {
    section: 5,
    wrong: "puts values of any type in place of parameters, another one each time",
    cases: ["open.answered-in-time"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        const kind = this.surroundings.nextOfAll();
        const odd = Object.keys({ media: [], reason: "", info: "", ...parameters })
          .map((name, index) => [name, ODD_VALUES[(kind + index) % ODD_VALUES.length]]);
        const all = kind % 5 === 0 ? ODD_VALUES[kind % ODD_VALUES.length] : Object.fromEntries(odd);
        return { ...super.envelope(type, parameters), parameters: all };
      }
    },
  },
} satisfies Record<string, Fault>;
