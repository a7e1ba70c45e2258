/**
 * The index of recordings, for those who must not wait for it: what is put goes to the database in
 * the background, in order, however slow it is, and is tried again if it fails.
 *
 * Imports the log and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { inTime } from "./in_time.ts";
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
  /**
   * How long it may take to open the index, 5 minutes by default. What did not open by then may go
   * on trying (answering_kv.ts says how), so that it must not be often.
   */
  readonly openTimeoutMs?: number;
  /** How long it opens until it is said to be failing, 10 seconds by default. */
  readonly slowOpenMs?: number;
  /**
   * How many changes may wait, 10,000 by default; the oldest is dropped for one more. As many
   * recordings that are being made are remembered.
   */
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
  /**
   * Whether a recording is there; asked each time that an entry was put, which is removed if it is
   * not. By default, all are. If it fails, the entry is put again later.
   */
  readonly isThere?: (entry: RecordingEntry) => Promise<boolean>;
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
  /** What was put that is being made: by its id, until it is put as something else. */
  readonly #beingMade = new Map<string, IndexedRecording>();
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
      openTimeoutMs: 300_000,
      slowOpenMs: 10_000,
      maxWaiting: 10_000,
      tryTimeoutMs: 10_000,
      firstRetryMs: 250,
      maxRetryMs: 30_000,
      maxTries: 20,
      readTimeoutMs: 5_000,
      stopTimeoutMs: 5_000,
      isThere: () => Promise.resolve(true),
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
    const { id, state } = recording;
    this.#beingMade.delete(id);
    if (state === "recording") {
      this.#beingMade.set(id, recording);
      if (this.#beingMade.size > this.#options.maxWaiting) {
        for (const oldest of this.#beingMade.keys()) {
          this.#beingMade.delete(oldest);
          break;
        }
      }
    }
    this.#add(id, { recording });
    return Promise.resolve();
  }

  remove(id: string): Promise<void> {
    this.#beingMade.delete(id);
    this.#add(id, { recording: undefined });
    return Promise.resolve();
  }

  /** What was put as being made is no concern of this program any more: its entry may go. */
  forget(id: string): void {
    this.#beingMade.delete(id);
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
    await opening?.then((index) => index[Symbol.dispose]()).catch(() => {});
  }

  /**
   * Rebuilds the index, which makes up for all changes that were dropped before.
   *
   * @param rebuild Fails if it did not succeed.
   */
  async rebuild<T>(rebuild: (index: Index) => Promise<T>): Promise<T> {
    const dropped = this.#dropped;
    const result = await this.#use(rebuild);
    this.#madeUp = dropped;
    this.#noteSuccess();
    return result;
  }

  /**
   * Looks after the index. That it works again is not said as long as changes wait, which may fail.
   *
   * @param look Fails if the index is not as it should be.
   */
  async look<T>(look: (index: Index) => Promise<T>): Promise<T> {
    const result = await this.#use(look);
    if (this.#waiting.size === 0) this.#noteSuccess();
    return result;
  }

  /**
   * Puts again what was put, is being made, and has no entry any more: nothing but this program
   * knows of it, and others may have removed it, or the whole index.
   *
   * @param findMissing Says which of them have no entry.
   */
  async restore(
    findMissing: (index: Index, ids: readonly string[]) => Promise<readonly string[]>,
  ): Promise<void> {
    const ids = [...this.#beingMade.keys()];
    if (ids.length === 0) return;
    for (const id of await this.#use((index) => findMissing(index, ids))) {
      const recording = this.#beingMade.get(id);
      // Meanwhile it may have been put as something else.
      if (recording !== undefined && !this.#waiting.has(id)) this.#add(id, { recording });
    }
  }

  /** Waits for what is not yet done, but not for long, and closes the index. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#wake();
    await inTime(this.#working ?? Promise.resolve(), this.#options.stopTimeoutMs).catch(() => {});
    if (this.#waiting.size > 0) {
      log.warning("{count} changes are not in the index of recordings: the next start adds them", {
        count: this.#waiting.size,
      });
    }
    this.#stopped.abort(new IndexUnavailableError("The index of recordings is closed"));
    this.#wake();
    const closed = this.#opening?.then((index) => index[Symbol.dispose](), () => {});
    await inTime(closed ?? Promise.resolve(), this.#options.stopTimeoutMs).catch(() => {});
  }

  /** Does something with the index for somebody who logs why it fails. */
  async #use<T>(work: (index: Index) => Promise<T>): Promise<T> {
    try {
      return await work(await this.opened());
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.#failingSince ??= new Date();
      throw error;
    }
  }

  async #openInTime(): Promise<Index> {
    const { slowOpenMs, openTimeoutMs } = this.#options;
    const startedAt = new Date();
    const opening = this.#open();
    // It is not opened a second time meanwhile: what waits for an answer can't be given up.
    const slow = setTimeout(() => {
      this.#noteFailure(
        new IndexUnavailableError(`The index of recordings did not open in ${slowOpenMs} ms`),
        startedAt,
      );
    }, slowOpenMs);
    try {
      return await inTime(opening, openTimeoutMs, this.#stopped.signal);
    } catch (error) {
      // One that is late is not used any more.
      opening.then((index) => index[Symbol.dispose](), () => {});
      throw error;
    } finally {
      clearTimeout(slow);
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
      await inTime(
        this.opened().then((index) =>
          recording === undefined ? index.remove(id, signal) : this.#put(index, recording, signal)
        ),
        this.#options.tryTimeoutMs,
        this.#stopped.signal,
      );
    } finally {
      // One that is late must not go on when the next try has begun.
      late.abort();
    }
  }

  /**
   * Puts an entry, and removes it if its recording has gone: whoever removes one may do so between
   * its end, which only the storage knows of so far, and this. One that is there now loses its entry
   * when it is removed, for that comes after it.
   */
  async #put(index: Index, recording: IndexedRecording, signal: AbortSignal): Promise<void> {
    const { id } = recording;
    await index.put(recording, signal);
    if (await this.#options.isThere(recording)) return;
    if (this.#beingMade.get(id) === recording) this.#beingMade.delete(id);
    await index.remove(id, signal);
  }

  #noteSuccess(): void {
    if (this.#failingSince === undefined) return;
    const seconds = Math.round((Date.now() - this.#failingSince.getTime()) / 1000);
    this.#failingSince = undefined;
    log.info("The index of recordings works again, after {seconds} s", { seconds });
  }

  #noteFailure(error: unknown, since = new Date()): void {
    if (this.#failingSince !== undefined || this.#stopped.signal.aborted) return;
    this.#failingSince = since;
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
      return await inTime(question(), this.#options.readTimeoutMs, this.#stopped.signal);
    } catch (error) {
      if (error instanceof InvalidCursorError || error instanceof IndexUnavailableError) {
        throw error;
      }
      throw new IndexUnavailableError("The index of recordings cannot be read", { cause: error });
    }
  }
}
