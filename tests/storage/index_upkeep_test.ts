import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { BackgroundIndex } from "../../lib/storage/background_index.ts";
import { loadOrCreateIndexKey } from "../../lib/storage/index_key.ts";
import { IndexUpkeep } from "../../lib/storage/index_upkeep.ts";
import { KvRecordingIndex } from "../../lib/storage/kv_recording_index.ts";
import { openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import type { RebuildCounts } from "../../lib/storage/rebuild_index.ts";
import { reindex } from "../../lib/storage/reindex.ts";
import { until } from "../helpers/deadline.ts";
import { recording } from "../helpers/index_entries.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { SmallArchive } from "../helpers/small_archive.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { allPages } from "./recording_index_suite.ts";

const KEY = new Uint8Array(32).fill(1);
const QUICK = { lookMs: 5, firstRetryMs: 1, maxRetryMs: 5 };

async function makeArchive(dir: TempDir, count: number): Promise<SmallArchive> {
  const folder = join(dir.path, "recordings");
  await Deno.mkdir(folder);
  const archive = new SmallArchive(folder);
  for (let n = 0; n < count; n++) await archive.add(recording(n));
  return archive;
}

async function has(index: BackgroundIndex<KvRecordingIndex>, count: number): Promise<boolean> {
  return (await index.find({}, 500)).entries.length === count;
}

Deno.test("upkeep: at its start it fills the index, with another key once more", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 60);
  const path = join(dir.path, "index.kv");
  for (const dataDir of ["a", "a", "b"]) {
    const key = await loadOrCreateIndexKey(join(dir.path, dataDir));
    await using index = new BackgroundIndex(() =>
      openRecordingIndex({ place: { kind: "file", path }, key })
    );
    await using upkeep = new IndexUpkeep(index, archive, QUICK);
    upkeep.start();
    upkeep.start();
    await until(() => has(index, 60), "all are there");
    assertEquals((await index.find({ participant: "tel:+49307" }, 9)).entries.length, 1);
    await until(() => logs.of("The index has all").length > 0, "it is told");
  }
  assertEquals(archive.reads, 120);
});

Deno.test("upkeep: what others keep in the same database is removed", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 3);
  const path = join(dir.path, "index.kv");
  using kv = await Deno.openKv(path);
  const old = new KvRecordingIndex(kv, { key: KEY, indexPersonalData: true });
  await old.putAll([recording(1), recording(2)]);
  await using index = new BackgroundIndex(async () =>
    new KvRecordingIndex(await Deno.openKv(path), { key: KEY })
  );
  await using upkeep = new IndexUpkeep(index, archive, QUICK);
  upkeep.start();
  await until(() => has(index, 3), "all are there");
  assertEquals(await allPages(old, {}, 9), []);
});

Deno.test("upkeep: when changes were lost, the index is rebuilt", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 20);
  await using index = new BackgroundIndex(
    () =>
      openRecordingIndex({ place: { kind: "file", path: join(dir.path, "index.kv") }, key: KEY }),
    { maxWaiting: 2 },
  );
  await using upkeep = new IndexUpkeep(index, archive, QUICK);
  upkeep.start();
  await until(() => has(index, 20), "all are there");
  for (let n = 20; n < 40; n++) {
    await archive.add(recording(n));
    void index.put(recording(n));
    void index.put(recording(n + 1));
    void index.put(recording(n));
    void index.put(recording(n + 2));
  }
  assert(index.status.dropped > 0);
  for (let n = 40; n < 42; n++) await archive.add(recording(n));
  await until(() => has(index, 42), "all are there");
  await until(() => !index.status.isRebuildDue, "it is done");
  assertEquals(logs.of("Cannot"), []);
});

Deno.test("upkeep: an archive that fails is tried again, and told of once", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 3);
  let failures = 0;
  archive.onDayListed = () => {
    if (++failures < 5) throw new Error("no network");
  };
  await using index = new BackgroundIndex(() =>
    openRecordingIndex({ place: { kind: "file", path: join(dir.path, "index.kv") }, key: KEY })
  );
  await using upkeep = new IndexUpkeep(index, archive, QUICK);
  upkeep.start();
  await until(() => has(index, 3), "all are there");
  assertEquals(logs.of("Cannot compare the index").length, 1);
});

Deno.test("upkeep: a day that cannot be listed is looked for again, and keeps no other", async () => {
  await using dir = await TempDir.create();
  const folder = join(dir.path, "recordings");
  await Deno.mkdir(folder);
  let isClosed = true;
  class ClosedDay extends SmallArchive {
    override async *list(onUnreadable: (day: string) => void = () => {}) {
      for await (const id of super.list()) {
        if (isClosed && id.startsWith(closedDay)) onUnreadable(closedDay);
        else yield id;
      }
    }
  }
  const archive = new ClosedDay(folder);
  const [closed, open] = [recording(0), recording(24 * 60)];
  const closedDay = closed.id.slice(0, 10);
  for (const entry of [closed, open]) await archive.add(entry);
  await using index = new BackgroundIndex(() =>
    openRecordingIndex({ place: { kind: "file", path: join(dir.path, "index.kv") }, key: KEY })
  );
  await using upkeep = new IndexUpkeep(index, archive, { ...QUICK, unreadableRetryMs: 20 });
  upkeep.start();
  await until(() => has(index, 1), "the other day is there");
  assertEquals(index.status.failingSince, undefined);
  isClosed = false;
  await until(() => has(index, 2), "all are there");
});

Deno.test("upkeep: an index that was broken is filled anew", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 300);
  const path = join(dir.path, "index.kv");
  {
    using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
    for (let n = 0; n < 300; n += 25) {
      await index.putAll(Array.from({ length: 25 }, (_, i) => recording(n + i)));
    }
  }
  // All but its beginning, where it says what it is and how it's built.
  const bytes = await Deno.readFile(path);
  bytes.fill(0x55, Math.floor(bytes.length / 8));
  await Deno.writeFile(path, bytes);
  await using index = new BackgroundIndex(() =>
    openRecordingIndex({ place: { kind: "file", path }, key: KEY })
  );
  await using upkeep = new IndexUpkeep(index, archive, QUICK);
  upkeep.start();
  await until(() => has(index, 300).catch(() => false), "all are there");
  assertEquals(logs.of("The index of recordings is broken").length, 1);
});

Deno.test("upkeep: one in memory that can't be read any more is filled anew, with what is being made", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 20);
  const opened: Deno.Kv[] = [];
  await using index = new BackgroundIndex(async () => {
    const kv = await Deno.openKv(":memory:");
    opened.push(kv);
    return new KvRecordingIndex(kv, { key: KEY });
  });
  await using upkeep = new IndexUpkeep(index, archive, QUICK);
  upkeep.start();
  await index.put(recording(100, { state: "recording", startedMs: Date.now() }));
  await until(() => has(index, 21), "all are there");
  await until(() => logs.of("The index has all").length > 0, "it is complete");
  opened[0]?.close();
  await until(() => has(index, 21).catch(() => false), "all are there again");
  await until(() => index.status.failingSince === undefined, "it is well");
  assertEquals(opened.length, 2);
});

Deno.test("upkeep: a file that is removed before the index is complete is not filled any more", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 3);
  let isThere = false;
  archive.onDayListed = () => {
    if (!isThere) throw new Error("no network");
  };
  const place = { kind: "file", path: join(dir.path, "index.kv") } as const;
  await using index = new BackgroundIndex(() => openRecordingIndex({ place, key: KEY }));
  await using upkeep = new IndexUpkeep(index, archive, QUICK);
  upkeep.start();
  await until(() => index.status.failingSince !== undefined, "it is tried");
  for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(place.path + suffix);
  using another = await openRecordingIndex({ place, key: KEY });
  await until(() => logs.of("{reason}").length > 0, "it is noticed");
  isThere = true;
  await until(async () => (await allPages(another, {}, 9)).length === 3, "the new one is filled");
});

Deno.test("upkeep: it ends at once, also in the middle", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 100);
  await using index = new BackgroundIndex(() =>
    openRecordingIndex({ place: { kind: "file", path: join(dir.path, "index.kv") }, key: KEY })
  );
  const reading = Promise.withResolvers<void>();
  archive.onRead = () => reading.resolve();
  {
    await using upkeep = new IndexUpkeep(index, archive, QUICK);
    upkeep.start();
    await reading.promise;
  }
  assert(archive.reads < 100);
  assertEquals(logs.of("Cannot"), []);
});

Deno.test("reindex: it corrects all that differs, while a server has the index open", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 60);
  const options = {
    place: { kind: "file", path: join(dir.path, "data", "index.kv") },
    key: KEY,
  } as const;
  await using server = new BackgroundIndex(() => openRecordingIndex(options));
  await server.put({ ...recording(3), closeReason: "error" });
  await server.put(recording(77));
  await until(() => has(server, 2), "the server has put them");
  let last: RebuildCounts | undefined;
  const counts = await reindex(options, archive, { onProgress: (counts) => last = { ...counts } });
  assertEquals(counts, {
    recordings: 60,
    written: 60,
    removed: 1,
    beingMade: 0,
    unreadable: 0,
    unreadableDays: 0,
  });
  assertEquals(last, counts);
  assertEquals((await server.get(recording(3).id))?.closeReason, "end");
  assert(await has(server, 60));
});
