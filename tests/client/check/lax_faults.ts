/**
 * Servers that accept what they should refuse, or refuse it in a wrong way (protocol sections 3 to
 * 14).
 */
import type { Fault } from "./fault.ts";
import { GoodSession, type Json, type Message } from "./good_session.ts";

export const LAX_FAULTS = {
  "open-repeatable": {
    section: 6,
    wrong: "answers a second open by a second opened",
    cases: ["open.twice"],
    session: class extends GoodSession {
      override onMessage(message: Message): void {
        if (message.type === "open" && this.state === "open") this.state = "connected";
        super.onMessage(message);
      }
    },
  },
  "large-text-answered-by-garbage": {
    section: 1,
    wrong: "answers a text that is too large by a text frame that is no UTF-8",
    cases: ["limits.text-beyond"],
    session: class extends GoodSession {
      override onText(text: string): void {
        if (text.length <= 65_535) return super.onText(text);
        this.surroundings.socket.send(new Uint8Array([0xff, 0xfe]), { binary: false });
      }
    },
  },
  "garbage-after-closed": {
    section: 1,
    wrong: "sends a text frame that is no UTF-8 after its last message",
    cases: ["close.hanging-up-is-the-clients"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        super.onClose(message);
        this.surroundings.socket.send(new Uint8Array([0xff, 0xfe]), { binary: false });
      }
    },
  },
  "part-of-sample-accepted": {
    section: 7,
    wrong: "accepts audio with part of a sample",
    cases: ["audio.part-of-a-sample"],
    session: class extends GoodSession {
      override get sampleBytes(): number {
        return 1;
      }
    },
  },
  "early-audio-accepted": {
    section: 7,
    wrong: "accepts audio before opened",
    cases: ["open.audio-before-opened"],
    session: class extends GoodSession {
      override audioProblem(bytes: Uint8Array): string | undefined {
        return this.state === "connected" ? undefined : super.audioProblem(bytes);
      }
    },
  },
  "paused-audio-accepted": {
    section: 7,
    wrong: "accepts audio during a pause",
    cases: ["pause.audio-while-paused"],
    session: class extends GoodSession {
      override onPaused(): void {}
    },
  },
  "audio-without-media-accepted": {
    section: 7,
    wrong: "accepts audio in a session without audio",
    cases: ["open.media-none-but-audio"],
    session: class extends GoodSession {
      override audioProblem(bytes: Uint8Array): string | undefined {
        const hasNone = this.state === "open" && this.media === undefined;
        return hasNone ? undefined : super.audioProblem(bytes);
      }
    },
  },
  "organization-unchecked": {
    section: 3,
    wrong: "lets organizationId of open be another than the header's",
    cases: ["auth.organization-mismatch"],
    session: class extends GoodSession {
      override onOpen(open: Json): void {
        super.onOpen({ ...open, organizationId: this.surroundings.organizationId });
      }
    },
  },
  "id-unchecked": {
    section: 3,
    wrong: "lets id be another than the header's",
    cases: ["auth.session-id-mismatch", "envelope.wrong-id", "envelope.missing-id"],
    session: class extends GoodSession {
      override hasWrongId(): boolean {
        return false;
      }
    },
  },
  "seq-unchecked": {
    section: 4,
    wrong: "accepts any seq",
    cases: ["envelope.seq-gap", "envelope.seq-repeated", "envelope.missing-seq"],
    session: class extends GoodSession {
      override hasWrongSeq(): boolean {
        return false;
      }
    },
  },
  "fields-optional": {
    section: 4,
    wrong: "does without fields of the envelope",
    cases: ["envelope.missing-version", "envelope.missing-serverseq", "envelope.missing-position"],
    session: class extends GoodSession {
      override problemOf(message: Json, text: string): string | undefined {
        const filled = { version: "2", serverseq: 0, position: "PT0S", ...message };
        return super.problemOf(filled, text);
      }
    },
  },
  "position-unchecked": {
    section: 4,
    wrong: "accepts any position",
    cases: ["duration.bad-position"],
    session: class extends GoodSession {
      override problemOf(message: Json, text: string): string | undefined {
        const position = message?.position === undefined ? undefined : "PT0S";
        return super.problemOf({ ...message, position }, text);
      }
    },
  },
  "version-unchecked": {
    section: 4,
    wrong: "accepts any version",
    cases: ["envelope.wrong-version"],
    verdict: "advice",
    session: class extends GoodSession {
      override problemOf(message: Json, text: string): string | undefined {
        const version = message?.version === undefined ? undefined : "2";
        return super.problemOf({ ...message, version }, text);
      }
    },
  },
  "serverseq-unchecked": {
    section: 4,
    wrong: "accepts a serverseq that it has not sent",
    cases: ["envelope.serverseq-beyond"],
    session: class extends GoodSession {
      override hasWrongServerseq(): boolean {
        return false;
      }
    },
  },
  "parameters-unchecked": {
    section: 4,
    wrong: "accepts bad parameters, or acts on what is left of them",
    cases: [
      "open.media-of-a-wrong-type",
      "open.missing-participant",
      "duration.absurd",
      "duration.negative",
      "pause.resumed-without-discarded",
    ],
    session: class extends GoodSession {
      override hasBadParameters(): boolean {
        return false;
      }
    },
  },
  "malformed-ignored": {
    section: 4,
    wrong: "ignores what is no JSON",
    cases: ["envelope.malformed-json", "envelope.empty-text"],
    session: class extends GoodSession {
      override onMalformed(): void {}
    },
  },
  "malformed-crash": {
    section: 4,
    wrong: "dies of malformed JSON, and all sessions with it",
    cases: ["envelope.malformed-json", "envelope.empty-text"],
    isContagious: true,
    session: class extends GoodSession {
      override onMalformed(): void {
        this.surroundings.crash();
      }
    },
  },
  "deep-json-crash": {
    section: 1,
    wrong: "dies of deeply nested JSON",
    cases: ["limits.deep-json"],
    isContagious: true,
    session: class extends GoodSession {
      override onText(text: string): void {
        if (text.includes("[".repeat(5_000))) this.surroundings.crash();
        else super.onText(text);
      }
    },
  },
  "prototype-crash": {
    section: 4,
    wrong: "dies of a type that is the name of something else in the language",
    cases: ["limits.prototype-keys"],
    isContagious: true,
    session: class extends GoodSession {
      override onMessage(message: Message): void {
        if (message.type in {}) this.surroundings.crash();
        else super.onMessage(message);
      }
    },
  },
  "audio-after-closed-answered": {
    section: 7,
    wrong: "says disconnect when audio comes after close",
    cases: ["audio.after-close"],
    session: class extends GoodSession {
      override onAudio(bytes: Uint8Array): void {
        if (this.state === "closed") this.say("disconnect", { reason: "error" });
        else super.onAudio(bytes);
      }
    },
  },
  "lost-crash": {
    section: 13,
    wrong: "dies when a connection ends without close, and all sessions with it",
    cases: ["lost.dropped", "lost.reset"],
    isContagious: true,
    session: class extends GoodSession {
      override end(): void {
        super.end();
        if (this.state === "connected" || this.state === "open") this.surroundings.crash();
      }
    },
  },
  "fault-hangs-up": {
    section: 4,
    wrong: "answers bad input by closing the WebSocket, without disconnect",
    cases: ["envelope.seq-gap", "envelope.malformed-json", "open.twice"],
    session: class extends GoodSession {
      override fail(): void {
        this.state = "closed";
        this.surroundings.socket.close(1008);
      }
    },
  },
  "fault-drops": {
    section: 1,
    wrong: "answers bad input by dropping the connection",
    cases: ["envelope.seq-gap", "envelope.malformed-json", "open.twice"],
    session: class extends GoodSession {
      override fail(): void {
        this.state = "closed";
        this.surroundings.socket.terminate();
      }
    },
  },
  "fault-without-closed": {
    section: 4,
    wrong: "answers nothing any more after a disconnect",
    cases: ["envelope.seq-gap", "envelope.malformed-json"],
    session: class extends GoodSession {
      override onClose(message: Message): void {
        if (this.state !== "disconnected") super.onClose(message);
      }
    },
  },
  "fault-uncounted": {
    section: 4,
    wrong: "does not count a faulty message, and does not know the close after it",
    cases: ["envelope.seq-gap", "envelope.missing-id", "envelope.malformed-json"],
    session: class extends GoodSession {
      #isMiscounting = false;
      override count(message: Json, problem: string | undefined): void {
        if (problem === undefined) return super.count(message, problem);
        this.#isMiscounting = true;
      }
      override hasWrongSeq(seq: Json): boolean {
        return this.#isMiscounting ? seq !== this.highest + 1 : super.hasWrongSeq(seq);
      }
      override onClose(message: Message): void {
        if (!this.#isMiscounting || message.seq === this.highest) super.onClose(message);
      }
    },
  },
  "hangs-up-after-disconnect": {
    section: 14,
    wrong: "closes the WebSocket right after its disconnect",
    cases: ["envelope.seq-gap", "open.twice"],
    session: class extends GoodSession {
      override disconnect(reason: string, info: string): void {
        super.disconnect(reason, info);
        this.surroundings.socket.close(1000);
      }
    },
  },
  "disconnect-twice": {
    section: 14,
    wrong: "says disconnect twice",
    cases: ["envelope.seq-gap", "envelope.missing-id"],
    session: class extends GoodSession {
      override disconnect(reason: string, info: string): void {
        super.disconnect(reason, info);
        this.say("disconnect", { reason, info });
      }
    },
  },
  "disconnect-reason-unknown": {
    section: 14,
    wrong: "disconnects for a reason of its own making",
    cases: ["envelope.seq-gap", "auth.organization-mismatch"],
    session: class extends GoodSession {
      override disconnect(_reason: string, info: string): void {
        super.disconnect("protocol_violation", info);
      }
    },
  },
  "info-personal": {
    section: 5,
    wrong: "tells the caller's number in the info of its disconnect",
    cases: ["envelope.seq-gap", "open.twice"],
    session: class extends GoodSession {
      #ani = "";
      override onMessage(message: Message): void {
        if (message.type === "open") this.#ani = message.parameters.participant.ani;
        super.onMessage(message);
      }
      override disconnect(reason: string, info: string): void {
        super.disconnect(reason, `${info} in the call of ${this.#ani}`);
      }
    },
  },
  "disconnect-completed": {
    section: 4,
    wrong: "answers bad input by disconnect with reason completed",
    cases: [
      "envelope.seq-gap",
      "envelope.malformed-json",
      "open.audio-before-opened",
      "limits.huge-seq",
    ],
    session: class extends GoodSession {
      override fail(info: string): void {
        this.disconnect("completed", info);
      }
    },
  },
} satisfies Record<string, Fault>;
