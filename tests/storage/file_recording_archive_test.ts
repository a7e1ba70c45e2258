/**
 * Recordings in a folder: the suite of all archives, and what is said of files.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { FileRecordingArchive } from "../../lib/storage/mod.ts";
import { removalSteps } from "../../lib/storage/file_removal.ts";
import { within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { type FilesByExtension, RecordedFiles } from "../helpers/recorded_files.ts";
import { assertSameBytes, concat, noise } from "../helpers/wav_check.ts";
import {
  bytesOf,
  ID,
  metadataOf,
  metadataTextOf,
  OTHER_SESSION,
  SESSION,
  testRecordingArchive,
} from "./recording_archive_suite.ts";

const PLACE = { day: ID.slice(0, 10), name: ID.slice(11) };
const WHOLE: FilesByExtension = {
  ".wav": noise(1000),
  ".jsonl": "{}\n",
  ".json": metadataTextOf(ID),
};
/** Long after the recordings of these tests. */
const LATER_MS = Date.parse("2026-12-01T00:00:00Z");
const HOLD = { since: "2026-02-01T10:00:00.000Z", reason: "A case" };

testRecordingArchive("FileRecordingArchive", async () => {
  const recordings = await RecordedFiles.create();
  return {
    archive: new FileRecordingArchive(recordings.folder),
    async put(id, { audio, messages, metadata }) {
      if (audio !== undefined) await recordings.put(id, { ".wav": audio });
      if (messages !== undefined) await recordings.put(id, { ".jsonl": messages });
      if (metadata !== undefined) await recordings.put(id, { ".json": metadata });
    },
    putForeign: (path) => recordings.putFile(path),
    names: () => recordings.names(),
    [Symbol.asyncDispose]: () => recordings[Symbol.asyncDispose](),
  };
});

Deno.test("FileRecordingArchive: a recording that is being made is listed, read and held", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".wav.part": noise(1000), ".jsonl": "{}\n" });
  using _lock = await recordings.lock(ID);
  assertEquals(await Array.fromAsync(archive.list()), [ID]);
  assertEquals(await archive.metadata(ID), undefined);
  for (const [part, size] of [["audio", 1000], ["messages", 3]] as const) {
    await using file = await archive.open(ID, part);
    assertEquals([file?.size, file?.isFinal], [size, false], part);
  }
  assertEquals(await archive.setHold(ID, HOLD), true);
  assertEquals(await archive.hold(ID), HOLD);
});

Deno.test("FileRecordingArchive: one is under way as long as somebody writes it", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".jsonl": "" });
  assertEquals(await archive.isUnderWay(ID), true, "just begun");
  const anHourAgo = new Date(Date.now() - 3_600_000);
  await Deno.utime(recordings.path(ID, ".jsonl"), anHourAgo, anHourAgo);
  assertEquals(await archive.isUnderWay(ID), false, "begun an hour ago");
  // Whose log was lost, and is made anew by who completes it.
  const other = `${ID}.2`;
  await recordings.put(other, { ".wav.part": noise(1000) });
  assertEquals(await archive.isUnderWay(other), false, "without messages");
  await recordings.put(other, { ".jsonl": "" });
  assertEquals(await archive.isUnderWay(other), false, "with audio that nobody writes");
  await recordings.put(ID, { ".jsonl": "{}\n" });
  {
    using _lock = await recordings.lock(ID);
    assertEquals(await archive.isUnderWay(ID), true, "locked");
  }
  // Those who ask don't take each other for who writes it, nor keep anybody from it.
  const answers = await Promise.all(Array.from({ length: 20 }, () => archive.isUnderWay(ID)));
  assertEquals(new Set(answers), new Set([false]));
  using _lock = await recordings.lock(ID);
  assertEquals(await archive.isUnderWay(ID), true, "locked again");
  // Just before its lock is let go, it has ended.
  await recordings.put(ID, { ".json": "{" });
  assertEquals(await archive.isUnderWay(ID), false, "ended");
});

Deno.test("FileRecordingArchive: what is to be completed is under way, and its lock left alone", async () => {
  await using recordings = await RecordedFiles.create();
  let isToBeCompleted = true;
  const archive = new FileRecordingArchive(recordings.folder, {
    isToBeCompleted: () => isToBeCompleted,
  });
  await recordings.put(ID, { ".wav.part": noise(1000), ".jsonl": "{}\n" });
  await recordings.put(`${ID}.2`, { ".wav": noise(1000), ".jsonl": "{}\n", ".json": "{" });
  const underWay = async () =>
    await Promise.all([ID, `${ID}.2`, `${ID}.3`].map((id) => archive.isUnderWay(id)));
  assertEquals(await underWay(), [true, false, false]);
  isToBeCompleted = false;
  assertEquals(await underWay(), [false, false, false]);
});

Deno.test("FileRecordingArchive: a recording that is being made is not removed", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".wav.part": noise(1000), ".jsonl": "{}\n" });
  const before = await recordings.names();
  {
    using _lock = await recordings.lock(ID);
    assertEquals(await archive.remove(ID), "being_made");
    assertEquals(await recordings.names(), before);
    // Just before its lock is let go, it has its metadata.
    await recordings.put(ID, { ".json": metadataTextOf(ID) });
    assertEquals(await archive.remove(ID), "removed");
  }
  assertEquals(await recordings.names(), []);
});

Deno.test("FileRecordingArchive: a recording in the moment that it is made is not removed", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".jsonl": "" });
  assertEquals(await archive.remove(ID), "being_made");
  assertEquals(await recordings.names(), [`2026-01-31/${SESSION}.jsonl`]);
  // An hour later, nobody locked it.
  const anHourAgo = new Date(Date.now() - 3_600_000);
  await Deno.utime(recordings.path(ID, ".jsonl"), anHourAgo, anHourAgo);
  assertEquals(await archive.remove(ID), "removed");
  assertEquals(await recordings.names(), []);
});

const BROKEN: readonly FilesByExtension[] = [
  { ".wav.part": noise(10), ".jsonl": "{}\n" },
  { ".wav": noise(10), ".jsonl": "{}\n" },
  { ".wav.part": noise(10) },
  { ".wav": noise(10), ".json.part": "{" },
  { ".jsonl": "half a li" },
  { ".json": "{", ".s3": "", ".hold.part": "" },
];
for (const files of BROKEN) {
  const what = Object.keys(files).join(", ");
  Deno.test(`FileRecordingArchive: a broken recording that nobody writes is removed: ${what}`, async () => {
    await using recordings = await RecordedFiles.create();
    const archive = new FileRecordingArchive(recordings.folder);
    await recordings.put(ID, files);
    assertEquals(await Array.fromAsync(archive.list()), [ID]);
    assertEquals(await archive.remove(ID), "removed");
    assertEquals(await recordings.names(), []);
  });
}

/** Recordings that are removed, and whether they may look unfinished while they are. */
const REMOVED: readonly (readonly [what: string, files: FilesByExtension])[] = [
  ["whole", WHOLE],
  ["without audio", { ".jsonl": "{}\n", ".json": metadataTextOf(ID) }],
  ["uploaded and held", { ...WHOLE, ".s3": "{}", ".hold": JSON.stringify(HOLD) }],
  ["never finished", { ".wav.part": noise(1000), ".jsonl": "{}\n" }],
  ["almost finished", { ".wav": noise(1000), ".jsonl": "{}\n", ".json.part": "{" }],
];
for (const [what, files] of REMOVED) {
  Deno.test(`FileRecordingArchive: a removal can end at any step, and be finished: ${what}`, async () => {
    for (let last = 1;; last++) {
      await using recordings = await RecordedFiles.create();
      const archive = new FileRecordingArchive(recordings.folder);
      await recordings.put(ID, files);
      const other = `2026-01-31.${OTHER_SESSION}`;
      if (last % 2 === 0) await recordings.put(other, WHOLE);
      const steps = removalSteps(recordings.folder, PLACE, LATER_MS);
      let step: IteratorResult<string, string> = await steps.next();
      for (let n = 1; n < last && !step.done; n++) step = await steps.next();
      // The process ends here: its locks are let go.
      await steps.return("removed");
      const extensions = Object.keys(files);
      const left = (await recordings.names()).filter((name) => name.includes(SESSION))
        .map((name) => name.slice(name.indexOf(SESSION) + SESSION.length));
      const where = `after ${step.value}: ${left}`;
      // To the archive, it is no recording any more.
      assertEquals(await archive.metadata(ID), undefined, where);
      assertEquals(await archive.open(ID, "audio"), undefined, where);
      assertEquals(await archive.open(ID, "messages"), undefined, where);
      assertEquals(await archive.hold(ID), undefined, where);
      assertEquals(await archive.setHold(ID, HOLD), false, where);
      const listed = await Array.fromAsync(archive.list());
      assertEquals(listed.includes(ID), left.length > 0, where);
      // Whoever completes recordings finds none that had its metadata, and now has not.
      if (extensions.includes(".json") && left.some((name) => name !== ".removed")) {
        assert(left.includes(".json"), where);
      }
      assert(left.length === 0 || left.includes(".removed"), where);
      // What was begun is finished by the next one.
      assertEquals(await archive.remove(ID), left.length > 0 ? "removed" : "not_found", where);
      assertEquals(await archive.remove(ID), "not_found", where);
      const rest = last % 2 === 0
        ? Object.keys(WHOLE).map((extension) => `2026-01-31/${OTHER_SESSION}${extension}`).sort()
        : [];
      // After the last step but one, the folder stays.
      assertEquals((await recordings.names()).filter((name) => !name.endsWith("/")), rest, where);
      if (step.done) {
        assert(last > extensions.length + 3, `${last} steps`);
        break;
      }
    }
  });
}

Deno.test("FileRecordingArchive: a name that was freed and taken again keeps its new recording", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  // A crash left the last step undone; then a client tried the session again.
  await recordings.put(ID, { ".removed": "", ".jsonl": "{}\n", ".wav.part": noise(10) });
  {
    using _lock = await recordings.lock(ID);
    assertEquals(await archive.remove(ID), "being_made");
  }
  await recordings.put(ID, { ".json": metadataTextOf(ID) });
  assertEquals(await archive.metadata(ID), metadataOf(ID));
});

Deno.test("FileRecordingArchive: the folder of a day goes with its last recording, but not today's", async () => {
  for (
    const [now, isKept] of [["2026-01-31T23:59:59Z", true], [
      "2026-02-01T00:00:00Z",
      false,
    ]] as const
  ) {
    await using recordings = await RecordedFiles.create();
    const archive = new FileRecordingArchive(recordings.folder, { nowMs: () => Date.parse(now) });
    await recordings.put(ID, WHOLE);
    await recordings.put(`${ID}.2`, WHOLE);
    assertEquals(await archive.remove(ID), "removed");
    assertEquals((await recordings.names()).length, 3);
    assertEquals(await archive.remove(`${ID}.2`), "removed");
    assertEquals(await recordings.names(), isKept ? ["2026-01-31/"] : []);
  }
});

Deno.test("FileRecordingArchive: no link is followed, and none is taken for a recording", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  const outside = recordings.dir.path;
  await Deno.mkdir(join(outside, "private"));
  for (const extension of [".wav", ".jsonl", ".json"]) {
    await Deno.writeTextFile(join(outside, "private", SESSION + extension), metadataTextOf(ID));
  }
  await recordings.putFile("2026-02-01/notes.txt");
  const elsewhere = `2026-02-02.${SESSION}`;
  await Deno.symlink(join(outside, "private"), join(recordings.folder, "2026-02-02"));
  for (const extension of [".wav", ".jsonl", ".json"]) {
    await Deno.symlink(
      join(outside, "private", SESSION + extension),
      join(recordings.folder, "2026-02-01", SESSION + extension),
    );
  }
  const linked = `2026-02-01.${SESSION}`;
  assertEquals(await Array.fromAsync(archive.list()), []);
  for (const id of [elsewhere, linked]) {
    assertEquals(await archive.metadata(id), undefined);
    assertEquals(await archive.open(id, "audio"), undefined);
    assertEquals(await archive.open(id, "messages"), undefined);
    assertEquals(await archive.setHold(id, HOLD), false);
    assertEquals(await archive.remove(id), "not_found");
  }
  // Beside files that are there, they are removed, and not what they link to.
  await Deno.remove(recordings.path(linked, ".json"));
  await recordings.put(linked, { ".json": metadataTextOf(linked) });
  await Deno.symlink(join(outside, "private", "made"), recordings.path(linked, ".hold.part"));
  assertEquals(await archive.setHold(linked, HOLD), true);
  assertEquals(await archive.remove(linked), "removed");
  assertEquals(
    (await Array.fromAsync(Deno.readDir(join(outside, "private")))).map(({ name }) => name).sort(),
    [".json", ".jsonl", ".wav"].map((extension) => SESSION + extension),
  );
});

Deno.test("FileRecordingArchive: a link is not followed that comes in the midst of opening", async () => {
  if (Deno.build.os === "windows") return;
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".wav": "audio" });
  const place = recordings.path(ID, ".wav");
  const parts = { place, aside: join(recordings.dir.path, "aside") };
  await Deno.writeTextFile(join(recordings.dir.path, "private"), "private");
  const swap = `
    const { place, aside } = ${JSON.stringify(parts)};
    for (;;) {
      Deno.symlinkSync("../../private", aside);
      Deno.renameSync(aside, place);
      Deno.writeTextFileSync(aside, "audio");
      Deno.renameSync(aside, place);
    }
  `;
  const swapping = new Deno.Command(Deno.execPath(), { args: ["eval", swap] }).spawn();
  const found: Record<string, number> = {};
  const endMs = performance.now() + 10_000;
  try {
    for (let tries = 0; tries < 8_000 && performance.now() < endMs; tries++) {
      let text: string;
      try {
        await using file = await archive.open(ID, "audio");
        text = file === undefined
          ? "none"
          : new TextDecoder().decode(await bytesOf(file.read(0, file.size)));
      } catch (error) {
        text = error instanceof Error ? error.name : "?";
      }
      found[text] = (found[text] ?? 0) + 1;
    }
  } finally {
    swapping.kill("SIGKILL");
    await swapping.status;
  }
  assertEquals(found.private, undefined, JSON.stringify(found));
  assert((found.audio ?? 0) > 0 && (found.none ?? 0) > 0, JSON.stringify(found));
});

Deno.test("FileRecordingArchive: the folder itself may be a link", async () => {
  await using recordings = await RecordedFiles.create();
  await recordings.put(ID, WHOLE);
  const link = join(recordings.dir.path, "link");
  await Deno.symlink(recordings.folder, link);
  const archive = new FileRecordingArchive(link);
  assertEquals(await Array.fromAsync(archive.list()), [ID]);
  assertEquals(await archive.metadata(ID), metadataOf(ID));
  assertEquals(await archive.remove(ID), "removed");
});

Deno.test("FileRecordingArchive: a pipe or a folder in the place of a file is not opened", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".json": metadataTextOf(ID) });
  const args = [recordings.path(ID, ".wav")];
  const { success } = await new Deno.Command("mkfifo", { args }).output();
  assert(success, "mkfifo");
  await Deno.mkdir(recordings.path(ID, ".jsonl"));
  assertEquals(await within(archive.open(ID, "audio"), "opening a pipe"), undefined);
  assertEquals(await archive.open(ID, "messages"), undefined);
  assertEquals(await archive.remove(ID), "removed");
  assertEquals(await recordings.names(), [`2026-01-31/${SESSION}.jsonl/`]);
});

Deno.test("FileRecordingArchive: audio is found in the moment that it gets its final name", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  for (let n = 0; n < 300; n++) {
    const id = `2026-01-31.${crypto.randomUUID()}`;
    await recordings.put(id, { ".wav.part": noise(100, n) });
    const opening = Promise.all(Array.from({ length: 4 }, () => archive.open(id, "audio")));
    // As long as some of the steps of opening take, to meet each of them.
    for (let step = 0; step < n % 10; step++) await Deno.lstat(recordings.folder);
    await Deno.rename(recordings.path(id, ".wav.part"), recordings.path(id, ".wav"));
    for (const opened of await opening) {
      assert(opened !== undefined, "it was there all the time");
      await using file = opened;
      assertSameBytes(await bytesOf(file.read(0, 100)), noise(100, n));
    }
  }
});

Deno.test("FileRecordingArchive: audio that gets its final name is read on", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".wav.part": noise(500_000) });
  await using file = await archive.open(ID, "audio");
  assert(file !== undefined);
  const reader = file.read(0, 500_000).getReader();
  const parts = [(await reader.read()).value ?? new Uint8Array()];
  await Deno.rename(recordings.path(ID, ".wav.part"), recordings.path(ID, ".wav"));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
  }
  assertSameBytes(concat(...parts), noise(500_000));
  // Opened again, by its new name.
  assertSameBytes(await bytesOf(file.read(100, 200)), noise(500_000).subarray(100, 200));
});

Deno.test("FileRecordingArchive: audio that is written on is read as far as it was", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".wav.part": noise(1000) });
  await using file = await archive.open(ID, "audio");
  await Deno.writeFile(recordings.path(ID, ".wav.part"), noise(1000), { append: true });
  assert(file !== undefined);
  assertEquals(file.size, 1000);
  assertSameBytes(await bytesOf(file.read(0, 1000)), noise(1000));
});

Deno.test("FileRecordingArchive: a file that was removed is read on, but not again", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ...WHOLE, ".wav": noise(500_000) });
  await using file = await archive.open(ID, "audio");
  assert(file !== undefined);
  const stream = file.read(0, 500_000);
  assertEquals(await archive.remove(ID), "removed");
  assertSameBytes(await bytesOf(stream), noise(500_000));
  await assertRejects(() => bytesOf(file.read(0, 10)), Error, "removed");
  // Nor is another file of that name taken for it.
  await recordings.put(ID, WHOLE);
  await assertRejects(() => bytesOf(file.read(0, 10)), Error, "removed");
});

Deno.test("FileRecordingArchive: a file that became shorter ends with an error", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  for (const left of [0, 1, 65_536, 200_000]) {
    await recordings.put(ID, { ...WHOLE, ".wav": noise(300_000) });
    await using file = await archive.open(ID, "audio");
    assert(file !== undefined);
    await Deno.truncate(recordings.path(ID, ".wav"), left);
    await assertRejects(() => bytesOf(file.read(0, 300_000)), Error, "shorter");
  }
});

Deno.test("FileRecordingArchive: a stream into a buffer of the reader's own", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ...WHOLE, ".wav": noise(200_000) });
  await using file = await archive.open(ID, "audio");
  assert(file !== undefined);
  const reader = file.read(5, 199_990).getReader({ mode: "byob" });
  const parts: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await within(reader.read(new Uint8Array(100_000)), "chunk");
    if (value !== undefined) parts.push(value);
    if (done) break;
  }
  assertSameBytes(concat(...parts), noise(200_000).subarray(5, 199_990));
});

Deno.test("FileRecordingArchive: nothing stays open, however reading ends", async () => {
  if (Deno.build.os !== "linux") return;
  const openFiles = async (path: string) => {
    const args = ["-l", `/proc/${Deno.pid}/fd`];
    const { stdout } = await new Deno.Command("ls", { args }).output();
    return new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes(path))
      .length;
  };
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ...WHOLE, ".wav": noise(300_000) });
  const ends: ((stream: ReadableStream<Uint8Array<ArrayBuffer>>) => Promise<unknown>)[] = [
    bytesOf,
    (stream) => stream.cancel(),
    async (stream) => {
      const reader = stream.getReader();
      await reader.read();
      await reader.cancel();
    },
    async (stream) => {
      await Deno.truncate(recordings.path(ID, ".wav"), 10);
      await assertRejects(() => bytesOf(stream));
    },
  ];
  for (const end of ends) {
    const file = await archive.open(ID, "audio");
    assert(file !== undefined);
    assertEquals(await openFiles(recordings.folder), 1);
    // It is not disposed of.
    await end(file.read(0, 300_000));
    assertEquals(await openFiles(recordings.folder), 0);
  }
  const file = await archive.open(ID, "audio");
  await file?.[Symbol.asyncDispose]();
  assertEquals(await openFiles(recordings.folder), 0);
});

Deno.test("FileRecordingArchive: messages are final when the recording has ended", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".wav": noise(10), ".jsonl": "{}\n" });
  {
    await using file = await archive.open(ID, "messages");
    assertEquals(file?.isFinal, false);
  }
  await recordings.put(ID, { ".json": metadataTextOf(ID) });
  await using file = await archive.open(ID, "messages");
  assertEquals(file?.isFinal, true);
});

Deno.test("FileRecordingArchive: metadata that cannot be used is logged once, without what is in it", async () => {
  await using logs = await LogRecords.watch();
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  const secret = "+49-555-0199";
  const wrong = { ...metadataOf(ID), participant: secret, duration: [secret] };
  await recordings.put(ID, { ".wav": noise(10), ".json": JSON.stringify(wrong) });
  await recordings.put(`${ID}.2`, { ".wav": noise(10), ".json": `{${secret}` });
  for (let n = 0; n < 3; n++) {
    assertEquals(await archive.metadata(ID), undefined);
    assertEquals(await archive.metadata(`${ID}.2`), undefined);
  }
  assertEquals(logs.records.map(({ level, properties }) => [level, properties.id]), [
    ["error", ID],
    ["error", `${ID}.2`],
  ]);
  assert(!logs.text.includes(secret), logs.text);
});

Deno.test("FileRecordingArchive: metadata that is too long is not read", async () => {
  await using logs = await LogRecords.watch();
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, { ".json": metadataTextOf(ID) + " ".repeat(5 * 1024 * 1024) });
  assertEquals(await archive.metadata(ID), undefined);
  assertEquals(logs.records.length, 1);
});

for (const content of ["", "{", "{}", '{"since":"soon","reason":""}']) {
  Deno.test(`FileRecordingArchive: a hold that cannot be read holds: ${content}`, async () => {
    await using logs = await LogRecords.watch();
    await using recordings = await RecordedFiles.create();
    const archive = new FileRecordingArchive(recordings.folder);
    await recordings.put(ID, { ...WHOLE, ".hold": content });
    for (let n = 0; n < 2; n++) {
      const hold = await archive.hold(ID);
      assert(hold !== undefined);
      assertEquals(hold.reason, "");
      assert(Math.abs(Date.parse(hold.since) - Date.now()) < 60_000, hold.since);
    }
    assertEquals(logs.records.length, 1, logs.text);
    assertEquals(await archive.setHold(ID, undefined), true);
    assertEquals(await archive.hold(ID), undefined);
  });
}

Deno.test("FileRecordingArchive: files are for the group to read at most", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  await recordings.put(ID, WHOLE);
  await archive.setHold(ID, HOLD);
  const { mode } = await Deno.stat(recordings.path(ID, ".hold"));
  assertEquals((mode ?? 0) & 0o137, 0);
});

Deno.test("FileRecordingArchive: the newest day is the last that has a recording", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  assertEquals(await archive.newestDay(), undefined);
  await recordings.put(ID, WHOLE);
  await recordings.put(`2025-01-31.${SESSION}`, WHOLE);
  await recordings.putFile("2027-01-01/notes.txt");
  assertEquals(await archive.newestDay(), "2026-01-31");
});

Deno.test("FileRecordingArchive: a disk that says no is an error, not an empty archive", async () => {
  if (Deno.build.os === "windows") return;
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  // Unlike a folder that may not be read, it stops the superuser, too.
  await Deno.symlink("recordings", recordings.folder);
  const refused = Deno.errors.FilesystemLoop;
  await assertRejects(() => Array.fromAsync(archive.list()), refused);
  await assertRejects(() => archive.newestDay(), refused);
  await assertRejects(() => archive.metadata(ID), refused);
  await assertRejects(() => archive.open(ID, "audio"), refused);
  await assertRejects(() => archive.hold(ID), refused);
  await assertRejects(() => archive.setHold(ID, HOLD), refused);
  await assertRejects(() => archive.remove(ID), refused);
});

Deno.test("FileRecordingArchive: thousands are listed, a day at a time", async () => {
  await using recordings = await RecordedFiles.create();
  const archive = new FileRecordingArchive(recordings.folder);
  const days = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"];
  const expected: string[] = [];
  for (const day of days) {
    await Deno.mkdir(join(recordings.folder, day), { recursive: true });
    const names = Array.from({ length: 1000 }, () => crypto.randomUUID()).sort();
    for (const name of names) {
      Deno.writeTextFileSync(join(recordings.folder, day, `${name}.wav`), "");
      Deno.writeTextFileSync(join(recordings.folder, day, `${name}.json`), "");
      expected.push(`${day}.${name}`);
    }
  }
  assertEquals(await Array.fromAsync(archive.list()), expected);
  // A day that goes meanwhile is no fault.
  const listed: string[] = [];
  for await (const id of archive.list()) {
    if (listed.length === 0) {
      await Deno.remove(join(recordings.folder, "2026-01-03"), { recursive: true });
    }
    listed.push(id);
  }
  assertEquals(listed, expected.filter((id) => !id.startsWith("2026-01-03")));
});
