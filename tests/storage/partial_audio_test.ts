/**
 * What partial audio files are taken for, also where no test can have files that large.
 */
import { assertEquals } from "@std/assert";
import { AUDIO_HEAD_BYTES, inspectAudio } from "../../lib/storage/partial_audio.ts";
import {
  ALL_MEDIA,
  frameBytes,
  headerOf,
  MONO_PCMU,
  partialAudio,
  type PartialMedia,
  STEREO_L16,
  STEREO_PCMU,
} from "./partial_recordings.ts";

const GIB = 1024 ** 3;

function head(media: PartialMedia, dataBytes?: number): Uint8Array {
  const file = partialAudio(media, 100);
  file.set(headerOf(media, dataBytes));
  return file.subarray(0, AUDIO_HEAD_BYTES);
}

Deno.test("partial audio: a header that is final, or is not, and how much follows it", () => {
  for (const media of ALL_MEDIA) {
    const frame = frameBytes(media);
    const headerBytes = headerOf(media).length;
    const look = (header: Uint8Array, dataBytes: number) => {
      const found = inspectAudio(header, headerBytes + dataBytes, undefined);
      return found.what === "usable" ? [found.samples, found.hasFinalHeader] : found.what;
    };
    assertEquals(look(head(media), 1_000 * frame), [1_000, false]);
    assertEquals(look(head(media), 1_001 * frame - 1), [1_000, false]);
    assertEquals(look(head(media, 1_000 * frame), 1_000 * frame), [1_000, true]);
    assertEquals(look(head(media, 1_001 * frame), 1_001 * frame + frame % 2), [1_001, true]);
    assertEquals(look(head(media, 1_000 * frame), 999 * frame), [999, false]);
    assertEquals(look(head(media, 1_000 * frame), 1_000 * frame + 1), "foreign");
    assertEquals(look(head(media, 0), 0), [0, true]);
  }
});

Deno.test("partial audio: beyond 4 GiB, where headers can't say how long it is", () => {
  for (const media of [STEREO_PCMU, STEREO_L16]) {
    const frame = frameBytes(media);
    const dataBytes = 6 * GIB;
    const fileBytes = headerOf(media).length + dataBytes;
    for (const header of [head(media), head(media, dataBytes)]) {
      const found = inspectAudio(header, fileBytes + frame - 1, undefined);
      assertEquals(found.what === "usable" && found.samples, dataBytes / frame);
    }
  }
});

Deno.test("partial audio: as long as a call may be, and a sample longer", () => {
  const samples = 31 * 24 * 3600 * 8000;
  const headerBytes = headerOf(MONO_PCMU).length;
  const whats = [samples, samples + 1].map((samples) =>
    inspectAudio(head(MONO_PCMU), headerBytes + samples, undefined).what
  );
  assertEquals(whats, ["usable", "foreign"]);
});

Deno.test("partial audio: what a torn header is completed by is what it should be", () => {
  const expected = { encoding: "PCMU", channelCount: 2, rate: 8000 } as const;
  const other = { ...expected, channelCount: 1 };
  for (let bytes = 0; bytes < AUDIO_HEAD_BYTES; bytes++) {
    const torn = headerOf(STEREO_PCMU).subarray(0, bytes);
    assertEquals(inspectAudio(torn, bytes, expected).what, "usable");
    // Once it says what it is, a log that says something else is not believed.
    if (bytes > 22) assertEquals(inspectAudio(torn, bytes, other).what, "foreign");
    assertEquals(inspectAudio(torn, bytes, undefined).what, bytes === 0 ? "empty" : "foreign");
  }
});
