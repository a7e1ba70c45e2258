/**
 * Keeps the index complete: compares it with the recordings when the program starts, and whenever
 * changes were lost, or another program has replaced it.
 *
 * Several programs may use one database. Each looks once a minute whether what it put of recordings
 * that it's making is still there, and removes what was built otherwise, if it was the last to open
 * the index. Imports the log and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { UnreadableIndexError } from "./answering_kv.ts";
import type { BackgroundIndex } from "./background_index.ts";
import type { KvRecordingIndex } from "./kv_recording_index.ts";
import { rebuildIndex } from "./rebuild_index.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import { IndexUnavailableError } from "./recording_index.ts";

const log = getLogger(["audiohook", "index"]);

/** Options of an {@link IndexUpkeep}. All have defaults. */
export interface IndexUpkeepOptions {
  /** How often it looks whether anything was lost, once a minute by default. */
  readonly lookMs?: number;
  /** How long it takes until the second try, 1 second by default; each time, it's twice as long. */
  readonly firstRetryMs?: number;
  /** Longest time between two tries, 5 minutes by default. */
  readonly maxRetryMs?: number;
  /** How often recordings are looked for again of which a part can't be listed; once an hour. */
  readonly unreadableRetryMs?: number;
  /** How long the end waits for what is under way, 5 seconds by default. */
  readonly stopTimeoutMs?: number;
}

/** When it can't be read so often, one after the other, it's opened again, which looks for damage. */
const TRIES_UNTIL_REOPENED = 2;

/** Thrown when what is open has no name any more: whatever is written to it is lost. */
class ReplacedIndexError extends Error {
  override readonly name = "ReplacedIndexError";

  constructor() {
    super("The file of the index was replaced or removed");
  }
}

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
  /** When it is rebuilt because a part of the recordings could not be listed. */
  #againAtMs = Infinity;

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
      unreadableRetryMs: 3_600_000,
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
      else isDue = await this.#look();
    }
  }

  /** Whether it succeeded. */
  async #rebuild(isFirstTry: boolean): Promise<boolean> {
    const { signal } = this.#stopped;
    const startMs = performance.now();
    try {
      const counts = await this.#index.rebuild(async (index) => {
        if (await index.isReplaced()) throw new ReplacedIndexError();
        // Before anything else: it may have what must not be kept any more.
        await this.#removeOthers(index);
        return await rebuildIndex(index, this.#archive, { signal });
      });
      await this.#restore();
      this.#unreadable = 0;
      this.#againAtMs = counts.unreadableDays === 0
        ? Infinity
        : performance.now() + this.#options.unreadableRetryMs;
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
      const isReplaced = error instanceof ReplacedIndexError;
      if (!signal.aborted && isFirstTry && !isReplaced) {
        log.error("Cannot compare the index with the recordings; trying again", { error });
      }
      await this.#reopenIfNeeded(error);
      return false;
    }
  }

  /** Whether the index has to be rebuilt. */
  async #look(): Promise<boolean> {
    const wasFailing = this.#index.status.failingSince !== undefined;
    try {
      const isOurs = await this.#index.look(async (index) => {
        if (await index.isReplaced()) throw new ReplacedIndexError();
        if ((await index.compareFormat()).kind !== "same") return false;
        await index.removeOthers(this.#stopped.signal);
        return true;
      });
      if (!isOurs) return true;
      await this.#restore();
      this.#unreadable = 0;
    } catch (error) {
      const isReplaced = error instanceof ReplacedIndexError;
      if (!this.#stopped.signal.aborted && !wasFailing && !isReplaced) {
        log.error("Cannot look after the index of recordings; trying again", { error });
      }
      // In memory, or if the file is another one, it begins empty.
      if (await this.#reopenIfNeeded(error)) return true;
    }
    return this.#index.status.isRebuildDue || performance.now() >= this.#againAtMs;
  }

  /** Removes what was built otherwise; not if it's that of a program that was started later. */
  async #removeOthers(index: KvRecordingIndex): Promise<void> {
    const found = await index.compareFormat();
    if (found.kind === "other") {
      // If each removed what the other one builds, there would be no end of it.
      throw new Error(
        `Another program has built the index of recordings anew, ${found.difference}: start this ` +
          `one again with the same settings, or build the index anew with the settings of this one`,
      );
    }
    if (found.kind === "none") await index.writeFormat();
    await index.removeOthers(this.#stopped.signal);
  }

  async #restore(): Promise<void> {
    await this.#index.restore((index, ids) => index.missing(ids));
  }

  /** Whether it was opened again. */
  async #reopenIfNeeded(error: unknown): Promise<boolean> {
    const isReplaced = error instanceof ReplacedIndexError;
    const isUnreadable = error instanceof UnreadableIndexError ||
      error instanceof IndexUnavailableError;
    this.#unreadable = isUnreadable ? this.#unreadable + 1 : 0;
    if (this.#stopped.signal.aborted) return false;
    if (!isReplaced && this.#unreadable < TRIES_UNTIL_REOPENED) return false;
    if (isReplaced) log.warning("{reason}: it is opened again", { reason: error.message });
    this.#unreadable = 0;
    await this.#index.reopen();
    return true;
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    await promise;
    clearTimeout(timer);
  }
}
