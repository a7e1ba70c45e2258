/**
 * Keeps the index complete: compares it with the recordings when the program starts, and whenever
 * changes were lost.
 *
 * Imports the log and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import type { BackgroundIndex } from "./background_index.ts";
import { type KvRecordingIndex, UnreadableIndexError } from "./kv_recording_index.ts";
import { rebuildIndex } from "./rebuild_index.ts";
import type { RecordingArchive } from "./recording_archive.ts";

const log = getLogger(["audiohook", "index"]);

/** Options of an {@link IndexUpkeep}. All have defaults. */
export interface IndexUpkeepOptions {
  /** How often it looks whether changes were lost, once a minute by default. */
  readonly lookMs?: number;
  /** How long it takes until the second try, 1 second by default; each time, it's twice as long. */
  readonly firstRetryMs?: number;
  /** Longest time between two tries, 5 minutes by default. */
  readonly maxRetryMs?: number;
  /** How long the end waits for what is under way, 5 seconds by default. */
  readonly stopTimeoutMs?: number;
}

/** When it can't be read so often, one after the other, it's opened again, which looks for damage. */
const TRIES_UNTIL_REOPENED = 2;

/** Keeps one index complete, in the background, until it is disposed. */
export class IndexUpkeep implements AsyncDisposable {
  readonly #index: BackgroundIndex<KvRecordingIndex>;
  readonly #archive: RecordingArchive;
  readonly #options: Required<IndexUpkeepOptions>;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #wake: () => void = () => {};
  /** How often the index could not be read, one after the other. */
  #unreadable = 0;

  constructor(
    index: BackgroundIndex<KvRecordingIndex>,
    archive: RecordingArchive,
    options: IndexUpkeepOptions = {},
  ) {
    this.#index = index;
    this.#archive = archive;
    this.#options = {
      lookMs: 60_000,
      firstRetryMs: 1_000,
      maxRetryMs: 300_000,
      stopTimeoutMs: 5_000,
      ...options,
    };
  }

  /** Begins, without waiting for anything. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends it, between two recordings; the index itself is not closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort(new Error("The index of recordings is no longer kept complete"));
    this.#wake();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.stopTimeoutMs);
    await Promise.race([this.#running, late]);
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    const { lookMs, firstRetryMs, maxRetryMs } = this.#options;
    const { signal } = this.#stopped;
    let isDue = true;
    let retryMs = firstRetryMs;
    while (!signal.aborted) {
      if (isDue && await this.#rebuild(retryMs === firstRetryMs)) {
        isDue = false;
        retryMs = firstRetryMs;
      }
      if (signal.aborted) return;
      await this.#pause(isDue ? retryMs : lookMs);
      if (isDue) retryMs = Math.min(maxRetryMs, retryMs * 2);
      else isDue = this.#index.status.isRebuildDue;
    }
  }

  /** Whether it succeeded. */
  async #rebuild(isFirstTry: boolean): Promise<boolean> {
    const { signal } = this.#stopped;
    const startMs = performance.now();
    try {
      const counts = await this.#index.rebuild(async (index) => {
        // Before anything else: it may have what must not be kept any more.
        await index.removeOthers(signal);
        return await rebuildIndex(index, this.#archive, { signal });
      });
      this.#unreadable = 0;
      const seconds = Math.round((performance.now() - startMs) / 100) / 10;
      const { written, removed } = counts;
      const level = written + removed > 0 ? "info" : "debug";
      log[level](
        "The index has all {recordings} recordings: {written} written, {removed} removed",
        {
          ...counts,
          seconds,
        },
      );
      return true;
    } catch (error) {
      if (!signal.aborted && isFirstTry) {
        log.error("Cannot compare the index with the recordings; trying again", { error });
      }
      this.#unreadable = error instanceof UnreadableIndexError ? this.#unreadable + 1 : 0;
      if (!signal.aborted && this.#unreadable >= TRIES_UNTIL_REOPENED) {
        this.#unreadable = 0;
        await this.#index.reopen();
      }
      return false;
    }
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }
}
