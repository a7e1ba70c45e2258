/**
 * The clock of a session that stalls: it stands still while nothing is read, so that nothing that
 * the server may have said meanwhile is late.
 *
 * Imports nothing.
 */

/** Present time, without that of stalls; in milliseconds, like `performance.now()`. */
export class SessionClock {
  #stalledSinceMs: number | undefined;
  #stalledMs = 0;

  /** Whether it stands still. */
  get isStalled(): boolean {
    return this.#stalledSinceMs !== undefined;
  }

  /** Present time. */
  get nowMs(): number {
    return (this.#stalledSinceMs ?? performance.now()) - this.#stalledMs;
  }

  /** When, on the clock of `performance.now()`, it will be so late here; `Infinity` in a stall. */
  realMs(sessionMs: number): number {
    return this.isStalled ? Infinity : sessionMs + this.#stalledMs;
  }

  /** Stops it, unless it stands still. */
  stall(): void {
    this.#stalledSinceMs ??= performance.now();
  }

  /**
   * Lets it go on.
   *
   * @returns How long it stood still.
   */
  unstall(): number {
    if (this.#stalledSinceMs === undefined) return 0;
    const stalledMs = performance.now() - this.#stalledSinceMs;
    this.#stalledSinceMs = undefined;
    this.#stalledMs += stalledMs;
    return stalledMs;
  }
}
