/**
 * How fast a server may send, as its client counts (protocol sections 12 and 15): `event`s and
 * binary frames, by a token bucket each. What cannot be paced is not counted.
 *
 * Imports nothing but its neighbours; time is an argument.
 */
import { TokenBucket, type TokenBucketOptions } from "./token_bucket.ts";

/** Rates of a {@link ServerPace}. */
export interface ServerPaceLimits {
  /** `event`s from the server. */
  readonly receivedEventRate: TokenBucketOptions;
  /** Binary frames from the server, of any size. */
  readonly receivedAudioRate: TokenBucketOptions;
  /** What a server that was too fast is told to wait, in milliseconds. */
  readonly retryAfterMs: number;
}

const NAMES = { event: "events", audio: "audio frames" } as const;

/** Counts what one server sends. */
export class ServerPace {
  readonly #limits: ServerPaceLimits;
  #buckets: Readonly<Record<"event" | "audio", TokenBucket>> | undefined;
  /** What may come beside the buckets, because it was held back. */
  readonly #forgiven = { event: 0, audio: 0 };
  #mutedUntilMs = -Infinity;

  constructor(limits: ServerPaceLimits) {
    this.#limits = limits;
  }

  /**
   * Counts an `event` or a binary frame.
   *
   * @returns What is to be told to the server: that this was too much, unless it was told so less
   * than `retryAfterMs` ago.
   */
  count(kind: "event" | "audio", nowMs: number): string | undefined {
    const { receivedEventRate: event, receivedAudioRate: audio, retryAfterMs } = this.#limits;
    this.#buckets ??= {
      event: new TokenBucket(event, nowMs),
      audio: new TokenBucket(audio, nowMs),
    };
    if (this.#buckets[kind].tryTake(nowMs)) return undefined;
    if (this.#forgiven[kind] >= 1) {
      this.#forgiven[kind]--;
      return undefined;
    }
    if (nowMs < this.#mutedUntilMs) return undefined;
    this.#mutedUntilMs = nowMs + retryAfterMs;
    return `More than ${{ event, audio }[kind].perSecond} ${NAMES[kind]} a second`;
  }

  /** The client did not read for so long: what was sent meanwhile comes at once. */
  forgive(heldBackMs: number): void {
    this.#forgiven.event += this.#limits.receivedEventRate.perSecond * heldBackMs / 1000;
    this.#forgiven.audio += this.#limits.receivedAudioRate.perSecond * heldBackMs / 1000;
  }
}
