/**
 * Recovery of recordings that were cut anywhere: every whole sample stays, and nothing else.
 */
import { assert, assertEquals } from "@std/assert";
import { recoverRecordings, type RecoveryResult } from "../../lib/storage/recover_recordings.ts";
import type { RecordingMetadata } from "../../lib/storage/recording_metadata.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { assertSameBytes, assertWav } from "../helpers/wav_check.ts";
import {
  ALL_MEDIA,
  callAudio,
  callLine,
  callLog,
  DAY,
  frameBytes,
  headerOf,
  NOW_MS,
  partialAudio,
  readFiles,
  recordedCall,
  recordedMedia,
  snapshot,
  STARTED_AT,
  STARTED_MS,
  STEREO_PCMU,
  writeFiles,
} from "./partial_recordings.ts";

const options = { now: () => NOW_MS };
const NOTHING: RecoveryResult = {
  recovered: 0,
  beingMade: 0,
  empty: 0,
  failed: 0,
  isStopped: false,
};

for (const media of ALL_MEDIA) {
  const { format, channels } = media;
  Deno.test(`recovery: ${format}, channels: ${channels}: audio that was cut anywhere`, async () => {
    await using dir = await TempDir.create();
    const headerBytes = headerOf(media).length;
    const whole = partialAudio(media, Infinity);
    const lengths = [
      ...Array.from({ length: headerBytes + 20 }, (_, length) => length),
      headerBytes + 8_000,
      headerBytes + 8_001,
      headerBytes + 8_002,
      headerBytes + 8_003,
      whole.length - 1,
      whole.length,
    ];
    const cut = new Map(lengths.map((length) => [crypto.randomUUID() as string, length]));
    for (const [name, length] of cut) {
      await writeFiles(dir.path, name, {
        ".wav.part": whole.subarray(0, length),
        ".jsonl": callLog(name, media),
      });
    }
    const told = new Map<string, RecordingMetadata>();
    const onRecovered = (id: string, metadata: RecordingMetadata) => void told.set(id, metadata);
    const result = await recoverRecordings(dir.path, { ...options, onRecovered });
    assertEquals(result, { ...NOTHING, recovered: lengths.length });
    assertEquals((await dir.files()).length, 3 * lengths.length);
    for (const [name, length] of cut) {
      const bytes = Math.max(0, length - headerBytes);
      const data = callAudio(media).subarray(0, bytes - bytes % frameBytes(media));
      const { audio, messages, metadata } = await readFiles(dir.path, name);
      assertWav(audio, { format, channels, data });
      assertEquals(messages, callLog(name, media));
      const samples = data.length / frameBytes(media);
      const durationMs = samples / 8;
      assertEquals(metadata, {
        ...recordedCall(name, media),
        media: recordedMedia(media),
        startedAt: STARTED_AT,
        // The last line is of second 10.
        endedAt: new Date(STARTED_MS + Math.max(10_000, Math.floor(durationMs))).toISOString(),
        durationSamples: samples,
        duration: metadata?.duration ?? "",
        recordedSamples: samples,
        gaps: [],
        unlistedGaps: 0,
        closeReason: null,
        isComplete: false,
        recovered: true,
        unloggedMessages: 0,
      });
      assertEquals(told.get(`${DAY}.${name}`), metadata);
      assertEquals(metadata?.duration.endsWith("S"), true);
    }
    const before = await snapshot(dir.path);
    assertEquals(await recoverRecordings(dir.path, options), NOTHING);
    assertEquals(await snapshot(dir.path), before);
  });
}

Deno.test("recovery: audio whose header was finished before the kill stays byte for byte", async () => {
  for (const media of ALL_MEDIA) {
    for (const extension of [".wav", ".wav.part"]) {
      await using dir = await TempDir.create();
      const name = crypto.randomUUID();
      const dataBytes = 4_001 * frameBytes(media);
      const padded = new Uint8Array(headerOf(media).length + dataBytes + dataBytes % 2);
      padded.set(headerOf(media, dataBytes));
      padded.set(callAudio(media).subarray(0, dataBytes), headerOf(media).length);
      await writeFiles(dir.path, name, { [extension]: padded, ".jsonl": callLog(name, media) });
      assertEquals((await recoverRecordings(dir.path, options)).recovered, 1);
      const { audio, metadata } = await readFiles(dir.path, name);
      assert(audio !== undefined);
      assertSameBytes(audio, padded);
      assertEquals(metadata?.recordedSamples, 4_001);
    }
  }
});

Deno.test("recovery: a loss of power that takes the end of finished audio, or its padding", async () => {
  await using dir = await TempDir.create();
  for (const media of ALL_MEDIA) {
    const dataBytes = 4_001 * frameBytes(media);
    for (const lostBytes of [1, 2, 3, 4, 1_000]) {
      const name = crypto.randomUUID();
      const keptBytes = dataBytes + dataBytes % 2 - lostBytes;
      const file = partialAudio(media, keptBytes);
      file.set(headerOf(media, dataBytes));
      await writeFiles(dir.path, name, { ".wav.part": file, ".jsonl": callLog(name, media) });
      await recoverRecordings(dir.path, options);
      const { audio } = await readFiles(dir.path, name);
      const wholeBytes = Math.min(dataBytes, keptBytes - keptBytes % frameBytes(media));
      const data = callAudio(media).subarray(0, wholeBytes);
      assertWav(audio, { format: media.format, channels: media.channels, data });
    }
  }
});

Deno.test("recovery: a header that never reached the disk, in front of audio that did", async () => {
  for (const media of ALL_MEDIA) {
    const headerBytes = headerOf(media).length;
    for (const zeroes of [headerBytes, 16, headerBytes - 16]) {
      await using dir = await TempDir.create();
      const name = crypto.randomUUID();
      const file = partialAudio(media, 8_000);
      if (zeroes < 20) file.fill(0, headerBytes - zeroes, headerBytes);
      else file.fill(0, 0, zeroes);
      await writeFiles(dir.path, name, { ".wav.part": file, ".jsonl": callLog(name, media) });
      assertEquals((await recoverRecordings(dir.path, options)).recovered, 1);
      const { audio } = await readFiles(dir.path, name);
      const data = callAudio(media).subarray(0, 8_000);
      assertWav(audio, { format: media.format, channels: media.channels, data });
    }
  }
});

Deno.test("recovery: a loss of power that leaves the end of the last block blank", async () => {
  for (const media of ALL_MEDIA) {
    for (const hasHeader of [true, false]) {
      await using dir = await TempDir.create();
      const name = crypto.randomUUID();
      const written = partialAudio(media, 10_000);
      const file = new Uint8Array(3 * 4096);
      file.set(written);
      if (!hasHeader) file.fill(0, 0, headerOf(media).length);
      await writeFiles(dir.path, name, { ".wav.part": file, ".jsonl": callLog(name, media) });
      assertEquals((await recoverRecordings(dir.path, options)).recovered, 1);
      const { audio, metadata } = await readFiles(dir.path, name);
      // Zeros are silence, or as loud as can be.
      const end = media.format === "PCMU" ? written.length : file.length;
      const length = end - headerOf(media).length;
      const data = file.subarray(written.length - 10_000, end - length % frameBytes(media));
      assertWav(audio, { format: media.format, channels: media.channels, data });
      assertEquals(metadata?.recordedSamples, data.length / frameBytes(media));
    }
  }
});

Deno.test("recovery: a message log that was cut anywhere, or is gone, costs no audio", async () => {
  await using dir = await TempDir.create();
  const name = crypto.randomUUID();
  const length = callLog(name, STEREO_PCMU).length;
  const firstLine = callLine(recordedCall(name, STEREO_PCMU)).length;
  const cuts = new Map<string, number | undefined>([[name, undefined]]);
  for (let cut = 0; cut <= length; cut += cut < 20 || Math.abs(cut - firstLine) < 5 ? 1 : 23) {
    cuts.set(crypto.randomUUID(), cut);
  }
  for (const [name, cut] of cuts) {
    const log = callLog(name, STEREO_PCMU).slice(0, cut);
    await writeFiles(dir.path, name, {
      ".wav.part": partialAudio(STEREO_PCMU, 8_001),
      ...(cut === undefined ? {} : { ".jsonl": log }),
    });
  }
  const result = await recoverRecordings(dir.path, options);
  assertEquals(result, { ...NOTHING, recovered: cuts.size });
  const data = callAudio(STEREO_PCMU).subarray(0, 8_000);
  for (const [name, cut] of cuts) {
    const { audio, messages, metadata } = await readFiles(dir.path, name);
    assertWav(audio, { format: "PCMU", channels: 2, data });
    const log = cut === undefined ? "" : callLog(name, STEREO_PCMU).slice(0, cut);
    assertEquals(messages, log);
    assertEquals(metadata?.sessionId, name);
    assertEquals(metadata?.recordedSamples, 4_000);
    assertEquals(metadata?.media, recordedMedia(STEREO_PCMU));
    assertEquals(metadata?.recovered, true);
    // A line is known once all of it is there, with or without its end.
    const knows = cut !== undefined && cut >= firstLine - 1;
    assertEquals(
      metadata?.conversationId,
      knows
        ? recordedCall(name, STEREO_PCMU).conversationId
        : "00000000-0000-0000-0000-000000000000",
      `cut at ${cut}`,
    );
    assertEquals(metadata?.startedAt.slice(0, 10), DAY);
    const isTorn = log !== "" && !log.endsWith("\n") && !log.endsWith("}}}") &&
      !log.endsWith("}}");
    if (isTorn) assertEquals(metadata?.unloggedMessages, 1, `cut at ${cut}`);
  }
});
