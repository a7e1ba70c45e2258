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
    this.#buckets ??= this.#fill(nowMs, 0);
    if (this.#buckets[kind].tryTake(nowMs) || nowMs < this.#mutedUntilMs) return undefined;
    this.#mutedUntilMs = nowMs + this.#limits.retryAfterMs;
    const { perSecond } =
      this.#limits[kind === "event" ? "receivedEventRate" : "receivedAudioRate"];
    return `More than ${perSecond} ${NAMES[kind]} a second`;
  }

  /** The client did not read for so long: what was sent meanwhile comes at once. */
  forgive(heldBackMs: number, nowMs: number): void {
    this.#buckets = this.#fill(nowMs, heldBackMs);
  }

  #fill(nowMs: number, heldBackMs: number): Readonly<Record<"event" | "audio", TokenBucket>> {
    const bucket = ({ perSecond, burst }: TokenBucketOptions) =>
      new TokenBucket({ perSecond, burst: burst + perSecond * heldBackMs / 1000 }, nowMs);
    const { receivedEventRate, receivedAudioRate } = this.#limits;
    return { event: bucket(receivedEventRate), audio: bucket(receivedAudioRate) };
  }
}
