/**
 * Recordings that were given up are completed when the disk works again, and no others.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import {
  DiskBackend,
  entryOf,
  FileRecordingArchive,
  RecordingLibrary,
  type RecordingMetadata,
  recoverRecordings,
} from "../../lib/storage/mod.ts";
import {
  GivenUpRecordings,
  type GivenUpRecordingsOptions,
} from "../../lib/storage/given_up_recordings.ts";
import { MACHINE_DISK, type RecoveryDisk } from "../../lib/storage/recovery_disk.ts";
import { until } from "../helpers/deadline.ts";
import { FaultyStore } from "../helpers/faulty_store.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { TestServer } from "../helpers/test_server.ts";
import { EXTERNAL } from "../helpers/wire_client.ts";
import { assertWav, noise } from "../helpers/wav_check.ts";
import {
  callLog,
  DAY,
  type Files,
  partialAudio,
  readFiles,
  snapshot,
  STEREO_PCMU,
  writeFiles,
} from "./partial_recordings.ts";

const AUDIO = partialAudio(STEREO_PCMU, 16_001);

function partial(name: string): Files {
  return { ".wav.part": AUDIO, ".jsonl": callLog(name, STEREO_PCMU) };
}

/** A folder, and what completes recordings in it. */
class Scene implements AsyncDisposable {
  readonly dir: TempDir;
  readonly recordings: GivenUpRecordings;
  readonly told: [id: string, metadata: RecordingMetadata | undefined][] = [];

  private constructor(dir: TempDir, options: Partial<GivenUpRecordingsOptions>) {
    this.dir = dir;
    const archive = new FileRecordingArchive(dir.path);
    this.recordings = new GivenUpRecordings(archive, { folder: dir.path, retryMs: 5, ...options });
  }

  static async make(options: Partial<GivenUpRecordingsOptions> = {}): Promise<Scene> {
    return new Scene(await TempDir.create(), options);
  }

  start(): void {
    this.recordings.start((id, metadata) => void this.told.push([id, metadata]));
  }

  /** A recording with these files was given up. */
  async giveUp(files: (name: string) => Files): Promise<string> {
    const name = crypto.randomUUID();
    await writeFiles(this.dir.path, name, files(name));
    this.recordings.add(`${DAY}.${name}`);
    return name;
  }

  async done(): Promise<void> {
    await until(() => this.recordings.waiting === 0, "the end of all of them");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recordings[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** The disk of this machine, on which no file can be made as long as it is full. */
class FullDisk implements RecoveryDisk {
  readonly lstat = MACHINE_DISK.lstat;
  readonly rename = MACHINE_DISK.rename;
  readonly remove = MACHINE_DISK.remove;
  isFull = true;
  refused = 0;
  /** How many folders were looked through. */
  foldersRead = 0;

  readDir(path: string): AsyncIterable<Deno.DirEntry> {
    this.foldersRead++;
    return MACHINE_DISK.readDir(path);
  }

  async open(path: string, options: Deno.OpenOptions): Promise<Deno.FsFile> {
    if (!this.isFull || options.create !== true) return await Deno.open(path, options);
    this.refused++;
    throw Object.assign(new Error("No space left on device"), { code: "ENOSPC" });
  }
}

Deno.test("given up: a recording is completed when nobody has it any more, others are left alone", async () => {
  await using scene = await Scene.make();
  const { path } = scene.dir;
  const other = crypto.randomUUID();
  await writeFiles(path, other, partial(other));
  const before = await snapshot(path);
  const name = await scene.giveUp(partial);
  const file = await Deno.open(join(path, DAY, `${name}.jsonl`), { read: true, write: true });
  assert(file.tryLockSync(true));
  const second = await scene.giveUp(partial);
  scene.start();
  // As long as its writer has the first one, the second is completed all the same.
  await until(() => scene.told.length === 1, "the second");
  assertEquals(scene.told[0]?.[0], `${DAY}.${second}`);
  assertEquals(scene.recordings.waiting, 1);
  file.close();
  await scene.done();
  for (const [index, given] of [second, name].entries()) {
    const { metadata } = await readFiles(path, given);
    assertEquals([metadata?.recovered, metadata?.recordedSamples], [true, 8_000]);
    assertEquals(scene.told[index], [`${DAY}.${given}`, metadata]);
  }
  const isOfOthers = ([path]: [string, string]) => !path.includes(name) && !path.includes(second);
  const after = Object.entries(await snapshot(path)).filter(isOfOthers);
  assertEquals(Object.fromEntries(after), before);
});

Deno.test("given up: while the disk fails, a few are tried; when it works, all, each told once", async () => {
  const disk = new FullDisk();
  await using logs = await LogRecords.watch();
  await using scene = await Scene.make({ disk });
  const names: string[] = [];
  for (let n = 0; n < 40; n++) names.push(await scene.giveUp(partial));
  scene.start();
  await until(() => disk.refused >= 3, "refusals");
  assertEquals([scene.told.length, scene.recordings.waiting], [0, 40]);
  disk.isFull = false;
  await scene.done();
  assertEquals(scene.told.map(([id]) => id).sort(), names.map((name) => `${DAY}.${name}`).sort());
  assertEquals(logs.records.filter(({ level }) => !/debug|info/.test(level)), []);
  assertEquals(logs.of("Recovered the recording {id}").length, 40);
  // It begins anew with what comes later.
  const late = await scene.giveUp(partial);
  await scene.done();
  assertEquals(scene.told.at(-1)?.[0], `${DAY}.${late}`);
  assertEquals(disk.foldersRead, 0);
});

Deno.test("given up: what a start could not complete on a full disk is completed later", async () => {
  const disk = new FullDisk();
  await using scene = await Scene.make({ disk });
  const name = crypto.randomUUID();
  await writeFiles(scene.dir.path, name, partial(name));
  const onDiskFailure = (id: string) => scene.recordings.add(id);
  const { failed } = await recoverRecordings(scene.dir.path, { disk, onDiskFailure });
  assertEquals([failed, scene.recordings.waiting], [1, 1]);
  disk.isFull = false;
  scene.start();
  await scene.done();
  assertEquals(scene.told.map(([id]) => id), [`${DAY}.${name}`]);
});

Deno.test("given up: while the disk fails, no more than 16 are tried at a time", async () => {
  const disk = new FullDisk();
  // One round, and not another one before the end.
  await using scene = await Scene.make({ disk, retryMs: 300 });
  for (let n = 0; n < 40; n++) await scene.giveUp(partial);
  scene.start();
  await until(() => disk.refused === 16, "the first round");
  await scene.recordings[Symbol.asyncDispose]();
  assertEquals([disk.refused, scene.recordings.waiting], [16, 40]);
});

Deno.test("given up: of one without a byte, nothing is left, unless it is held", async () => {
  await using scene = await Scene.make();
  const empty = await scene.giveUp(() => ({ ".jsonl": "", ".wav.part": "" }));
  await scene.giveUp(() => ({ ".jsonl": "", ".hold": "{}" }));
  // By the times of the files, which are those of the disk.
  const past = new Date(Date.now() - 60_000);
  for (const file of await scene.dir.files()) {
    await Deno.utime(scene.dir.path + "/" + file, past, past);
  }
  scene.start();
  await scene.done();
  assertEquals(scene.told, [[`${DAY}.${empty}`, undefined]]);
  assertEquals((await scene.dir.files()).map((file) => file.replace(/^.*?\./, ".")), [
    ".hold",
    ".jsonl",
  ]);
});

Deno.test("given up: one that ended all the same is told; one that is gone, or can't be completed, is not", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.make();
  const name = await scene.giveUp(partial);
  scene.start();
  await scene.done();
  const [first] = scene.told;
  assert(first !== undefined);
  // Its last step failed when it had its name.
  scene.recordings.add(`${DAY}.${name}`);
  await scene.done();
  assertEquals(scene.told, [first, first]);

  const { path } = scene.dir;
  const odd = crypto.randomUUID();
  await writeFiles(path, odd, { ...partial(odd), ".wav": AUDIO });
  const before = await snapshot(path);
  scene.recordings.add(`${DAY}.${crypto.randomUUID()}`);
  scene.recordings.add(`${DAY}.${odd}`);
  await scene.done();
  assertEquals(scene.told.length, 2);
  assertEquals(await snapshot(path), before);
  const [record, ...more] = logs.of("Cannot recover the recording {id}: {why}");
  assertEquals([record?.properties["id"], more.length], [`${DAY}.${odd}`, 0]);
});

Deno.test("given up: more than are remembered are left to the next start, which is said once", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.make({ maxWaiting: 2 });
  for (let n = 0; n < 5; n++) await scene.giveUp(partial);
  scene.start();
  await scene.done();
  assertEquals(scene.told.length, 2);
  assertEquals(logs.of("More than {count} recordings are to be completed").length, 1);
});

Deno.test("given up: after its end, nothing is touched", async () => {
  await using scene = await Scene.make({ retryMs: 60_000 });
  await scene.giveUp(partial);
  scene.start();
  const before = await snapshot(scene.dir.path);
  await scene.recordings[Symbol.asyncDispose]();
  assertEquals(await snapshot(scene.dir.path), before);
  assertEquals([scene.told.length, scene.recordings.waiting], [0, 1]);
});

Deno.test("given up: a call that ended on a full disk is found as recovered when there is room, without a restart", async () => {
  let store: FaultyStore | undefined;
  const parts: { library?: RecordingLibrary } = {};
  await using server = await TestServer.start({
    store: (files) => store = new FaultyStore(files),
    sessionLimits: { silenceTimeoutMs: 3_600_000 },
    recorderOptions: {
      onBegun: (recording) => parts.library?.begun(recording),
      onEnded: (id, metadata) => parts.library?.ended(id, metadata),
      onGivenUp: (id) => parts.library?.givenUp(id),
    },
  });
  assert(store !== undefined);
  const dataDir = server.data.path;
  await using library = new RecordingLibrary({
    backend: new DiskBackend({
      dataDir,
      recordingsDir: join(dataDir, "recordings"),
      retryGivenUpMs: 20,
    }),
    index: { place: { kind: "memory" }, key: crypto.getRandomValues(new Uint8Array(32)) },
  });
  parts.library = library;
  library.start();
  await using running = await server.connect();
  await running.open({ media: [EXTERNAL] });
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  client.sendAudio(noise(16_000));
  const find = async () => {
    const { entries } = await library.index.find({}, 10);
    return entries.find(({ id }) => id.includes(client.id));
  };
  const id = (await until(find, "an entry in the index")).id;
  const part = join(dataDir, "recordings", id.slice(0, 10), `${client.id}.wav.part`);
  await until(async () => (await Deno.stat(part)).size === 16_058, "the audio");
  store.become("is full");
  client.sendAudio(noise(4_000));
  await client.close();
  await client.hangUp();
  await until(() => server.server.connectionCount === 1, "the end of the call");
  const { now } = performance;
  try {
    // More than it is tried after the call.
    performance.now = () => now.call(performance) + 61_000;
    await until(() => server.recorder.status.givenUp === 1, "the recording to be given up");
  } finally {
    performance.now = now;
  }
  store.become("works");
  const found = await until(async () => {
    const recording = await find();
    return recording?.state === "recovered" ? recording : undefined;
  }, "the recovered recording");
  const metadata = await library.archive.metadata(id);
  assert(metadata !== undefined);
  const { participant: _hidden, ...entry } = entryOf(id, metadata);
  assertEquals(found, entry);
  assertEquals([metadata.recordedSamples, metadata.closeReason], [16_000, null]);
  const wav = await Deno.readFile(part.slice(0, -".part".length));
  assertWav(wav, { format: "PCMU", channels: 1, data: noise(16_000) });
  // The call that goes on, beside it, is not touched.
  running.sendAudio(noise(800));
  await running.close();
  assertEquals((await server.recording(running.id)).metadata.recovered, false);
});
