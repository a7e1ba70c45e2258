/**
 * One file of a recording that is being made: written at any place, and synced, which lets what was
 * written outlast a power failure.
 *
 * Imports its neighbours.
 */
import { dirname } from "node:path";
import { FILE_MODE } from "./file_modes.ts";
import { syncFolder } from "./folder_sync.ts";
import { whereSupported } from "./sync_support.ts";

/** How much is written again after a sync that failed: a minute of audio. */
const MAX_REPEATED_BYTES = 1024 * 1024;
/** More ranges than that become one: usually there are the header's and that of what was added. */
const MAX_RANGES = 4;
const COPY_BYTES = 64 * 1024;
/** Parts of a circle that differ as much as possible, however many there are. */
const GOLDEN_RATIO = 0.618_033_988_75;

let lastNumber = 0;

/** Who wants to know about a {@link FileBeingWritten}. */
export interface FileWatcher {
  /** It has something that is not synced, and had not before. */
  changed(file: FileBeingWritten): void;
  /** A sync of it failed, or succeeded (`undefined`). */
  synced(file: FileBeingWritten, error: unknown): void;
}

/** Bytes of a file: from the first place up to the second, which is not included. */
interface Range {
  from: number;
  to: number;
}

/** A file that is made when it is first written to. */
export class FileBeingWritten {
  /** From 0 to 1, different for each: when it is synced. */
  readonly phase = (++lastNumber * GOLDEN_RATIO) % 1;
  #path: string;
  readonly #watcher: FileWatcher;
  #file: Deno.FsFile | undefined;
  /** Where the file's own position is, so that writing on needs no seek. */
  #position = 0;
  /** Written since the last sync. */
  #unsynced: Range[] = [];
  #unsyncedSinceMs: number | undefined;
  #syncing: { readonly sinceMs: number; readonly done: Promise<void> } | undefined;
  #isNameSynced = false;

  /** @param file If it is there already. */
  constructor(path: string, watcher: FileWatcher, file?: Deno.FsFile) {
    this.#path = path;
    this.#watcher = watcher;
    this.#file = file;
  }

  /** Since when something of it is not synced, by `performance.now()`; `undefined` if all is. */
  get unsyncedSinceMs(): number | undefined {
    return this.#syncing?.sinceMs ?? this.#unsyncedSinceMs;
  }

  /** It was renamed. */
  moved(path: string): void {
    this.#path = path;
    this.#isNameSynced = false;
  }

  /** Writes a part of it. */
  write(offset: number, bytes: Uint8Array): void {
    const file = this.#file ??= createFile(this.#path);
    if (bytes.length === 0) return;
    const seeks = this.#position !== offset;
    // Unknown until it succeeded: a write may fail halfway.
    this.#position = -1;
    if (seeks) file.seekSync(offset, Deno.SeekMode.Start);
    writeAll(file, bytes, this.#path);
    this.#position = offset + bytes.length;
    this.#addUnsynced(offset, this.#position);
  }

  /** What was written of it before is not known: it has to be synced. */
  mayBeUnsynced(): void {
    if (this.#file !== undefined) this.#addUnsynced(0, 0);
  }

  /**
   * Lets last what was written so far. It may be written meanwhile.
   *
   * A sync that fails leaves pages behind that the system takes for written. So what was not synced
   * is read, which the system usually has in its memory still, and written again, to be there for
   * the next sync.
   *
   * @throws What the disk says; then the file has something unsynced still.
   */
  async sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing.done.catch(() => {});
    const sinceMs = this.#unsyncedSinceMs;
    if (sinceMs === undefined) return;
    const ranges = this.#unsynced;
    this.#unsynced = [];
    this.#unsyncedSinceMs = undefined;
    const done = this.#syncNow(ranges, sinceMs);
    this.#syncing = { sinceMs, done };
    try {
      await done;
    } finally {
      this.#syncing = undefined;
    }
  }

  /** Lets its name last; once is enough. */
  async syncName(): Promise<void> {
    if (this.#isNameSynced) return;
    await syncFolder(dirname(this.#path));
    this.nameIsSynced();
  }

  /** Its folder was synced. */
  nameIsSynced(): void {
    this.#isNameSynced = true;
  }

  /** Lets go of it; what is not synced still can be. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  async #syncNow(ranges: Range[], sinceMs: number): Promise<void> {
    try {
      // By the file that was open all the time, which is told of each failure since then.
      if (this.#file !== undefined) await whereSupported(this.#file.syncData());
      else await syncClosed(this.#path);
      this.#watcher.synced(this, undefined);
    } catch (error) {
      const file = this.#file;
      // Let go of: nobody waits for it any more.
      if (file === undefined) return this.#watcher.synced(this, undefined);
      this.#unsynced = [...ranges, ...this.#unsynced];
      this.#unsyncedSinceMs = sinceMs;
      this.#position = -1;
      const described = describe(error, this.#path, repeat(file, ranges, this.#path));
      this.#watcher.synced(this, described);
      throw described;
    }
  }

  #addUnsynced(from: number, to: number): void {
    const last = this.#unsynced.at(-1);
    if (last !== undefined && from <= last.to && to >= last.from) {
      last.from = Math.min(last.from, from);
      last.to = Math.max(last.to, to);
    } else {
      this.#unsynced.push({ from, to });
      if (this.#unsynced.length > MAX_RANGES) this.#unsynced = [hullOf(this.#unsynced)];
    }
    if (this.#unsyncedSinceMs !== undefined) return;
    this.#unsyncedSinceMs = performance.now();
    this.#watcher.changed(this);
  }
}

/** Makes a file, which must not be there. */
export function createFile(path: string): Deno.FsFile {
  return Deno.openSync(path, { read: true, write: true, createNew: true, mode: FILE_MODE });
}

/** Opens a file that is there, for a {@link FileBeingWritten}. */
export function openFile(path: string): Deno.FsFile {
  return Deno.openSync(path, { read: true, write: true });
}

async function syncClosed(path: string): Promise<void> {
  using file = openFile(path);
  await whereSupported(file.syncData());
}

/** Writes all bytes, at the file's position. */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array, path: string): void {
  for (let written = 0; written < bytes.length;) {
    const count = file.writeSync(written === 0 ? bytes : bytes.subarray(written));
    // Or it would be tried forever, and nothing else be written.
    if (count === 0) throw new Deno.errors.WriteZero(`Nothing could be written to ${path}`);
    written += count;
  }
}

function hullOf(ranges: readonly Range[]): Range {
  return {
    from: Math.min(...ranges.map(({ from }) => from)),
    to: Math.max(...ranges.map(({ to }) => to)),
  };
}

/**
 * Reads what is there, and writes it again: the last of it, if it is much.
 *
 * @returns How many bytes; or `undefined` if that failed, too.
 */
function repeat(file: Deno.FsFile, ranges: readonly Range[], path: string): number | undefined {
  const buffer = new Uint8Array(COPY_BYTES);
  let bytes = 0;
  try {
    for (const { from, to } of ranges) {
      for (let at = Math.max(from, to - MAX_REPEATED_BYTES); at < to;) {
        file.seekSync(at, Deno.SeekMode.Start);
        const count = file.readSync(buffer.subarray(0, Math.min(buffer.length, to - at)));
        // Somebody cut it off.
        if (count === null || count === 0) break;
        file.seekSync(at, Deno.SeekMode.Start);
        writeAll(file, buffer.subarray(0, count), path);
        at += count;
        bytes += count;
      }
    }
    return bytes;
  } catch {
    return undefined;
  }
}

/** An error of the same kind that says what became of the file. */
function describe(error: unknown, path: string, repeatedBytes: number | undefined): unknown {
  if (!(error instanceof Error)) return error;
  const what = repeatedBytes === undefined
    ? "could not be written again"
    : `was written again (${repeatedBytes} bytes)`;
  error.message = `Cannot sync ${path}, what was not synced ${what}: ${error.message}`;
  return error;
}
