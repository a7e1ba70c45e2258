/**
 * What partial audio files are taken for, also where no test can have files that large.
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { AUDIO_HEAD_BYTES, BLOCK_BYTES, inspectAudio } from "../../lib/storage/partial_audio.ts";
import { concat, noise } from "../helpers/wav_check.ts";
import {
  ALL_MEDIA,
  callAudio,
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

/** How many bytes of audio a file has, as a disk shows it. */
function audioBytesOf(file: Uint8Array, media: PartialMedia): number | string {
  const lastBlock = file.length % BLOCK_BYTES === 0 ? file.slice(-BLOCK_BYTES) : new Uint8Array();
  const format = { encoding: media.format, channelCount: media.channels, rate: 8000 } as const;
  const head = file.subarray(0, AUDIO_HEAD_BYTES);
  const found = inspectAudio(head, file.length, format, lastBlock);
  return found.what === "usable" ? found.dataBytes : found.what;
}

/** The file with what follows up to the end of its last block, so many bytes of audio. */
function blankEnd(media: PartialMedia, audio: Uint8Array): Uint8Array {
  const file = concat(headerOf(media), audio);
  const blank = new Uint8Array((BLOCK_BYTES - file.length % BLOCK_BYTES) % BLOCK_BYTES);
  return concat(file, blank);
}

const pcmu = fc.constantFrom(MONO_PCMU, STEREO_PCMU);

Deno.test("partial audio property: what never reached the disk, up to the end of a block, is no audio", () => {
  fc.assert(
    fc.property(pcmu, fc.integer({ min: 0, max: 40_000 }), (media, length) => {
      const audio = callAudio(media).subarray(0, length);
      const file = blankEnd(media, audio);
      const blankBytes = file.length - headerOf(media).length - audio.length;
      const frame = frameBytes(media);
      const isRun = blankBytes >= 32 * frame;
      const expected = isRun ? audio.length : file.length - headerOf(media).length;
      assertEquals(audioBytesOf(file, media), expected - expected % frame);
      if (!isRun) return;
      // Stopped after it was cut off, it is the same.
      const cut = file.subarray(0, headerOf(media).length + expected - expected % frame);
      assertEquals(audioBytesOf(cut, media), expected - expected % frame);
    }),
    { numRuns: 300 },
  );
});

Deno.test("partial audio property: audio that no power cut has spoilt is all kept", () => {
  const sound = fc.oneof(
    fc.constantFrom("a call", "noise"),
    // Any tone that a telephone has, as loud as can be: in Hertz.
    fc.integer({ min: 300, max: 3_400 }),
  );
  const bytesOf = (
    what: typeof sound extends fc.Arbitrary<infer T> ? T : never,
    channels: number,
  ) =>
    what === "a call"
      ? callAudio(STEREO_PCMU).subarray(0, 20_000)
      : what === "noise"
      ? noise(20_000)
      : Uint8Array.from({ length: 20_000 }, (_, n) =>
        Math.sin(2 * Math.PI * Math.floor(n / channels) * Number(what) / 8000) < 0 ? 0x00 : 0x80);
  fc.assert(
    fc.property(pcmu, sound, fc.nat(20_000), fc.boolean(), (media, what, length, isWhole) => {
      const bytes = bytesOf(what, media.channels);
      const file = concat(headerOf(media), bytes.subarray(0, length));
      // At the end of a block, where it may be mistaken; and anywhere.
      const kept = isWhole && file.length >= BLOCK_BYTES
        ? file.subarray(0, file.length - file.length % BLOCK_BYTES)
        : file;
      const dataBytes = kept.length - headerOf(media).length;
      assertEquals(audioBytesOf(kept, media), dataBytes - dataBytes % frameBytes(media));
    }),
    { numRuns: 500 },
  );
});

Deno.test("partial audio: zeros that are recorded stay", () => {
  const zeros = (media: PartialMedia, bytes: number) =>
    concat(headerOf(media), callAudio(media).subarray(0, 5_000), new Uint8Array(bytes));
  for (const media of ALL_MEDIA) {
    const headerBytes = headerOf(media).length;
    const audioBytes = (file: Uint8Array) =>
      (file.length - headerBytes) - (file.length - headerBytes) % frameBytes(media);
    // In 16-bit PCM, they are silence; elsewhere than at the end of a block, nothing came after them.
    const toBlock = 2 * BLOCK_BYTES - headerBytes - 5_000;
    const files = [toBlock - 1, toBlock + 1, toBlock + BLOCK_BYTES].map((n) => zeros(media, n));
    if (media.format === "L16") files.push(zeros(media, toBlock));
    for (const file of files) assertEquals(audioBytesOf(file, media), audioBytes(file));
    // A size that the recorder has filled in says what is audio.
    const final = zeros(media, toBlock);
    final.set(headerOf(media, 5_000 + toBlock - (5_000 + toBlock) % frameBytes(media)));
    assertEquals(audioBytesOf(final, media), audioBytes(final));
  }
});

Deno.test("partial audio: a first block of which nothing reached the disk, or the header alone", () => {
  for (const media of [MONO_PCMU, STEREO_PCMU]) {
    assertEquals(audioBytesOf(blankEnd(media, new Uint8Array()), media), 0);
    assertEquals(audioBytesOf(new Uint8Array(BLOCK_BYTES), media), 0);
  }
});
