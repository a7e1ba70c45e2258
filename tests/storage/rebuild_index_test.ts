import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { FileRecordingArchive } from "../../lib/storage/file_recording_archive.ts";
import { KvRecordingIndex } from "../../lib/storage/kv_recording_index.ts";
import { type RebuildCounts, rebuildIndex } from "../../lib/storage/rebuild_index.ts";
import type { IndexedRecording } from "../../lib/storage/recording_index.ts";
import { metadataOf, recording, START_MS } from "../helpers/index_entries.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { RecordedFiles } from "../helpers/recorded_files.ts";
import { SmallArchive } from "../helpers/small_archive.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { allPages } from "./recording_index_suite.ts";

const KEY = new Uint8Array(32).fill(1);
const DAY_MINUTES = 24 * 60;
const NONE: RebuildCounts = {
  recordings: 0,
  written: 0,
  removed: 0,
  beingMade: 0,
  unreadable: 0,
  unreadableDays: 0,
};

/** An archive and an index, for one test. */
class Rig implements AsyncDisposable {
  readonly archive: SmallArchive;
  readonly index: KvRecordingIndex;
  readonly #dir: TempDir;

  private constructor(dir: TempDir, kv: Deno.Kv) {
    this.#dir = dir;
    this.archive = new SmallArchive(dir.path);
    this.index = new KvRecordingIndex(kv, { key: KEY, indexPersonalData: true });
  }

  static async make(): Promise<Rig> {
    return new Rig(await TempDir.create(), await Deno.openKv(":memory:"));
  }

  async ids(): Promise<string[]> {
    return (await allPages(this.index, {}, 100)).map(({ id }) => id).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.index[Symbol.dispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Recordings of four days, with two in between on which there are none. */
const some = [0, 1, 2, DAY_MINUTES, DAY_MINUTES + 1, 4 * DAY_MINUTES, 5 * DAY_MINUTES]
  .map((n) => recording(n));
const ids = (entries: readonly IndexedRecording[]) => entries.map(({ id }) => id).sort();

Deno.test("rebuilding: all recordings get into an empty index, as they are", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  for (const entry of some) await archive.add(entry);
  await archive.add(recording(7, { state: "recovered" }));
  await archive.add(recording(8, { state: "recording" }));
  const counts = await rebuildIndex(index, archive);
  assertEquals(counts, { ...NONE, recordings: 9, written: 8, beingMade: 1 });
  for (const entry of [...some, recording(7, { state: "recovered" })]) {
    assertEquals(await index.get(entry.id), entry);
  }
  assertEquals((await rig.ids()).length, 8);
});

Deno.test("rebuilding: when nothing is missing, no metadata is read", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  for (const entry of some) await archive.add(entry);
  await rebuildIndex(index, archive);
  archive.reads = 0;
  assertEquals(await rebuildIndex(index, archive), { ...NONE, recordings: 7 });
  assertEquals(archive.reads, 0);
  const thorough = await rebuildIndex(index, archive, { isThorough: true });
  assertEquals(thorough, { ...NONE, recordings: 7 });
  assertEquals(archive.reads, 7);
});

Deno.test("rebuilding: entries of recordings that are gone are removed", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  // Of days that have recordings, of days between, before and after them.
  const gone = [-2 * DAY_MINUTES, 3, DAY_MINUTES + 5, 3 * DAY_MINUTES, 9 * DAY_MINUTES]
    .map((n) => recording(n + 10, { sessionId: recording(n < 0 ? 900 : n + 10).sessionId }));
  for (const entry of some) await archive.add(entry);
  await index.putAll([...some, ...gone]);
  const counts = await rebuildIndex(index, archive);
  assertEquals(counts, { ...NONE, recordings: 7, removed: gone.length });
  assertEquals(await rig.ids(), ids(some));
});

Deno.test("rebuilding: with no recording at all, nothing is left", async () => {
  await using rig = await Rig.make();
  await rig.index.putAll(some);
  assertEquals(await rebuildIndex(rig.index, rig.archive), { ...NONE, removed: 7 });
  assertEquals(await rig.ids(), []);
});

Deno.test("rebuilding: what differs is found if it is thorough", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  for (const entry of some) await archive.add(entry);
  const [first] = some;
  assert(first !== undefined);
  await index.putAll([...some, { ...first, closeReason: "error", language: "xx" }]);
  assertEquals((await rebuildIndex(index, archive)).written, 0);
  assertEquals((await rebuildIndex(index, archive, { isThorough: true })).written, 1);
  assertEquals(await index.get(first.id), first);
});

Deno.test("rebuilding: an entry that says it's being made is looked after", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  const now = () => START_MS + 60 * 60_000;
  const running = recording(1, { state: "recording" });
  const finished = recording(2);
  const gone = recording(3, { state: "recording" });
  const tooNew = recording(4, { state: "recording", startedMs: now() - 30_000 });
  await archive.add(running);
  await archive.add(finished);
  await index.putAll([running, { ...finished, state: "recording" }, gone, tooNew]);
  const counts = await rebuildIndex(index, archive, { now });
  assertEquals(counts, { ...NONE, recordings: 2, written: 1, removed: 1, beingMade: 1 });
  assertEquals(await index.get(running.id), running);
  assertEquals(await index.get(finished.id), finished);
  assertEquals(await index.get(gone.id), undefined);
  assertEquals(await index.get(tooNew.id), tooNew);
});

Deno.test("rebuilding: metadata that can't be read is told of, and all else goes on", async () => {
  await using logs = await LogRecords.watch();
  await using rig = await Rig.make();
  const { archive, index } = rig;
  for (const entry of some) await archive.add(entry);
  const [first, second] = some;
  assert(first !== undefined && second !== undefined);
  await index.put(first);
  for (const { id } of [first, second]) await archive.writeMetadata(id, '{"version":');
  const counts = await rebuildIndex(index, archive, { isThorough: true });
  assertEquals(counts, { ...NONE, recordings: 7, written: 5, unreadable: 2 });
  assertEquals(await rig.ids(), ids(some.filter((entry) => entry !== second)));
  assertEquals(logs.of("Cannot index the recording").length, 2);
});

Deno.test("rebuilding: files of metadata that are damaged are not taken for recordings that go on", async () => {
  await using _logs = await LogRecords.watch();
  await using recordings = await RecordedFiles.create();
  using index = new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY });
  const json = (entry: IndexedRecording) => JSON.stringify(metadataOf(entry));
  const whole = recording(1);
  const messages = { ".jsonl": "{}\n" };
  const damaged = {
    "not JSON": { ...messages, ".json": "{" },
    "nothing in it": { ...messages, ".json": "" },
    "other JSON": { ...messages, ".json": '{"version":2}' },
    "too long": { ...messages, ".json": json(whole) + " ".repeat(4 * 1024 * 1024) },
    "no messages": { ".wav": "RIFF", ".json": "{" },
  };
  const running = { "just begun": messages, "with audio": { ...messages, ".wav.part": "RIFF" } };
  await recordings.put(whole.id, { ...messages, ".json": json(whole) });
  for (const [n, files] of [...Object.values(damaged), ...Object.values(running)].entries()) {
    await recordings.put(recording(10 + n).id, files);
  }
  const archive = new FileRecordingArchive(recordings.folder);
  for (const isThorough of [false, true]) {
    const counts = await rebuildIndex(index, archive, { isThorough });
    const written = isThorough ? 0 : 1;
    assertEquals(counts, {
      recordings: 8,
      written,
      removed: 0,
      beingMade: 2,
      unreadable: 5,
      unreadableDays: 0,
    });
  }
});

Deno.test("rebuilding: a recording that ends while it is looked at is indexed", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  const entry = recording(1);
  await archive.add({ ...entry, state: "recording" });
  archive.onRead = async () => {
    if (archive.reads === 1) await archive.add(entry);
  };
  assertEquals(await rebuildIndex(index, archive), { ...NONE, recordings: 1, written: 1 });
  assertEquals(await index.get(entry.id), entry);
});

Deno.test("rebuilding: it can be ended, and what was done counts", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  for (let n = 0; n < 100; n++) await archive.add(recording(n));
  const ended = new AbortController();
  const reason = new Error("enough");
  archive.onRead = () => {
    if (archive.reads > 40) ended.abort(reason);
  };
  const error = await assertRejects(() => rebuildIndex(index, archive, { signal: ended.signal }));
  assertEquals(error, reason);
  const done = (await rig.ids()).length;
  assert(done > 0 && done < 100, `${done}`);
  archive.onRead = () => {};
  assertEquals((await rebuildIndex(index, archive)).written, 100 - done);
  assertEquals((await rig.ids()).length, 100);
});

Deno.test("rebuilding: it tells how far it is", async () => {
  await using rig = await Rig.make();
  for (let n = 0; n < 100; n++) await rig.archive.add(recording(n));
  const seen: number[] = [];
  const onProgress = ({ written }: RebuildCounts) => void seen.push(written);
  await rebuildIndex(rig.index, rig.archive, { onProgress });
  assert(seen.length > 2 && seen.at(-1) === 100);
  assertEquals(seen, seen.toSorted((one, other) => one - other));
});

Deno.test("rebuilding: a recording that begins meanwhile stays, one that is removed goes", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  for (const entry of some) await archive.add(entry);
  const fresh = recording(50);
  const [first] = some;
  assert(first !== undefined);
  archive.onDayListed = async (day) => {
    if (!fresh.id.startsWith(day)) return;
    await archive.add(fresh);
    await index.put(fresh);
  };
  archive.onRead = async (id) => {
    // Its metadata was read, its entry not yet put.
    if (id !== first.id) return;
    await archive.remove(id);
    await index.remove(id);
  };
  await rebuildIndex(index, archive);
  assertEquals(await rig.ids(), ids([...some.slice(1), fresh]));
});

Deno.test("rebuilding: an archive that fails, or lists days in no order, ends it", async () => {
  await using rig = await Rig.make();
  const { archive, index } = rig;
  const error = new Error("no network");
  archive.onDayListed = () => Promise.reject(error);
  await archive.add(recording(1));
  await index.put(recording(2));
  assertEquals(await assertRejects(() => rebuildIndex(index, archive)), error);
  assertEquals(await rig.ids(), [recording(2).id], "nothing is removed by mistake");
  archive.list = async function* () {
    await Promise.resolve();
    yield recording(3 * DAY_MINUTES).id;
    yield recording(0).id;
  };
  await assertRejects(() => rebuildIndex(index, archive), Error, "after");
});

Deno.test("rebuilding: whatever was in the index, it's what is in the archive", async () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(numbers, numbers, fc.boolean(), async (there, indexed, isThorough) => {
      await using rig = await Rig.make();
      const make = (n: number) => recording(n * 300);
      for (const n of there) await rig.archive.add(make(n));
      await rig.index.putAll(indexed.map(make));
      const counts = await rebuildIndex(rig.index, rig.archive, { isThorough });
      assertEquals(await rig.ids(), ids(there.map(make)));
      assertEquals(counts.written, there.filter((n) => !indexed.includes(n)).length);
      assertEquals(counts.removed, indexed.filter((n) => !there.includes(n)).length);
    }),
    { numRuns: 25 },
  );
});
