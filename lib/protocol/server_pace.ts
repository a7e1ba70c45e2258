/**
 * How fast a server may send, as its client counts (protocol sections 12 and 15): messages, binary
 * frames and samples, by a token bucket each. What a server cannot pace is not counted.
 *
 * Imports nothing but its neighbours; time is an argument.
 */
import { TokenBucket, type TokenBucketOptions } from "./token_bucket.ts";

/** Rates of a {@link ServerPace}. */
export interface ServerPaceLimits {
  /** Text messages from the server, without those that it has to send at once. */
  readonly receivedTextRate: TokenBucketOptions;
  /** Binary frames from the server, of any size. */
  readonly receivedAudioRate: TokenBucketOptions;
  /** Samples from the server, which is to send them near real time. */
  readonly receivedSampleRate: TokenBucketOptions;
  /** What a server that was too fast is told to wait, in milliseconds. */
  readonly retryAfterMs: number;
}

/** What is counted. */
export type Paced = "text" | "audio" | "samples";

/** What a server is told that sends too much. */
export interface TooMuch {
  readonly info: string;
  /** Section of protocol.md. */
  readonly section: string;
  /** Whether it is a flood: more than anybody can want to hear. */
  readonly isFlood: boolean;
}

/** So many times the burst of messages, within the time that the server was told to wait. */
const FLOOD_BURSTS = 10;

/** Counts what one server sends. */
export class ServerPace {
  readonly #limits: ServerPaceLimits;
  #buckets: Readonly<Record<Paced, TokenBucket>> | undefined;
  /** What may come beside the buckets, because it was held back. */
  readonly #forgiven: Record<Paced, number> = { text: 0, audio: 0, samples: 0 };
  #mutedUntilMs = -Infinity;
  /** How often it was too much since the server was told. */
  #excess = 0;
  #isFlood = false;

  constructor(limits: ServerPaceLimits) {
    this.#limits = limits;
  }

  /**
   * Counts what came: a message, a binary frame, or its samples.
   *
   * @returns What is to be told to the server, if this was too much: unless it was told so less than
   * `retryAfterMs` ago. Of a flood, it is always told.
   */
  count(what: Paced, nowMs: number, amount = 1): TooMuch | undefined {
    this.#buckets ??= this.#fill(nowMs);
    if (this.#buckets[what].tryTake(nowMs, amount)) return undefined;
    if (this.#forgiven[what] >= amount) {
      this.#forgiven[what] -= amount;
      return undefined;
    }
    if (nowMs >= this.#mutedUntilMs) {
      this.#mutedUntilMs = nowMs + this.#limits.retryAfterMs;
      this.#excess = 0;
      return this.#describe(what);
    }
    this.#isFlood ||= ++this.#excess >= FLOOD_BURSTS * this.#limits.receivedTextRate.burst;
    return this.#isFlood ? this.#describe(what) : undefined;
  }

  /** The client did not read for so long: what was sent meanwhile comes at once. */
  forgive(heldBackMs: number): void {
    const rates = this.#rates;
    this.#forgiven.text += rates.text.perSecond * heldBackMs / 1000;
    this.#forgiven.audio += rates.audio.perSecond * heldBackMs / 1000;
    this.#forgiven.samples += rates.samples.perSecond * heldBackMs / 1000;
  }

  get #rates(): Readonly<Record<Paced, TokenBucketOptions>> {
    const { receivedTextRate, receivedAudioRate, receivedSampleRate } = this.#limits;
    return { text: receivedTextRate, audio: receivedAudioRate, samples: receivedSampleRate };
  }

  #fill(nowMs: number): Readonly<Record<Paced, TokenBucket>> {
    const { text, audio, samples } = this.#rates;
    return {
      text: new TokenBucket(text, nowMs),
      audio: new TokenBucket(audio, nowMs),
      samples: new TokenBucket(samples, nowMs),
    };
  }

  #describe(what: Paced): TooMuch {
    const { perSecond, burst } = this.#rates[what];
    const isFlood = this.#isFlood;
    switch (what) {
      case "text":
        return { info: `More than ${perSecond} messages a second`, section: "12", isFlood };
      case "audio":
        return { info: `More than ${perSecond} audio frames a second`, section: "12", isFlood };
      case "samples": {
        const info = `Audio came more than ${Math.round(burst / perSecond)} s ahead of real time`;
        return { info, section: "15", isFlood };
      }
    }
  }
}
