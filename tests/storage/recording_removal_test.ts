/**
 * Removing and holding recordings: what the audit log says, whenever the server is killed.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { auditedHold, auditedRemoval } from "../../lib/storage/recording_removal.ts";
import {
  type AuditLine,
  auditLineSchema,
  AuditLog,
  FileRecordingArchive,
  RecordingRemoval,
} from "../../lib/storage/mod.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { Program, ROOT } from "../helpers/program.ts";
import { type FilesByExtension, RecordedFiles } from "../helpers/recorded_files.ts";
import { readIfExists } from "../helpers/temp_dir.ts";
import { noise } from "../helpers/wav_check.ts";
import {
  ID,
  metadataOf,
  metadataTextOf,
  OTHER_SESSION,
  SESSION,
} from "./recording_archive_suite.ts";

const CONVERSATION = metadataOf(ID).conversationId;
const HOLD = { since: "2026-02-01T10:00:00.000Z", reason: "A case" };

/** Recordings, an index of them, and what removes them. */
class Under implements AsyncDisposable {
  readonly recordings: RecordedFiles;
  readonly archive: FileRecordingArchive;
  readonly audit: AuditLog;
  /** Identifiers that the index has. */
  readonly indexed = new Set<string>();
  /** Whether the index can be written. */
  indexFails = false;
  readonly removal: RecordingRemoval;

  private constructor(recordings: RecordedFiles) {
    this.recordings = recordings;
    this.archive = new FileRecordingArchive(recordings.folder);
    this.audit = new AuditLog(recordings.dir.path);
    this.removal = new RecordingRemoval(this.parts);
  }

  static async make(): Promise<Under> {
    return new Under(await RecordedFiles.create());
  }

  /** Like those of the process that starts after a crash. */
  get parts() {
    return {
      archive: this.archive,
      audit: new AuditLog(this.recordings.dir.path),
      index: {
        remove: (id: string) => {
          if (this.indexFails) return Promise.reject(new Error("The index is broken"));
          this.indexed.delete(id);
          return Promise.resolve();
        },
      },
    };
  }

  async put(id: string): Promise<void> {
    this.indexed.add(id);
    const files = { ".wav": noise(10), ".jsonl": "{}\n", ".json": metadataTextOf(id) };
    await this.recordings.put(id, files);
  }

  /** Lines of the audit log, checked. */
  async lines(): Promise<AuditLine[]> {
    return await auditLines(this.recordings.dir.path);
  }

  /** What is put down for later. */
  async pending(): Promise<string[]> {
    return (await this.recordings.dir.files()).filter((path) => path.startsWith("audit-pending/"));
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

function said({ action, id, by, conversationId }: AuditLine) {
  return [action, id, by, conversationId];
}

Deno.test("removal: a recording goes, its entry too, and one line says so", async () => {
  await using under = await Under.make();
  await under.put(ID);
  await under.put(`${ID}.2`);
  const beforeMs = Date.now();
  assertEquals(await under.removal.remove(ID, "api"), "removed");
  assertEquals(await under.removal.remove(ID, "api"), "not_found");
  assertEquals([...under.indexed], [`${ID}.2`]);
  assertEquals(await Array.fromAsync(under.archive.list()), [`${ID}.2`]);
  const lines = await under.lines();
  assertEquals(lines.map(said), [["removed", ID, "api", CONVERSATION]]);
  const ms = Date.parse(lines[0]?.time ?? "");
  assert(beforeMs - 1 <= ms && ms <= Date.now(), lines[0]?.time);
  assertEquals(await under.pending(), []);
});

Deno.test("removal: what is held is not touched", async () => {
  await using under = await Under.make();
  await under.put(ID);
  assertEquals(await under.removal.setHold(ID, HOLD, "api"), true);
  const before = await under.recordings.names();
  assertEquals(await under.removal.remove(ID, "retention"), "on_hold");
  assertEquals(await under.recordings.names(), before);
  assertEquals(await under.removal.setHold(ID, undefined, "api"), true);
  // It was lifted already.
  assertEquals(await under.removal.setHold(ID, undefined, "api"), true);
  assertEquals(await under.removal.remove(ID, "retention"), "removed");
  assertEquals((await under.lines()).map(said), [
    ["hold_set", ID, "api", CONVERSATION],
    ["hold_lifted", ID, "api", CONVERSATION],
    ["removed", ID, "retention", CONVERSATION],
  ]);
});

Deno.test("removal: another reason for a hold has its line only if it was put down", async () => {
  const other = { ...HOLD, reason: "Another case" };
  for (const last of [1, 2, 3]) {
    await using under = await Under.make();
    await under.put(ID);
    await under.archive.setHold(ID, HOLD);
    const steps = auditedHold(under.parts, ID, other, "api");
    for (let n = 0; n < last; n++) await steps.next();
    await steps.return(true);
    await under.removal.finishInterrupted();
    assertEquals(await under.archive.hold(ID), last === 1 ? HOLD : other);
    assertEquals((await under.lines()).length, last === 1 ? 0 : 1);
  }
});

Deno.test("removal: by the archive that it hands out, changes are accounted for, too", async () => {
  await using under = await Under.make();
  const archive = under.removal.archiveFor("api");
  await under.put(ID);
  await under.put(`${ID}.2`);
  assertEquals(await Array.fromAsync(archive.list()), [ID, `${ID}.2`]);
  assertEquals(await archive.metadata(ID), metadataOf(ID));
  assertEquals(await archive.setHold(ID, HOLD), true);
  assertEquals(await archive.hold(ID), HOLD);
  await assertRejects(() => archive.remove(ID), Error, "held");
  assertEquals(await archive.remove(`${ID}.2`), "removed");
  await using messages = await archive.open(ID, "messages");
  assertEquals(messages?.size, 3);
  assertEquals((await under.lines()).map(said), [
    ["hold_set", ID, "api", CONVERSATION],
    ["removed", `${ID}.2`, "api", CONVERSATION],
  ]);
});

Deno.test("removal: what is being made is not touched, and there is no line", async () => {
  await using under = await Under.make();
  await under.recordings.put(ID, { ".wav.part": noise(10), ".jsonl": "{}\n" });
  using _lock = await under.recordings.lock(ID);
  assertEquals(await under.removal.remove(ID, "api"), "being_made");
  assertEquals(await under.lines(), []);
  assertEquals(await under.pending(), []);
  assertEquals((await under.recordings.names()).length, 2);
});

Deno.test("removal: what is not there leaves no line and no hold", async () => {
  await using under = await Under.make();
  under.indexed.add(ID);
  assertEquals(await under.removal.remove(ID, "api"), "not_found");
  assertEquals([...under.indexed], [], "the index is put right");
  for (const id of [ID, "../../etc/passwd", ""]) {
    assertEquals(await under.removal.setHold(id, HOLD, "api"), false);
    assertEquals(await under.removal.setHold(id, undefined, "api"), false);
    assertEquals(await under.removal.remove(id, "api"), "not_found");
  }
  assertEquals(await under.lines(), []);
  assertEquals(await under.pending(), []);
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

Deno.test("removal: asked for many times at once, there is one line", async () => {
  await using under = await Under.make();
  const ids = Array.from({ length: 9 }, (_, n) => `${ID}.${n + 2}`);
  for (const id of ids) await under.put(id);
  const results = await Promise.all(
    [...ids, ...ids, ...ids].map((id) => under.removal.remove(id, "api")),
  );
  assertEquals(results.filter((result) => result === "removed").length, ids.length);
  assertEquals((await under.lines()).map(({ id }) => id).sort(), ids.toSorted());
});

Deno.test("removal: a hold and a removal at once: the one or the other", async () => {
  await using under = await Under.make();
  for (let n = 0; n < 20; n++) {
    await under.put(ID);
    const removing = () => under.removal.remove(ID, "api");
    const holding = () => under.removal.setHold(ID, HOLD, "api");
    const [result, isHeld] = n % 2 === 0
      ? await Promise.all([removing(), holding()])
      : await Promise.all([holding(), removing()]).then(([held, result]) =>
        [result, held] as const
      );
    assertEquals([result, isHeld], n % 2 === 0 ? ["removed", false] : ["on_hold", true]);
    await under.removal.setHold(ID, undefined, "api");
  }
});

Deno.test("removal: it can end at any step, and be finished by the next start", async () => {
  for (let last = 1;; last++) {
    await using under = await Under.make();
    await under.put(ID);
    // Steps of its own process.
    const steps = auditedRemoval(under.parts, ID, "api");
    let step: IteratorResult<string, string> = await steps.next();
    for (let n = 1; n < last && !step.done; n++) step = await steps.next();
    await steps.return("removed");
    const where = `after ${step.value}`;
    const next = new RecordingRemoval(under.parts);
    await next.finishInterrupted();
    await next.finishInterrupted();
    assertEquals(await under.pending(), [], where);
    if (step.value === "begin") {
      // Nothing was removed, and nobody was told so.
      assertEquals(await under.archive.metadata(ID), metadataOf(ID));
      assertEquals(await under.lines(), [], where);
      assertEquals(await next.remove(ID, "retention"), "removed", where);
      assertEquals((await under.lines()).map(said), [["removed", ID, "retention", CONVERSATION]]);
    } else {
      assertEquals((await under.lines()).map(said), [["removed", ID, "api", CONVERSATION]], where);
    }
    assertEquals(await under.recordings.names(), [], where);
    assertEquals([...under.indexed], [], where);
    if (step.done) {
      assert(last > 4, `${last} steps`);
      break;
    }
  }
});

Deno.test("removal: finished by the next one who asks, instead of the next start", async () => {
  for (let last = 1; last <= 4; last++) {
    await using under = await Under.make();
    await under.put(ID);
    const steps = auditedRemoval(under.parts, ID, "retention");
    for (let n = 0; n < last; n++) await steps.next();
    await steps.return("removed");
    const next = new RecordingRemoval(under.parts);
    const isBegun = await under.archive.metadata(ID) === undefined;
    const result = await next.remove(ID, "api");
    assert(result === "removed" || last === 4, result);
    const by = isBegun ? "retention" : "api";
    assertEquals((await under.lines()).map(said), [["removed", ID, by, CONVERSATION]]);
    assertEquals(await under.pending(), []);
  }
});

for (
  const [action, before, after] of [["hold_set", undefined, HOLD], [
    "hold_lifted",
    HOLD,
    undefined,
  ]] as const
) {
  Deno.test(`removal: ${action} can end at any step: then it has a line, or did not happen`, async () => {
    for (let last = 1;; last++) {
      await using under = await Under.make();
      await under.put(ID);
      if (before !== undefined) await under.archive.setHold(ID, before);
      const steps = auditedHold(under.parts, ID, after, "api");
      let step: IteratorResult<string, boolean> = await steps.next();
      for (let n = 1; n < last && !step.done; n++) step = await steps.next();
      await steps.return(true);
      await new RecordingRemoval(under.parts).finishInterrupted();
      const isDone = step.value !== "begin";
      assertEquals(await under.archive.hold(ID), isDone ? after : before, `${step.value}`);
      assertEquals((await under.lines()).map(({ action }) => action), isDone ? [action] : []);
      assertEquals(await under.pending(), []);
      if (step.done) {
        assertEquals(last, 4);
        break;
      }
    }
  });
}

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

Deno.test("removal: an index that fails leaves it to be finished, with one line in the end", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  await under.put(ID);
  under.indexFails = true;
  await assertRejects(() => under.removal.remove(ID, "api"), Error, "The index is broken");
  assertEquals(await under.lines(), []);
  await under.removal.finishInterrupted();
  assertEquals(logs.of("Cannot finish what was begun").length, 1);
  under.indexFails = false;
  await under.removal.finishInterrupted();
  assertEquals((await under.lines()).map(said), [["removed", ID, "api", CONVERSATION]]);
  assertEquals([...under.indexed], []);
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
    await new AuditLog(under.recordings.dir.path).begin({ line });
    await Deno.writeTextFile(path, after);
    await new AuditLog(under.recordings.dir.path).commit(ID);
    const expected = isThere ? after : after.slice(0, after.lastIndexOf("\n") + 1) + text;
    assertEquals(await Deno.readTextFile(path), expected);
    assertEquals(await under.pending(), []);
  }
});

Deno.test("audit log: the same thing done twice in a moment has two lines", async () => {
  await using under = await Under.make();
  const removal = new RecordingRemoval({ ...under.parts, nowMs: () => 1_800_000_000_000 });
  for (let n = 0; n < 2; n++) {
    await under.put(ID);
    assertEquals(await removal.remove(ID, "api"), "removed");
  }
  assertEquals((await under.lines()).length, 2);
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
  assertEquals(await recordings.dir.files(), ["audit.jsonl", "audit.lock"]);
  assert(lines.every(({ id }) => !id.includes(SESSION)));
});
