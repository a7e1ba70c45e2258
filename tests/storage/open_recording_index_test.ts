import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { UnreadableIndexError } from "../../lib/storage/answering_kv.ts";
import { FORMAT_KEY } from "../../lib/storage/index_keys.ts";
import { KvRecordingIndex } from "../../lib/storage/kv_recording_index.ts";
import { openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import { recording } from "../helpers/index_entries.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { TempDir } from "../helpers/temp_dir.ts";

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);
const NUMBER = "tel:+4930123456789";
const entry = recording(1, { participant: { ani: NUMBER } });
const many = Array.from({ length: 500 }, (_, n) => recording(n));

/** The tables that Deno KV makes. */
const TABLES = ["migration_state", "data_version", "kv", "queue", "queue_running"];

/** Changes a file of SQLite's, as anybody may who has the program. */
function change(path: string, sql: string): void {
  using database = new DatabaseSync(path);
  database.exec(sql);
}

/** What all files in a folder have, as one text. */
async function textOf(dir: TempDir): Promise<string> {
  const texts = (await dir.files()).map((path) => Deno.readFile(join(dir.path, path)));
  return (await Promise.all(texts)).map((bytes) => new TextDecoder("latin1").decode(bytes)).join();
}

Deno.test("opening the index: a new one, in a new folder, for its owner only", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "a", "index.kv");
  {
    using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
    await index.put(entry);
    if (Deno.build.os !== "windows") {
      for (const name of await dir.files()) {
        assertEquals(((await Deno.stat(join(dir.path, name))).mode ?? 0) & 0o077, 0, name);
      }
    }
  }
  using again = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
  assertEquals((await again.find({ participant: NUMBER }, 9)).entries.length, 1);
  assertEquals(logs.records, []);
});

Deno.test("opening the index: another key, or another mode, begins an empty one", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  const ways = [
    { key: KEY, indexPersonalData: true },
    { key: KEY },
    { key: OTHER_KEY },
    { key: KEY, indexPersonalData: true },
  ];
  for (const way of ways) {
    using index = await openRecordingIndex({ place: { kind: "file", path }, ...way });
    assertEquals((await index.find({}, 9)).entries, []);
    if (way.indexPersonalData === undefined) assert(!(await textOf(dir)).includes(NUMBER));
    await index.put(entry);
    assertEquals((await index.find({ participant: NUMBER }, 9)).entries.length, 1);
  }
  const told = logs.of("The index of recordings was built").map(({ properties }) =>
    properties.difference
  );
  assertEquals(told, ["with personal data", "with another key", "without personal data"]);
  {
    // With personal data in plain, the key has no part in the index.
    using index = await openRecordingIndex({
      place: { kind: "file", path },
      key: OTHER_KEY,
      indexPersonalData: true,
    });
    assertEquals((await index.find({}, 9)).entries.length, 1);
  }
});

Deno.test("opening the index: one of another version begins empty", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  {
    using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
    await index.put(entry);
    const format = index.format;
    using kv = await Deno.openKv(path);
    await kv.set(FORMAT_KEY, { ...format, version: format.version + 1, more: "news" });
  }
  using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
  assertEquals((await index.find({}, 9)).entries, []);
  assertEquals(
    logs.of("The index of recordings was built")[0]?.properties.difference,
    "by another version (2)",
  );
});

Deno.test("opening the index: a file that is broken, or none of an index, is moved aside", async () => {
  const breaks: Record<string, (path: string) => Promise<void>> = {
    "no database": (path) => Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(50_000))),
    "a text": (path) => Deno.writeTextFile(path, "index"),
    "cut off": async (path) => {
      const { size } = await Deno.stat(path);
      await Deno.truncate(path, Math.floor(size / 3));
    },
    "a broken beginning": async (path) => {
      using file = await Deno.open(path, { write: true });
      await file.write(new Uint8Array(8192).fill(0xaa));
    },
    "a broken middle": async (path) => {
      const bytes = await Deno.readFile(path);
      await Deno.writeFile(path, bytes.fill(0x55, bytes.length / 8));
    },
    "another program's database": async (path) => {
      await Deno.remove(path);
      change(path, "CREATE TABLE kv (name TEXT); INSERT INTO kv VALUES ('index')");
      change(path, "CREATE TABLE migration_state (name TEXT)");
    },
    "another program's database, intact": async (path) => {
      await Deno.remove(path);
      change(path, "CREATE TABLE places (url TEXT); INSERT INTO places VALUES ('https://a.b')");
    },
    "that of a KV of a later version": async (path) => {
      await Deno.remove(path);
      change(path, "CREATE TABLE migration_state (k INTEGER PRIMARY KEY, version INTEGER)");
      change(path, "INSERT INTO migration_state VALUES (0, 999)");
    },
    "a view in the place of a table": (path) => {
      change(path, "ALTER TABLE queue RENAME TO kept; CREATE VIEW queue AS SELECT * FROM kept");
      return Promise.resolve();
    },
    "no count of changes": (path) => {
      change(path, "DELETE FROM data_version");
      return Promise.resolve();
    },
    ...Object.fromEntries(TABLES.map((table) => [`no ${table}`, (path: string) => {
      change(path, `DROP TABLE ${table}`);
      return Promise.resolve();
    }])),
    ...Object.fromEntries(["expiration_ms", "v_encoding"].map((column) => [
      `no ${column}`,
      (path: string) => {
        change(path, `ALTER TABLE kv RENAME COLUMN ${column} TO other`);
        return Promise.resolve();
      },
    ])),
    "a folder": async (path) => {
      await Deno.remove(path);
      await Deno.mkdir(path);
      await Deno.writeTextFile(join(path, "file"), "");
    },
  };
  for (const [what, breakIt] of Object.entries(breaks)) {
    await using logs = await LogRecords.watch();
    await using dir = await TempDir.create();
    const path = join(dir.path, "index.kv");
    {
      using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
      await index.putAll(many);
    }
    await breakIt(path);
    for (let n = 0; n < 2; n++) {
      using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
      assertEquals((await index.find({}, 9)).entries.length, n, what);
      await index.put(entry);
      assertEquals((await index.find({ participant: NUMBER }, 9)).entries.length, 1, what);
    }
    const [logged] = logs.of("The index of recordings is broken");
    assertEquals([logged?.level, logs.records.length], ["error", 1], what);
    const aside = String(logged?.properties.aside);
    assert(aside.startsWith(`${path}.broken-2`), aside);
    await Deno.stat(aside);
    assertEquals((await dir.files()).filter((name) => name.includes("try")), []);
  }
});

Deno.test("opening the index: a database that nothing was written to is taken as it is", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  // Made by SQLite, and not empty.
  change(path, "CREATE TABLE none (k INTEGER); DROP TABLE none");
  assert((await Deno.stat(path)).size > 0);
  using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
  await index.put(entry);
  assertEquals((await index.find({}, 9)).entries.length, 1);
  assertEquals(logs.records, []);
});

Deno.test("opening the index: of those that were broken, one is kept", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  for (let n = 0; n < 4; n++) {
    await Deno.writeTextFile(path, `broken ${n}`);
    (await openRecordingIndex({ place: { kind: "file", path }, key: KEY }))[Symbol.dispose]();
  }
  const broken = (await dir.files()).filter((name) => name.includes("broken"));
  assertEquals(broken.length, 1);
  assertEquals(await Deno.readTextFile(join(dir.path, broken[0] ?? "")), "broken 3");
});

Deno.test("opening the index: where nothing can be written, it fails and leaves nothing", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const file = join(dir.path, "file");
  await Deno.writeTextFile(file, "");
  await assertRejects(() =>
    openRecordingIndex({ place: { kind: "file", path: join(file, "index.kv") }, key: KEY })
  );
  assertEquals(await dir.files(), ["file"]);
});

Deno.test("opening the index: a file that gets damaged while it is open is closed by the first read that fails", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  const place = { kind: "file", path } as const;
  {
    using index = await openRecordingIndex({ place, key: KEY });
    await index.putAll(many);
  }
  const kv = await Deno.openKv(path);
  using index = new KvRecordingIndex(kv, { key: KEY }, () => Promise.resolve(false));
  const { size } = await Deno.stat(path);
  {
    using file = await Deno.open(path, { write: true });
    for (let at = 0; at < size; at += 4096) await file.write(new Uint8Array(4096).fill(0x55));
  }
  await assertRejects(() => index.find({}, 9), UnreadableIndexError);
  // Otherwise, Deno ends the process within a minute.
  await assertRejects(() => kv.get(["any"]), Deno.errors.BadResource);
  await assertRejects(() => index.find({}, 9), UnreadableIndexError);
});

/** A file that another program writes to, for as long as `release` is not called. */
function lockDatabase(path: string): { release(): void } & Disposable {
  const database = new DatabaseSync(path);
  database.exec("BEGIN IMMEDIATE");
  return {
    release: () => database.exec("ROLLBACK"),
    [Symbol.dispose]: () => database.close(),
  };
}

Deno.test("opening the index: a write waits while another program writes, but not for ever", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  const place = { kind: "file", path } as const;
  using index = await openRecordingIndex({ place, key: KEY });
  using hasty = await openRecordingIndex({ place, key: KEY, answerTimeoutMs: 1000 });
  using other = lockDatabase(path);
  let isWritten = false;
  const writing = index.put(entry).then(() => isWritten = true);
  const abandoned = new AbortController();
  const leaving = assertRejects(() => index.put(entry, abandoned.signal), Error, "left");
  await assertRejects(() => hasty.put(entry), Error, "locked");
  abandoned.abort(new Error("left"));
  await leaving;
  assertFalse(isWritten);
  other.release();
  await writing;
  assertEquals((await hasty.find({}, 9)).entries.length, 1);
});

Deno.test("opening the index: while another program writes, it is not taken for broken", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  const place = { kind: "file", path } as const;
  using index = await openRecordingIndex({ place, key: KEY });
  await index.put(entry);
  using other = lockDatabase(path);
  // KV waits for that, and there is nothing to see it by.
  const opening = openRecordingIndex({ place, key: KEY });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  other.release();
  using again = await opening;
  assertEquals((await again.find({}, 9)).entries.length, 1);
  assertEquals(logs.records, []);
});

Deno.test("opening the index: two programs have the same file open", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  using one = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
  using other = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
  await Promise.all([one, other].map(async (index, i) => {
    for (let n = 0; n < 50; n++) await index.put(recording(2 * n + i));
  }));
  assertEquals((await one.find({}, 500)).entries.length, 100);
  assertEquals((await other.find({}, 500)).entries.length, 100);
});
