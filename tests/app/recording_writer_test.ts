/**
 * The writer of one recording by itself, with real files.
 */
import { assertEquals } from "@std/assert";
import { RecordingWriter, type RecordingWriterOptions } from "../../lib/app/recording_writer.ts";
import { WAITING_AUDIO } from "../../lib/app/waiting_audio.ts";
import { FileRecordingStore, type RecordingFiles } from "../../lib/storage/mod.ts";
import { until } from "../helpers/deadline.ts";
import { FaultyStore } from "../helpers/faulty_store.ts";
import { readIfExists, TempDir } from "../helpers/temp_dir.ts";
import { concat, noise } from "../helpers/wav_check.ts";

const DAY = "2026-01-31";
const HEADER = new TextEncoder().encode("head");

const OPTIONS = {
  chunkBytes: 8000,
  silenceByte: 0xff,
  header: HEADER,
  onFailure: () => {},
  onRecovery: () => {},
} as const satisfies Partial<RecordingWriterOptions>;

Deno.test("recording writer: a recording that was given up is not begun anew by its last message", async () => {
  await using dir = await TempDir.create();
  await using store = new FileRecordingStore(dir.path);
  let isFull = true;
  let failures = 0;
  const writer = new RecordingWriter({
    ...OPTIONS,
    async create() {
      if (isFull) throw new Error("No space left on device");
      return await store.create(DAY, crypto.randomUUID());
    },
    header: undefined,
    onFailure: () => failures++,
  });
  writer.message("first\n");
  const finished = writer.finish(undefined, new Uint8Array(), () => "{}");
  const { now } = performance;
  try {
    // More than it is tried after the call.
    performance.now = () => now.call(performance) + 61_000;
    assertEquals(await finished, false);
  } finally {
    performance.now = now;
  }
  isFull = false;
  writer.message("last\n");
  await writer.close();
  assertEquals([failures, await dir.files()], [1, []]);
});

Deno.test("recording writer: a store may be tried for longer, as long as not too much waits in memory", async () => {
  for (const isTooMuch of [false, true]) {
    await using dir = await TempDir.create();
    await using files = new FileRecordingStore(dir.path);
    const store = new FaultyStore(files);
    const id = crypto.randomUUID();
    const writer = new RecordingWriter({
      ...OPTIONS,
      create: () => store.create(DAY, id),
      keepTryingMs: 3_600_000,
    });
    writer.audio(noise(100));
    writer.flush();
    const path = `${dir.path}/${DAY}/${id}.wav.part`;
    await until(async () => (await readIfExists(path))?.length === 104, "the audio");
    store.become("is full");
    const finished = writer.finish(HEADER, new Uint8Array(), () => "{}");
    const others = isTooMuch ? 300 * 1024 * 1024 : 0;
    WAITING_AUDIO.add(others);
    const { now } = performance;
    try {
      performance.now = () => now.call(performance) + 3_500_000;
      const { faults } = store;
      await until(() => Promise.resolve(store.faults > faults + 1 || isTooMuch), "more tries");
      if (!isTooMuch) store.become("works");
      assertEquals(await finished, !isTooMuch);
    } finally {
      performance.now = now;
      WAITING_AUDIO.add(-others);
      await writer.close();
    }
  }
});

Deno.test("recording writer: a look hands over what came; one that finds the storage busy, as soon as it is not", async () => {
  await using dir = await TempDir.create();
  await using files = new FileRecordingStore(dir.path);
  const store = new FaultyStore(files);
  const id = crypto.randomUUID();
  const writer = new RecordingWriter({ ...OPTIONS, create: () => store.create(DAY, id) });
  const audio = async () => await readIfExists(`${dir.path}/${DAY}/${id}.wav.part`);
  const has = (bytes: number) =>
    until(async () => (await audio())?.length === HEADER.length + bytes, `${bytes} bytes`);
  try {
    writer.audio(noise(100, 1));
    await has(0);
    writer.look();
    await has(100);
    store.become("hangs");
    writer.audio(noise(100, 2));
    writer.look();
    writer.audio(noise(100, 3));
    writer.message("one\n");
    writer.look();
    store.become("works");
    // Without another look.
    await has(300);
    const log = `${dir.path}/${DAY}/${id}.jsonl`;
    await until(async () => await Deno.readTextFile(log) === "one\n", "the message");
    assertEquals(await audio(), concat(HEADER, noise(100, 1), noise(100, 2), noise(100, 3)));
  } finally {
    store.become("works");
    await writer.finish(HEADER, new Uint8Array(), () => "{}");
    await writer.close();
  }
});

Deno.test("recording writer: one write for the audio of a look, one for its messages, and one request at the end", async () => {
  await using dir = await TempDir.create();
  await using store = new FileRecordingStore(dir.path);
  const calls: string[] = [];
  let location = "";
  const noting = (files: RecordingFiles): RecordingFiles => ({
    id: files.id,
    location: files.location,
    writeAudio: (offset, bytes) => {
      calls.push(`audio ${offset} ${bytes.length}`);
      return files.writeAudio(offset, bytes);
    },
    writeMessages: (offset, bytes) => {
      calls.push(`messages ${offset} ${bytes.length}`);
      return files.writeMessages(offset, bytes);
    },
    finish: (ending) => {
      calls.push("finish");
      return files.finish(ending);
    },
    hurry: () => files.hurry(),
    close: () => files.close(),
  });
  const writer = new RecordingWriter({
    ...OPTIONS,
    create: async () => noting(await store.create(DAY, crypto.randomUUID())),
    onCreated: (files) => location = files.location,
  });
  const written = (count: number) => until(() => calls.length >= count, "the writes");
  await written(1);
  for (let look = 0; look < 3; look++) {
    for (let frame = 0; frame < 8; frame++) writer.audio(noise(800, look * 8 + frame));
    for (let n = 0; n < 5; n++) writer.message("one\n");
    writer.look();
    await written(1 + 2 * (look + 1));
  }
  writer.audio(noise(11));
  writer.message("two\n");
  assertEquals(await writer.finish(HEADER, new Uint8Array(1), () => "{}"), true);
  writer.message("three\n");
  await writer.close();
  assertEquals(calls, [
    "audio 0 4",
    ...["audio 4 6400", "messages 0 20"],
    ...["audio 6404 6400", "messages 20 20"],
    ...["audio 12804 6400", "messages 40 20"],
    "finish",
    "messages 64 6",
  ]);
  assertEquals((await Deno.stat(`${location}.wav`)).size, 19_204 + 12);
  const lines = `${"one\n".repeat(15)}two\nthree\n`;
  assertEquals(await Deno.readTextFile(`${location}.jsonl`), lines);
});

Deno.test("recording writer: syncs that fail are a failure until they succeed, told once", async () => {
  await using dir = await TempDir.create();
  await using files = new FileRecordingStore(dir.path);
  const store = new FaultyStore(files);
  const told: string[] = [];
  let onSync: (error: unknown) => void = () => {};
  let path = "";
  const writer = new RecordingWriter({
    ...OPTIONS,
    create(told) {
      onSync = told;
      return store.create(DAY, crypto.randomUUID());
    },
    onCreated: ({ location }) => path = `${location}.wav.part`,
    onFailure: (error) => told.push((error as Error).message),
    onRecovery: () => told.push("works"),
  });
  const has = (bytes: number) =>
    until(async () => (await readIfExists(path))?.length === bytes, `${bytes} bytes`);
  await until(() => path !== "", "the files");
  await has(4);
  onSync(new Error("broken"));
  onSync(new Error("still broken"));
  writer.audio(noise(100));
  writer.flush();
  await has(104);
  assertEquals(told, ["broken"], "writes that succeed are no syncs");
  store.become("is full");
  writer.audio(noise(100));
  writer.flush();
  await until(() => store.faults > 0, "a write that fails");
  onSync(undefined);
  assertEquals(told, ["broken"], "it is written no better");
  store.become("works");
  await until(() => told.length === 2, "the end of the failure");
  assertEquals(told, ["broken", "works"]);
  assertEquals(await writer.finish(HEADER, new Uint8Array(), () => "{}"), true);
  await writer.close();
  assertEquals(told, ["broken", "works"]);
});
