/**
 * One index of several programs: they share a database, or one of them replaces the file of another.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { BackgroundIndex } from "../../lib/storage/background_index.ts";
import { FORMAT_KEY } from "../../lib/storage/index_keys.ts";
import { IndexUpkeep } from "../../lib/storage/index_upkeep.ts";
import {
  KvRecordingIndex,
  type KvRecordingIndexOptions,
} from "../../lib/storage/kv_recording_index.ts";
import { openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import { rebuildIndex } from "../../lib/storage/rebuild_index.ts";
import { entryOf, type IndexedRecording } from "../../lib/storage/recording_index.ts";
import { reindex } from "../../lib/storage/reindex.ts";
import { S3Client, S3RecordingArchive } from "../../lib/storage/s3/mod.ts";
import { until } from "../helpers/deadline.ts";
import { metadataOf, recording, START_MS } from "../helpers/index_entries.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { Program, ROOT } from "../helpers/program.ts";
import { SmallArchive } from "../helpers/small_archive.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import type { Keeping } from "./index_keeper_program.ts";
import { allPages } from "./recording_index_suite.ts";
import { BUCKET, CREDENTIALS, ObjectServer } from "./s3/object_server.ts";

const KEY = new Uint8Array(32).fill(1);
const QUICK = { lookMs: 5, firstRetryMs: 1, maxRetryMs: 5 };

async function makeArchive(dir: TempDir, count: number): Promise<SmallArchive> {
  const folder = join(dir.path, "recordings");
  await Deno.mkdir(folder);
  const archive = new SmallArchive(folder);
  for (let n = 0; n < count; n++) await archive.add(recording(n));
  return archive;
}

/** Runs index_keeper_program.ts. */
function startKeeper(dir: TempDir, keeping: Omit<Keeping, "folder">, env = {}): Program {
  const flags = ["--unstable-kv", "--no-prompt", "--no-lock", "--config", join(ROOT, "deno.json")];
  const permissions = ["--allow-read", "--allow-write", "--allow-net=127.0.0.1", "--allow-env"];
  const script = join(ROOT, "tests/storage/index_keeper_program.ts");
  const argument: Keeping = { ...keeping, folder: join(dir.path, "recordings") };
  return new Program({
    args: ["run", ...flags, ...permissions, script, JSON.stringify(argument)],
    cwd: dir.path,
    env,
  });
}

/** A database that programs of this process share, as instances share that of Deno Deploy. */
class Shared implements AsyncDisposable {
  readonly #path: string;
  readonly #stack: AsyncDisposableStack;

  private constructor(path: string, stack: AsyncDisposableStack) {
    this.#path = path;
    this.#stack = stack;
  }

  static async make(): Promise<Shared> {
    const stack = new AsyncDisposableStack();
    stack.use(await LogRecords.watch());
    const dir = stack.use(await TempDir.create());
    return new Shared(join(dir.path, "shared.kv"), stack);
  }

  /** An instance opens it: that of a file, in the way in which others are opened. */
  async open(options: Partial<KvRecordingIndexOptions> = {}): Promise<KvRecordingIndex> {
    using stack = new DisposableStack();
    const kv = await Deno.openKv(this.#path);
    const index = stack.use(new KvRecordingIndex(kv, { key: KEY, ...options }));
    await until(async () => {
      if ((await index.compareFormat()).kind === "same") return true;
      // In a file, it fails while another one writes.
      await index.writeFormat().catch(() => {});
    }, "its format is written down");
    stack.move();
    return index;
  }

  /** An instance that is kept complete until the test is over. */
  start(archive: SmallArchive, options: Partial<KvRecordingIndexOptions> = {}) {
    const index = this.#stack.use(new BackgroundIndex(() => this.open(options)));
    this.#stack.use(new IndexUpkeep(index, archive, QUICK)).start();
    return index;
  }

  /** How many recordings are in the indexes of all generations. */
  async records(): Promise<number> {
    using kv = await Deno.openKv(this.#path);
    const all = await Array.fromAsync(kv.list({ prefix: [] }), ({ key }) => key[2]);
    return all.filter((part) => part === "recording").length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function idsIn(index: KvRecordingIndex | BackgroundIndex<KvRecordingIndex>) {
  return (await allPages(index, {}, 100)).map(({ id }) => id).sort();
}

const idsOf = (...entries: IndexedRecording[]) => entries.map(({ id }) => id).sort();

Deno.test("shared index: two programs have all, also what the other one is making", async () => {
  await using dir = await TempDir.create();
  await makeArchive(dir, 30);
  // The way of Deno Deploy: opened without a path. Deno has a file for it.
  const place = { kind: "deploy" } as const;
  const env = { DENO_KV_DEFAULT_PATH: join(dir.path, "deploy.kv") };
  await using first = startKeeper(dir, { place, making: 100 }, env);
  await first.waitFor(/^31 found, well$/m);
  await using second = startKeeper(dir, { place, making: 101 }, env);
  await second.waitFor(/^32 found, well$/m);
  await first.waitFor(/^32 found, well$/m);
  await second.waitFor(/^The index has all 30 recordings: 0 written, 0 removed$/m);
  for (const { stdout } of [first, second]) {
    assert(!/^32 found[^]*^3[01] found/m.test(stdout), stdout);
  }
});

Deno.test("shared index: in memory, it is filled at each start", async () => {
  await using dir = await TempDir.create();
  await makeArchive(dir, 30);
  for (let n = 0; n < 2; n++) {
    await using program = startKeeper(dir, { place: { kind: "memory" }, making: 100 });
    await program.waitFor(/^31 found, well$/m);
    await program.waitFor(/^The index has all 30 recordings: 30 written, 0 removed$/m);
  }
  assertEquals((await dir.files()).filter((name) => !name.startsWith("recordings/")), []);
});

Deno.test("shared index: what is put anew while another one removes it, stays", async () => {
  await using shared = await Shared.make();
  using index = await shared.open();
  using other = await shared.open();
  const [changed, unchanged] = [recording(1, { state: "recording" }), recording(2)];
  await index.putAll([changed, unchanged]);
  const walked = await Array.fromAsync(index.walk("", "~"));
  await other.put({ ...changed, ...recording(1) });
  const removed = await Promise.all(walked.map((entry) => index.removeWalked(entry)));
  assertEquals(removed, [false, true]);
  assertEquals(await idsIn(index), idsOf(changed));
  assertEquals(await Promise.all(walked.map((entry) => index.removeWalked(entry))), [false, false]);
});

Deno.test("shared index: what others are making stays when one starts, by its objects or without", async () => {
  await using _logs = await LogRecords.watch();
  await using server = await ObjectServer.start();
  const patience = { attempts: 2, firstPauseMs: 1, timeoutMs: 60_000 };
  const client = new S3Client({ endpoint: server.url, bucket: BUCKET }, CREDENTIALS, patience);
  const archive = new S3RecordingArchive(client, "recordings");
  const nowMs = START_MS + 100 * 60_000;
  const store = async ({ id }: IndexedRecording, rest: string, text: string) => {
    await client.put(`recordings/${id.replace(".", "/")}${rest}`, new TextEncoder().encode(text));
  };
  const ended = recording(0);
  await store(ended, ".jsonl", "{}\n");
  await store(ended, ".json", JSON.stringify(metadataOf(ended)));
  // For an hour; and since now, whose objects come when all were listed.
  const long = recording(40, { state: "recording" });
  await store(long, ".part/begin", "{}");
  await store(long, ".part/messages-000000000000", "{}\n");
  const fresh = recording(0, {
    state: "recording",
    startedMs: nowMs,
    sessionId: recording(7).sessionId,
  });
  const late = recording(8);
  const gone = recording(9, { state: "recording" });
  using index = new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY });
  await index.putAll([long, gone]);
  const listed = {
    list: async function* () {
      yield* archive.list();
      await index.put(fresh);
      await store(fresh, ".part/begin", "{}");
      // This one is over already.
      await store(late, ".jsonl", "{}\n");
      await store(late, ".json", JSON.stringify(metadataOf(late)));
      await index.put(entryOf(late.id, metadataOf(late)));
    },
    metadata: (id: string) => archive.metadata(id),
    isUnderWay: (id: string) => archive.isUnderWay(id),
    open: (id: string, part: "audio" | "messages") => archive.open(id, part),
    hold: (id: string) => archive.hold(id),
    setHold: () => Promise.resolve(false),
    remove: () => Promise.resolve("not_found" as const),
  };
  const counts = await rebuildIndex(index, listed, { now: () => nowMs });
  assertEquals(counts, {
    recordings: 2,
    written: 1,
    removed: 1,
    beingMade: 1,
    unreadable: 0,
    unreadableDays: 0,
  });
  assertEquals(await idsIn(index), idsOf(ended, long, fresh, late));
});

Deno.test("shared index: what was lost of those that are being made comes back, as long as they are", async () => {
  await using shared = await Shared.make();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 3);
  const index = shared.start(archive);
  const startedMs = Date.now();
  const running = [100, 101, 102, 103].map((n) => recording(n, { state: "recording", startedMs }));
  const [ends, goes, stays, givenUp] = running;
  assert(ends && goes && stays && givenUp);
  for (const entry of running) await index.put(entry);
  await until(async () => (await idsIn(index)).length === 7, "all are there");
  using other = await shared.open();
  for (const { id } of await allPages(other, {}, 100)) await other.remove(id);
  const archived = [0, 1, 2].map((n) => recording(n));
  await until(async () => (await idsIn(index)).length === 4, "they come back");
  assertEquals(await idsIn(index), idsOf(...running));
  // One has ended, one is removed, one was given up: others than this program may remove them.
  await index.put({ ...ends, state: "finished" });
  await index.remove(goes.id);
  index.forget(givenUp.id);
  await until(async () => (await idsIn(index)).length === 3, "one is removed");
  await other.remove(ends.id);
  await other.remove(givenUp.id);
  await other.remove(stays.id);
  await until(async () => (await idsIn(index)).length > 0, "one comes back");
  assertEquals(await idsIn(index), idsOf(stays));
  // All the others are in the archive: rebuilding adds them.
  await rebuildIndex(other, archive);
  assertEquals(await idsIn(index), idsOf(...archived, stays));
});

Deno.test("shared index: many instances start at once, with changes all the time", async () => {
  await using shared = await Shared.make();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 40);
  const instances = [0, 1, 2].map(() => shared.start(archive));
  const expected = Array.from({ length: 40 }, (_, n) => recording(n));
  await Promise.all(instances.map(async (index, i) => {
    for (let n = 0; n < 20; n++) {
      const entry = recording(1000 + 100 * i + n);
      await index.put({ ...entry, state: "recording", endedAt: null });
      await archive.add(entry);
      await index.put(entry);
      expected.push(entry);
    }
  }));
  for (const index of instances) {
    await until(() => index.status.waiting === 0, "all is done");
    await until(async () => (await idsIn(index)).length === expected.length, "all are there");
    assertEquals(await idsIn(index), idsOf(...expected));
    assertEquals((await index.find({ state: "recording" }, 9)).entries, []);
  }
});

Deno.test("shared index: of instances with different settings, the last to start decides", async () => {
  await using shared = await Shared.make();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 5);
  const before = shared.start(archive, { indexPersonalData: true });
  await until(async () => (await idsIn(before)).length === 5, "it is filled");
  const after = shared.start(archive);
  await until(async () => (await idsIn(after)).length === 5, "it is filled anew");
  await until(() => before.status.failingSince !== undefined, "the other one notices");
  // What it writes nevertheless does not stay.
  await before.put(recording(50));
  await before.put(recording(51, { state: "recording" }));
  await until(() => before.status.waiting === 0, "it is put");
  await until(async () => await shared.records() === 5, "it is removed");
  assertEquals(after.status.failingSince, undefined);
  assertEquals((await idsIn(after)).length, 5);
  // Somebody decides otherwise, as `reindex` does.
  (await shared.open({ indexPersonalData: true }))[Symbol.dispose]();
  await until(() => after.status.failingSince !== undefined, "it has to give way");
  await until(async () => (await idsIn(before)).length === 6, "the first one is complete");
  await until(() => before.status.failingSince === undefined, "the first one is well");
  assertEquals(await shared.records(), 6);
});

Deno.test("reindex: with other settings beside a server, which notices, and loses nothing", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 30);
  const place = { kind: "file", path: join(dir.path, "data", "index.kv") } as const;
  await using server = startKeeper(dir, { place, making: 100 });
  await server.waitFor(/^31 found, well$/m);
  const counts = await reindex({ place, key: KEY, indexPersonalData: true }, archive);
  assertEquals(counts.written, 30);
  await server.waitFor(
    /file of the index was replaced[^]*has all 30 recordings[^]*^31 found, well$/m,
  );
  // It is at its name, and as the server builds it.
  using kv = await Deno.openKv(place.path);
  const { value } = await kv.get<{ participants: string }>(FORMAT_KEY);
  assertEquals(value?.participants, "hidden");
  using index = await openRecordingIndex({ place, key: KEY });
  assertEquals((await idsIn(index)).length, 31);
  assertEquals((await index.find({ participant: "tel:+493029" }, 9)).entries.length, 1);
  // With the same settings, nothing is replaced.
  await reindex({ place, key: KEY }, archive);
  assertEquals(server.stdout.match(/was replaced/g)?.length, 1);
});

Deno.test("index in a KV file: somebody removes the file of a server that runs", async () => {
  await using dir = await TempDir.create();
  await makeArchive(dir, 30);
  const path = join(dir.path, "index.kv");
  await using server = startKeeper(dir, { place: { kind: "file", path }, making: 100 });
  await server.waitFor(/^31 found, well$/m);
  for (const name of await dir.files()) {
    if (name.startsWith("index.kv")) await Deno.remove(join(dir.path, name));
  }
  await server.waitFor(
    /file of the index was replaced[^]*has all 30 recordings[^]*^31 found, well$/m,
  );
  assert((await Deno.stat(path)).isFile);
});

Deno.test("index at an address that is silent: it is failing, also if nothing has to be put", async () => {
  await using dir = await TempDir.create();
  await makeArchive(dir, 1);
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of silent) accepted.push(connection);
  })();
  const { port } = silent.addr as Deno.NetAddr;
  {
    const place = { kind: "url", url: `http://127.0.0.1:${port}` } as const;
    const env = { DENO_KV_ACCESS_TOKEN: "none" };
    await using server = startKeeper(dir, { place, slowOpenMs: 500 }, env);
    await server.waitFor(/did not open|nothing found, failing/);
    await server.waitFor(/^nothing found, failing$/m);
    assertEquals(accepted.length, 1, "it is not opened again and again");
  }
  for (const connection of accepted) connection.close();
  silent.close();
  await accepting;
});
