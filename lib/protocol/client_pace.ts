/**
 * How fast a client may send (protocol sections 6, 9 and 12): well above what one needs that
 * streams a call, and far below what would take time from others.
 *
 * A client keeps 30 s of audio while its network is slow, and then sends all of it at once. So each
 * limit is a rate, and what may come at once is as much as that rate gives in such a time; up to an
 * eighth more may pass ({@link TokenBucket} has the reason). Imports nothing but its neighbours; time
 * is an argument.
 */
import { SAMPLE_RATE } from "./media.ts";
import { RemoteProtocolError } from "./protocol_error.ts";
import { TokenBucket, type TokenBucketOptions } from "./token_bucket.ts";

/** Limits of {@link ClientPace}. */
export interface ClientPaceLimits {
  /** Text messages from the client. */
  readonly receivedTextRate: TokenBucketOptions;
  /** Characters of text from the client. */
  readonly receivedCharacterRate: TokenBucketOptions;
  /** Binary frames from the client, of any size. */
  readonly receivedAudioRate: TokenBucketOptions;
  /** How much audio may come ahead of real time, in milliseconds. */
  readonly maxAudioAheadMs: number;
}

/** A client's clock may run faster than ours, by 86 s a day at most. */
const CLOCK_TOLERANCE = 1.001;

/** Counts what one client sends. */
export class ClientPace {
  readonly #limits: ClientPaceLimits;
  #messages: TokenBucket;
  #characters: TokenBucket;
  #frames: TokenBucket;
  readonly #samples: TokenBucket;
  #hasForgiven = false;

  constructor(limits: ClientPaceLimits, nowMs: number) {
    this.#limits = limits;
    this.#messages = new TokenBucket(limits.receivedTextRate, nowMs);
    this.#characters = new TokenBucket(limits.receivedCharacterRate, nowMs);
    this.#frames = new TokenBucket(limits.receivedAudioRate, nowMs);
    const perSecond = SAMPLE_RATE * CLOCK_TOLERANCE;
    const burst = limits.maxAudioAheadMs * SAMPLE_RATE / 1000;
    this.#samples = new TokenBucket({ perSecond, burst }, nowMs);
  }

  /** Counts a text message of so many characters. If that is too much, says so. */
  message(nowMs: number, characters: number): string | undefined {
    if (!this.#messages.tryTake(nowMs)) {
      return `More than ${this.#limits.receivedTextRate.perSecond} messages a second`;
    }
    if (this.#characters.tryTake(nowMs, characters)) return undefined;
    return `More than ${this.#limits.receivedCharacterRate.perSecond} characters of text a second`;
  }

  /** Counts a binary frame. If that is one too many, says so. */
  frame(nowMs: number): string | undefined {
    if (this.#frames.tryTake(nowMs)) return undefined;
    return `More than ${this.#limits.receivedAudioRate.perSecond} audio frames a second`;
  }

  /**
   * Counts the audio of a frame.
   *
   * @throws {RemoteProtocolError} If that is too much.
   */
  audio(samples: number, nowMs: number): void {
    if (this.#samples.tryTake(nowMs, samples)) return;
    const seconds = this.#limits.maxAudioAheadMs / 1000;
    const info = `Audio came more than ${seconds} s ahead of real time`;
    throw new RemoteProtocolError(info, { code: 429 });
  }

  /**
   * Counts messages and frames anew, once: what is under way was sent before the client was told.
   *
   * @returns Whether it was the first time.
   */
  forgive(nowMs: number): boolean {
    if (this.#hasForgiven) return false;
    this.#hasForgiven = true;
    this.#messages = new TokenBucket(this.#limits.receivedTextRate, nowMs);
    this.#characters = new TokenBucket(this.#limits.receivedCharacterRate, nowMs);
    this.#frames = new TokenBucket(this.#limits.receivedAudioRate, nowMs);
    return true;
  }
}
