/**
 * Waits for storage, but not for ever. What storage was asked for cannot be taken back: it goes on
 * when its deadline has passed, and keeps its place among what may be under way until it ends. So no
 * more than that ever hangs, whoever asks, and however often.
 *
 * That bound is what keeps calls going: Deno does at most 32 file operations at a time, and checks
 * signatures by the same threads. When all of them hang, nobody can call any more.
 *
 * Imports the log and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { StorageTimeoutError } from "./storage_failure.ts";
import { WorkQueue } from "./work_queue.ts";

const log = getLogger(["audiohook", "api"]);

/** How long is waited, and for how much. */
export interface PatienceLimits {
  /** Until an answer is given up, the wait for a turn included. */
  readonly timeoutMs: number;
  /** Questions at a time, those included that were given up and have not ended. */
  readonly maxRunning: number;
  /** And that wait for their turn. */
  readonly maxWaiting: number;
  /** Whether what is asked for is a change, which may still be made when it was given up. */
  readonly isForChanges?: boolean;
}

/** Asks one storage. */
export class Patience {
  readonly #limits: PatienceLimits;
  readonly #queue: WorkQueue;
  /** How many were given up, and have not ended. */
  #hanging = 0;

  constructor(limits: PatienceLimits) {
    this.#limits = limits;
    this.#queue = new WorkQueue({ ...limits, waitTimeoutMs: limits.timeoutMs });
  }

  /**
   * Asks for something when its turn has come. While all that may be under way hangs, it is refused
   * at once.
   *
   * @param drop Is given the answer if it is late.
   * @throws {StorageTimeoutError} If there is no answer in time.
   * @throws What storage throws in time.
   */
  async ask<T>(question: () => Promise<T>, drop: (late: T) => void = () => {}): Promise<T> {
    const { timeoutMs, maxRunning, isForChanges = false } = this.#limits;
    if (this.#hanging >= maxRunning) throw new StorageTimeoutError({ mayStillHappen: false });
    const answer = Promise.withResolvers<T>();
    const givenUp = new AbortController();
    let isAsked = false;
    const timer = setTimeout(() => {
      if (isAsked) this.#hanging++;
      givenUp.abort();
      answer.reject(
        new StorageTimeoutError({ timeoutMs, mayStillHappen: isAsked && isForChanges }),
      );
    }, timeoutMs);
    const isLate = () => givenUp.signal.aborted;
    const work = async () => {
      isAsked = true;
      try {
        const value = await question();
        if (isLate()) drop(value);
        else answer.resolve(value);
      } catch (error) {
        if (isLate()) log.error("Storage failed after its deadline", { error });
        else answer.reject(error);
      } finally {
        clearTimeout(timer);
        if (isLate()) this.#hanging--;
      }
    };
    void this.#queue.run(work, givenUp.signal).then(({ outcome }) => {
      if (outcome === "done") return;
      clearTimeout(timer);
      answer.reject(new StorageTimeoutError({ mayStillHappen: false }));
    });
    return await answer.promise;
  }
}
