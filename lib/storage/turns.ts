/**
 * One thing after the other, for each key: changes of the same recording must not overlap.
 *
 * Imports nothing.
 */

/** Turns of those that want the same key; others don't wait for them. */
export class Turns {
  /** Settles when the last one that waits for a key is done. */
  readonly #last = new Map<string, Promise<void>>();

  /** How many keys are in use. */
  get size(): number {
    return this.#last.size;
  }

  /** Does something when all that came before it with the same key is done, or has failed. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(key, promise);
    try {
      await before;
      return await work();
    } finally {
      if (this.#last.get(key) === promise) this.#last.delete(key);
      resolve();
    }
  }
}
