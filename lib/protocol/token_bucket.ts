/**
 * A token bucket: how often something may happen, with bursts. Time is an argument.
 *
 * Imports nothing.
 */

/** Rate and burst of a {@link TokenBucket}. */
export interface TokenBucketOptions {
  /** Tokens that come back per second. */
  readonly perSecond: number;
  /** Tokens that a full bucket holds. */
  readonly burst: number;
}

/** Counts what may happen now, and when the next may. Starts full. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #updatedMs: number;

  /** @param nowMs Present time, on the clock of all later calls. */
  constructor(options: TokenBucketOptions, nowMs: number) {
    this.#perSecond = options.perSecond;
    this.#burst = options.burst;
    this.#tokens = options.burst;
    this.#updatedMs = nowMs;
  }

  /** Takes some tokens if there are as many. */
  tryTake(nowMs: number, count = 1): boolean {
    this.#refill(nowMs);
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /**
   * Takes a token, there or not: what can't wait is paid for by what can. The debt is bounded, so
   * that what can wait is not forgotten.
   */
  take(nowMs: number): void {
    this.#refill(nowMs);
    if (this.#tokens > -this.#burst) this.#tokens--;
  }

  /** Empties the bucket until a time: the peer asked for it. */
  block(untilMs: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens = Math.min(this.#tokens, 1 - (untilMs - nowMs) * this.#perSecond / 1000);
  }

  /** When there will be a token; never earlier than the last call's time. */
  get nextMs(): number {
    const missing = Math.max(0, 1 - this.#tokens);
    return this.#updatedMs + Math.ceil(missing * 1000 / this.#perSecond);
  }

  #refill(nowMs: number): void {
    const elapsed = Math.max(0, nowMs - this.#updatedMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + elapsed * this.#perSecond / 1000);
    this.#updatedMs = Math.max(this.#updatedMs, nowMs);
  }
}
