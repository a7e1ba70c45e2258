/**
 * The index of recordings, for those who must not wait for it: what is put goes to the database in
 * the background, in order, however slow it is, and is tried again if it fails.
 *
 * Imports the log and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import {
  type IndexedRecording,
  IndexUnavailableError,
  InvalidCursorError,
  type RecordingEntry,
  type RecordingFilter,
  type RecordingIndex,
  type RecordingPage,
} from "./recording_index.ts";

const log = getLogger(["audiohook", "index"]);

/** Options of a {@link BackgroundIndex}. All have defaults. */
export interface BackgroundIndexOptions {
  /** How long it may take to open the index, 2 minutes by default. */
  readonly openTimeoutMs?: number;
  /** How many changes may wait, 10,000 by default; the oldest is dropped for one more. */
  readonly maxWaiting?: number;
  /** How long one try may take, 10 seconds by default. */
  readonly tryTimeoutMs?: number;
  /** How long it takes until the second try, 250 ms by default; each time, it's twice as long. */
  readonly firstRetryMs?: number;
  /** Longest time between two tries, 30 seconds by default. */
  readonly maxRetryMs?: number;
  /** How often a change is tried, 20 times by default, while all others wait. */
  readonly maxTries?: number;
  /** How long a question to the index may take, 5 seconds by default. */
  readonly readTimeoutMs?: number;
  /** How long the end waits for what is not yet done, 5 seconds by default. */
  readonly stopTimeoutMs?: number;
}

/** How the index is. */
export interface BackgroundIndexStatus {
  /** How many changes are not yet done. */
  readonly waiting: number;
  /** Since when nothing succeeds; `undefined` if all is well. */
  readonly failingSince: Date | undefined;
  /** How many changes were dropped, since the program began. */
  readonly dropped: number;
  /** Whether changes were dropped that no rebuilding has made up for. */
  readonly isRebuildDue: boolean;
}

/** What is to become of an entry. */
type Change = { readonly recording: IndexedRecording | undefined };

/**
 * An index that is filled in the background. `put` and `remove` never wait and never fail; what they
 * change can be found a little later.
 *
 * @typeParam Index The index behind it, which is opened when it's first needed.
 */
export class BackgroundIndex<Index extends RecordingIndex & Disposable>
  implements RecordingIndex, AsyncDisposable {
  readonly #open: () => Promise<Index>;
  readonly #options: Required<BackgroundIndexOptions>;
  /** Of each id, what comes last: that is what has to be in the index in the end. */
  readonly #waiting = new Map<string, Change>();
  readonly #stopped = new AbortController();
  #opening: Promise<Index> | undefined;
  #working: Promise<void> | undefined;
  #wake: () => void = () => {};
  #isStopping = false;
  #failingSince: Date | undefined;
  #dropped = 0;
  /** How many drops a rebuilding has made up for. */
  #madeUp = 0;

  /**
   * @param open Opens the index, which is then disposed with this one; called again if it fails.
   */
  constructor(open: () => Promise<Index>, options: BackgroundIndexOptions = {}) {
    this.#open = open;
    this.#options = {
      openTimeoutMs: 120_000,
      maxWaiting: 10_000,
      tryTimeoutMs: 10_000,
      firstRetryMs: 250,
      maxRetryMs: 30_000,
      maxTries: 20,
      readTimeoutMs: 5_000,
      stopTimeoutMs: 5_000,
      ...options,
    };
  }

  /** How it is, for health and metrics. */
  get status(): BackgroundIndexStatus {
    return {
      waiting: this.#waiting.size,
      failingSince: this.#failingSince,
      dropped: this.#dropped,
      isRebuildDue: this.#dropped > this.#madeUp,
    };
  }

  put(recording: IndexedRecording): Promise<void> {
    this.#add(recording.id, { recording });
    return Promise.resolve();
  }

  remove(id: string): Promise<void> {
    this.#add(id, { recording: undefined });
    return Promise.resolve();
  }

  /** @throws {IndexUnavailableError} If the index fails, or takes too long. */
  async get(id: string): Promise<RecordingEntry | undefined> {
    return await this.#ask(async () => await (await this.opened()).get(id));
  }

  /** @throws {IndexUnavailableError} If the index fails, or takes too long. */
  async find(filter: RecordingFilter, limit: number, cursor?: string): Promise<RecordingPage> {
    return await this.#ask(async () => await (await this.opened()).find(filter, limit, cursor));
  }

  /** The index behind it. Fails if it can't be opened; it's tried again with the next call. */
  opened(): Promise<Index> {
    if (this.#stopped.signal.aborted) {
      return Promise.reject(new IndexUnavailableError("The index of recordings is closed"));
    }
    if (this.#opening === undefined) {
      const opening = this.#openInTime();
      this.#opening = opening;
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
    }
    return this.#opening;
  }

  /** Closes the index that can't be read; what comes next opens it again, or another one. */
  async reopen(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    await opening?.then((index) => index[Symbol.dispose](), () => {});
  }

  /**
   * Rebuilds the index, which makes up for all changes that were dropped before.
   *
   * @param rebuild Fails if it did not succeed.
   */
  async rebuild<T>(rebuild: (index: Index) => Promise<T>): Promise<T> {
    const dropped = this.#dropped;
    try {
      const result = await rebuild(await this.opened());
      this.#madeUp = dropped;
      this.#noteSuccess();
      return result;
    } catch (error) {
      // Whoever rebuilds it logs why.
      if (!this.#stopped.signal.aborted) this.#failingSince ??= new Date();
      throw error;
    }
  }

  /** Waits for what is not yet done, but not for long, and closes the index. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#wake();
    await within(this.#working ?? Promise.resolve(), this.#options.stopTimeoutMs).catch(() => {});
    if (this.#waiting.size > 0) {
      log.warning("{count} changes are not in the index of recordings: the next start adds them", {
        count: this.#waiting.size,
      });
    }
    this.#stopped.abort(new IndexUnavailableError("The index of recordings is closed"));
    this.#wake();
    const closed = this.#opening?.then((index) => index[Symbol.dispose](), () => {});
    await within(closed ?? Promise.resolve(), this.#options.stopTimeoutMs).catch(() => {});
  }

  async #openInTime(): Promise<Index> {
    const opening = this.#open();
    try {
      return await within(opening, this.#options.openTimeoutMs, this.#stopped.signal);
    } catch (error) {
      // One that is late is not used any more.
      opening.then((index) => index[Symbol.dispose](), () => {});
      throw error;
    }
  }

  #add(id: string, change: Change): void {
    if (this.#stopped.signal.aborted) return;
    this.#waiting.set(id, change);
    if (this.#waiting.size > this.#options.maxWaiting) {
      for (const oldest of this.#waiting.keys()) {
        this.#drop(oldest);
        break;
      }
    }
    this.#working ??= this.#work();
  }

  #drop(id: string): void {
    this.#waiting.delete(id);
    if (this.#dropped === this.#madeUp) {
      log.warning("Changes get lost for the index of recordings: it will be rebuilt");
    }
    this.#dropped++;
  }

  async #work(): Promise<void> {
    let tries = 0;
    while (!this.#stopped.signal.aborted) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      const [id, change] = next;
      try {
        await this.#do(id, change);
        // While it was done, another change of the same recording may have come.
        if (this.#waiting.get(id) === change) this.#waiting.delete(id);
        tries = 0;
        this.#noteSuccess();
      } catch (error) {
        this.#noteFailure(error);
        if (++tries >= this.#options.maxTries) {
          // Perhaps it's this very one that can't be done.
          if (this.#waiting.get(id) === change) this.#drop(id);
          tries = 0;
        }
        await this.#pause(Math.max(0, tries - 1));
      }
    }
    // At once: what is added next begins it again.
    this.#working = undefined;
  }

  async #do(id: string, { recording }: Change): Promise<void> {
    const late = new AbortController();
    const signal = AbortSignal.any([late.signal, this.#stopped.signal]);
    try {
      await within(
        this.opened().then((index) =>
          recording === undefined ? index.remove(id, signal) : index.put(recording, signal)
        ),
        this.#options.tryTimeoutMs,
        this.#stopped.signal,
      );
    } finally {
      // One that is late must not go on when the next try has begun.
      late.abort();
    }
  }

  #noteSuccess(): void {
    if (this.#failingSince === undefined) return;
    const seconds = Math.round((Date.now() - this.#failingSince.getTime()) / 1000);
    this.#failingSince = undefined;
    log.info("The index of recordings works again, after {seconds} s", { seconds });
  }

  #noteFailure(error: unknown): void {
    if (this.#failingSince !== undefined || this.#stopped.signal.aborted) return;
    this.#failingSince = new Date();
    log.error("Cannot write to the index of recordings; trying again", { error });
  }

  async #pause(doublings: number): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const { firstRetryMs, maxRetryMs } = this.#options;
    // While it stops there is no time for long pauses.
    const longestMs = this.#isStopping ? firstRetryMs : maxRetryMs;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(longestMs, firstRetryMs * 2 ** doublings));
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await within(question(), this.#options.readTimeoutMs, this.#stopped.signal);
    } catch (error) {
      if (error instanceof InvalidCursorError || error instanceof IndexUnavailableError) {
        throw error;
      }
      throw new IndexUnavailableError("The index of recordings cannot be read", { cause: error });
    }
  }
}

/** Waits for a promise, but not for longer than a time, nor after the signal. */
function within<T>(promise: Promise<T>, timeoutMs: number, signal?: AbortSignal): Promise<T> {
  const { promise: result, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(signal?.reason);
  const timer = setTimeout(() => {
    reject(new IndexUnavailableError(`The index of recordings did not answer in ${timeoutMs} ms`));
  }, timeoutMs);
  signal?.addEventListener("abort", onAbort);
  promise.then(resolve, reject);
  return result.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  });
}
