/**
 * Requests that wait for their answers: how long the oldest has waited tells of storage that hangs
 * long before a request is given up.
 *
 * Imports nothing.
 */

/** Requests of one kind. */
export class OpenRequests {
  /** When each was sent, by `performance.now()`; the oldest is the first. */
  readonly #sentMs = new Map<symbol, number>();

  /** How long the oldest has waited, in seconds; 0 if none waits. */
  get waitingSeconds(): number {
    const [oldestMs] = this.#sentMs.values();
    return oldestMs === undefined ? 0 : (performance.now() - oldestMs) / 1000;
  }

  /** Sends one, and waits for its answer, or until it fails. */
  async send<T>(request: () => Promise<T>): Promise<T> {
    const id = Symbol();
    this.#sentMs.set(id, performance.now());
    try {
      return await request();
    } finally {
      this.#sentMs.delete(id);
    }
  }
}
