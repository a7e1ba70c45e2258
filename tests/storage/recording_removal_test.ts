/**
 * Removing and holding recordings in a folder, whose audit log is a file: what that one says,
 * whenever the server is killed.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { auditedRemoval } from "../../lib/storage/recording_removal.ts";
import {
  type AuditLine,
  auditLineSchema,
  FileAuditLog,
  FileRecordingArchive,
  RecordingRemoval,
} from "../../lib/storage/mod.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { Program, ROOT } from "../helpers/program.ts";
import { type FilesByExtension, RecordedFiles } from "../helpers/recorded_files.ts";
import { readIfExists } from "../helpers/temp_dir.ts";
import { noise } from "../helpers/wav_check.ts";
import { testAuditLog } from "./audit_log_suite.ts";
import { ID, metadataTextOf, OTHER_SESSION, SESSION } from "./recording_archive_suite.ts";
import {
  CONVERSATION,
  HOLD,
  type RemovalPlace,
  type RemovalScene,
  said,
  testRecordingRemoval,
  Under as UnderSuite,
} from "./recording_removal_suite.ts";

/** Recordings in a folder. */
class FilePlace implements RemovalPlace {
  readonly archive: FileRecordingArchive;

  constructor(readonly recordings: RecordedFiles) {
    this.archive = new FileRecordingArchive(recordings.folder);
  }

  newLog(): FileAuditLog {
    return new FileAuditLog(this.recordings.dir.path);
  }

  async put(id: string): Promise<void> {
    const files = { ".wav": noise(10), ".jsonl": "{}\n", ".json": metadataTextOf(id) };
    await this.recordings.put(id, files);
  }

  async names(): Promise<string[]> {
    return await this.recordings.names();
  }

  async lines(): Promise<AuditLine[]> {
    return await auditLines(this.recordings.dir.path);
  }

  async pending(): Promise<string[]> {
    return (await this.recordings.dir.files()).filter((path) => path.startsWith("audit-pending/"));
  }
}

class FileScene implements RemovalScene {
  readonly #places = new AsyncDisposableStack();

  async place(): Promise<FilePlace> {
    return new FilePlace(this.#places.use(await RecordedFiles.create()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#places.disposeAsync();
  }
}

testAuditLog("audit log", () => Promise.resolve(new FileScene()));
testRecordingRemoval("removal", () => Promise.resolve(new FileScene()));

/** One place of its own. */
class Under extends UnderSuite implements AsyncDisposable {
  readonly recordings: RecordedFiles;

  private constructor(override readonly place: FilePlace) {
    super(place);
    this.recordings = place.recordings;
  }

  static async make(): Promise<Under> {
    return new Under(new FilePlace(await RecordedFiles.create()));
  }

  /** Lines of the audit log, checked. */
  async lines(): Promise<AuditLine[]> {
    return await this.place.lines();
  }

  /** What is put down for later. */
  async pending(): Promise<string[]> {
    return await this.place.pending();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recordings[Symbol.asyncDispose]();
  }
}

async function auditLines(dataDir: string): Promise<AuditLine[]> {
  const bytes = await readIfExists(join(dataDir, "audit.jsonl"));
  const text = new TextDecoder().decode(bytes);
  assert(text === "" || text.endsWith("\n"), "the log is cut off");
  return text.split("\n").slice(0, -1).map((line) =>
    auditLineSchema.strict().parse(JSON.parse(line))
  );
}

Deno.test("removal: what is being made is not touched, and there is no line", async () => {
  await using under = await Under.make();
  await under.recordings.put(ID, { ".wav.part": noise(10), ".jsonl": "{}\n" });
  using _lock = await under.recordings.lock(ID);
  assertEquals(await under.removal.remove(ID, "api"), "being_made");
  assertEquals(await under.lines(), []);
  assertEquals(await under.pending(), []);
  assertEquals((await under.recordings.names()).length, 2);
});

Deno.test("removal: a recording without metadata has a line without conversation", async () => {
  await using under = await Under.make();
  const broken: FilesByExtension[] = [
    { ".wav.part": noise(9) },
    { ".json": "{" },
    { ".removed": "" },
  ];
  for (const files of broken) {
    await under.recordings.put(ID, files);
    assertEquals(await under.removal.remove(ID, "retention"), "removed");
    assertEquals(await under.recordings.names(), []);
  }
  const line = ["removed", ID, "retention", undefined];
  assertEquals((await under.lines()).map(said), [line, line, line]);
});

Deno.test("removal: what was put down for a recording that is held now is forgotten", async () => {
  await using under = await Under.make();
  await under.recordings.put(ID, { ".wav.part": noise(9) });
  const steps = auditedRemoval(under.parts, ID, "api");
  assertEquals((await steps.next()).value, "begin");
  await steps.return("removed");
  await under.archive.setHold(ID, HOLD);
  await under.removal.finishInterrupted();
  assertEquals(await under.pending(), []);
  assertEquals(await under.lines(), []);
  assertEquals(await under.archive.hold(ID), HOLD);
});

Deno.test("removal: a log that cannot be written leaves the line to be written later", async () => {
  await using under = await Under.make();
  await under.put(ID);
  const path = join(under.recordings.dir.path, "audit.jsonl");
  await Deno.mkdir(path);
  await assertRejects(() => under.removal.remove(ID, "api"));
  assertEquals((await under.pending()).length, 1);
  await Deno.remove(path);
  await under.removal.finishInterrupted();
  assertEquals((await under.lines()).map(said), [["removed", ID, "api", CONVERSATION]]);
});

Deno.test("removal: nothing is removed if it cannot be put down before", async () => {
  await using under = await Under.make();
  await under.put(ID);
  await Deno.writeTextFile(join(under.recordings.dir.path, "audit-pending"), "in the way");
  const before = await under.recordings.names();
  await assertRejects(() => under.removal.remove(ID, "api"));
  assertEquals(await under.recordings.names(), before);
});

Deno.test("removal: a full disk loses no line, and its half is dropped", async () => {
  await using under = await Under.make();
  const { path } = under.recordings.dir;
  // As much as a small disk has, or the test is skipped.
  const disk = join(path, "disk");
  await Deno.mkdir(disk);
  const mount = await new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk],
  }).output().catch(() => undefined);
  if (!mount?.success) {
    // deno-lint-ignore no-console -- whoever runs the tests has to know
    console.log("skipped: no small disk can be mounted here");
    return;
  }
  try {
    const log = join(disk, "audit.jsonl");
    await Deno.symlink(log, join(path, "audit.jsonl"));
    await Deno.writeTextFile(log, "");
    await under.put(ID);
    assertEquals(await under.removal.remove(ID, "api"), "removed");
    await under.put(ID);
    await under.put(`${ID}.2`);
    // All of it but some bytes of the page that the log has already.
    const padding = "x".repeat(4096 - 100 - (await Deno.stat(log)).size);
    const foreign = JSON.stringify({ padding }) + "\n";
    await Deno.writeTextFile(log, foreign, { append: true });
    await assertRejects(() => fill(join(disk, "fill")));
    await assertRejects(() => under.removal.remove(ID, "api"));
    assert((await Deno.readTextFile(log)).endsWith(foreign), "no half of a line");
    await Deno.remove(join(disk, "fill"));
    assertEquals(await under.removal.remove(`${ID}.2`, "api"), "removed");
    await under.removal.finishInterrupted();
    await Deno.writeTextFile(log, (await Deno.readTextFile(log)).replace(foreign, ""));
    assertEquals((await under.lines()).map(({ id }) => id), [ID, `${ID}.2`, ID]);
  } finally {
    await new Deno.Command("umount", { args: [disk] }).output();
  }
});

async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  for (;;) await file.write(new Uint8Array(1024));
}

Deno.test("audit log: a line that a crash cut off is dropped, and written as a whole", async () => {
  const half = '{"time":"2026-01-31T10:00:00.000Z","action":"remo';
  for (const beginning of ["", "{}\n", "{}\n".repeat(5000)]) {
    await using under = await Under.make();
    const path = join(under.recordings.dir.path, "audit.jsonl");
    await Deno.writeTextFile(path, beginning + half);
    await under.put(ID);
    assertEquals(await under.removal.remove(ID, "api"), "removed");
    const text = await Deno.readTextFile(path);
    assert(text.startsWith(beginning));
    const [line, rest] = text.slice(beginning.length).split("\n");
    assertEquals(auditLineSchema.parse(JSON.parse(line ?? "")).id, ID);
    assertEquals(rest, "");
  }
});

Deno.test("audit log: a line is not written again, wherever its crash was", async () => {
  const line: AuditLine = {
    time: "2026-01-31T10:00:00.000Z",
    action: "removed",
    id: ID,
    by: "api",
    conversationId: CONVERSATION,
  };
  const text = JSON.stringify(line) + "\n";
  const other = JSON.stringify({ ...line, id: `2026-01-31.${OTHER_SESSION}` }) + "\n";
  // What the log had when it was begun, and what it has when it is finished.
  const cases: [before: string, after: string, isThere: boolean][] = [
    ["", "", false],
    ["", text, true],
    ["", text.slice(0, 50), false],
    [other, other + text, true],
    [other, other + text.slice(0, -1), false],
    [other, other + text + other.repeat(2000), true],
    [other.repeat(2000), other.repeat(2000) + text, true],
    [other.repeat(2000) + other.slice(0, 50), other.repeat(2000) + text, true],
    // It was put away, and begun anew.
    [other.repeat(100), text, true],
    [other.repeat(100), "", false],
  ];
  for (const [before, after, isThere] of cases) {
    await using under = await Under.make();
    const path = join(under.recordings.dir.path, "audit.jsonl");
    await Deno.writeTextFile(path, before);
    await new FileAuditLog(under.recordings.dir.path).begin({ line });
    await Deno.writeTextFile(path, after);
    await new FileAuditLog(under.recordings.dir.path).commit(ID);
    const expected = isThere ? after : after.slice(0, after.lastIndexOf("\n") + 1) + text;
    assertEquals(await Deno.readTextFile(path), expected);
    assertEquals(await under.pending(), []);
  }
});

Deno.test("removal: of two servers with one data folder, one removes a recording, with one line", async () => {
  await using under = await Under.make();
  const ids = Array.from({ length: 10 }, () => `2026-01-31.${crypto.randomUUID()}`);
  for (const id of ids) await under.put(id);
  const [one, other] = [new RecordingRemoval(under.parts), new RecordingRemoval(under.parts)];
  const results = await Promise.all(ids.map(async (id, n) => {
    const both = [one.remove(id, "api"), other.remove(id, "retention")];
    // Such as every server does at its start, and then once an hour.
    if (n % 3 === 0) await (n % 2 === 0 ? one : other).finishInterrupted();
    return await Promise.all(both);
  }));
  assertEquals(results.map((both) => both.sort()), ids.map(() => ["not_found", "removed"]));
  assertEquals((await under.lines()).map(({ id }) => id).sort(), ids.toSorted());
  assertEquals(await under.pending(), []);
});

Deno.test("audit log: what was put down and cannot be read is said, and does no harm", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  await under.put(ID);
  const folder = join(under.recordings.dir.path, "audit-pending");
  await Deno.mkdir(folder);
  for (const name of [`${ID}.json`, "notes.txt", "x.json", `${ID}.2.json.part`]) {
    await Deno.writeTextFile(join(folder, name), "{");
  }
  await under.removal.finishInterrupted();
  assertEquals(logs.of("The file audit-pending/").length, 1);
  assertEquals(await under.removal.remove(ID, "api"), "removed");
  assertEquals((await under.lines()).map(said), [["removed", ID, "api", CONVERSATION]]);
});

Deno.test("removal: where what was put down cannot be read, finishing says so, and does not fail", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  await under.put(ID);
  const folder = join(under.recordings.dir.path, "audit-pending");
  await Deno.symlink("audit-pending", folder);
  await under.removal.finishInterrupted();
  assertEquals(logs.of("Cannot look for what was begun").length, 1);
  await assertRejects(() => under.removal.remove(ID, "api"), Error);
  assertEquals((await under.lines()).length, 0);
  await Deno.remove(folder);
  assertEquals(await under.removal.remove(ID, "api"), "removed");
});

Deno.test("removal: killed at any moment, each recording has gone with one line", async () => {
  await using recordings = await RecordedFiles.create();
  const ids: string[] = [];
  for (let n = 0; n < 80; n++) {
    const id = `2026-01-${String(10 + n % 9)}.${crypto.randomUUID()}`;
    ids.push(id);
    const files = { ".wav": noise(10), ".jsonl": "{}\n", ".json": metadataTextOf(id) };
    await recordings.put(id, files);
  }
  let kills = 0;
  for (const wanted of [1, 7, 13, 2, 20, Infinity]) {
    await using program = new Program({
      args: [
        "run",
        "--no-prompt",
        "--no-lock",
        "--config",
        join(ROOT, "deno.json"),
        "--allow-read",
        "--allow-write",
        join(ROOT, "tests/storage/removal_program.ts"),
        recordings.dir.path,
      ],
      cwd: recordings.dir.path,
    });
    if (wanted === Infinity) {
      const { code, output } = await program.ended(60_000);
      assertEquals(code, 0, output);
    } else {
      await program.waitFor(new RegExp(`^(?:.*\\n){${wanted}}`), 60_000);
      program.kill("SIGKILL");
      await program.ended();
      kills++;
    }
  }
  assertEquals(kills, 5);
  assertEquals(await recordings.names(), []);
  const lines = await auditLines(recordings.dir.path);
  assertEquals(lines.map(({ id }) => id).sort(), ids.toSorted());
  assertEquals(new Set(lines.map(({ conversationId }) => conversationId)), new Set([CONVERSATION]));
  assertEquals(await recordings.dir.files(), [
    "audit.jsonl",
    "audit.lock",
    "audit.reserve",
    "audit.spare",
  ]);
  assert(lines.every(({ id }) => !id.includes(SESSION)));
});
