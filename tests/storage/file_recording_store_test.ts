/**
 * Recordings as files: the suite of all stores, and what is said of the names of files.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join, relative } from "node:path";
import { FileRecordingStore } from "../../lib/storage/mod.ts";
import { readIfExists, TempDir } from "../helpers/temp_dir.ts";
import { testRecordingStore } from "./recording_store_suite.ts";

const DAY = "2026-01-31";
const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const bytes = (text: string) => new TextEncoder().encode(text);

testRecordingStore("FileRecordingStore", async () => {
  const dir = await TempDir.create();
  const store = new FileRecordingStore(dir.path);
  return {
    store,
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
  await files.finishAudio();
  await files.writeMetadata("{}");
  files.close();
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
  (await store.create(DAY, ID)).close();
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
      await files.finishAudio();
      await files.writeMetadata("new");
    } finally {
      files.close();
    }
    assertEquals(await Deno.readTextFile(old), "old");
    assertEquals(await Deno.readTextFile(`${files.location}.wav`), "new");
    assertEquals(await Deno.readTextFile(`${files.location}.json`), "new");
    assert((await dir.files()).length >= 4);
  });
}

Deno.test("FileRecordingStore: files that were let go cannot be written", async () => {
  await using dir = await TempDir.create();
  const files = await new FileRecordingStore(dir.path).create(DAY, ID);
  files.close();
  await assertRejects(() => files.writeMessages(0, bytes("late")));
});
