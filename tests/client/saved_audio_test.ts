import { assertEquals, assertGreater, assertMatch, assertThrows } from "@std/assert";
import { SavedAudio } from "../../lib/client/saved_audio.ts";
import { assertSameBytes, TemporaryFolder, wavChunks } from "../helpers/program.ts";
import { someMulaw } from "./wav_files.ts";

/** What a test does with a new path. */
async function withPath(test: (path: string) => void): Promise<void> {
  await using folder = await TemporaryFolder.make();
  test(folder.join("bot.wav"));
}

Deno.test("saved audio: frames of an odd length make a whole file", async () => {
  await withPath((path) => {
    const audio = SavedAudio.create(path, "PCMU");
    const data = someMulaw(1235);
    audio.write(data.subarray(0, 1000));
    audio.write(data.subarray(1000));
    audio.finish();
    audio.finish();
    audio.write(data);
    assertEquals([audio.bytes, audio.failure], [1235, undefined]);
    const chunks = wavChunks(Deno.readFileSync(path));
    assertSameBytes(chunks.get("data") ?? new Uint8Array(), data);
    assertEquals(Array.from(chunks.get("fmt ")?.subarray(0, 4) ?? []), [7, 0, 1, 0]);
  });
});

Deno.test("saved audio: 16-bit audio says so", async () => {
  await withPath((path) => {
    const audio = SavedAudio.create(path, "L16");
    audio.write(someMulaw(400));
    audio.finish();
    const chunks = wavChunks(Deno.readFileSync(path));
    assertEquals(chunks.get("data")?.length, 400);
    assertEquals(Array.from(chunks.get("fmt ")?.subarray(0, 4) ?? []), [1, 0, 1, 0]);
  });
});

Deno.test("saved audio: without a frame, there is no file, and the next may have its name", async () => {
  await withPath((path) => {
    for (let n = 0; n < 2; n++) {
      const audio = SavedAudio.create(path, "PCMU");
      assertGreater(Deno.statSync(path).size, 0);
      audio.finish();
      audio.finish();
      assertEquals([audio.bytes, audio.failure], [0, undefined]);
      assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
    }
  });
});

Deno.test("saved audio: a file without a frame that somebody removed is no matter of ours", async () => {
  await withPath((path) => {
    const audio = SavedAudio.create(path, "PCMU");
    Deno.removeSync(path);
    audio.finish();
    assertEquals([audio.bytes, audio.failure], [0, undefined]);
  });
});

Deno.test("saved audio: a file that was never finished plays to its end", async () => {
  await withPath((path) => {
    const audio = SavedAudio.create(path, "PCMU");
    audio.write(someMulaw(100));
    const bytes = Deno.readFileSync(path);
    assertEquals(bytes.length, 158);
    assertEquals(Array.from(bytes.subarray(54, 58)), [0xff, 0xff, 0xff, 0xff]);
    audio.finish();
  });
});

Deno.test("saved audio: a file that is there is left alone", async () => {
  await withPath((path) => {
    Deno.writeTextFileSync(path, "mine");
    assertThrows(() => SavedAudio.create(path, "PCMU"), Deno.errors.AlreadyExists);
    assertEquals(Deno.readTextFileSync(path), "mine");
  });
});

Deno.test("saved audio: a file that cannot be written is told, and nothing throws", async () => {
  await withPath((path) => {
    Deno.writeTextFileSync(path, "");
    const audio = new SavedAudio(Deno.openSync(path, { read: true }), path, "PCMU");
    audio.write(someMulaw(100));
    audio.finish();
    assertEquals(audio.bytes, 0);
    assertMatch(audio.failure ?? "", /\w/);
    assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
  });
});
