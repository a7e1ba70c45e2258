/**
 * Servers that end sessions for what they should accept (protocol sections 4 to 8).
 */
import type { Fault } from "./fault.ts";
import { GoodSession, type Json, type Message } from "./good_session.ts";

const KNOWN_OF_OPEN = [
  "organizationId",
  "conversationId",
  "participant",
  "media",
  "language",
  "supportedLanguages",
  "continuedSessions",
  "customConfig",
  "inputVariables",
];
const NIL = "00000000-0000-0000-0000-000000000000";

/** Servers that take some parameters for bad which are not. */
function refusing(isRefused: (type: string, parameters: Json) => boolean): typeof GoodSession {
  return class extends GoodSession {
    override hasBadParameters(type: string, parameters: Json): boolean {
      return super.hasBadParameters(type, parameters) || isRefused(type, parameters);
    }
  };
}

export const STRICT_FAULTS = {
  "unknown-types-refused": {
    section: 4,
    wrong: "ends the session on a message of an unknown type",
    cases: ["envelope.unknown-type", "limits.prototype-keys"],
    session: class extends GoodSession {
      override onUnknown(): void {
        this.fail("Unknown type");
      }
    },
  },
  "unknown-types-uncounted": {
    section: 4,
    wrong: "does not count messages of an unknown type",
    cases: ["envelope.unknown-type", "limits.prototype-keys"],
    session: class extends GoodSession {
      override onUnknown(): void {
        this.last--;
        this.highest--;
      }
    },
  },
  "unknown-types-answered": {
    section: 4,
    wrong: "answers a message of an unknown type by a message of its own",
    cases: ["envelope.unknown-type"],
    verdict: "advice",
    session: class extends GoodSession {
      override onUnknown(): void {
        this.say("error", { code: 400, message: "Unknown type" });
      }
    },
  },
  "unknown-fields-refused": {
    section: 4,
    wrong: "ends the session on an unknown field of open",
    cases: ["open.unknown-fields"],
    session: refusing((type, parameters) =>
      type === "open" &&
      Object.keys(parameters).some((name) => !KNOWN_OF_OPEN.includes(name))
    ),
  },
  "uuid-7-refused": {
    section: 4,
    wrong: "takes only UUIDs of the versions 1 to 5",
    cases: ["open.uuid-versions"],
    session: refusing((type, parameters) =>
      type === "open" && parameters.conversationId !== NIL &&
      !/^.{14}[1-5]/.test(parameters.conversationId)
    ),
  },
  "probe-refused": {
    section: 6,
    wrong: "takes no nil UUID: refuses the probe that comes before everything",
    cases: ["open.probe"],
    session: refusing((type, parameters) => type === "open" && parameters.conversationId === NIL),
  },
  "empty-names-refused": {
    section: 6,
    wrong: "wants the participant to have a number: refuses the probe",
    cases: ["open.probe", "open.empty-participant"],
    session: refusing((type, parameters) => type === "open" && parameters.participant.ani === ""),
  },
  "languages-restricted": {
    section: 4,
    wrong: "takes only languages of the shape xx-XX",
    cases: ["open.language-tags"],
    session: refusing((type, parameters) =>
      (type === "open" || type === "update") && parameters.language !== undefined &&
      !/^[a-z]{2}-[A-Z]{2}$/.test(parameters.language)
    ),
  },
  "large-open-refused": {
    section: 1,
    wrong: "takes no message of over 16 KiB",
    cases: ["open.custom-config", "limits.largest-text"],
    session: class extends GoodSession {
      override problemOf(message: Json, text: string): string | undefined {
        return text.length > 16_384 ? "Message too large" : super.problemOf(message, text);
      }
    },
  },
  "continued-sessions-refused": {
    section: 16,
    wrong: "ends the session on continuedSessions",
    cases: ["open.continued-sessions"],
    session: refusing((type, parameters) =>
      type === "open" && parameters.continuedSessions !== undefined
    ),
  },
  "language-needed": {
    section: 5,
    wrong: "ends the session on an open without a language",
    cases: ["open.no-language"],
    session: refusing((type, parameters) => type === "open" && parameters.language === undefined),
  },
  "discarded-refused": {
    section: 9,
    wrong: "ends the session when audio was lost",
    cases: ["discarded.before-audio", "discarded.between-frames"],
    session: refusing((type) => type === "discarded"),
  },
  "one-at-a-time": {
    section: 1,
    wrong: "takes no session while there is another one",
    cases: ["sessions.many-at-once"],
    session: class extends GoodSession {
      override onOpen(open: Json): void {
        if (this.surroundings.connections() === 1) super.onOpen(open);
        else this.fail("Busy");
      }
    },
  },
  "impatient": {
    section: 1,
    wrong: "ends a session that says nothing for two seconds",
    cases: ["close.stays-until-then"],
    session: class extends GoodSession {
      override onOpened(): void {
        const { last } = this;
        this.later(2_000, () => {
          if (this.last === last) this.disconnect("completed", "Nothing happens");
        });
      }
    },
  },
  "close-before-open-ignored": {
    section: 13,
    wrong: "answers close only when the session is open",
    cases: ["close.before-open"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        if (this.state !== "connected") super.onClose(message);
      }
    },
  },
  "close-reasons-restricted": {
    section: 13,
    wrong: "answers only a close whose reason it knows",
    cases: ["close.unknown-reason"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        const reasons = ["end", "error", "disconnect", "reconnect"];
        if (reasons.includes(message.parameters.reason)) super.onClose(message);
      }
    },
  },
  "dtmf-refused": {
    section: 15,
    wrong: "ends the session on dtmf",
    cases: ["bot.dtmf"],
    session: refusing((type) => type === "dtmf"),
  },
  "large-frames-refused": {
    section: 1,
    wrong: "takes no audio frame of over 16 KiB",
    cases: ["audio.largest-frame"],
    session: class extends GoodSession {
      override audioProblem(bytes: Uint8Array): string | undefined {
        return bytes.length > 16_384 ? "Audio frame too large" : super.audioProblem(bytes);
      }
    },
  },
  "lost-audio-uncounted": {
    section: 7,
    wrong: "wants positions to be the audio received, without what was lost or paused",
    cases: ["discarded.between-frames", "pause.resumed-with-discarded"],
    session: class extends GoodSession {
      #samples = 0;
      override onAudio(bytes: Uint8Array): void {
        super.onAudio(bytes);
        if (this.media !== undefined) this.#samples += bytes.length / this.sampleBytes;
      }
      override problemOf(message: Json, text: string): string | undefined {
        const problem = super.problemOf(message, text);
        if (problem !== undefined || message.type === "open") return problem;
        const samples = Number(message.position.slice(2, -1)) * 8000;
        return samples > this.#samples + 1 ? "Wrong position" : undefined;
      }
    },
  },
  "resumed-ignored": {
    section: 8,
    wrong: "does not know that the client has ended its pause",
    cases: ["pause.client-pause", "pause.resumed-with-discarded"],
    session: class extends GoodSession {
      override onMessage(message: Message): void {
        if (message.type !== "resumed") super.onMessage(message);
      }
    },
  },
  "paused-refused": {
    section: 8,
    wrong: "ends the session on a paused that it did not ask for",
    cases: ["pause.client-pause", "pause.before-audio"],
    session: class extends GoodSession {
      override onPaused(): void {
        this.fail("Unexpected paused");
      }
    },
  },
  "wall-clock": {
    section: 4,
    wrong: "wants positions to follow the wall clock",
    cases: ["audio.catching-up", "discarded.before-audio"],
    session: class extends GoodSession {
      readonly #startMs = performance.now();
      override problemOf(message: Json, text: string): string | undefined {
        const problem = super.problemOf(message, text);
        if (problem !== undefined) return problem;
        const seconds = Number(message.position.slice(2, -1));
        const elapsed = (performance.now() - this.#startMs) / 1000;
        return seconds > elapsed + 0.5 ? "Position ahead of time" : undefined;
      }
    },
  },
  "fast-audio-refused": {
    section: 6,
    wrong: "ends the session when audio comes faster than real time",
    cases: ["audio.catching-up"],
    session: class extends GoodSession {
      readonly #startMs = performance.now();
      #samples = 0;
      override audioProblem(bytes: Uint8Array): string | undefined {
        const problem = super.audioProblem(bytes);
        if (problem !== undefined) return problem;
        this.#samples += bytes.length / this.sampleBytes;
        const elapsed = (performance.now() - this.#startMs) / 1000;
        return this.#samples / 8000 > elapsed + 2 ? "Too much audio" : undefined;
      }
    },
  },
  "odd-frames-refused": {
    section: 7,
    wrong: "wants every audio frame to be a whole number of 20 ms",
    cases: ["audio.odd-frames", "audio.one-sample-frames"],
    session: class extends GoodSession {
      override audioProblem(bytes: Uint8Array): string | undefined {
        return super.audioProblem(bytes) ??
          (bytes.length % (160 * this.sampleBytes) === 0 ? undefined : "Not 20 ms");
      }
    },
  },
  "silent-after-error": {
    section: 5,
    wrong: "stops at an error of the client: answers nothing any more",
    cases: ["error.rate-limited", "error.unknown-code"],
    session: class extends GoodSession {
      override onError(): void {
        this.state = "closed";
      }
    },
  },
  "hangs-up-after-error": {
    section: 1,
    wrong: "closes the WebSocket at an error of the client",
    cases: ["error.rate-limited", "error.unknown-code"],
    session: class extends GoodSession {
      override onError(): void {
        this.surroundings.socket.close(1011);
      }
    },
  },
} satisfies Record<string, Fault>;
