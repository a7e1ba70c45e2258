/**
 * The writer of one recording by itself, with real files.
 */
import { assertEquals } from "@std/assert";
import { RecordingWriter } from "../../lib/app/recording_writer.ts";
import { FileRecordingStore } from "../../lib/storage/mod.ts";
import { TempDir } from "../helpers/temp_dir.ts";

Deno.test("recording writer: a recording that was given up is not begun anew by its last message", async () => {
  await using dir = await TempDir.create();
  await using store = new FileRecordingStore(dir.path);
  let isFull = true;
  let failures = 0;
  const writer = new RecordingWriter({
    async create() {
      if (isFull) throw new Error("No space left on device");
      return await store.create("2026-01-31", crypto.randomUUID());
    },
    chunkBytes: 8000,
    silenceByte: 0xff,
    header: undefined,
    onFailure: () => failures++,
    onRecovery: () => {},
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
