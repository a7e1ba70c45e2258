/**
 * What recovery must not touch: recordings that are being made, files that are not a recorder's,
 * and whatever the disk does not let it. The others go on.
 */
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { join, relative } from "node:path";
import { recoverRecordings, type RecoveryResult } from "../../lib/storage/recover_recordings.ts";
import { MACHINE_DISK } from "../../lib/storage/recovery_disk.ts";
import { within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { Program, ROOT } from "../helpers/program.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { concat } from "../helpers/wav_check.ts";
import {
  callAudio,
  callLog,
  DAY,
  type Files,
  headerOf,
  MONO_PCMU,
  partialAudio,
  readFiles,
  snapshot,
  STEREO_L16,
  STEREO_PCMU,
  writeFiles,
} from "./partial_recordings.ts";

const NOTHING: RecoveryResult = {
  recovered: 0,
  beingMade: 0,
  empty: 0,
  failed: 0,
  isStopped: false,
};
const AUDIO = partialAudio(STEREO_PCMU, 16_001);
const RUN = [
  "run",
  "--no-prompt",
  `--config=${join(ROOT, "deno.json")}`,
  "--allow-read",
  "--allow-write",
  "--allow-run=prlimit",
];

function partial(name: string): Files {
  return { ".wav.part": AUDIO, ".jsonl": callLog(name, STEREO_PCMU) };
}

/** All files as they were, but for one recording, which is recovered all the same. */
async function leavesAlone(
  prepare: (folder: string, name: string) => Promise<void>,
  expected: Partial<RecoveryResult>,
): Promise<LogRecords> {
  const logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const [odd, good] = [crypto.randomUUID(), crypto.randomUUID()];
  await Deno.mkdir(join(dir.path, DAY));
  await prepare(dir.path, odd);
  const before = await snapshot(dir.path);
  await writeFiles(dir.path, good, partial(good));
  const told: string[] = [];
  const result = await recoverRecordings(dir.path, { onRecovered: (id) => void told.push(id) });
  assertEquals(result, { ...NOTHING, recovered: 1, ...expected });
  assertEquals(told, [`${DAY}.${good}`]);
  assertEquals((await readFiles(dir.path, good)).metadata?.recordedSamples, 8_000);
  const after = Object.entries(await snapshot(dir.path)).filter(([path]) => !path.includes(good));
  assertEquals(Object.fromEntries(after), before);
  if (expected.failed !== undefined) {
    const [record] = logs.of("Cannot recover the recording {id}");
    assertEquals(record?.properties["id"], `${DAY}.${odd}`);
  }
  assertEquals(/Jordan|\+1555/.test(logs.text), false, "no content in the log");
  return logs;
}

const valid = (bytes: number) => {
  const file = partialAudio(STEREO_PCMU, bytes);
  file.set(headerOf(STEREO_PCMU, bytes));
  return file;
};

/** Audio files that no recorder wrote. */
const FOREIGN: Readonly<Record<string, Uint8Array>> = {
  "a text": new TextEncoder().encode("Dear diary, ".repeat(100)),
  "a short text": new TextEncoder().encode("hello"),
  "noise": crypto.getRandomValues(new Uint8Array(5_000)),
  "audio that goes on behind its end": concat(valid(1_000), new Uint8Array(3)),
  "a WAV file of another rate": valid(1_000).with(25, 0x3E),
  "a WAV file of three channels": valid(1_000).with(22, 3),
  "a WAV file whose sizes do not agree": valid(1_000).with(5, 77),
  "a WAV file of another kind": valid(1_000).with(20, 6),
  "a RIFF file that is no WAV file": partialAudio(STEREO_PCMU, 100).with(8, 65),
};

for (const [what, audio] of Object.entries(FOREIGN)) {
  for (const extension of [".wav.part", ".wav"]) {
    Deno.test(`recovery: leaves alone ${what} as ${extension}`, async () => {
      await using _logs = await leavesAlone(
        (folder, name) =>
          writeFiles(folder, name, {
            [extension]: audio,
            ".jsonl": callLog(name, STEREO_PCMU),
          }),
        { failed: 1 },
      );
    });
  }
}

Deno.test("recovery: leaves alone audio without a header of which no log says what it is", async () => {
  for (const audio of [headerOf(STEREO_PCMU).subarray(0, 30), new Uint8Array(5_000)]) {
    for (const log of ["", "nothing", undefined]) {
      await using logs = await LogRecords.watch();
      await using dir = await TempDir.create();
      const name = crypto.randomUUID();
      await writeFiles(dir.path, name, {
        ".wav.part": audio,
        ...(log === undefined ? {} : { ".jsonl": log }),
      });
      assertEquals(await recoverRecordings(dir.path), { ...NOTHING, failed: 1 });
      assertEquals(await Deno.readFile(join(dir.path, DAY, `${name}.wav.part`)), audio);
      assertMatch(logs.text, /no header, and its message log does not say/);
    }
  }
});

Deno.test("recovery: leaves alone a file that is longer than any call", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const name = crypto.randomUUID();
  await writeFiles(dir.path, name, {
    ".wav.part": headerOf(MONO_PCMU),
    ".jsonl": callLog(name, MONO_PCMU),
  });
  // Of zeroes that take no room.
  const bytes = 32 * 24 * 3600 * 8000;
  const path = join(dir.path, DAY, `${name}.wav.part`);
  await Deno.truncate(path, bytes);
  assertEquals(await recoverRecordings(dir.path), { ...NOTHING, failed: 1 });
  assertEquals((await Deno.stat(path)).size, bytes);
  assertEquals((await dir.files()).length, 2);
  assertMatch(logs.text, /longer than a call may be, 31 days/);
});

for (const extension of [".wav.part", ".wav", ".jsonl", ".json.part", ".hold"]) {
  Deno.test(`recovery: leaves alone a recording whose ${extension} is a link or a folder`, async () => {
    for (const make of ["link", "dangling link", "folder"]) {
      await using logs = await leavesAlone(async (folder, name) => {
        await writeFiles(folder, name, partial(name));
        const path = join(folder, DAY, name + extension);
        if (extension === ".wav") await Deno.remove(join(folder, DAY, `${name}.wav.part`));
        await Deno.remove(path).catch(() => {});
        if (make === "folder") return await Deno.mkdir(path);
        const target = join(folder, "elsewhere");
        if (make === "link") await Deno.writeFile(target, AUDIO);
        await Deno.symlink(target, path);
      }, { failed: 1 });
      assertMatch(logs.text, /is not a regular file/);
    }
  });
}

Deno.test("recovery: leaves alone a recording with two audio files", async () => {
  await using logs = await leavesAlone(async (folder, name) => {
    await writeFiles(folder, name, { ...partial(name), ".wav": valid(4_000) });
  }, { failed: 1 });
  assertMatch(logs.text, /both a \.wav and a \.wav\.part/);
});

Deno.test("recovery: leaves alone a log without a line of a log, if there is no audio", async () => {
  await using _logs = await leavesAlone(
    (folder, name) => writeFiles(folder, name, { ".jsonl": "groceries: milk\nand bread" }),
    { failed: 1 },
  );
});

Deno.test("recovery: leaves alone what has ended, and what is no recording", async () => {
  await using logs = await leavesAlone(async (folder, name) => {
    await writeFiles(folder, name, { ".wav": AUDIO, ".jsonl": "x", ".json": "{}" });
    await writeFiles(folder, `${name}.2`, { ".wav.part": AUDIO, ".json": "" });
    await writeFiles(folder, `${name}.3`, { ".wav": AUDIO, ".jsonl": "", ".s3": "" });
    await writeFiles(folder, `${name}.4`, { ".json.part": "{" });
    await writeFiles(folder, `${name}.6`, { ...partial(name), ".removed": "" });
    await writeFiles(folder, `${name}.5`, { ".hold": "{}" });
    await writeFiles(folder, `${name}.1`, partial(name));
    await writeFiles(folder, `${name}.0BADCAFE`, partial(name));
    await writeFiles(folder, `${name}.0badcafe0`, partial(name));
    await writeFiles(folder, `${name}.0badcafe`, { ".wav.part": AUDIO, ".json": "" });
    await writeFiles(folder, name.toUpperCase(), partial(name));
    await writeFiles(folder, "holiday", partial(name));
    await writeFiles(folder, name, partial(name), "archive");
    await writeFiles(folder, name, partial(name), "2026-13-01");
    await writeFiles(folder, name, { "": "no extension", ".wav.part.bak": "", ".txt": "" });
    await Deno.writeTextFile(join(folder, `${name}.wav.part`), "not in the folder of a day");
  }, {});
  assertEquals(logs.of("Cannot").length, 0);
});

Deno.test("recovery: a day that is no folder does not keep it from the others", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const [elsewhere, good] = [crypto.randomUUID(), crypto.randomUUID()];
  await Deno.writeTextFile(join(dir.path, "2026-01-30"), "a file");
  await writeFiles(dir.path, elsewhere, partial(elsewhere), "elsewhere");
  await Deno.symlink(join(dir.path, "elsewhere"), join(dir.path, "2026-02-01"));
  const before = await snapshot(join(dir.path, "elsewhere"));
  await writeFiles(dir.path, good, partial(good));
  assertEquals(await recoverRecordings(dir.path), { ...NOTHING, recovered: 1, failed: 2 });
  assertEquals(await snapshot(join(dir.path, "elsewhere")), before);
  assertEquals(logs.of("Cannot recover recordings of {day}").length, 2);
});

Deno.test("recovery: no folder is no recording, and a file in its place is told", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  assertEquals(await recoverRecordings(join(dir.path, "none")), NOTHING);
  assertEquals(logs.of("Cannot").length, 0);
  await Deno.writeTextFile(join(dir.path, "file"), "");
  assertEquals(await recoverRecordings(join(dir.path, "file")), { ...NOTHING, failed: 1 });
  assertEquals(logs.of("Cannot recover recordings: {folder} can't be read").length, 1);
});

Deno.test("recovery: what may not be read stays, and is told", async () => {
  await using dir = await TempDir.create();
  const name = crypto.randomUUID();
  await writeFiles(dir.path, name, partial(name));
  const path = join(dir.path, DAY, `${name}.wav.part`);
  await Deno.chmod(path, 0o000);
  const isReadable = await Deno.open(path).then((file) => (file.close(), true), () => false);
  // Who may do everything can't be kept from it.
  const expected = isReadable ? { ...NOTHING, recovered: 1 } : { ...NOTHING, failed: 1 };
  await using logs = await LogRecords.watch();
  assertEquals(await recoverRecordings(dir.path), expected);
  if (isReadable) return;
  assertEquals(logs.of("Cannot recover the recording {id}").length, 1);
  await Deno.chmod(path, 0o600);
  assertEquals(await recoverRecordings(dir.path), { ...NOTHING, recovered: 1 });
});

Deno.test("recovery: leaves alone what somebody writes, until nobody does", async () => {
  await using dir = await TempDir.create();
  const [inProcess, elsewhere] = [crypto.randomUUID(), crypto.randomUUID()];
  for (const name of [inProcess, elsewhere]) await writeFiles(dir.path, name, partial(name));
  const before = await snapshot(dir.path);
  const logPath = (name: string) => join(dir.path, DAY, `${name}.jsonl`);
  {
    using writer = await Deno.open(logPath(inProcess), { write: true });
    assert(writer.tryLockSync(true));
    await using other = new Program({
      args: [...RUN, join(import.meta.dirname ?? "", "lock_program.ts"), logPath(elsewhere)],
      cwd: dir.path,
    });
    await other.waitFor(/locked/);
    assertEquals(await recoverRecordings(dir.path), { ...NOTHING, beingMade: 2 });
    assertEquals(await snapshot(dir.path), before);
    // Another one did not take the lock away.
    assertEquals(await recoverRecordings(dir.path), { ...NOTHING, beingMade: 2 });
    await other.stop("SIGKILL");
    assertEquals(await recoverRecordings(dir.path), { ...NOTHING, recovered: 1, beingMade: 1 });
  }
  assertEquals(await recoverRecordings(dir.path), { ...NOTHING, recovered: 1 });
});

Deno.test("recovery: two at the same time do each recording once", async () => {
  await using dir = await TempDir.create();
  const names = Array.from({ length: 100 }, () => crypto.randomUUID());
  for (const name of names) await writeFiles(dir.path, name, partial(name));
  const results = await Promise.all([recoverRecordings(dir.path), recoverRecordings(dir.path)]);
  assertEquals(results.map(({ failed }) => failed), [0, 0]);
  assertEquals(results.reduce((sum, { recovered }) => sum + recovered, 0), 100);
  for (const name of names) {
    const { audio, metadata } = await readFiles(dir.path, name);
    assertEquals(audio?.length, 58 + 16_000);
    assertEquals(metadata?.recordedSamples, 8_000);
  }
});

Deno.test("recovery: removes old files without a byte, and nothing else", async () => {
  await using dir = await TempDir.create();
  const names = Array.from({ length: 6 }, () => crypto.randomUUID());
  const [old = "", oldAudio = "", young = "", held = "", kept = "", open = ""] = names;
  await writeFiles(dir.path, old, { ".jsonl": "" });
  await writeFiles(dir.path, oldAudio, { ".jsonl": "", ".wav.part": "" });
  await writeFiles(dir.path, young, { ".jsonl": "" });
  await writeFiles(dir.path, held, { ".jsonl": "", ".hold": "{}" });
  await writeFiles(dir.path, kept, { ".jsonl": "", ".json.part": "{" });
  await writeFiles(dir.path, open, { ".jsonl": "" });
  const time = new Date(Date.now() - 3_600_000);
  for (const path of await dir.files()) {
    if (!path.includes(young)) await Deno.utime(join(dir.path, path), time, time);
  }
  using writer = await Deno.open(join(dir.path, DAY, `${open}.jsonl`), { write: true });
  writer.lockSync(true);
  const emptyBeforeMs = Date.now() - 1_800_000;
  const result = await recoverRecordings(dir.path, { emptyBeforeMs });
  assertEquals(result, { ...NOTHING, empty: 5, beingMade: 1 });
  assertEquals(
    await dir.files(),
    [`${young}.jsonl`, `${held}.jsonl`, `${held}.hold`, `${kept}.jsonl`, `${kept}.json.part`]
      .concat(`${open}.jsonl`).map((name) => `${DAY}/${name}`).sort(),
  );
});

Deno.test("recovery: does not get in the way of a recorder that begins this moment", async () => {
  await using dir = await TempDir.create();
  const [young, old] = [crypto.randomUUID(), crypto.randomUUID()];
  for (const name of [young, old]) await writeFiles(dir.path, name, { ".jsonl": "" });
  await Deno.utime(join(dir.path, DAY, `${old}.jsonl`), 1, 1);
  const opened: string[] = [];
  const disk = {
    ...MACHINE_DISK,
    open(path: string, options: Deno.OpenOptions) {
      opened.push(relative(dir.path, path));
      return MACHINE_DISK.open(path, options);
    },
  };
  assertEquals(await recoverRecordings(dir.path, { disk }), { ...NOTHING, empty: 2 });
  // The young one was not even opened, since that would be to lock it.
  assertEquals(opened, [`${DAY}/${old}.jsonl`]);
  assertEquals(await dir.files(), [`${DAY}/${young}.jsonl`]);
});

Deno.test("recovery: is stopped between recordings, and goes on the next time", async () => {
  await using dir = await TempDir.create();
  const names = Array.from({ length: 100 }, () => crypto.randomUUID());
  for (const name of names) await writeFiles(dir.path, name, partial(name));
  const controller = new AbortController();
  let told = 0;
  const first = await recoverRecordings(dir.path, {
    signal: controller.signal,
    onRecovered: () => {
      if (++told === 10) controller.abort();
    },
  });
  assertEquals(first.isStopped, true);
  assertEquals(first.recovered, told);
  assertGreater(told, 9);
  assertLess(told, 60);
  for (const name of names) {
    const { audio, metadata } = await readFiles(dir.path, name);
    assertEquals(audio === undefined, metadata === undefined);
  }
  const second = await recoverRecordings(dir.path);
  assertEquals(second, { ...NOTHING, recovered: 100 - told });
  const third = await recoverRecordings(dir.path, { signal: AbortSignal.abort() });
  assertEquals(third, { ...NOTHING, isStopped: true });
});

Deno.test("recovery: who is told and fails does not keep it from going on", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const names = Array.from({ length: 30 }, () => crypto.randomUUID());
  for (const name of names) await writeFiles(dir.path, name, partial(name));
  const result = await recoverRecordings(dir.path, {
    onRecovered: () => Promise.reject(new Error("no index")),
  });
  assertEquals(result, { ...NOTHING, recovered: 30 });
  assertEquals(logs.of("The recording {id} is recovered, but").length, 30);
});

Deno.test("recovery: a disk that is full costs no audio, and the next one completes", async () => {
  if (Deno.build.os !== "linux") return;
  await using dir = await TempDir.create();
  const name = crypto.randomUUID();
  await writeFiles(dir.path, name, {
    ".wav.part": partialAudio(STEREO_L16, 4_003),
    ".jsonl": callLog(name, STEREO_L16),
  });
  const script = join(import.meta.dirname ?? "", "full_disk_program.ts");
  await using program = new Program({
    executable: "bash",
    // A file that has its largest size then gives an error, as a full disk does, not a signal.
    args: ["-c", 'trap "" XFSZ; exec "$0" "$@"', Deno.execPath(), ...RUN, script, dir.path],
    cwd: dir.path,
  });
  const { code, stdout, output } = await program.ended();
  assertEquals(code, 0, output);
  assertEquals(JSON.parse(stdout), { ...NOTHING, failed: 1 });
  const path = join(dir.path, DAY, `${name}.wav.part`);
  assertEquals(await Deno.readFile(path), partialAudio(STEREO_L16, 4_003));
  assertEquals(await within(recoverRecordings(dir.path), "recovery"), { ...NOTHING, recovered: 1 });
  const { audio } = await readFiles(dir.path, name);
  assertEquals(audio, concat(headerOf(STEREO_L16, 4_000), callAudio(STEREO_L16).slice(0, 4_000)));
});
