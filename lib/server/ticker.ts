/**
 * One timer for all sessions.
 *
 * Imports nothing.
 */

/** Something that wants to know that time has passed. */
export interface Ticking {
  /** Called about ten times a second, on the clock of `performance.now()`. */
  tick(nowMs: number): void;
}

/** Resolution of all deadlines of sessions. The shortest is a second. */
const TICK_MS = 100;

/** Ticks for any number of objects with a single timer, which runs only while there are some. */
export class Ticker {
  readonly #ticking = new Set<Ticking>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** How many tick. */
  get size(): number {
    return this.#ticking.size;
  }

  /** Adds an object; it must not throw. */
  add(ticking: Ticking): void {
    this.#ticking.add(ticking);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  /** Removes an object. */
  delete(ticking: Ticking): void {
    this.#ticking.delete(ticking);
    if (this.#ticking.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const ticking of this.#ticking) ticking.tick(nowMs);
  }
}
