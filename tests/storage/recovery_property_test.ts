/**
 * Recovery of files that anything may have happened to: it always ends, what it completes is valid
 * and has all whole samples, and what it does not complete is as it was.
 */
import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { recoverRecordings } from "../../lib/storage/recover_recordings.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { assertWav } from "../helpers/wav_check.ts";
import {
  ALL_MEDIA,
  callAudio,
  callLog,
  type Files,
  frameBytes,
  gapLine,
  headerOf,
  partialAudio,
  type PartialMedia,
  readFiles,
  snapshot,
  STEREO_PCMU,
  writeFiles,
} from "./partial_recordings.ts";

const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const RUNS = 150;

/** What may happen to a file. */
const harm = fc.record({
  /** How much of it is left. */
  keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
  /** Bytes that are others. */
  flips: fc.array(fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), by: fc.nat(255) }), {
    maxLength: 4,
  }),
  isThere: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
});

type Harm = typeof harm extends fc.Arbitrary<infer T> ? T : never;

function harmed(bytes: Uint8Array, { keep, flips }: Harm, areaBytes = Infinity): Uint8Array {
  const left = bytes.slice(0, Math.round(bytes.length * keep));
  for (const { at, by } of flips) {
    const index = Math.floor(at * Math.min(left.length, areaBytes));
    if (index < left.length) left[index] = by;
  }
  return left;
}

function logOf(media: PartialMedia): Uint8Array {
  const gap = { startSamples: 100, samples: 50, silenceSamples: 20, cause: "discarded" } as const;
  return new TextEncoder().encode(callLog(ID, media, 5) + gapLine(gap));
}

Deno.test("recovery property: audio that was cut, whatever happened to the log", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ALL_MEDIA),
      fc.nat(3_000),
      harm,
      async (media, audioBytes, logHarm) => {
        await using dir = await TempDir.create();
        const files: Files = {
          ".wav.part": partialAudio(media, audioBytes),
          ...(logHarm.isThere ? { ".jsonl": harmed(logOf(media), logHarm) } : {}),
        };
        await writeFiles(dir.path, ID, files);
        assertEquals((await recoverRecordings(dir.path)).recovered, 1);
        const { audio, metadata } = await readFiles(dir.path, ID);
        const data = callAudio(media).subarray(0, audioBytes - audioBytes % frameBytes(media));
        assertWav(audio, { format: media.format, channels: media.channels, data });
        assert(metadata !== undefined);
        const missing = metadata.gaps.reduce(
          (sum, gap) => sum + gap.samples - gap.silenceSamples,
          0,
        );
        assertEquals(metadata.durationSamples, metadata.recordedSamples + missing);
        assert(Date.parse(metadata.endedAt) >= Date.parse(metadata.startedAt));
      },
    ),
    { numRuns: RUNS },
  );
});

Deno.test("recovery property: whatever happened to all files, once is enough, and nothing goes", async () => {
  const part = new TextEncoder().encode(JSON.stringify({ version: 1, sessionId: ID }));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ALL_MEDIA),
      harm,
      harm,
      harm,
      fc.constantFrom(".wav", ".wav.part"),
      async (media, audioHarm, logHarm, partHarm, extension) => {
        await using dir = await TempDir.create();
        const whole = partialAudio(media, 2_001);
        const headerBytes = headerOf(media).length;
        await writeFiles(dir.path, ID, {
          ...(audioHarm.isThere ? { [extension]: harmed(whole, audioHarm, headerBytes) } : {}),
          ...(logHarm.isThere ? { ".jsonl": harmed(logOf(media), logHarm) } : {}),
          ...(partHarm.isThere ? { ".json.part": harmed(part, partHarm) } : {}),
        });
        const before = await snapshot(dir.path);
        const first = await recoverRecordings(dir.path);
        const after = await snapshot(dir.path);
        const second = await recoverRecordings(dir.path);
        assertEquals(await snapshot(dir.path), after);
        assertEquals(second.recovered, 0);
        assertEquals(second.failed, first.failed);
        const { audio, metadata } = await readFiles(dir.path, ID);
        assertEquals(metadata !== undefined, first.recovered === 1);
        if (first.recovered === 0) {
          // But for a lost log, which is what is locked.
          if (!logHarm.isThere) delete after[`2026-01-31/${ID}.jsonl`];
          assertEquals(after, before);
        } else if (audioHarm.isThere && audio !== undefined) {
          const left = harmed(whole, audioHarm, headerBytes);
          const { recordedSamples = 0 } = metadata ?? {};
          const bytes = Math.max(0, left.length - headerBytes);
          assertEquals(recordedSamples, Math.floor(bytes / frameBytes(media)));
        }
      },
    ),
    { numRuns: RUNS },
  );
});

Deno.test("recovery property: a log of any bytes, of any length of lines", async () => {
  const lines = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => new TextEncoder().encode(text)),
      fc.constantFrom("call", "gap", "message", "text", "time").map((key) =>
        new TextEncoder().encode(`{"time":"2026-01-31T09:00:00Z","position":"PT0S","${key}":{}}\n`)
      ),
      fc.constant(new Uint8Array([10])),
    ),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(lines, async (lines) => {
      await using dir = await TempDir.create();
      const log = new Uint8Array(lines.flatMap((line) => [...line]));
      await writeFiles(dir.path, ID, {
        ".wav.part": partialAudio(STEREO_PCMU, 100),
        ".jsonl": log,
      });
      assertEquals((await recoverRecordings(dir.path)).recovered, 1);
      assertEquals((await readFiles(dir.path, ID)).metadata?.recordedSamples, 50);
    }),
    { numRuns: RUNS },
  );
});
