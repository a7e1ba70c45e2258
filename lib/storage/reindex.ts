/**
 * Rebuilds the index of recordings once, as a command does it: each recording is read. A server may
 * run meanwhile.
 *
 * Imports its neighbours.
 */
import { type OpenIndexOptions, openRecordingIndex } from "./open_recording_index.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import { type RebuildCounts, rebuildIndex, type RebuildOptions } from "./rebuild_index.ts";

/**
 * Compares all recordings with the index, and corrects it.
 *
 * @throws If the index can't be opened or written, or the archive can't be listed.
 */
export async function reindex(
  place: OpenIndexOptions,
  archive: RecordingArchive,
  options: Pick<RebuildOptions, "signal" | "onProgress"> = {},
): Promise<RebuildCounts> {
  using index = await openRecordingIndex(place);
  await index.removeOthers(options.signal);
  return await rebuildIndex(index, archive, { ...options, isThorough: true });
}
