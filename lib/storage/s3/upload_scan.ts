/**
 * Finds the recordings that are still to be uploaded: there is no list of them but the files.
 *
 * Imports its neighbours.
 */
import { join } from "node:path";
import { isDay, isRecordingName, recordingId } from "../recording_id.ts";
import { statIfThere } from "./if_there.ts";
import { MARKER, STATE } from "./upload_marker.ts";

/** A recording that is to be uploaded, or whose upload is to be brought to an end. */
export interface FoundRecording {
  readonly id: string;
  /** Since when, milliseconds since 1970. */
  readonly sinceMs: number;
}

/** What is looked for. */
export interface ScanOptions {
  readonly folder: string;
  /** Then, those that are uploaded and still have files are found as well. */
  readonly removesLocal: boolean;
  readonly signal: AbortSignal;
}

/** Looks through all days, the oldest first. Takes the memory of one day's names. */
export async function* findRecordings(options: ScanOptions): AsyncGenerator<FoundRecording> {
  const days: string[] = [];
  for await (const { name, isDirectory } of entriesOf(options.folder)) {
    if (isDirectory && isDay(name)) days.push(name);
  }
  for (const day of days.sort()) yield* findOfDay(day, options);
}

async function* findOfDay(
  day: string,
  { folder, removesLocal, signal }: ScanOptions,
): AsyncGenerator<FoundRecording> {
  const ended = new Set<string>();
  const uploaded = new Set<string>();
  const begun = new Set<string>();
  const sets = [[".json", ended], [MARKER, uploaded], [STATE, begun]] as const;
  for await (const entry of entriesOf(join(folder, day))) {
    signal.throwIfAborted();
    for (const [extension, set] of sets) {
      if (!entry.name.endsWith(extension)) continue;
      const name = entry.name.slice(0, -extension.length);
      if (isRecordingName(name)) set.add(name);
    }
  }
  const names = new Set([...ended, ...begun, ...(removesLocal ? uploaded : [])]);
  for (const name of [...names].sort()) {
    signal.throwIfAborted();
    if (uploaded.has(name) && !removesLocal && !begun.has(name)) continue;
    const stat = await statIfThere(join(folder, day, `${name}.json`));
    yield { id: recordingId({ day, name }), sinceMs: stat?.mtime?.getTime() ?? Date.now() };
  }
}

async function* entriesOf(folder: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(folder);
  } catch (error) {
    // No recording was made so far, or a day's folder was removed.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
