/**
 * Recordings as files: the suite of all stores, and what is said of the names of files.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { basename, join, relative } from "node:path";
import { FileRecordingStore, isRecordingName, sessionOf } from "../../lib/storage/mod.ts";
import { OpenRecording } from "../../lib/storage/open_recording.ts";
import { Places } from "../../lib/storage/places.ts";
import { SyncSchedule } from "../../lib/storage/sync_schedule.ts";
import { until } from "../helpers/deadline.ts";
import { readIfExists, TempDir } from "../helpers/temp_dir.ts";
import { endingOf } from "./ending_of.ts";
import { isLocked } from "./lock_check.ts";
import { testRecordingStore } from "./recording_store_suite.ts";

const DAY = "2026-01-31";
const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const bytes = (text: string) => new TextEncoder().encode(text);

for (const names of ["numbered", "unique"] as const) {
  testRecordingStore(`FileRecordingStore, ${names} names`, async () => {
    const dir = await TempDir.create();
    const store = new FileRecordingStore(dir.path, { hasUniqueNames: names === "unique" });
    return {
      store,
      names,
      async read({ location }) {
        const metadata = await readIfExists(`${location}.json`);
        return {
          unfinishedAudio: await readIfExists(`${location}.wav.part`),
          audio: await readIfExists(`${location}.wav`),
          messages: await readIfExists(`${location}.jsonl`),
          metadata: metadata && new TextDecoder().decode(metadata),
        };
      },
      async count() {
        return (await dir.files()).filter((name) => name.endsWith(".jsonl")).length;
      },
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  });
}

Deno.test("FileRecordingStore: the names of files", async () => {
  await using dir = await TempDir.create();
  await using store = new FileRecordingStore(join(dir.path, "made", "when needed"));
  const files = await store.create(DAY, ID);
  await files.writeAudio(0, bytes("audio"));
  await files.writeMessages(0, bytes("{}\n"));
  assertEquals(await dir.files(), [
    `made/when needed/${DAY}/${ID}.jsonl`,
    `made/when needed/${DAY}/${ID}.wav.part`,
  ]);
  await files.finish(endingOf({ header: bytes("AUDIO") }));
  await files.close();
  assertEquals(await dir.files(), [
    `made/when needed/${DAY}/${ID}.json`,
    `made/when needed/${DAY}/${ID}.jsonl`,
    `made/when needed/${DAY}/${ID}.wav`,
  ]);
  assertEquals(
    relative(dir.path, files.location).replaceAll("\\", "/"),
    `made/when needed/${DAY}/${ID}`,
  );
});

Deno.test("FileRecordingStore: what cannot be made can be tried again", async () => {
  await using dir = await TempDir.create();
  const folder = join(dir.path, "recordings");
  await Deno.writeTextFile(folder, "in the way");
  await using store = new FileRecordingStore(folder);
  await assertRejects(() => store.create(DAY, ID));
  await Deno.remove(folder);
  await (await store.create(DAY, ID)).close();
  assertEquals(await dir.files(), [`recordings/${DAY}/${ID}.jsonl`]);
});

// "It never touches one that exists", whichever of its files is left.
for (const left of [".wav", ".wav.part", ".json", ".jsonl"]) {
  Deno.test(`FileRecordingStore: a ${left} that is there is not touched, and stops nothing`, async () => {
    await using dir = await TempDir.create();
    await Deno.mkdir(join(dir.path, DAY));
    const old = join(dir.path, DAY, ID + left);
    await Deno.writeTextFile(old, "old");
    await using store = new FileRecordingStore(dir.path);
    const files = await store.create(DAY, ID);
    try {
      await files.writeMessages(0, bytes("new"));
      await files.writeAudio(0, bytes("new"));
      await files.finish(endingOf({ header: bytes("n"), metadata: "new" }));
    } finally {
      await files.close();
    }
    assertEquals(await Deno.readTextFile(old), "old");
    assertEquals(await Deno.readTextFile(`${files.location}.wav`), "new");
    assertEquals(await Deno.readTextFile(`${files.location}.json`), "new");
    assert((await dir.files()).length >= 4);
  });
}

Deno.test("FileRecordingStore: stores of several folders never give the same name", async () => {
  await using dir = await TempDir.create();
  const locations: string[] = [];
  for (const folder of ["one", "two", "three"]) {
    await using store = new FileRecordingStore(join(dir.path, folder), { hasUniqueNames: true });
    for (let n = 0; n < 20; n++) {
      const files = await store.create(DAY, ID);
      locations.push(files.location);
      assertEquals(files.id, `${DAY}.${basename(files.location)}`);
      assert(isRecordingName(basename(files.location)));
      assertEquals(sessionOf(basename(files.location)), ID);
      await files.close();
    }
  }
  assertEquals(new Set(locations.map((location) => basename(location))).size, 60);
});

/** Makes one of a unique name, without a thread. */
function openIn(folder: string): OpenRecording {
  return OpenRecording.create(folder, ID, {
    schedule: new SyncSchedule(0, () => {}),
    places: new Places(1),
    onSync: () => {},
    hasUniqueName: true,
  });
}

for (const left of [".wav", ".wav.part", ".json", ".jsonl", ".removed"]) {
  Deno.test(`OpenRecording: a unique name of which a ${left} is there is not taken`, async () => {
    await using dir = await TempDir.create();
    const old = join(dir.path, `${ID}.0badcafe${left}`);
    await Deno.writeTextFile(old, "old");
    const names = ["0badcafe", "0badcafe", "600df00d"];
    const random = stubRandom(names);
    try {
      const recording = openIn(dir.path);
      recording.close();
      assertEquals(basename(recording.location), `${ID}.600df00d`);
    } finally {
      random.restore();
    }
    assertEquals(await Deno.readTextFile(old), "old");
    assertEquals(names, []);
  });
}

Deno.test("OpenRecording: if no name is free, it fails, and nothing is touched", async () => {
  await using dir = await TempDir.create();
  const old = join(dir.path, `${ID}.0badcafe.json`);
  await Deno.writeTextFile(old, "old");
  const random = stubRandom(Array.from({ length: 100 }, () => "0badcafe"));
  try {
    assertThrows(() => openIn(dir.path), Error, "There is no free name");
  } finally {
    random.restore();
  }
  assertEquals(await dir.files(), [`${ID}.0badcafe.json`]);
});

/** Lets the system's random bytes be these, taken from the list. */
function stubRandom(digits: string[]): { restore(): void } {
  const original = crypto.getRandomValues;
  crypto.getRandomValues = (<T extends ArrayBufferView | null>(into: T): T => {
    const next = digits.shift();
    if (next !== undefined && into instanceof Uint8Array) into.set(Uint8Array.fromHex(next));
    return into;
  }) as typeof original;
  return { restore: () => void (crypto.getRandomValues = original) };
}

Deno.test("FileRecordingStore: files that were let go cannot be written", async () => {
  await using dir = await TempDir.create();
  await using store = new FileRecordingStore(dir.path);
  const files = await store.create(DAY, ID);
  await files.close();
  await assertRejects(() => files.writeMessages(0, bytes("late")));
});

for (const extension of [".wav", ".json"]) {
  Deno.test(`FileRecordingStore: a ${extension} that comes meanwhile is not overwritten`, async () => {
    await using dir = await TempDir.create();
    await using store = new FileRecordingStore(dir.path);
    const files = await store.create(DAY, ID);
    await files.writeAudio(0, bytes("audio"));
    const path = files.location + extension;
    await Deno.writeTextFile(path, "foreign");
    const ending = endingOf({ header: bytes("AUDIO") });
    for (let n = 0; n < 2; n++) {
      await assertRejects(() => files.finish(ending), Deno.errors.AlreadyExists);
    }
    assertEquals(await Deno.readTextFile(path), "foreign");
    await Deno.remove(path);
    await files.finish(ending);
    await files.close();
    assertEquals(await Deno.readTextFile(`${files.location}.wav`), "AUDIO");
    assertEquals(await Deno.readTextFile(`${files.location}.json`), "{}");
  });
}

Deno.test("FileRecordingStore: when its thread has ended, another one goes on with what is open", async () => {
  await using dir = await TempDir.create();
  await using store = new FileRecordingStore(dir.path);
  const begun = await store.create(DAY, ID);
  const written = await store.create(DAY, ID);
  const finished = await store.create(DAY, ID);
  const silent = await store.create(DAY, ID);
  const all = [begun, written, finished];
  const ending = endingOf({ header: bytes("HEAD"), rest: { offset: 8, bytes: bytes("end") } });
  for (const files of [written, finished]) {
    await files.writeAudio(0, bytes("head"));
    await files.writeMessages(0, bytes("one\n"));
  }
  await finished.finish({ ...ending, audio: undefined, metadata: "first" });
  await store[Symbol.asyncDispose]();
  // At once, so that one of them opens the files for both.
  for (const files of [begun, written]) {
    await Promise.all([
      files.writeAudio(0, bytes("headmore")),
      files.writeMessages(0, bytes("one\ntwo\n")),
    ]);
    assert(await isLocked(files), "locked again");
  }
  await store[Symbol.asyncDispose]();
  for (const files of [begun, written]) await files.finish(ending);
  // It has ended, and stays as it is.
  await finished.finish(ending);
  await finished.writeMessages(4, bytes("two\n"));
  await silent.close();
  for (const files of all) await files.close();
  for (const { location } of [begun, written]) {
    assertEquals(await Deno.readTextFile(`${location}.wav`), "HEADmoreend");
    assertEquals(await Deno.readTextFile(`${location}.json`), "{}");
  }
  assertEquals(await Deno.readTextFile(`${finished.location}.json`), "first");
  for (const { location } of all) {
    assertEquals(await Deno.readTextFile(`${location}.jsonl`), "one\ntwo\n");
  }
});

Deno.test("FileRecordingStore: a recording that somebody else took over meanwhile is not written", async () => {
  await using dir = await TempDir.create();
  await using store = new FileRecordingStore(dir.path);
  const files = await store.create(DAY, ID);
  await store[Symbol.asyncDispose]();
  {
    using other = await Deno.open(`${files.location}.jsonl`, { write: true });
    await until(() => other.tryLock(true), "the lock, which goes with the thread");
    await assertRejects(() => files.writeMessages(0, bytes("one\n")), Deno.errors.Busy);
  }
  await files.writeMessages(0, bytes("one\n"));
  await files.close();
  assertEquals(await Deno.readTextFile(`${files.location}.jsonl`), "one\n");
});

Deno.test("FileRecordingStore: how far syncing is behind is told", async () => {
  await using dir = await TempDir.create();
  // Long, so that nothing is synced before it was told.
  await using store = new FileRecordingStore(dir.path, { syncSeconds: 100 });
  assertEquals(store.status, { unsyncedFiles: 0, unsyncedSeconds: 0, busySeconds: 0 });
  const files = await store.create(DAY, ID);
  await files.writeAudio(0, bytes("audio"));
  await until(() => store.status.unsyncedFiles === 1, "something to be synced");
  const { unsyncedSeconds, busySeconds } = store.status;
  assert(unsyncedSeconds > 0);
  assertEquals(busySeconds, 0);
  await until(() => store.status.unsyncedSeconds > unsyncedSeconds, "its age");
  await files.close();
});
