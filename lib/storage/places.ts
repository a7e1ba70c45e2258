/**
 * Lets so much be done at a time, in order; what is too much waits.
 *
 * Imports nothing.
 */

/** A number of places, taken in turns. */
export class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param places How much is done at a time. */
  constructor(places: number) {
    this.#free = places;
  }

  /** Does something when there is a place for it. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      // The place goes from hand to hand.
      else next();
    }
  }
}
