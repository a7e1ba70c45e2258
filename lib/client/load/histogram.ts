/**
 * Millions of measured times in a few kilobytes: a histogram with logarithmic buckets.
 *
 * Imports nothing.
 */

/** Percentiles of times in milliseconds; `null` where there is no value. */
export interface TimeSummary {
  /** How many values there are. */
  readonly count: number;
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
  /** Exact. */
  readonly maxMs: number | null;
}

/** Each bucket ends at so many times where it begins: a value is told to within 1 % of itself. */
const GROWTH = 1.02;
/** Shorter times, a microsecond, are counted as this one. */
const SMALLEST_MS = 0.001;
/** Longer times, almost three hours, are counted as this one; but the maximum is exact. */
const LARGEST_MS = 1e7;
const LOG_GROWTH = Math.log(GROWTH);
const BUCKETS = Math.ceil(Math.log(LARGEST_MS / SMALLEST_MS) / LOG_GROWTH) + 1;

/**
 * Counts times.
 *
 * Its memory does not grow. A percentile differs from the exact one (of the nearest rank) by 1 % at
 * most, between a microsecond and almost three hours.
 */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #minMs = Infinity;
  #maxMs = -Infinity;

  /** How many values there are. */
  get count(): number {
    return this.#count;
  }

  /** Adds a time, in milliseconds. Less than 0 counts as 0; what is not a number does not count. */
  record(ms: number): void {
    if (Number.isNaN(ms)) return;
    const value = Math.max(0, ms);
    const bucket = value <= SMALLEST_MS
      ? 0
      : Math.min(BUCKETS - 1, Math.ceil(Math.log(value / SMALLEST_MS) / LOG_GROWTH));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count++;
    if (value < this.#minMs) this.#minMs = value;
    if (value > this.#maxMs) this.#maxMs = value;
  }

  /**
   * The smallest value such that so many of all are not greater.
   *
   * @param fraction 0.99 for the 99th percentile.
   * @returns Milliseconds; `undefined` if there are no values.
   */
  percentile(fraction: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.min(this.#count, Math.max(1, Math.ceil(fraction * this.#count)));
    if (rank === this.#count) return this.#maxMs;
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen < rank) continue;
      // The middle of the bucket, by factors: as far from its beginning as from its end.
      const middleMs = SMALLEST_MS * Math.exp((bucket - 0.5) * LOG_GROWTH);
      return Math.min(this.#maxMs, Math.max(this.#minMs, middleMs));
    }
    return this.#maxMs;
  }

  /** The usual percentiles. */
  summary(): TimeSummary {
    return {
      count: this.#count,
      p50Ms: this.percentile(0.5) ?? null,
      p90Ms: this.percentile(0.9) ?? null,
      p99Ms: this.percentile(0.99) ?? null,
      maxMs: this.#count === 0 ? null : this.#maxMs,
    };
  }

  /** Forgets all values. */
  clear(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#minMs = Infinity;
    this.#maxMs = -Infinity;
  }
}
