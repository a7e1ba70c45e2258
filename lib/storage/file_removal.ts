/**
 * The removal of a recording's files, step by step, so that it can end at any of them, and begin
 * again, without ever leaving something that looks like a recording.
 *
 * First comes a file `<name>.removed`: where it is, there is no recording any more, whatever else is
 * left of it. It goes last. The metadata goes just before it, so that whoever completes recordings
 * without metadata after a crash does not take this for one.
 *
 * Imports node:path and its neighbours.
 */
import { join } from "node:path";
import { removeFile } from "./durable_file.ts";
import { FILE_MODE } from "./file_modes.ts";
import { syncFolder } from "./folder_sync.ts";
import type { RecordingPlace } from "./recording_id.ts";
import { infoOf, isAbsence, isRegularFile, openRegularFile } from "./regular_file.ts";
import { isJustMade } from "./under_way.ts";

/** Extensions of the files that make a recording, if one of them is there. */
export const RECORDING_EXTENSIONS = [".wav", ".wav.part", ".jsonl", ".json"] as const;
/** Extension of the file that says that the removal of a recording has begun. */
export const REMOVED_EXTENSION = ".removed";
/** Extension of the file that holds a recording. */
export const HOLD_EXTENSION = ".hold";

/** What is removed, in this order. */
const REMOVED_IN_ORDER = [
  ".wav",
  ".wav.part",
  ".jsonl",
  ".hold.part",
  HOLD_EXTENSION,
  ".s3",
  ".json.part",
  ".json",
] as const;

/** What became of a removal. */
export type RemovalOutcome = "removed" | "not_found" | "being_made";

/**
 * Removes a recording that has ended, or what an interrupted removal left of it, and then the day's
 * folder, if it is empty and the day is over. A recording without metadata that nobody writes has
 * ended, too: it cannot be completed, or nobody has done so yet.
 *
 * @param folder That has a folder for each day.
 * @param nowMs The present time, milliseconds since 1970.
 * @returns After each step, what it was.
 */
export async function* removalSteps(
  folder: string,
  { day, name }: RecordingPlace,
  nowMs: number,
): AsyncGenerator<string, RemovalOutcome> {
  const dayFolder = join(folder, day);
  if (!(await infoOf(dayFolder))?.isDirectory) return "not_found";
  const location = join(dayFolder, name);
  const isBegun = await isRegularFile(location + REMOVED_EXTENSION);
  if (!isBegun && !await isRecordingThere(location)) {
    // One step may have been left.
    yield* removeDay(dayFolder, day, nowMs);
    return "not_found";
  }
  const claim = await claimEnded(location, nowMs);
  if (claim === undefined) {
    // Another recording got the name, when nothing else was left of the one that was removed.
    if (isBegun) await removeFile(location + REMOVED_EXTENSION);
    return "being_made";
  }
  try {
    if (!isBegun) {
      await markRemoved(location);
      yield "begin";
      await syncFolder(dayFolder);
      yield "sync the beginning";
    }
    yield* fileSteps(dayFolder, location);
  } finally {
    claim.release();
  }
  yield* removeDay(dayFolder, day, nowMs);
  return "removed";
}

/** Whether a file of a recording is there. */
export async function isRecordingThere(location: string): Promise<boolean> {
  for (const extension of RECORDING_EXTENSIONS) {
    if (await isRegularFile(location + extension)) return true;
  }
  return false;
}

async function* fileSteps(dayFolder: string, location: string): AsyncGenerator<string, void> {
  for (const extension of REMOVED_IN_ORDER) {
    if (await removeFile(location + extension)) yield `remove ${extension}`;
  }
  // Or a crash could bring files back when nothing says any more that they were removed.
  await syncFolder(dayFolder);
  yield "sync the removal";
  await removeFile(location + REMOVED_EXTENSION);
  yield "end";
}

/** Removes the folder of a day that is over, if there is nothing in it. */
async function* removeDay(
  folder: string,
  day: string,
  nowMs: number,
): AsyncGenerator<string, void> {
  const isToday = day === new Date(nowMs).toISOString().slice(0, 10);
  if (!isToday && await removeEmptyFolder(folder)) yield `remove ${day}`;
}

/** Keeps others from going on with a recording that has ended. */
interface Claim {
  release(): void;
}

/** Claims a recording; `undefined` if it is being made. */
async function claimEnded(location: string, nowMs: number): Promise<Claim | undefined> {
  if (await isRegularFile(`${location}.json`)) return { release() {} };
  const messages = await openRegularFile(`${location}.jsonl`);
  // It is the first file that is made.
  if (messages === undefined) return { release() {} };
  const { file, info } = messages;
  if (!await isJustMade(location, info, nowMs) && await file.tryLock(true)) {
    return { release: () => file.close() };
  }
  file.close();
  return undefined;
}

/** Makes the file that says it: an empty one, or, where no file can be added, another name of one. */
async function markRemoved(location: string): Promise<void> {
  const path = location + REMOVED_EXTENSION;
  try {
    const file = await Deno.open(path, { write: true, createNew: true, mode: FILE_MODE });
    file.close();
  } catch (error) {
    for (const extension of RECORDING_EXTENSIONS) {
      if (!await isRegularFile(location + extension)) continue;
      // If that can't be done either, the first reason counts.
      return await Deno.link(location + extension, path).catch(() => Promise.reject(error));
    }
    throw error;
  }
}

async function removeEmptyFolder(path: string): Promise<boolean> {
  try {
    // Not recursive: fails if there is anything in it.
    await Deno.remove(path);
    return true;
  } catch (error) {
    if (isAbsence(error) || codeOf(error) === "ENOTEMPTY") return false;
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
