/**
 * `reindex`: builds the index of recordings anew, from their files or objects.
 *
 * A part of main.ts, which alone imports it.
 */
import { type Settings, SettingsError } from "../config/settings.ts";
import { listenForStopSignals } from "../config/stop_signals.ts";
import { writeText } from "../config/text_output.ts";
import { IndexKeyError, type RebuildCounts, reindex } from "../storage/mod.ts";
import { createBackend, indexOptions } from "./open_storage.ts";

/** How long rebuilding the index may take to stop. */
const STOP_TIMEOUT_MS = 1_000;

/**
 * Brings the index in line with the recordings, and says what that took.
 *
 * @returns The program's exit code.
 * @throws {SettingsError} If there can be no recordings.
 */
export async function runReindex(settings: Settings): Promise<number> {
  await using backend = await createBackend(settings);
  if (backend === undefined) {
    throw new SettingsError(["Cannot index without recordings: expected RECORDINGS not to be off"]);
  }
  const index = await indexOptions(settings);
  if (index.place.kind === "memory") {
    throw new SettingsError([
      "Cannot keep an index: expected DATA_DIR, a folder, or KV_URL, a Deno KV. Without them, a " +
      "server builds its own at each start",
    ]);
  }
  const controller = new AbortController();
  const { signal } = controller;
  const tooLate = Promise.withResolvers<undefined>();
  listenForStopSignals(() => {
    controller.abort();
    // A database that does not answer keeps nobody from stopping.
    setTimeout(() => tooLate.resolve(undefined), STOP_TIMEOUT_MS);
  });
  let counts: RebuildCounts | undefined;
  try {
    counts = await Promise.race([
      reindex(index, backend.archive, { signal }),
      tooLate.promise,
    ]);
  } catch (error) {
    if (error instanceof IndexKeyError) throw error;
    if (!signal.aborted) {
      const { kvUrl } = settings.storage;
      print(
        Deno.stderr,
        `Cannot build the index anew (${
          error instanceof Error ? error.message : String(error)
        }): ` +
          (kvUrl === undefined
            ? "expected DATA_DIR to be readable and writable, with room on its disk"
            : "expected a Deno KV at KV_URL, and its token in DENO_KV_ACCESS_TOKEN"),
      );
      return 1;
    }
  }
  if (counts === undefined) {
    print(Deno.stderr, "Stopped: the index is not complete. Start it again, or the server");
    return 1;
  }
  const { recordings, written, removed, beingMade, unreadable, unreadableDays } = counts;
  print(
    Deno.stdout,
    `The index has ${recordings} recordings: ${written} entries written, ${removed} removed. ` +
      `${beingMade} recordings have not ended; the metadata of ${unreadable} cannot be read.`,
  );
  if (unreadableDays > 0) {
    print(
      Deno.stderr,
      `Folders of days that cannot be read: ${unreadableDays}, which the log names. The index says ` +
        "of their recordings what it said before; make them readable, and start this again.",
    );
  }
  return unreadable + unreadableDays === 0 ? 0 : 1;
}

function print(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  writeText(to, `${text}\n`);
}
