/**
 * The time that a case has.
 *
 * Imports nothing.
 */

/** Why a case is skipped in which the server took long, perhaps no longer than it may. */
export const OUT_OF_TIME = "The case's time was over (--timeout-scale gives more)";

/** The bounds of one case's waits. */
export class CheckClock {
  readonly #endsMs: number;
  readonly #scale: number;

  /**
   * @param limitMs The most that the case may take, before it is scaled.
   * @param scale How much longer everything may take than the protocol allows.
   */
  constructor(limitMs: number, scale: number) {
    this.#scale = scale;
    this.#endsMs = performance.now() + limitMs * scale;
  }

  /** What is left, in milliseconds; at least 1. */
  get leftMs(): number {
    return Math.max(1, this.#endsMs - performance.now());
  }

  /** A time, or what is left of the case's if that is less. */
  bounded(ms: number): number {
    return Math.min(ms, this.leftMs);
  }

  /** A time of the protocol, by how much longer everything may take. */
  scale(ms: number): number {
    return ms * this.#scale;
  }
}
