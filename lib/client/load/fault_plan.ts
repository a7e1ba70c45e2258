/**
 * Which sessions of a load are broken on purpose, how, and when: as a bad network does.
 *
 * Imports nothing; randomness comes from a seed, so that a run can be repeated.
 */

/** How a session is broken. */
export type FaultKind = "drop" | "stall" | "reset";

/** How many of all sessions, in percent. */
export interface FaultShares {
  /** The connection is dropped without a goodbye. */
  readonly drop: number;
  /** The client stops reading for a while. */
  readonly stall: number;
  /** The connection is reset (TCP RST). */
  readonly reset: number;
}

/** What is done to one session. */
export interface Fault {
  readonly kind: FaultKind;
  /** When, from 0, the beginning of the call, to 1, its end. */
  readonly at: number;
  /** How long a stall lasts. */
  readonly stallMs: number;
}

const MIN_STALL_MS = 1000;
const MAX_STALL_MS = 8000;

/** Plans the faults of one session after the other. */
export class FaultPlan {
  readonly #shares: FaultShares;
  #state: number;

  /**
   * @param shares Together 100 at most.
   * @param seed The same one makes the same plan.
   */
  constructor(shares: FaultShares, seed: number) {
    this.#shares = shares;
    this.#state = seed >>> 0;
  }

  /** What is done to the next session; `undefined` if nothing is. */
  next(): Fault | undefined {
    const chosen = this.#random() * 100;
    // All are drawn, whatever is chosen: the plan of a session does not depend on the others' kinds.
    const at = this.#random();
    const stallMs = MIN_STALL_MS + this.#random() * (MAX_STALL_MS - MIN_STALL_MS);
    let upTo = 0;
    for (const kind of ["drop", "stall", "reset"] as const) {
      upTo += this.#shares[kind];
      if (chosen < upTo) return { kind, at, stallMs };
    }
    return undefined;
  }

  /** From 0 to 1, exclusive. "Mulberry32", a generator of 32 bits in the public domain. */
  #random(): number {
    this.#state = (this.#state + 0x6D2B79F5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}
