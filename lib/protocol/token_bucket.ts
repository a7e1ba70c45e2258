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

/** As long as so much of a bucket would be left, the time is of no interest. */
const PLENTY = 7 / 8;

/**
 * Counts what may happen now, and when the next may. Starts full.
 *
 * It counts for each audio frame of thousands of sessions, and is nearly full nearly always: then
 * it takes from an allowance, without a look at the time. What came back meanwhile is not missed,
 * so that after a while a bucket may give up to an eighth more than it holds.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  /** Without what was taken from the allowance. */
  #tokens: number;
  #updatedMs: number;
  // Whole numbers, which V8 keeps in the object itself.
  #allowance = 0;
  #taken = 0;

  /** @param nowMs Present time, on the clock of all later calls. */
  constructor(options: TokenBucketOptions, nowMs: number) {
    this.#perSecond = options.perSecond;
    this.#burst = options.burst;
    this.#tokens = options.burst;
    this.#updatedMs = nowMs;
    this.#allow();
  }

  /** Takes some tokens, a whole number, if there are as many. */
  tryTake(nowMs: number, count = 1): boolean {
    if (this.#taken + count <= this.#allowance) {
      this.#taken += count;
      return true;
    }
    this.#refill(nowMs);
    const isEnough = this.#tokens >= count;
    if (isEnough) this.#tokens -= count;
    this.#allow();
    return isEnough;
  }

  /**
   * Takes a token, there or not: what can't wait is paid for by what can. The debt is bounded, so
   * that what can wait is not forgotten.
   */
  take(nowMs: number): void {
    this.#refill(nowMs);
    if (this.#tokens > -this.#burst) this.#tokens--;
    this.#allow();
  }

  /** Empties the bucket until a time: the peer asked for it. */
  block(untilMs: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens = Math.min(this.#tokens, 1 - (untilMs - nowMs) * this.#perSecond / 1000);
    this.#allow();
  }

  /** When there will be a token; a time that has passed, if there is one. */
  get nextMs(): number {
    const missing = Math.max(0, 1 - (this.#tokens - this.#taken));
    return this.#updatedMs + Math.ceil(missing * 1000 / this.#perSecond);
  }

  /** Counts what was taken from the allowance, and what came back. */
  #refill(nowMs: number): void {
    const elapsed = Math.max(0, nowMs - this.#updatedMs);
    const tokens = this.#tokens - this.#taken + elapsed * this.#perSecond / 1000;
    this.#tokens = Math.min(this.#burst, tokens);
    this.#taken = 0;
    this.#allowance = 0;
    this.#updatedMs = Math.max(this.#updatedMs, nowMs);
  }

  #allow(): void {
    this.#allowance = Math.max(0, Math.floor(this.#tokens - PLENTY * this.#burst));
  }
}
