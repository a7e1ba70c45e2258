/**
 * What a session costs once all of them are open: without what it takes to connect and to close.
 *
 * Imports nothing.
 */

interface Reading {
  readonly nowMs: number;
  readonly open: number;
  readonly cpuSeconds: number;
}

/** Adds up the time between readings at which all sessions were open. */
export class SteadyCpu {
  readonly #sessions: number;
  #last: Reading | undefined;
  #cpuSeconds = 0;
  #sessionMinutes = 0;

  /** @param sessions How many all are. */
  constructor(sessions: number) {
    this.#sessions = sessions;
  }

  /**
   * Adds a reading.
   *
   * @param open How many sessions are open.
   * @param cpuSeconds What the process used since it began.
   */
  add(nowMs: number, open: number, cpuSeconds: number): void {
    const last = this.#last;
    this.#last = { nowMs, open, cpuSeconds };
    if (last === undefined || last.open < this.#sessions || open < this.#sessions) return;
    this.#cpuSeconds += cpuSeconds - last.cpuSeconds;
    this.#sessionMinutes += this.#sessions * (nowMs - last.nowMs) / 60_000;
  }

  /** For each session and minute; `null` if there was no such time. */
  get perSessionMinute(): number | null {
    return this.#sessionMinutes > 0 ? this.#cpuSeconds / this.#sessionMinutes : null;
  }
}
