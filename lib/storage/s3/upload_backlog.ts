/**
 * Recordings that wait to be uploaded, and when each may be tried: those that failed, later and
 * later, but for ever.
 *
 * Imports nothing; time is passed in.
 */

/** A recording that waits. */
interface Waiting {
  readonly sinceMs: number;
  /** How often it failed in a row. */
  failures: number;
  notBeforeMs: number;
}

/** How long failures pause. */
export interface BackoffOptions {
  /** After the first failure, in milliseconds. */
  readonly firstPauseMs: number;
  readonly maxPauseMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Pause after so many failures in a row: about doubled each time. */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const { firstPauseMs, maxPauseMs, random } = options;
  const longestMs = Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 40));
  return longestMs * (0.5 + random() / 2);
}

/** Recordings that wait, by their ids. */
export class UploadBacklog {
  /** In the order in which they are tried. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #taken = new Set<string>();
  readonly #backoff: BackoffOptions;

  constructor(backoff: BackoffOptions) {
    this.#backoff = backoff;
  }

  /** How many wait, those included that are being uploaded. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Since when the one waits that has waited longest, milliseconds since 1970. */
  get oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const { sinceMs } of this.#waiting.values()) {
      if (oldest === undefined || sinceMs < oldest) oldest = sinceMs;
    }
    return oldest;
  }

  /** Adds a recording, if it does not wait already. */
  add(id: string, sinceMs: number): void {
    if (!this.#waiting.has(id)) {
      this.#waiting.set(id, { sinceMs, failures: 0, notBeforeMs: 0 });
    }
  }

  /**
   * Takes the next to be uploaded.
   *
   * @returns Its id, or how long to wait for one; `undefined` if none waits that is not taken.
   */
  take(nowMs: number): { id: string } | { waitMs: number } | undefined {
    let soonestMs = Infinity;
    for (const [id, { notBeforeMs }] of this.#waiting) {
      if (this.#taken.has(id)) continue;
      if (notBeforeMs <= nowMs) {
        this.#taken.add(id);
        return { id };
      }
      soonestMs = Math.min(soonestMs, notBeforeMs);
    }
    return soonestMs === Infinity ? undefined : { waitMs: soonestMs - nowMs };
  }

  /** One that was taken need not wait any more. */
  done(id: string): void {
    this.#taken.delete(id);
    this.#waiting.delete(id);
  }

  /**
   * One that was taken waits again, behind all others.
   *
   * @param pauseMs Until it is tried again; by default, the longer the more often it failed.
   * @returns How often it failed in a row.
   */
  putBack(id: string, nowMs: number, pauseMs?: number): number {
    this.#taken.delete(id);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return 0;
    if (pauseMs === undefined) waiting.failures++;
    waiting.notBeforeMs = nowMs + (pauseMs ?? backoffMs(waiting.failures, this.#backoff));
    this.#waiting.delete(id);
    this.#waiting.set(id, waiting);
    return waiting.failures;
  }
}
