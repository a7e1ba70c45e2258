/**
 * Servers that do not answer as they should, or say what nobody asked (protocol sections 6 to 14).
 */
import type { Fault } from "./fault.ts";
import { GoodSession, type Json, type Message } from "./good_session.ts";

/** Entities of an event that is as it should be, but for its number of words. */
function transcript(words = 3): Json {
  const interpretations = [{ type: "display", transcript: "hello ".repeat(words).trim() }];
  return {
    type: "transcript",
    data: {
      id: crypto.randomUUID(),
      channelId: 0,
      isFinal: true,
      offset: "PT0S",
      duration: "PT0.1S",
      alternatives: [{ confidence: 0.9, interpretations }],
    },
  };
}

export const ANSWER_FAULTS = {
  "opened-late": {
    section: 6,
    wrong: "opened comes after more than 5 s",
    cases: ["open.answered-in-time"],
    session: class extends GoodSession {
      override onOpen(open: Json): void {
        this.later(5_600, () => super.onOpen(open));
      }
    },
  },
  "opened-missing": {
    section: 6,
    wrong: "never answers open",
    cases: ["open.answered-in-time"],
    session: class extends GoodSession {
      override onOpen(): void {}
    },
  },
  "opened-twice": {
    section: 6,
    wrong: "says opened twice",
    cases: ["open.answered-in-time", "open.probe"],
    session: class extends GoodSession {
      override onOpened(open: Json): void {
        this.say("opened", this.opened(open));
      }
    },
  },
  "opened-unasked": {
    section: 6,
    wrong: "says opened before there is an open",
    cases: ["open.answered-in-time", "open.probe"],
    session: class extends GoodSession {
      #greeting = this.say("opened", { media: [] });
    },
  },
  "opened-by-hangup": {
    section: 6,
    wrong: "refuses by closing the WebSocket, without disconnect",
    cases: ["open.answered-in-time", "open.probe"],
    session: class extends GoodSession {
      override onOpen(): void {
        this.surroundings.socket.close(1011);
      }
    },
  },
  "media-fixed": {
    section: 6,
    wrong: "answers stereo, whatever is offered",
    cases: [
      "open.media-in-the-offered-channel-order",
      "open.media-external-only",
      "open.media-none-offered",
    ],
    session: class extends GoodSession {
      override select(): Json {
        return { type: "audio", format: "PCMU", channels: ["external", "internal"], rate: 8000 };
      }
    },
  },
  "media-not-offered": {
    section: 6,
    wrong: "answers another rate than the offer's",
    cases: ["open.media-is-one-of-the-offers", "open.media-external-only"],
    session: class extends GoodSession {
      override select(offers: readonly Json[]): Json {
        const media = super.select(offers);
        return media && { ...media, rate: 16_000 };
      }
    },
  },
  "channels-swapped": {
    section: 6,
    wrong: "answers with the channels in its own order",
    cases: ["open.answered-in-time", "open.media-in-the-offered-channel-order"],
    session: class extends GoodSession {
      override select(offers: readonly Json[]): Json {
        const media = super.select(offers);
        return media && { ...media, channels: media.channels.toReversed() };
      }
    },
  },
  "media-loses-fields": {
    section: 6,
    wrong: "answers the offer without the fields that it does not know",
    cases: ["open.media-with-unknown-fields"],
    session: class extends GoodSession {
      override select(offers: readonly Json[]): Json {
        const media = super.select(offers);
        if (media === undefined) return undefined;
        const { type, format, channels, rate } = media;
        return { type, format, channels, rate };
      }
    },
  },
  "two-media": {
    section: 6,
    wrong: "answers all of the offers",
    cases: ["open.media-is-one-of-the-offers"],
    session: class extends GoodSession {
      override opened(open: Json): Record<string, Json> {
        return { ...super.opened(open), media: open.media };
      }
    },
  },
  "media-is-no-list": {
    section: 6,
    wrong: "answers the offer itself, in no list",
    cases: ["open.media-is-one-of-the-offers", "open.media-none-offered"],
    session: class extends GoodSession {
      override opened(open: Json): Record<string, Json> {
        const answer = super.opened(open);
        return { ...answer, media: answer.media[0] ?? null };
      }
    },
  },
  "media-null": {
    section: 6,
    wrong: "answers [null] when it wants none of the offers",
    cases: ["open.media-none-supported", "open.media-none-offered"],
    session: class extends GoodSession {
      override opened(open: Json): Record<string, Json> {
        return { ...super.opened(open), media: [this.media ?? null] };
      }
    },
  },
  "languages-forgotten": {
    section: 6,
    wrong: "forgets supportedLanguages, though it was asked",
    cases: ["open.supported-languages"],
    session: class extends GoodSession {
      override opened(open: Json): Record<string, Json> {
        return super.opened({ ...open, supportedLanguages: false });
      }
    },
  },
  "pong-late": {
    section: 11,
    wrong: "pong comes after more than 5 s",
    cases: ["ping.answered"],
    session: class extends GoodSession {
      override onPing(): void {
        this.later(5_600, () => super.onPing());
      }
    },
  },
  "pong-missing": {
    section: 11,
    wrong: "never answers ping",
    cases: ["ping.answered", "ping.two-at-once"],
    session: class extends GoodSession {
      override onPing(): void {}
    },
  },
  "pong-twice": {
    section: 11,
    wrong: "answers each ping twice",
    cases: ["ping.answered"],
    session: class extends GoodSession {
      override onPing(): void {
        super.onPing();
        super.onPing();
      }
    },
  },
  "pongs-together": {
    section: 11,
    wrong: "answers pings a little later, so that clientseq is that of the last",
    cases: ["ping.two-at-once", "ping.among-other-messages"],
    session: class extends GoodSession {
      override onPing(): void {
        this.later(30, () => super.onPing());
      }
    },
  },
  "pong-counts-nothing": {
    section: 11,
    wrong: "clientseq of pong is not the ping's",
    cases: ["ping.answered"],
    session: class extends GoodSession {
      override envelope(type: string, parameters: Json): Message {
        const envelope = super.envelope(type, parameters);
        return type === "pong" ? { ...envelope, clientseq: this.highest - 1 } : envelope;
      }
    },
  },
  "pong-missing-while-paused": {
    section: 11,
    wrong: "answers no ping during a pause",
    cases: ["pause.client-pause"],
    session: class extends GoodSession {
      override onPing(): void {
        if (!this.isPaused) super.onPing();
      }
    },
  },
  "update-unanswered": {
    section: 10,
    wrong: "does not answer update",
    cases: ["update.answered"],
    verdict: "advice",
    session: class extends GoodSession {
      override onUpdate(): void {}
    },
  },
  "audio-unasked": {
    section: 17,
    wrong: "sends audio to a session that only listens",
    cases: ["audio.usual-frames", "open.answered-in-time"],
    session: class extends GoodSession {
      override onOpened(): void {
        this.transmit(new Uint8Array(800).fill(0xff));
      }
    },
  },
  "event-too-large": {
    section: 1,
    wrong: "sends events of over 64,000 bytes",
    cases: ["open.answered-in-time"],
    session: class extends GoodSession {
      override onOpened(): void {
        this.say("event", { entities: [transcript(12_000)] });
      }
    },
  },
  "event-flood": {
    section: 12,
    wrong: "sends 100 events at once",
    cases: ["open.answered-in-time"],
    verdict: "advice",
    session: class extends GoodSession {
      override onOpened(): void {
        for (let count = 0; count < 100; count++) {
          this.say("event", { entities: [transcript()] });
        }
      }
    },
  },
  "event-empty": {
    section: 5,
    wrong: "sends events without an entity",
    cases: ["open.answered-in-time"],
    session: class extends GoodSession {
      override onOpened(): void {
        this.say("event", { entities: [] });
      }
    },
  },
  "event-before-opened": {
    section: 12,
    wrong: "sends an event before opened",
    cases: ["open.answered-in-time"],
    session: class extends GoodSession {
      override onOpen(open: Json): void {
        this.say("event", { entities: [transcript()] });
        super.onOpen(open);
      }
    },
  },
  "unknown-message": {
    section: 5,
    wrong: "sends a message of no type of the protocol",
    cases: ["open.answered-in-time"],
    verdict: "advice",
    session: class extends GoodSession {
      override onOpened(): void {
        this.say("hello");
      }
    },
  },
  "closed-missing": {
    section: 13,
    wrong: "never answers close",
    cases: ["close.answered-in-time"],
    session: class extends GoodSession {
      override onClose(): void {}
    },
  },
  "closed-late": {
    section: 13,
    wrong: "closed comes after more than 10 s",
    cases: ["close.answered-in-time"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        this.later(10_600, () => super.onClose(message));
      }
    },
  },
  "closed-by-hangup": {
    section: 13,
    wrong: "closes the WebSocket in place of closed",
    cases: ["close.answered-in-time", "close.before-open"],
    session: class extends GoodSession {
      override onClose(): void {
        this.state = "closed";
        this.surroundings.socket.close(1000);
      }
    },
  },
  "closed-twice": {
    section: 13,
    wrong: "says closed twice",
    cases: ["close.hanging-up-is-the-clients"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        super.onClose(message);
        this.say("closed");
      }
    },
  },
  "event-after-closed": {
    section: 13,
    wrong: "sends its last event after closed",
    cases: ["close.hanging-up-is-the-clients"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        super.onClose(message);
        this.say("event", { entities: [transcript()] });
      }
    },
  },
  "hangs-up-after-closed": {
    section: 1,
    wrong: "closes the WebSocket itself, right after closed",
    cases: ["close.hanging-up-is-the-clients"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        super.onClose(message);
        this.surroundings.socket.close(1000);
      }
    },
  },
  "drops-after-closed": {
    section: 1,
    wrong: "drops the connection right after closed",
    cases: ["close.hanging-up-is-the-clients"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        super.onClose(message);
        this.later(20, () => this.surroundings.socket.terminate());
      }
    },
  },
  "close-ignored-while-opening": {
    section: 13,
    wrong: "opens in its own time, and forgets a close that comes meanwhile",
    cases: ["close.while-opening"],
    session: class extends GoodSession {
      override onOpen(open: Json): void {
        this.later(50, () => super.onOpen(open));
      }
      override onClose(message: Message): void {
        if (this.state !== "connected") super.onClose(message);
      }
    },
  },
  "opened-after-closed": {
    section: 13,
    wrong: "opens in its own time, even when the session has been closed meanwhile",
    cases: ["close.while-opening"],
    session: class extends GoodSession {
      override onOpen(open: Json): void {
        this.later(50, () => super.onOpen(open));
      }
    },
  },
} satisfies Record<string, Fault>;
