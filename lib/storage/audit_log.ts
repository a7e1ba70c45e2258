/**
 * What was done with recordings, a line of JSON each, in `<dataDir>/audit.jsonl`: each change has
 * exactly one line, whenever the server is killed.
 *
 * Before a change, its line is put down in `<dataDir>/audit-pending/<id>.json`; after it, the line
 * is appended, and that file removed. What is found there later tells what was going on: whether
 * the change happened is seen from the recording, and whether it has its line already from the log.
 *
 * Imports node:path, node:timers, zod, and its neighbours.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { uuidSchema } from "../protocol/mod.ts";
import { removeFile, writeAll, writeDurably } from "./durable_file.ts";
import { FILE_MODE, FOLDER_MODE } from "./file_modes.ts";
import { syncFolder } from "./folder_sync.ts";
import { placeOf, recordingIdSchema } from "./recording_id.ts";
import { isAbsence, readRegularFile } from "./regular_file.ts";
import { whereSupported } from "./sync_support.ts";
import { Turns } from "./turns.ts";

const log = getLogger(["audiohook", "audit"]);

/** Schema of a line. There is nothing personal in it. */
export const auditLineSchema = z.object({
  /** When it was begun, ISO 8601. */
  time: z.iso.datetime(),
  action: z.enum(["removed", "hold_set", "hold_lifted"]),
  /** Of the recording. */
  id: recordingIdSchema,
  /** Because it was old enough, or because somebody asked for it. */
  by: z.enum(["retention", "api"]),
  /** Absent if the recording had no metadata. */
  conversationId: uuidSchema.optional(),
});

/** A line of the audit log. */
export type AuditLine = z.infer<typeof auditLineSchema>;

const pendingSchema = z.object({
  line: auditLineSchema,
  /** The hold that is being set. */
  hold: z.object({ since: z.string(), reason: z.string() }).optional(),
  /** Length of the log when the change was begun: its line is not before that. */
  logBytes: z.number().int().nonnegative(),
});

/** A change that has begun, and perhaps has no line yet. */
export type PendingChange = Omit<z.infer<typeof pendingSchema>, "logBytes">;

const MAX_PENDING_BYTES = 64 * 1024;
/** Longer than any line. */
const MAX_LINE_BYTES = 4096;
const READ_BYTES = 64 * 1024;
/** What is done with a recording takes a moment; a process that stalls must not hold up this one. */
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_RETRY_MS = 10;
const LINE_FEED = 0x0A;

/** The audit log of a data folder. Calls for the same recording must not overlap. */
export class AuditLog {
  readonly #dataDir: string;
  readonly #path: string;
  readonly #pendingFolder: string;
  readonly #turns = new Turns();
  /** Recordings whose changes were begun here, and of which no line can be in the log so far. */
  readonly #unwritten = new Set<string>();

  /** @param dataDir Path of a folder that is there. */
  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#path = join(dataDir, "audit.jsonl");
    this.#pendingFolder = join(dataDir, "audit-pending");
  }

  /**
   * Makes one change of several steps, when no other one is being made: neither here nor by another
   * process that has the same data folder, which would finish or forget what is put down here.
   *
   * @throws If another process does not come to an end, and what the work throws.
   */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    return await this.#turns.run("change", async () => {
      // Open for writing: network file systems lock nothing else.
      const options = { write: true, create: true, mode: FILE_MODE };
      using file = await Deno.open(join(this.#dataDir, "audit.lock"), options);
      const untilMs = performance.now() + LOCK_TIMEOUT_MS;
      // Let go when it is closed, also if the process is killed.
      while (!await file.tryLock(true)) {
        if (performance.now() > untilMs) {
          throw new Error("Another process has been changing recordings for too long: try again");
        }
        await delay(LOCK_RETRY_MS);
      }
      return await work();
    });
  }

  /** Puts down what is about to be done with a recording, in place of what was for it. */
  async begin({ line, hold }: PendingChange): Promise<void> {
    await Deno.mkdir(this.#pendingFolder, { recursive: true, mode: FOLDER_MODE });
    // What is half written, and dropped, is at most one line.
    const logBytes = Math.max(0, await sizeOf(this.#path) - MAX_LINE_BYTES);
    const pending: z.infer<typeof pendingSchema> = { line, hold, logBytes };
    await writeDurably(this.#pendingPath(line.id), JSON.stringify(pending) + "\n");
    this.#unwritten.add(line.id);
  }

  /** What was put down for a recording. */
  async pending(id: string): Promise<PendingChange | undefined> {
    return await this.#read(id);
  }

  /** Identifiers of all recordings for which something was put down. */
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

  /** The change was not made: there will be no line. */
  async cancel(id: string): Promise<void> {
    await removeFile(this.#pendingPath(id));
    this.#unwritten.delete(id);
  }

  /** The change was made: its line is in the log when this settles, once. */
  async commit(id: string): Promise<void> {
    const pending = await this.#read(id);
    if (pending === undefined) return;
    const text = JSON.stringify(pending.line) + "\n";
    const isNew = this.#unwritten.delete(id);
    await this.#turns.run("log", () => this.#append(text, isNew ? Infinity : pending.logBytes));
    // If that is lost, the line is found in the log.
    await removeFile(this.#pendingPath(id));
  }

  #pendingPath(id: string): string {
    if (placeOf(id) === undefined) throw new TypeError("Expected the id of a recording");
    return join(this.#pendingFolder, `${id}.json`);
  }

  async #read(id: string): Promise<z.infer<typeof pendingSchema> | undefined> {
    const read = await readRegularFile(this.#pendingPath(id), MAX_PENDING_BYTES);
    if (read === undefined) return undefined;
    const { data } = pendingSchema.safeParse(parseJson(read.text));
    if (data?.line.id === id) return data;
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
    if (!isThere) {
      await file.seek(0, Deno.SeekMode.End);
      try {
        await writeAll(file, bytes);
      } catch (error) {
        // What follows must not be joined to a half. If it can't be, the next line sees to it.
        await file.truncate(endBytes).catch(() => {});
        throw error;
      }
    }
    // Also of one that is there: nobody knows whether it was synced.
    await whereSupported(file.sync());
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
