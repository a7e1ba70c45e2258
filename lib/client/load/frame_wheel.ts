/**
 * When which session is due: all of them once in each frame interval, spread evenly over it.
 *
 * The interval is a wheel of slots, 5 ms each; a session stays in the slot that it got. So a turn of
 * the wheel costs what the sessions cost that are due, however many there are. Owns no timer and no
 * clock, imports nothing.
 */

/** Something that is due once in each frame interval. */
export interface Due {
  /**
   * It is due.
   *
   * @param dueMs When it was.
   * @param nowMs The present time, at most some sessions old.
   */
  step(dueMs: number, nowMs: number): void;
}

/** How long a slot should be; also how often {@link FrameWheel.turn} should be called. */
export const SLOT_MS = 5;
/** This far behind, there is no use in catching up: what was due meanwhile is left out. */
const MAX_BEHIND_MS = 2000;
/** The clock is read after so many sessions. */
const STEPS_PER_READING = 16;

/** The wheel. */
export class FrameWheel<T extends Due> {
  readonly #slots: Set<T>[];
  readonly #slotMs: number;
  readonly #clock: () => number;
  #next = 0;
  #nextDueMs: number;

  /**
   * @param frameMs One turn.
   * @param clock Tells the present time in milliseconds.
   */
  constructor(frameMs: number, clock: () => number) {
    const count = Math.max(1, Math.round(frameMs / SLOT_MS));
    this.#slots = Array.from({ length: count }, () => new Set());
    this.#slotMs = frameMs / count;
    this.#clock = clock;
    this.#nextDueMs = clock() + this.#slotMs;
  }

  /** Adds a session, where the fewest are. */
  add(due: T): void {
    let best: Set<T> | undefined;
    // From the slot that is due last: a session that was just added is not due at once.
    for (let i = 1; i <= this.#slots.length; i++) {
      const slot = this.#slots[(this.#next + this.#slots.length - i) % this.#slots.length];
      if (slot !== undefined && (best === undefined || slot.size < best.size)) best = slot;
    }
    best?.add(due);
  }

  /** Removes a session; it is not due any more. */
  delete(due: T): void {
    for (const slot of this.#slots) {
      if (slot.delete(due)) return;
    }
  }

  /**
   * Calls all that are due, of one frame interval at most, so that messages are read in between.
   * Who is more than 2 s behind is not called for the frame intervals that passed.
   */
  turn(): void {
    let nowMs = this.#clock();
    const turnMs = this.#slotMs * this.#slots.length;
    if (nowMs - this.#nextDueMs > MAX_BEHIND_MS) {
      this.#nextDueMs += Math.floor((nowMs - this.#nextDueMs) / turnMs) * turnMs;
    }
    const untilMs = nowMs;
    let steps = 0;
    for (let i = 0; i < this.#slots.length && this.#nextDueMs <= untilMs; i++) {
      const dueMs = this.#nextDueMs;
      const slot = this.#slots[this.#next];
      this.#nextDueMs += this.#slotMs;
      this.#next = (this.#next + 1) % this.#slots.length;
      for (const due of slot ?? []) {
        if (++steps % STEPS_PER_READING === 0) nowMs = this.#clock();
        due.step(dueMs, nowMs);
      }
    }
  }
}
