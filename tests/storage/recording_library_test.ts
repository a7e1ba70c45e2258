/**
 * Recordings and their index together: no entry is left of one that was removed, whenever that was.
 */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import {
  DiskBackend,
  type IndexedRecording,
  type IndexPlace,
  KvRecordingIndex,
  rebuildIndex,
  type RecordingBackend,
  RecordingLibrary,
} from "../../lib/storage/mod.ts";
import { BucketBackend } from "../../lib/storage/s3/mod.ts";
import { until } from "../helpers/deadline.ts";
import { metadataOf, recording } from "../helpers/index_entries.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { RecordedFiles } from "../helpers/recorded_files.ts";
import { noise } from "../helpers/wav_check.ts";
import { LeftScene } from "./s3/left_scene.ts";

const KEY = new Uint8Array(32).fill(1);

function libraryOf(backend: RecordingBackend, place: IndexPlace): RecordingLibrary {
  return new RecordingLibrary({ backend, index: { place, key: KEY, indexPersonalData: true } });
}

/** What the index says, when it has done all that waits for it. */
async function statesIn(library: RecordingLibrary): Promise<Record<string, string>> {
  await until(() => library.waitingForIndex === 0, "all that waits for the index");
  const { entries } = await library.index.find({}, 100);
  return Object.fromEntries(entries.map(({ id, state }) => [id, state]));
}

function endOf(library: RecordingLibrary, entry: IndexedRecording): void {
  library.ended(entry.id, metadataOf(entry));
}

Deno.test("library: a recording that is removed before its end is told has no entry", async () => {
  await using _logs = await LogRecords.watch();
  await using recordings = await RecordedFiles.create();
  const { dir: { path: dataDir }, folder } = recordings;
  const [first, second, third, fourth, fifth] = [1, 2, 3, 4, 5].map((n) => recording(n));
  const backend = new DiskBackend({ dataDir, recordingsDir: folder });
  await using library = libraryOf(backend, { kind: "file", path: join(dataDir, "index.kv") });
  const end = async (entry: IndexedRecording) => {
    const json = JSON.stringify(metadataOf(entry));
    await recordings.put(entry.id, { ".wav": noise(9), ".jsonl": "{}\n", ".json": json });
  };
  for (const entry of [first, second, third, fourth, fifth]) {
    if (entry === undefined) throw new Error("There are five");
    library.begun({ ...entry, state: "recording" });
    await end(entry);
    if (entry === second || entry === third) {
      assertEquals(await library.remove(entry.id), "removed");
    }
    if (entry === third) await statesIn(library);
    if (entry === fourth) await recordings.putFile(`${entry.id.replace(".", "/")}.json`, "{");
    endOf(library, entry);
    if (entry === fifth) assertEquals(await library.remove(entry.id), "removed");
  }
  // Metadata that can't be read any more is no reason to forget a recording.
  assertEquals(await statesIn(library), {
    [first?.id ?? ""]: "finished",
    [fourth?.id ?? ""]: "finished",
  });
});

Deno.test("library: without a disk, neither the beginning nor the end of a removed recording leaves an entry", async () => {
  await using _logs = await LogRecords.watch();
  await using scene = await LeftScene.set();
  const backend = new BucketBackend({ client: scene.client, prefix: "calls" });
  await using library = libraryOf(backend, { kind: "memory" });
  const running = await scene.make();
  const entry = (n: number, id = running.id, state?: "recording") => ({
    ...recording(n, state && { state }),
    id,
  });
  library.begun(entry(1, running.id, "recording"));
  assertEquals(await statesIn(library), { [running.id]: "recording" });

  await running.storeUpTo(8000);
  await running.finish();
  endOf(library, entry(1));
  assertEquals(await statesIn(library), { [running.id]: "finished" });

  assertEquals(await library.remove(running.id), "removed");
  assertEquals(await statesIn(library), {});
  // Told only now, as by a server whose index could not be reached for so long.
  library.begun(entry(1, running.id, "recording"));
  assertEquals(await statesIn(library), {});
  // Its maker's last sign of life came after the removal.
  await scene.client.put(`${running.base}.part/begin`, new TextEncoder().encode("{}\n"));
  endOf(library, entry(1));
  assertEquals(await statesIn(library), {});
});

Deno.test("library: damaged metadata in object storage is told from a recording that is being made", async () => {
  await using _logs = await LogRecords.watch();
  await using scene = await LeftScene.set();
  const damaged = await scene.make();
  await damaged.storeUpTo(8000);
  // By metadata that are none.
  await damaged.finish();
  const running = await scene.make(recording(1).sessionId);
  await running.storeUpTo(8000);
  using index = new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY });
  const counts = await rebuildIndex(index, scene.archive);
  assertEquals(counts, {
    recordings: 2,
    written: 0,
    removed: 0,
    beingMade: 1,
    unreadable: 1,
    unreadableDays: 0,
  });
});
