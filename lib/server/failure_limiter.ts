/**
 * How often an address may fail to authenticate, in a table that can't grow without end.
 *
 * Imports the protocol's token bucket; time is an argument.
 */
import { TokenBucket } from "../protocol/token_bucket.ts";

/** Options of a {@link FailureLimiter}. */
export interface FailureLimiterOptions {
  /** Failures of one address in a minute, and at once; 0 = any number. */
  readonly perMinute: number;
  /** The most addresses that are remembered; 10,000 by default. */
  readonly capacity?: number;
}

/**
 * - `within`: the address may fail on
 * - `reached`: that was one too many, and the first such in a minute
 * - `beyond`: that was one too many
 */
export type FailureCount = "within" | "reached" | "beyond";

interface Entry {
  readonly bucket: TokenBucket;
  failedMs: number;
  /** When it was last said that the limit is reached. */
  reachedMs: number;
}

/** After such a time without a failure, an address has all of them again. */
const WINDOW_MS = 60_000;

/**
 * Counts failures by source address.
 *
 * When the table is full, the address is forgotten that failed longest ago: whoever has more
 * addresses than the table holds is not stopped by a table at all, and others must not be refused
 * because of them.
 */
export class FailureLimiter {
  readonly #perMinute: number;
  readonly #capacity: number;
  /** In the order of the last failure. */
  readonly #entries = new Map<string, Entry>();

  constructor({ perMinute, capacity = 10_000 }: FailureLimiterOptions) {
    this.#perMinute = perMinute;
    this.#capacity = capacity;
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** How long an address that is beyond its limit has to wait for its next try, in seconds. */
  get retryAfterSeconds(): number {
    return this.#perMinute === 0 ? 1 : Math.ceil(60 / this.#perMinute);
  }

  /** An address failed. */
  fail(address: string, nowMs: number): FailureCount {
    if (this.#perMinute === 0) return "within";
    const known = this.#entries.get(address);
    // To the end of the order, and out of the way of what is forgotten.
    this.#entries.delete(address);
    this.#forget(nowMs);
    const entry = known ?? {
      bucket: new TokenBucket(
        { perSecond: this.#perMinute / 60, burst: this.#perMinute },
        nowMs,
      ),
      failedMs: nowMs,
      reachedMs: -Infinity,
    };
    this.#entries.set(address, entry);
    entry.failedMs = nowMs;
    if (entry.bucket.tryTake(nowMs)) return "within";
    if (nowMs < entry.reachedMs + WINDOW_MS) return "beyond";
    entry.reachedMs = nowMs;
    return "reached";
  }

  /** Whether an address has no failure left. */
  isExhausted(address: string, nowMs: number): boolean {
    const entry = this.#entries.get(address);
    return entry !== undefined && entry.bucket.nextMs > nowMs;
  }

  /** Makes room: each entry costs its removal once, so this takes no longer than what added them. */
  #forget(nowMs: number): void {
    for (const [address, { failedMs }] of this.#entries) {
      if (failedMs > nowMs - WINDOW_MS && this.#entries.size < this.#capacity) return;
      this.#entries.delete(address);
    }
  }
}
