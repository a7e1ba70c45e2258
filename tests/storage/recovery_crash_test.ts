/**
 * Recovery that is killed itself, after each of its steps: what the next one leaves is, byte for
 * byte, what one leaves that nobody disturbs.
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { join } from "node:path";
import { recoverRecordings } from "../../lib/storage/recover_recordings.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import {
  callLine,
  callLog,
  type Files,
  gapLine,
  headerOf,
  MONO_L16,
  MONO_PCMU,
  NOW_MS,
  partialAudio,
  type PartialMedia,
  readFiles,
  recordedCall,
  recordedMedia,
  snapshot,
  STARTED_AT,
  STARTED_MS,
  STEREO_L16,
  STEREO_PCMU,
  writeFiles,
} from "./partial_recordings.ts";
import { StoppingDisk } from "./stopping_disk.ts";

const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const AUDIO_BYTES = 4_003;

/** Metadata that a recorder wrote, and did not come to rename. */
function writtenMetadata(media: PartialMedia, recordedSamples: number): string {
  const metadata = {
    ...recordedCall(ID, media),
    endedAt: STARTED_AT,
    durationSamples: recordedSamples,
    duration: "PT0.5S",
    recordedSamples,
    gaps: [],
    unlistedGaps: 0,
    closeReason: "end",
    isComplete: true,
    recovered: false,
    unloggedMessages: 0,
    media: recordedMedia(media),
  };
  return JSON.stringify(metadata, null, 2) + "\n";
}

function finished(media: PartialMedia): Uint8Array {
  const bytes = 4_000;
  const file = partialAudio(media, bytes);
  file.set(headerOf(media, bytes));
  return file;
}

const gap = { startSamples: 800, samples: 1_000, silenceSamples: 300, cause: "discarded" } as const;

/** What is left, and whether the recorder itself had come to say that it is complete. */
const LEFT: Readonly<Record<string, { readonly files: Files; readonly isComplete?: boolean }>> = {
  "stereo µ-law, half a sample at the end": {
    files: {
      ".wav.part": partialAudio(STEREO_PCMU, AUDIO_BYTES),
      ".jsonl": callLog(ID, STEREO_PCMU),
    },
  },
  "mono µ-law, which has to be padded": {
    files: { ".wav.part": partialAudio(MONO_PCMU, AUDIO_BYTES), ".jsonl": callLog(ID, MONO_PCMU) },
  },
  "stereo L16, three quarters of a sample, and a gap": {
    files: {
      ".wav.part": partialAudio(STEREO_L16, AUDIO_BYTES),
      ".jsonl": callLog(ID, STEREO_L16) + gapLine(gap),
    },
  },
  "mono L16, half a sample, and a torn line": {
    files: {
      ".wav.part": partialAudio(MONO_L16, AUDIO_BYTES),
      ".jsonl": callLog(ID, MONO_L16) + '{"time":"2026-01-31T0',
    },
  },
  "audio that has its name, and no metadata": {
    files: { ".wav": finished(STEREO_PCMU), ".jsonl": callLog(ID, STEREO_PCMU) },
  },
  "metadata that was written, and nothing renamed": {
    files: {
      ".wav.part": finished(STEREO_PCMU),
      ".jsonl": callLog(ID, STEREO_PCMU),
      ".json.part": writtenMetadata(STEREO_PCMU, 2_000),
    },
    isComplete: true,
  },
  "metadata that was written, and audio renamed": {
    files: {
      ".wav": finished(STEREO_L16),
      ".jsonl": callLog(ID, STEREO_L16),
      ".json.part": writtenMetadata(STEREO_L16, 1_000),
    },
    isComplete: true,
  },
  "metadata that was written in part": {
    files: {
      ".wav.part": finished(STEREO_PCMU),
      ".jsonl": callLog(ID, STEREO_PCMU),
      ".json.part": writtenMetadata(STEREO_PCMU, 2_000).slice(0, 500),
    },
  },
  "a header that was written in part": {
    files: {
      ".wav.part": headerOf(STEREO_PCMU).subarray(0, 20),
      ".jsonl": callLog(ID, STEREO_PCMU),
    },
  },
  "no audio file, of a call with audio": {
    files: { ".jsonl": callLine(recordedCall(ID, STEREO_PCMU)) },
  },
  "a session without audio": { files: { ".jsonl": callLog(ID, null) } },
  "no message log": { files: { ".wav.part": partialAudio(STEREO_PCMU, AUDIO_BYTES) } },
};

const options = { now: () => NOW_MS };

/** Times of files are all that is known of some recordings. */
async function prepare(folder: string, files: Files): Promise<void> {
  await writeFiles(folder, ID, files);
  const time = new Date(STARTED_MS + 60_000);
  for (const extension of Object.keys(files)) {
    await Deno.utime(join(folder, "2026-01-31", ID + extension), time, time);
  }
}

for (const [what, { files, isComplete = false }] of Object.entries(LEFT)) {
  Deno.test(`recovery: killed after each step, it leaves the same: ${what}`, async () => {
    await using undisturbed = await TempDir.create();
    await prepare(undisturbed.path, files);
    const all = new StoppingDisk();
    const { recovered } = await recoverRecordings(undisturbed.path, { ...options, disk: all });
    assertEquals(recovered, 1);
    const { metadata } = await readFiles(undisturbed.path, ID);
    assertEquals(metadata?.isComplete, isComplete);
    assertEquals(metadata?.recovered, !isComplete);
    const expected = await snapshot(undisturbed.path);

    for (const writesHalf of [false, true]) {
      for (let step = 0; step < all.steps; step++) {
        await using dir = await TempDir.create();
        await prepare(dir.path, files);
        const told: string[] = [];
        const onRecovered = (id: string) => void told.push(id);
        const disk = new StoppingDisk(step, writesHalf);
        await recoverRecordings(dir.path, { ...options, disk });
        assert(disk.isStopped);
        // And once more, somewhere.
        const again = new StoppingDisk((step * 7) % all.steps, writesHalf);
        await recoverRecordings(dir.path, { ...options, disk: again });
        await recoverRecordings(dir.path, { ...options, onRecovered, disk: new StoppingDisk() });
        assertEquals(await snapshot(dir.path), expected, `killed after step ${step}`);
        // It is told by the last one, unless one before came so far.
        assert(told.length <= 1);
        const before = await snapshot(dir.path);
        const { recovered } = await recoverRecordings(dir.path, options);
        assertEquals(recovered, 0);
        assertEquals(await snapshot(dir.path), before);
      }
    }
    assertGreater(all.steps, 15);
  });
}

Deno.test("recovery: of many recordings, killed after any step, no sample is lost", async () => {
  const media = STEREO_PCMU;
  const names = Array.from({ length: 24 }, () => crypto.randomUUID());
  const write = async (folder: string) => {
    for (const [index, name] of names.entries()) {
      const audio = partialAudio(media, 1_000 + index * 3);
      await writeFiles(folder, name, { ".wav.part": audio, ".jsonl": callLog(name, media) });
    }
  };
  await using undisturbed = await TempDir.create();
  await write(undisturbed.path);
  const all = new StoppingDisk();
  await recoverRecordings(undisturbed.path, { ...options, disk: all });
  const expected = await snapshot(undisturbed.path);
  for (let step = 5; step < all.steps; step += 61) {
    await using dir = await TempDir.create();
    await write(dir.path);
    await recoverRecordings(dir.path, { ...options, disk: new StoppingDisk(step, step % 2 === 0) });
    await recoverRecordings(dir.path, { ...options, disk: new StoppingDisk() });
    assertEquals(await snapshot(dir.path), expected, `killed after step ${step}`);
  }
});
