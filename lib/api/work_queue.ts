/**
 * Work that takes a processor's time: so much of it at once, so much waiting, and no more.
 *
 * Imports nothing.
 */

/** How much work there may be. */
export interface WorkQueueLimits {
  /** At once. */
  readonly maxRunning: number;
  /** Waiting for its turn. */
  readonly maxWaiting: number;
  /** For so long. */
  readonly waitTimeoutMs: number;
}

/**
 * - `done`: with what it came to
 * - `busy`: there was no room, or its turn did not come in time
 * - `gone`: nobody wants it any more
 */
export type WorkResult<T> =
  | { readonly outcome: "done"; readonly value: T }
  | { readonly outcome: "busy" }
  | { readonly outcome: "gone" };

/** Gives turns, in the order of asking. */
export class WorkQueue {
  readonly #limits: WorkQueueLimits;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limits: WorkQueueLimits) {
    this.#limits = limits;
  }

  /**
   * Does the work when its turn has come.
   *
   * @param signal Aborted if nobody waits for it any more.
   * @throws What the work throws.
   */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<WorkResult<T>> {
    if (signal.aborted) return { outcome: "gone" };
    if (this.#running >= this.#limits.maxRunning) {
      if (this.#waiting.size >= this.#limits.maxWaiting) return { outcome: "busy" };
      const turn = await this.#turn(signal);
      if (turn !== "come") return { outcome: turn };
    } else {
      this.#running++;
    }
    try {
      return { outcome: "done", value: await work() };
    } finally {
      const [next] = this.#waiting;
      // The turn is handed on: nobody who comes meanwhile gets it.
      if (next !== undefined) next();
      else this.#running--;
    }
  }

  #turn(signal: AbortSignal): Promise<"come" | "busy" | "gone"> {
    return new Promise((resolve) => {
      const end = (outcome: "come" | "busy" | "gone") => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#waiting.delete(onTurn);
        resolve(outcome);
      };
      const onTurn = () => end("come");
      const onAbort = () => end("gone");
      const timer = setTimeout(() => end("busy"), this.#limits.waitTimeoutMs);
      signal.addEventListener("abort", onAbort);
      this.#waiting.add(onTurn);
    });
  }
}
