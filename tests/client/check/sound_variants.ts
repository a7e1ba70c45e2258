/**
 * Servers that do in another way what the protocol lets them do in several: the checker must find
 * no fault with any.
 */
import type { Parts } from "./broken_server.ts";
import { GoodSession, type Json, type Message, NIL } from "./good_session.ts";

/** One way. */
export interface Variant extends Parts {
  /** Section of the protocol that allows it. */
  readonly section: number;
  readonly does: string;
}

const silence = (bytes: number) => new Uint8Array(bytes).fill(0xff);

/** An event as a transcriber sends it. */
function transcript(isFinal: boolean): Json {
  const interpretations = [{ type: "display", transcript: "good morning" }];
  return {
    type: "transcript",
    data: {
      id: crypto.randomUUID(),
      channelId: 1,
      isFinal,
      offset: "PT0.000125S",
      duration: "PT1.5S",
      alternatives: [{ confidence: 1, languages: ["en-US"], interpretations }],
    },
  };
}

/** A session that pauses itself, says so, and goes on. */
class PausingSession extends GoodSession {
  /** Our own pause; the client's is `isPaused`. */
  #mustStop = false;
  pause(forMs: number): void {
    this.say("pause");
    this.later(forMs, () => {
      if (this.state === "open") this.say("resume");
    });
  }
  override onPaused(): void {
    // Audio that was on its way may still come.
    this.#mustStop = true;
  }
  override audioProblem(bytes: Uint8Array): string | undefined {
    return this.#mustStop ? "Audio while paused" : super.audioProblem(bytes);
  }
  override onMessage(message: Message): void {
    if (message.type === "resumed") this.#mustStop = false;
    super.onMessage(message);
  }
}

export const SOUND_VARIANTS = {
  "without-audio": {
    section: 6,
    does: "selects no audio, whatever is offered",
    session: class extends GoodSession {
      override select(): undefined {}
    },
  },
  "last-offer": {
    section: 6,
    does: "prefers the last of the offers",
    session: class extends GoodSession {
      override select(offers: readonly Json[]): Json {
        return super.select(offers.toReversed());
      }
    },
  },
  "starts-paused": {
    section: 6,
    does: "starts paused, and resumes soon",
    session: class extends PausingSession {
      override opened(open: Json): Record<string, Json> {
        return { ...super.opened(open), startPaused: true };
      }
      override onOpened(): void {
        this.later(200, () => {
          if (this.state === "open") this.say("resume");
        });
      }
    },
  },
  "pauses-at-audio": {
    section: 8,
    does: "pauses for a while when the first audio comes, and takes none before the client resumes",
    session: class extends PausingSession {
      #hasPaused = false;
      override onAudio(bytes: Uint8Array): void {
        super.onAudio(bytes);
        if (this.#hasPaused || this.state !== "open") return;
        this.#hasPaused = true;
        this.pause(600);
      }
    },
  },
  "closes-in-silence": {
    section: 13,
    does: "starts paused, takes a while to close, and has no ear for what comes after close",
    session: class extends GoodSession {
      #isClosing = false;
      override opened(open: Json): Record<string, Json> {
        return { ...super.opened(open), startPaused: true };
      }
      override onText(text: string): void {
        if (this.#isClosing) return this.surroundings.socket.close(1008, "Nothing after close");
        super.onText(text);
      }
      override onClose(message: Message): void {
        this.#isClosing = true;
        this.later(100, () => super.onClose(message));
      }
    },
  },
  "update-by-pause": {
    section: 10,
    does: "answers update by a pause",
    session: class extends PausingSession {
      override onUpdate(): void {
        this.pause(100);
      }
    },
  },
  "update-by-disconnect": {
    section: 10,
    does: "refuses another language by disconnect",
    session: class extends GoodSession {
      override onUpdate(): void {
        this.disconnect("completed", "One language at a time");
      }
    },
  },
  "slow": {
    section: 6,
    does: "takes a while to open and to close",
    session: class extends GoodSession {
      #openMessage: Json;
      override onOpen(open: Json): void {
        this.#openMessage = open;
        this.later(800, () => {
          if (this.state === "connected") super.onOpen(this.#openMessage);
        });
      }
      override onMessage(message: Message): void {
        const isSecond = message.type === "open" && this.#openMessage !== undefined;
        if (isSecond) this.fail("Unexpected open");
        else super.onMessage(message);
      }
      override onClose(message: Message): void {
        this.state = "closed";
        this.later(800, () => super.onClose(message));
      }
    },
  },
  "talkative": {
    section: 12,
    does: "sends events, the last of them before closed",
    session: class extends GoodSession {
      #wasOpened = false;
      override onOpened(): void {
        this.#wasOpened = true;
        this.say("event", { entities: [transcript(false)] });
        this.later(100, () => {
          if (this.state === "open") this.say("event", { entities: [transcript(true)] });
        });
      }
      override onClose(message: Message): void {
        if (this.#wasOpened) this.say("event", { entities: [transcript(true)] });
        super.onClose(message);
      }
    },
  },
  "more-fields": {
    section: 4,
    does: "has fields that nobody knows in its messages",
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        return { ...super.envelope(type, { ...parameters, extra: { a: [1] } }), extra: null };
      }
    },
  },
  "bot": {
    section: 15,
    does: "talks to the customer where it may",
    session: class extends GoodSession {
      override onOpened(): void {
        if (this.media === undefined || this.media.channels.length !== 1) return;
        if (this.media.channels[0] === "external") this.transmit(silence(320 * this.sampleBytes));
      }
    },
  },
  "stereo-only": {
    section: 6,
    does: "refuses what it can't do anything with",
    session: class extends GoodSession {
      override onOpen(open: Json): void {
        const isStereo = (offer: Json) => String(offer.channels) === "external,internal";
        if (open.conversationId === NIL || open.media.some(isStereo)) super.onOpen(open);
        else this.disconnect("error", "Stereo only");
      }
    },
  },
  "ignores-a-second-open": {
    section: 6,
    does: "takes no notice of a second open",
    session: class extends GoodSession {
      override onMessage(message: Message): void {
        if (message.type !== "open" || this.state !== "open") super.onMessage(message);
      }
    },
  },
  "refuses-after-the-upgrade": {
    section: 3,
    does: "refuses by disconnect with reason unauthorized",
    refusal: "disconnect",
  },
} satisfies Record<string, Variant>;
