/**
 * Rebuilds the index of recordings once, as a command does it: each recording is read. A server may
 * run meanwhile.
 *
 * Imports its neighbours.
 */
import { inTime } from "./in_time.ts";
import { type OpenIndexOptions, openRecordingIndex } from "./open_recording_index.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import { type RebuildCounts, rebuildIndex, type RebuildOptions } from "./rebuild_index.ts";

/** A large file is looked through before it is opened. */
const OPEN_TIMEOUT_MS = 120_000;

/**
 * Compares all recordings with the index, and corrects it.
 *
 * @throws If the index can't be opened or written, or the archive can't be listed.
 */
export async function reindex(
  index: OpenIndexOptions,
  archive: RecordingArchive,
  options: Pick<RebuildOptions, "signal" | "onProgress"> = {},
): Promise<RebuildCounts> {
  const opening = openRecordingIndex(index);
  // A database at an address may never answer.
  using opened = await inTime(opening, OPEN_TIMEOUT_MS, options.signal).catch((error) => {
    opening.then((late) => late[Symbol.dispose](), () => {});
    throw error;
  });
  await opened.removeOthers(options.signal);
  return await rebuildIndex(opened, archive, { ...options, isThorough: true });
}
