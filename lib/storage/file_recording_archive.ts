/**
 * Recordings as files in a folder, to be listed, read, held and removed (file_operations.ts has
 * their names, file_removal.ts how they go).
 *
 * Whatever else is in the folder is ignored: other names, links. Must not import: what writes
 * recordings.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { describeProblem } from "../protocol/schema_problem.ts";
import { removeFile, writeDurably } from "./durable_file.ts";
import { syncFolder } from "./folder_sync.ts";
import {
  HOLD_EXTENSION,
  isRecordingThere,
  RECORDING_EXTENSIONS,
  type RemovalOutcome,
  removalSteps,
  REMOVED_EXTENSION,
} from "./file_removal.ts";
import { LocalRecordedFile } from "./local_recorded_file.ts";
import type {
  LegalHold,
  RecordedFile,
  RecordingArchive,
  RecordingPart,
} from "./recording_archive.ts";
import { isDay, isRecordingName, placeOf, recordingId } from "./recording_id.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "./recording_metadata.ts";
import {
  infoOf,
  isAbsence,
  isRegularFile,
  openRegularFile,
  readRegularFile,
} from "./regular_file.ts";
import { Turns } from "./turns.ts";
import { isUnderWay } from "./under_way.ts";

const log = getLogger(["audiohook", "archive"]);

/** Schema of the file that holds a recording. */
export const legalHoldSchema = z.object({
  since: z.iso.datetime({ offset: true }),
  reason: z.string().max(500),
});

/** Far more than a recorder writes: metadata lists at most 1,000 gaps. */
const MAX_METADATA_BYTES = 4 * 1024 * 1024;
const MAX_HOLD_BYTES = 64 * 1024;
/** Of so many recordings it is remembered that it was said that something is wrong with them. */
const MAX_REPORTED = 10_000;

/** Options of a {@link FileRecordingArchive}. */
export interface FileRecordingArchiveOptions {
  /** The present time, milliseconds since 1970; by default the system's. */
  readonly nowMs?: () => number;
  /**
   * Whether a recording that was left, by a killed server or by one whose disk failed, is yet to be
   * completed: until then, it is under way. By default, none is.
   */
  readonly isToBeCompleted?: (id: string) => boolean;
}

/** Recordings in a folder, which need not be there yet. */
export class FileRecordingArchive implements RecordingArchive {
  readonly #folder: string;
  readonly #nowMs: () => number;
  readonly #isToBeCompleted: (id: string) => boolean;
  readonly #turns = new Turns();
  /** What the log has already. */
  readonly #reported = new Set<string>();

  /** @param folder Path of the folder that has a folder for each day. */
  constructor(
    folder: string,
    { nowMs = Date.now, isToBeCompleted = () => false }: FileRecordingArchiveOptions = {},
  ) {
    this.#folder = folder;
    this.#nowMs = nowMs;
    this.#isToBeCompleted = isToBeCompleted;
  }

  /**
   * Identifiers by names alone, a day at a time in memory. Recordings whose removal was begun, and
   * not finished, are among them: nothing else is known of those. Of a day whose folder cannot be
   * read, nothing comes.
   */
  async *list(onUnreadable: (day: string) => void = () => {}): AsyncGenerator<string, void> {
    for (const day of await this.#days()) {
      const names = await this.#names(day);
      if (names === undefined) onUnreadable(day);
      for (const name of names ?? []) yield recordingId({ day, name });
    }
  }

  /** The latest day that has a recording that can be seen; `undefined` if there is none. */
  async newestDay(): Promise<string | undefined> {
    for (const day of (await this.#days()).reverse()) {
      if (((await this.#names(day)) ?? []).length > 0) return day;
    }
    return undefined;
  }

  async metadata(id: string): Promise<RecordingMetadata | undefined> {
    const location = await this.#find(id);
    if (location === undefined) return undefined;
    const what = await this.#readJson(`${location}.json`, MAX_METADATA_BYTES, id);
    if (what === undefined) return undefined;
    const { data, error } = recordingMetadataSchema.safeParse(what.value);
    if (error !== undefined) this.#report(`${id}.json`, id, describeProblem(error));
    return data;
  }

  async isUnderWay(id: string): Promise<boolean> {
    const location = await this.#find(id);
    if (location === undefined || !await isRecordingThere(location)) return false;
    // Not even the lock is looked at: whoever completes it must find it free.
    if (this.#isToBeCompleted(id)) return await infoOf(`${location}.json`) === undefined;
    return await isUnderWay(location, this.#nowMs());
  }

  async open(id: string, part: RecordingPart): Promise<RecordedFile | undefined> {
    const location = await this.#find(id);
    if (location === undefined) return undefined;
    return part === "audio" ? await openAudio(location) : await openMessages(location);
  }

  async hold(id: string): Promise<LegalHold | undefined> {
    const location = await this.#find(id);
    if (location === undefined || !await isRecordingThere(location)) return undefined;
    const path = location + HOLD_EXTENSION;
    const info = await infoOf(path);
    if (info === undefined) return undefined;
    const what = await this.#readJson(path, MAX_HOLD_BYTES, id);
    const { data, error } = legalHoldSchema.safeParse(what?.value);
    if (data !== undefined) return data;
    if (what !== undefined) this.#report(path, id, describeProblem(error));
    // Somebody wanted it to stay; who, and why, may be seen from what is there.
    return { since: (info.mtime ?? new Date(0)).toISOString(), reason: "" };
  }

  /** Sets or lifts a hold, also of a recording that is being made. It is there after a crash. */
  async setHold(id: string, hold: LegalHold | undefined): Promise<boolean> {
    return await this.#turns.run(id, async () => {
      const location = await this.#find(id);
      if (location === undefined || !await isRecordingThere(location)) return false;
      const path = location + HOLD_EXTENSION;
      if (hold !== undefined) {
        await writeDurably(path, JSON.stringify(legalHoldSchema.parse(hold)) + "\n");
      } else if (await removeFile(path)) {
        await syncFolder(join(location, ".."));
      }
      return true;
    });
  }

  async remove(id: string): Promise<RemovalOutcome> {
    const place = placeOf(id);
    if (place === undefined) return "not_found";
    return await this.#turns.run(id, async () => {
      const steps = removalSteps(this.#folder, place, this.#nowMs());
      for (;;) {
        const { done, value } = await steps.next();
        if (done) return value;
      }
    });
  }

  async #days(): Promise<string[]> {
    const days: string[] = [];
    for await (const { name, isDirectory } of entriesOf(this.#folder)) {
      if (isDirectory && isDay(name)) days.push(name);
    }
    return days.sort();
  }

  /** `undefined` if the folder cannot be read: all other days can, perhaps. */
  async #names(day: string): Promise<string[] | undefined> {
    const folder = join(this.#folder, day);
    const names = new Set<string>();
    try {
      for await (const { name, isFile } of entriesOf(folder)) {
        const recording = isFile ? recordingNameOf(name) : undefined;
        if (recording !== undefined) names.add(recording);
      }
      // It fails if files can be named here, but not be reached.
      await infoOf(join(folder, "0"));
    } catch (error) {
      this.#reportFolder(folder, day, error);
      return undefined;
    }
    this.#reported.delete(folder);
    return [...names].sort();
  }

  /** Where a recording's files would be; `undefined` if there can be none, or it was removed. */
  async #find(id: string): Promise<string | undefined> {
    const place = placeOf(id);
    if (place === undefined) return undefined;
    const folder = join(this.#folder, place.day);
    if (!(await infoOf(folder))?.isDirectory) return undefined;
    const location = join(folder, place.name);
    return await isRegularFile(location + REMOVED_EXTENSION) ? undefined : location;
  }

  /** Reads a file of JSON; `undefined` if it is not there, or is none. */
  async #readJson(
    path: string,
    maxBytes: number,
    id: string,
  ): Promise<{ readonly value: unknown } | undefined> {
    try {
      const read = await readRegularFile(path, maxBytes);
      return read && { value: JSON.parse(read.text) };
    } catch (error) {
      // Anything else is the disk's fault, not the file's.
      const isTooLong = error instanceof RangeError;
      if (!isTooLong && !(error instanceof SyntaxError)) throw error;
      this.#report(path, id, isTooLong ? `longer than ${maxBytes} bytes` : "not JSON");
      return undefined;
    }
  }

  #reportFolder(folder: string, day: string, error: unknown): void {
    if (!this.#isNews(folder)) return;
    log.error(
      "Cannot read the folder {folder}: recordings of {day} are not indexed, and not removed for " +
        "their age, until it can be read. Expected a folder that this program may read and enter",
      { folder, day, error },
    );
  }

  #report(path: string, id: string, problem: string): void {
    if (!this.#isNews(path)) return;
    const kind = path.slice(path.lastIndexOf("."));
    log.error(
      "The {kind} file of recording {id} cannot be used ({problem}): put it right, or remove it",
      { kind, id, problem },
    );
  }

  #isNews(path: string): boolean {
    if (this.#reported.has(path) || this.#reported.size >= MAX_REPORTED) return false;
    this.#reported.add(path);
    return true;
  }
}

/** Entries of a folder; none if it is not there, or is gone meanwhile. */
async function* entriesOf(folder: string): AsyncGenerator<Deno.DirEntry, void> {
  try {
    yield* Deno.readDir(folder);
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
}

/** Name of the recording that a file belongs to. */
function recordingNameOf(fileName: string): string | undefined {
  for (const extension of [...RECORDING_EXTENSIONS, REMOVED_EXTENSION]) {
    if (!fileName.endsWith(extension)) continue;
    const name = fileName.slice(0, -extension.length);
    if (isRecordingName(name)) return name;
  }
  return undefined;
}

async function openAudio(location: string): Promise<RecordedFile | undefined> {
  const [finished, unfinished] = [`${location}.wav`, `${location}.wav.part`];
  // It may get its final name just after that was looked for.
  for (const path of [finished, unfinished, finished]) {
    const opened = await openRegularFile(path);
    if (opened === undefined) continue;
    return new LocalRecordedFile({
      opened,
      isFinal: path === finished,
      paths: [finished, unfinished, finished],
    });
  }
  return undefined;
}

async function openMessages(location: string): Promise<RecordedFile | undefined> {
  const path = `${location}.jsonl`;
  // First: the length that is asked for later is then that of the whole.
  const isFinal = await isRegularFile(`${location}.json`);
  const opened = await openRegularFile(path);
  return opened && new LocalRecordedFile({ opened, isFinal, paths: [path] });
}
