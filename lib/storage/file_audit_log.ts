/**
 * The audit log as a file, `<dataDir>/audit.jsonl`.
 *
 * Before a change, its line is put down in `<dataDir>/audit-pending/<id>.json`; after it, the line
 * is appended, and that file removed. What is found there later tells what was going on: whether
 * the change happened is seen from the recording, and whether it has its line already from the log.
 * Where there is no room for that, `<dataDir>/audit.spare` becomes that file; and what is needed
 * beside it is taken from `<dataDir>/audit.reserve`: a full disk is when recordings have to be
 * removed.
 *
 * Imports node:path, node:timers, zod, and its neighbours.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import {
  type AuditLog,
  MAX_PENDING_BYTES,
  parsePending,
  type PendingChange,
  pendingChangeSchema,
} from "./audit_log.ts";
import { DiskReserve, type DiskReserveOptions } from "./disk_reserve.ts";
import { removeFile, writeAll, writeDurably } from "./durable_file.ts";
import { FILE_MODE, FOLDER_MODE } from "./file_modes.ts";
import { syncFolder } from "./folder_sync.ts";
import { RefusedChangeError } from "./recording_archive.ts";
import { placeOf } from "./recording_id.ts";
import { isAbsence, readRegularFile } from "./regular_file.ts";
import { SpareFile } from "./spare_file.ts";
import { whereSupported } from "./sync_support.ts";
import { Turns } from "./turns.ts";

const log = getLogger(["audiohook", "audit"]);

const pendingSchema = pendingChangeSchema.extend({
  /** Length of the log when the change was begun: its line is not before that. */
  logBytes: z.number().int().nonnegative(),
});

/** Longer than any line. */
const MAX_LINE_BYTES = 4096;
const READ_BYTES = 64 * 1024;
/** What is done with a recording takes a moment; a process that stalls must not hold up this one. */
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_RETRY_MS = 10;
const LINE_FEED = 0x0A;

/** Options of a {@link FileAuditLog}. */
export interface FileAuditLogOptions {
  /** Of what is kept back for a full disk. */
  readonly reserve?: DiskReserveOptions;
}

/** The audit log of a data folder. */
export class FileAuditLog implements AuditLog {
  readonly #dataDir: string;
  readonly #path: string;
  readonly #pendingFolder: string;
  readonly #reserve: DiskReserve;
  readonly #spare: SpareFile;
  readonly #turns = new Turns();
  /** Recordings whose changes were begun here, and of which no line can be in the log so far. */
  readonly #unwritten = new Set<string>();

  /** @param dataDir Path of a folder that is there. */
  constructor(dataDir: string, { reserve }: FileAuditLogOptions = {}) {
    this.#dataDir = dataDir;
    this.#path = join(dataDir, "audit.jsonl");
    this.#pendingFolder = join(dataDir, "audit-pending");
    this.#reserve = new DiskReserve(join(dataDir, "audit.reserve"), reserve);
    this.#spare = new SpareFile(join(dataDir, "audit.spare"));
  }

  /** Keeps room back, and makes what is there for good. */
  async prepare(): Promise<void> {
    try {
      await this.exclusively(() => this.#makePendingFolder());
    } catch (error) {
      log.warning("Cannot prepare for removing recordings on a full disk", { error });
    }
  }

  /**
   * Neither here nor by another process that has the same data folder is another change made, which
   * would finish or forget what is put down here.
   */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    return await this.#turns.run("change", async () => {
      using _lock = await this.#reserve.spendOn(() => this.#lock());
      const result = await this.#reserve.spendOn(work);
      await this.#keepRoom();
      return result;
    });
  }

  async begin({ line, hold }: PendingChange): Promise<"begun"> {
    await this.#reserve.spendOn(async () => {
      await this.#makePendingFolder();
      // What is half written, and dropped, is at most one line.
      const logBytes = Math.max(0, await sizeOf(this.#path) - MAX_LINE_BYTES);
      const pending: z.infer<typeof pendingSchema> = { line, hold, logBytes };
      const path = this.#pendingPath(line.id);
      const text = JSON.stringify(pending) + "\n";
      try {
        await writeDurably(path, text);
      } catch (error) {
        // Whatever the reason is: if that can't be done either, the first one counts.
        if (!await this.#spare.become(path, text).catch(() => false)) throw error;
      }
    });
    this.#unwritten.add(line.id);
    return "begun";
  }

  async pending(id: string): Promise<PendingChange | undefined> {
    return await this.#read(id);
  }

  async pendingIds(): Promise<string[]> {
    const ids: string[] = [];
    try {
      for await (const { name, isFile } of Deno.readDir(this.#pendingFolder)) {
        const id = name.endsWith(".json") ? name.slice(0, -".json".length) : "";
        if (isFile && placeOf(id) !== undefined) ids.push(id);
      }
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
    return ids.sort();
  }

  async cancel(id: string): Promise<void> {
    await this.#removePending(id);
    this.#unwritten.delete(id);
  }

  async commit(id: string): Promise<void> {
    const pending = await this.#read(id);
    if (pending === undefined) return;
    const text = JSON.stringify(pending.line) + "\n";
    await this.#reserve.spendOn(async () => {
      const isNew = this.#unwritten.delete(id);
      await this.#turns.run("log", () => this.#append(text, isNew ? Infinity : pending.logBytes));
    });
    // If that is lost, the line is found in the log.
    await this.#removePending(id);
  }

  async #lock(): Promise<Disposable> {
    // Open for writing: network file systems lock nothing else.
    const options = { write: true, create: true, mode: FILE_MODE };
    const file = await Deno.open(join(this.#dataDir, "audit.lock"), options);
    try {
      const untilMs = performance.now() + LOCK_TIMEOUT_MS;
      // Let go when it is closed, also if the process is killed.
      while (!await file.tryLock(true)) {
        if (performance.now() > untilMs) {
          throw new RefusedChangeError(
            "Another process has been changing recordings for too long: try again later",
          );
        }
        await delay(LOCK_RETRY_MS);
      }
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Where nothing is overwritten in place, that takes room, too. */
  async #removePending(id: string): Promise<void> {
    const path = this.#pendingPath(id);
    await this.#reserve.spendOn(async () => {
      if (!await this.#spare.takeBack(path)) await removeFile(path);
    });
  }

  async #keepRoom(): Promise<void> {
    await this.#reserve.fill();
    // There is room, or there will be the next time.
    await this.#spare.keep().catch((error) => log.debug("There is no spare file", { error }));
  }

  async #makePendingFolder(): Promise<void> {
    await Deno.mkdir(this.#pendingFolder, { recursive: true, mode: FOLDER_MODE });
  }

  #pendingPath(id: string): string {
    if (placeOf(id) === undefined) throw new TypeError("Expected the id of a recording");
    return join(this.#pendingFolder, `${id}.json`);
  }

  async #read(id: string): Promise<z.infer<typeof pendingSchema> | undefined> {
    const read = await readRegularFile(this.#pendingPath(id), MAX_PENDING_BYTES);
    if (read === undefined) return undefined;
    const pending = parsePending(pendingSchema, read.text, id);
    if (pending !== undefined) return pending;
    log.error("The file audit-pending/{id}.json says nothing of a change, and is ignored", { id });
    return undefined;
  }

  /** @param fromBytes Where the line may be already. */
  async #append(text: string, fromBytes: number): Promise<void> {
    using file = await Deno.open(this.#path, {
      read: true,
      write: true,
      create: true,
      mode: FILE_MODE,
    });
    // Against other processes; let go with the file.
    await file.lock(true);
    const bytes = new TextEncoder().encode(text);
    const endBytes = await dropTornLine(file);
    // The log may have been put away, and begun anew, since then.
    const from = fromBytes > endBytes && fromBytes < Infinity ? 0 : fromBytes;
    const isThere = await hasLine(file, bytes, from);
    if (isThere) {
      // Nobody knows whether it was synced.
      await whereSupported(file.sync());
    } else {
      await file.seek(0, Deno.SeekMode.End);
      try {
        await writeAll(file, bytes);
        await whereSupported(file.sync());
      } catch (error) {
        // What follows must not be joined to a half, nor be believed to be on the disk. If it can't
        // be dropped, the next line sees to it.
        await file.truncate(endBytes).catch(() => {});
        throw error;
      }
    }
    if (endBytes === 0) await syncFolder(this.#dataDir);
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (isAbsence(error)) return 0;
    throw error;
  }
}

/**
 * Drops the beginning of a line at the end, which a crash left: it is still pending.
 *
 * @returns Length of the file.
 */
async function dropTornLine(file: Deno.FsFile): Promise<number> {
  const { size } = await file.stat();
  const length = Math.min(size, MAX_LINE_BYTES);
  const tail = await readAt(file, size - length, length);
  const lineFeed = tail.lastIndexOf(LINE_FEED);
  if (lineFeed === tail.length - 1) return size;
  if (lineFeed < 0 && size > length) {
    // None of ours.
    await file.seek(0, Deno.SeekMode.End);
    await writeAll(file, new Uint8Array([LINE_FEED]));
    return size + 1;
  }
  const endBytes = size - tail.length + lineFeed + 1;
  await file.truncate(endBytes);
  return endBytes;
}

/** Whether a line is in a file, and begins at a place or after it. */
async function hasLine(file: Deno.FsFile, line: Uint8Array, fromBytes: number): Promise<boolean> {
  const { size } = await file.stat();
  const wanted = new TextDecoder().decode(line);
  let rest = "";
  const decoder = new TextDecoder();
  for (let position = fromBytes; position < size;) {
    const part = await readAt(file, position, Math.min(READ_BYTES, size - position));
    if (part.length === 0) return false;
    position += part.length;
    const lines = (rest + decoder.decode(part, { stream: true })).split(/(?<=\n)/);
    rest = lines.pop() ?? "";
    if (lines.includes(wanted) || rest === wanted) return true;
    // Nothing of ours, which could be matched.
    if (rest.length > MAX_LINE_BYTES) rest = rest.slice(-1);
  }
  return false;
}

async function readAt(
  file: Deno.FsFile,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  await file.seek(position, Deno.SeekMode.Start);
  while (done < length) {
    const count = await file.read(bytes.subarray(done));
    if (count === null) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
