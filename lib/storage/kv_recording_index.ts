/**
 * The index of recordings in Deno KV, be it a file, a database that is reached by a URL, or that of
 * Deno Deploy.
 *
 * A recording and all that refers to it is written in one atomic operation, which only succeeds if
 * nobody else has changed it meanwhile. Imports node:, zod and its neighbours.
 */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { AnsweringKv, type KvDatabase } from "./answering_kv.ts";
import { inTime } from "./in_time.ts";
import { cursorOf, type PageEnd, pageEndOf } from "./index_cursor.ts";
import {
  FORMAT_KEY,
  type FormatComparison,
  type IndexFormat,
  indexFormatSchema,
  IndexKeys,
  type IndexKeysOptions,
  type KeptRecording,
  keptRecordingSchema,
  KEY_ROOT,
} from "./index_keys.ts";
import { placeOf } from "./recording_id.ts";
import {
  type IndexedRecording,
  IndexUnavailableError,
  type RecordingEntry,
  recordingEntrySchema,
  type RecordingFilter,
  type RecordingIndex,
  type RecordingPage,
} from "./recording_index.ts";

/** How many recordings are written at once: KV takes 80 KiB of keys in one atomic operation. */
const RECORDINGS_PER_WRITE = 25;
/** How many keys are removed at once, for the same reason. */
const KEYS_PER_REMOVAL = 200;
/** Most entries of a page, whatever is asked for. */
const MAX_PAGE = 500;
/** How many references are read at once at most; KV's bound is 1000. */
const SCAN_KEYS = 500;
/** How many records are read at once when all are: calls wait while they are looked at. */
const WALK_KEYS = 200;
/** How many recordings are looked for at once. */
const IDS_PER_READ = 100;
/** How often a write is tried that others get ahead of. Each time, one of them has succeeded. */
const MAX_LOST = 100;
/** How long it is waited at most until a write that failed is tried again. */
const MAX_RETRY_MS = 100;
const DEFAULT_MAX_SCANNED = 1000;
const DEFAULT_ANSWER_TIMEOUT_MS = 10_000;

/** Options of a {@link KvRecordingIndex}. */
export interface KvRecordingIndexOptions extends IndexKeysOptions {
  /** How many recordings one page may look at, 1000 by default; then it ends with fewer entries. */
  readonly maxScanned?: number;
  /** How long the database may take for one answer, or fail at one write: 10 seconds by default. */
  readonly answerTimeoutMs?: number;
}

/** What all entries are read for, without what is not needed then. */
const walkedSchema = z.object({
  entry: recordingEntrySchema.pick({ id: true, state: true, startedAt: true }),
});

/** What an entry is compared by with the recordings that are there. */
export type WalkedEntry = z.infer<typeof walkedSchema>["entry"] & {
  /** Differs when it was changed. */
  readonly versionstamp: string;
};

/** The index in Deno KV. */
export class KvRecordingIndex implements RecordingIndex, Disposable {
  readonly #kv: AnsweringKv;
  readonly #keys: IndexKeys;
  readonly #maxScanned: number;
  readonly #answerTimeoutMs: number;
  readonly #isReplaced: () => Promise<boolean>;

  /**
   * @param kv Is closed with the index.
   * @param isReplaced Of a file: whether somebody who opens the index now gets another database than
   * this one.
   */
  constructor(
    kv: KvDatabase,
    options: KvRecordingIndexOptions,
    isReplaced?: () => Promise<boolean>,
  ) {
    this.#answerTimeoutMs = options.answerTimeoutMs ?? DEFAULT_ANSWER_TIMEOUT_MS;
    this.#kv = new AnsweringKv(kv, this.#answerTimeoutMs, isReplaced !== undefined);
    this.#keys = new IndexKeys(options);
    this.#maxScanned = options.maxScanned ?? DEFAULT_MAX_SCANNED;
    this.#isReplaced = isReplaced ?? (() => Promise.resolve(false));
  }

  /** How it is built. */
  get format(): IndexFormat {
    return this.#keys.format;
  }

  async put(recording: IndexedRecording, signal?: AbortSignal): Promise<void> {
    await this.putAll([recording], signal);
  }

  /**
   * Puts many, some of them at a time.
   *
   * @returns How many were new, or differed from what was there.
   */
  async putAll(recordings: readonly IndexedRecording[], signal?: AbortSignal): Promise<number> {
    const kept = recordings.map((recording) => [recording.id, this.#keys.keep(recording)] as const);
    let changed = 0;
    for (let from = 0; from < kept.length; from += RECORDINGS_PER_WRITE) {
      changed += await this.#change(new Map(kept.slice(from, from + RECORDINGS_PER_WRITE)), signal);
    }
    return changed;
  }

  async remove(id: string, signal?: AbortSignal): Promise<void> {
    if (placeOf(id) !== undefined) await this.#change(new Map([[id, undefined]]), signal);
  }

  /**
   * Removes an entry as it was walked; not if it was put anew since then.
   *
   * @returns Whether it was removed.
   */
  async removeWalked({ id, versionstamp }: WalkedEntry, signal?: AbortSignal): Promise<boolean> {
    return await this.#change(new Map([[id, undefined]]), signal, versionstamp) > 0;
  }

  async get(id: string): Promise<RecordingEntry | undefined> {
    if (placeOf(id) === undefined) return undefined;
    return keptOf(await this.#kv.get(this.#keys.recording(id)))?.entry;
  }

  /** Which of these have no entry. */
  async missing(ids: readonly string[]): Promise<string[]> {
    const missing: string[] = [];
    for (let from = 0; from < ids.length; from += IDS_PER_READ) {
      const some = ids.slice(from, from + IDS_PER_READ);
      const found = await this.#readAll(some);
      missing.push(...some.filter((_, i) => keptOf(found[i]) === undefined));
    }
    return missing;
  }

  async find(filter: RecordingFilter, limit: number, cursor?: string): Promise<RecordingPage> {
    const keys = this.#keys;
    const ranges = keys.ways(filter).map((way) => ({ way, ...keys.range(way, filter) }));
    let last = cursor === undefined ? undefined : pageEndOf(keys, filter, cursor);
    const entries: RecordingEntry[] = [];
    const { fromMs = -Infinity, toMs = Infinity } = filter;
    const most = Math.max(1, Math.min(limit, MAX_PAGE));
    let mayScan = this.#maxScanned;
    let isMore = fromMs < toMs;
    // Usually all that are looked at are looked for; if not, more and more are read at once.
    for (let step = most; isMore && mayScan > 0 && entries.length < most; step *= 2) {
      const count = Math.min(step, mayScan, SCAN_KEYS);
      const after = last;
      // One more tells whether there are more.
      const found = sparsest(
        await Promise.all(ranges.map(({ way, start, end }) => {
          const before = after === undefined ? end : [...way, after.startedMs, after.id];
          return this.#references({ start, end: before }, count + 1);
        })),
      );
      isMore = found.length > count;
      mayScan -= count;
      const scanned = found.slice(0, count);
      const records = await this.#readAll(scanned.map(({ id }) => id));
      for (const [i, reference] of scanned.entries()) {
        if (entries.length === most) {
          isMore = true;
          break;
        }
        last = reference;
        const kept = keptOf(records[i]);
        // It may have changed since the reference was read.
        if (kept === undefined || Date.parse(kept.entry.startedAt) !== reference.startedMs) {
          continue;
        }
        if (keys.isWanted(kept, filter)) entries.push(kept.entry);
      }
    }
    return {
      entries,
      cursor: isMore && last !== undefined ? cursorOf(keys, filter, last) : undefined,
    };
  }

  /**
   * All entries from an id up to another one, which is not included, in their order: that of the
   * days. What is changed meanwhile may be in it or not.
   *
   * @throws {UnreadableIndexError} If the database can't be read.
   */
  async *walk(fromId: string, toId: string): AsyncGenerator<WalkedEntry> {
    const range = { start: this.#keys.recording(fromId), end: this.#keys.recording(toId) };
    for await (const { value, versionstamp } of this.#kv.list(range, { batchSize: WALK_KEYS })) {
      const { data } = walkedSchema.safeParse(value);
      if (data !== undefined) yield { ...data.entry, versionstamp };
    }
  }

  /** Whether somebody who opens the index now gets another database: the file was replaced. */
  async isReplaced(): Promise<boolean> {
    return await inTime(this.#isReplaced(), this.#answerTimeoutMs);
  }

  /** How the index was built that is in the database; `undefined` if there is none. */
  async readFormat(): Promise<IndexFormat | undefined> {
    return indexFormatSchema.safeParse((await this.#kv.get(FORMAT_KEY)).value).data;
  }

  /** Compares how the index was built that is in the database with how this one is. */
  async compareFormat(): Promise<FormatComparison> {
    const found = await this.readFormat();
    return found === undefined ? { kind: "none" } : this.#keys.compare(found);
  }

  /** Writes down how this index is built; not if somebody else does so at this moment. */
  async writeFormat(): Promise<void> {
    const current = await this.#kv.get(FORMAT_KEY);
    await this.#kv.commit(this.#kv.atomic().check(current).set(FORMAT_KEY, this.format));
  }

  /**
   * Removes all indexes but this one: those that were built otherwise. It ends if the database is
   * said to be built anew meanwhile: then it's for somebody else to do so.
   */
  async removeOthers(signal?: AbortSignal): Promise<void> {
    const { generation } = this.#keys;
    const format = await this.#kv.get(FORMAT_KEY);
    // A key is more than its beginning, and less than one that goes on.
    await this.#removeAll({ prefix: [KEY_ROOT], end: [KEY_ROOT, generation] }, format, signal);
    await this.#removeAll(
      { prefix: [KEY_ROOT], start: [KEY_ROOT, generation, true] },
      format,
      signal,
    );
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    this.#kv[Symbol.dispose]();
  }

  /**
   * Makes each record what it has to be, or removes it; says how many were something else.
   *
   * @param versionstamp Only records that have this one are changed.
   */
  async #change(
    wanted: ReadonlyMap<string, KeptRecording | undefined>,
    signal: AbortSignal | undefined,
    versionstamp?: string,
  ): Promise<number> {
    let failsSinceMs: number | undefined;
    for (let lost = 0; lost < MAX_LOST;) {
      signal?.throwIfAborted();
      const found = await this.#readAll([...wanted.keys()]);
      let changed = 0;
      const atomic = this.#kv.atomic();
      for (const [i, [id, next]] of [...wanted].entries()) {
        const current = found[i];
        if (current === undefined || isSame(current, next)) continue;
        if (versionstamp !== undefined && current.versionstamp !== versionstamp) continue;
        changed++;
        atomic.check(current);
        this.#changeOne(atomic, id, keptOf(current), next);
      }
      if (changed === 0) return 0;
      // What was given up in the meantime must not replace what came after it.
      signal?.throwIfAborted();
      try {
        if (await this.#kv.commit(atomic)) return changed;
        lost++;
      } catch (error) {
        if (error instanceof IndexUnavailableError) throw error;
        // Another program that writes to the same file makes it fail, not wait: for as long as the
        // disk takes to sync that.
        const nowMs = performance.now();
        failsSinceMs ??= nowMs;
        if (nowMs - failsSinceMs >= this.#answerTimeoutMs) throw error;
        // Given up, it throws for the reason of that.
        await delay(Math.random() * MAX_RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
    throw new Error(`Cannot write to the index: others were faster ${MAX_LOST} times`);
  }

  #changeOne(
    atomic: Deno.AtomicOperation,
    id: string,
    old: KeptRecording | undefined,
    next: KeptRecording | undefined,
  ): void {
    const before = this.#referencesOf(old);
    const after = this.#referencesOf(next);
    for (const [text, key] of before) if (!after.has(text)) atomic.delete(key);
    for (const [text, key] of after) if (!before.has(text)) atomic.set(key, null);
    const key = this.#keys.recording(id);
    if (next === undefined) atomic.delete(key);
    else atomic.set(key, next);
  }

  /** Keys of references by their texts. */
  #referencesOf(kept: KeptRecording | undefined): Map<string, Deno.KvKey> {
    const keys = kept === undefined ? [] : this.#keys.references(kept);
    return new Map(keys.map((key) => [JSON.stringify(key), key]));
  }

  /** The newest references of a range. */
  async #references(
    range: Deno.KvListSelector,
    limit: number,
  ): Promise<PageEnd[]> {
    const found: PageEnd[] = [];
    const options = { limit, reverse: true, batchSize: Math.min(limit, SCAN_KEYS) };
    for await (const { key } of this.#kv.list(range, options)) {
      const [startedMs, id] = key.slice(-2);
      if (typeof startedMs === "number" && typeof id === "string") found.push({ startedMs, id });
    }
    return found;
  }

  async #readAll(ids: readonly string[]): Promise<Deno.KvEntryMaybe<unknown>[]> {
    return await this.#kv.getAll(ids.map((id) => this.#keys.recording(id)));
  }

  /** @param format Nothing is removed when it isn't the same any more. */
  async #removeAll(
    range: Deno.KvListSelector,
    format: Deno.KvEntryMaybe<unknown>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let keys: Deno.KvKey[] = [];
    const removeThem = async () => {
      signal?.throwIfAborted();
      if (keys.length === 0) return true;
      const atomic = this.#kv.atomic().check(format);
      for (const key of keys) atomic.delete(key);
      keys = [];
      return await this.#kv.commit(atomic);
    };
    for await (const { key } of this.#kv.list(range, { batchSize: KEYS_PER_REMOVAL })) {
      if (JSON.stringify(key) !== JSON.stringify(FORMAT_KEY)) keys.push(key);
      if (keys.length === KEYS_PER_REMOVAL && !await removeThem()) return;
    }
    await removeThem();
  }
}

/**
 * Of several ways to the same recordings, the one with the fewest others: it ends, or it has gone
 * back furthest.
 */
function sparsest(ways: readonly (readonly PageEnd[])[]): readonly PageEnd[] {
  const [first = [], ...others] = ways;
  return others.reduce((best, way) => {
    if (way.length !== best.length) return way.length < best.length ? way : best;
    return (way.at(-1)?.startedMs ?? 0) < (best.at(-1)?.startedMs ?? 0) ? way : best;
  }, first);
}

/** What is kept, if it is what it should be: others may write to the database. */
function keptOf(found: Deno.KvEntryMaybe<unknown> | undefined): KeptRecording | undefined {
  return found?.value ? keptRecordingSchema.safeParse(found.value).data : undefined;
}

function isSame(current: Deno.KvEntryMaybe<unknown>, next: KeptRecording | undefined): boolean {
  // What is not understood is not "nothing", and has to go.
  if (current.value === null || next === undefined) return current.value === null && !next;
  // Both have their fields in the order of the schema.
  return JSON.stringify(keptOf(current)) === JSON.stringify(next);
}
