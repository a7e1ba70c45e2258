/**
 * Makes the index say what the recordings say: adds what is missing, removes what is gone.
 *
 * Recordings and entries are walked side by side, a day at a time: there may be many more of them
 * than fit into memory. Recordings may begin, end and be removed meanwhile. Imports the log and its
 * neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { isRecordingIn, type RecordingArchive } from "./recording_archive.ts";
import { placeOf } from "./recording_id.ts";
import { entryOf, type IndexedRecording, type RecordingIndex } from "./recording_index.ts";
import type { RecordingMetadata } from "./recording_metadata.ts";
import type { WalkedEntry } from "./kv_recording_index.ts";

const log = getLogger(["audiohook", "index"]);

/** How many recordings are read at once. */
const RECORDINGS_AT_ONCE = 25;
/**
 * An entry may come before the files of its recording, which the storage may be slow to make, and
 * another instance's clock may differ.
 */
const GRACE_MS = 60_000;
/** More than any id. */
const LAST = "~";

/** What rebuilding needs of an index. */
export interface RebuildableIndex extends RecordingIndex {
  /** See `KvRecordingIndex`. */
  putAll(recordings: readonly IndexedRecording[], signal?: AbortSignal): Promise<number>;
  /** See `KvRecordingIndex`. */
  walk(fromId: string, toId: string): AsyncIterable<WalkedEntry>;
  /** See `KvRecordingIndex`. */
  removeWalked(entry: WalkedEntry, signal?: AbortSignal): Promise<boolean>;
}

/** Options of {@link rebuildIndex}. */
export interface RebuildOptions {
  /**
   * Whether the metadata of all recordings is read, and compared with their entries. If not, which
   * is the default, it's only that of those that have no entry, or one that says it's being made.
   */
  readonly isThorough?: boolean;
  /** Ends it between two recordings, with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Is called from time to time. */
  readonly onProgress?: (counts: RebuildCounts) => void;
  /** Milliseconds since 1970; for tests. */
  readonly now?: () => number;
}

/** What was found and done so far. */
export interface RebuildCounts {
  /** How many recordings there are. */
  readonly recordings: number;
  /** How many entries were added, or replaced because they differed. */
  readonly written: number;
  /** How many entries were removed, whose recordings are gone. */
  readonly removed: number;
  /** How many recordings have no metadata so far: they are being made. */
  readonly beingMade: number;
  /** How many have metadata that can't be read: their entries, if any, stay as they are. */
  readonly unreadable: number;
  /** How many days can't be listed: the entries of their recordings stay as they are. */
  readonly unreadableDays: number;
}

/**
 * Rebuilds an index. Whatever of it was done counts, also if it ends early.
 *
 * @throws What the index or the archive says if it fails as a whole; the signal's reason.
 */
export async function rebuildIndex(
  index: RebuildableIndex,
  archive: RecordingArchive,
  options: RebuildOptions = {},
): Promise<RebuildCounts> {
  const rebuilding = new Rebuilding(index, archive, options);
  let day = "";
  let ids = new Set<string>();
  for await (const id of archive.list((unreadable) => rebuilding.leave(unreadable))) {
    options.signal?.throwIfAborted();
    const place = placeOf(id);
    if (place === undefined || rebuilding.isLeft(place.day)) continue;
    if (place.day !== day) {
      if (place.day < day) throw new Error(`The archive lists ${place.day} after ${day}`);
      await rebuilding.compare(day, place.day, ids);
      day = place.day;
      ids = new Set();
    }
    ids.add(id);
  }
  await rebuilding.compare(day, LAST, ids);
  return rebuilding.counts;
}

class Rebuilding {
  readonly counts = {
    recordings: 0,
    written: 0,
    removed: 0,
    beingMade: 0,
    unreadable: 0,
    unreadableDays: 0,
  };
  readonly #index: RebuildableIndex;
  readonly #archive: RecordingArchive;
  readonly #options: RebuildOptions;
  /** Before any recording was listed. */
  readonly #startMs: number;
  readonly #unreadableDays = new Set<string>();

  constructor(index: RebuildableIndex, archive: RecordingArchive, options: RebuildOptions) {
    this.#index = index;
    this.#archive = archive;
    this.#options = options;
    this.#startMs = (options.now ?? Date.now)();
  }

  /** Leaves all entries of a day as they are: nothing says what its recordings are. */
  leave(day: string): void {
    this.#unreadableDays.add(day);
    this.counts.unreadableDays = this.#unreadableDays.size;
  }

  isLeft(day: string): boolean {
    return this.#unreadableDays.has(day);
  }

  /**
   * Compares all entries from a day up to another one, which is not included, with the recordings
   * there are.
   *
   * @param ids Becomes empty.
   */
  async compare(fromDay: string, toDay: string, ids: Set<string>): Promise<void> {
    const { signal, isThorough = false, onProgress } = this.#options;
    this.counts.recordings += ids.size;
    const toRead: string[] = [];
    const perhapsGone: WalkedEntry[] = [];
    // What is found is dealt with at once, so that no more than the ids of a day is kept.
    const deal = async (atLeast: number) => {
      if (toRead.length >= atLeast) await this.#read(toRead.splice(0));
      if (perhapsGone.length >= atLeast) await this.#removeGone(perhapsGone.splice(0));
      onProgress?.(this.counts);
    };
    for await (const entry of this.#index.walk(fromDay, toDay)) {
      signal?.throwIfAborted();
      if (this.isLeft(placeOf(entry.id)?.day ?? "")) continue;
      if (!ids.delete(entry.id)) perhapsGone.push(entry);
      else if (isThorough || entry.state === "recording") toRead.push(entry.id);
      if (toRead.length + perhapsGone.length >= RECORDINGS_AT_ONCE) await deal(1);
    }
    for (const id of ids) {
      ids.delete(id);
      toRead.push(id);
      if (toRead.length >= RECORDINGS_AT_ONCE) await deal(1);
    }
    await deal(1);
  }

  /** Puts what the metadata of recordings says. */
  async #read(ids: readonly string[]): Promise<void> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const found: IndexedRecording[] = [];
    await Promise.all(ids.map(async (id) => {
      const metadata = await this.#metadata(id);
      if (metadata !== undefined) found.push(entryOf(id, metadata));
    }));
    this.counts.written += await this.#index.putAll(found, signal);
    // One that was removed in between has lost its entry before it was put.
    await Promise.all(found.map(async ({ id }) => {
      if (!await isRecordingIn(this.#archive, id)) await this.#index.remove(id, signal);
    }));
  }

  /** The metadata, or `undefined` if there is none that can be read, which is counted. */
  async #metadata(id: string): Promise<RecordingMetadata | undefined> {
    try {
      // It may end in between.
      for (let n = 0; n < 2; n++) {
        const metadata = await this.#archive.metadata(id);
        if (metadata !== undefined) return metadata;
        if (await this.#hasEnded(id)) continue;
        this.counts.beingMade++;
        return undefined;
      }
      // The archive has told what is wrong with it.
      this.counts.unreadable++;
      return undefined;
    } catch (error) {
      this.counts.unreadable++;
      log.warning("Cannot index the recording {id}: its metadata cannot be read", { id, error });
      return undefined;
    }
  }

  /** Whether a recording has metadata, be it such that nobody can read. */
  async #hasEnded(id: string): Promise<boolean> {
    // Messages are final when there is metadata; audio of those that have none is so a little before.
    await using file = await this.#archive.open(id, "messages") ??
      await this.#archive.open(id, "audio");
    return file?.isFinal ?? false;
  }

  async #removeGone(entries: readonly WalkedEntry[]): Promise<void> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    for (const entry of entries) {
      const { id, state, startedAt } = entry;
      // It began after those of its day were listed, perhaps: in object storage, it can't be opened.
      if (state === "recording" && this.#startMs - Date.parse(startedAt) < GRACE_MS) continue;
      // It may have come after the recordings were listed.
      if (await isRecordingIn(this.#archive, id)) continue;
      // Whoever makes it may put it at this moment.
      if (await this.#index.removeWalked(entry, signal)) this.counts.removed++;
    }
  }
}
