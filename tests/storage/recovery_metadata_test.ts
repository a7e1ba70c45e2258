/**
 * What the metadata of a recovered recording says, whatever its message log, its files' times and
 * the clock are.
 */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { recoverRecordings } from "../../lib/storage/recover_recordings.ts";
import type { RecordingMetadata } from "../../lib/storage/recording_metadata.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { readIfExists, TempDir } from "../helpers/temp_dir.ts";
import { CONVERSATION_ID, NIL, openParameters, ORGANIZATION_ID } from "../helpers/wire_client.ts";
import {
  callLine,
  callLog,
  DAY,
  type Files,
  gapLine,
  headerOf,
  messageLine,
  MONO_L16,
  NOW_MS,
  openLines,
  partialAudio,
  readFiles,
  recordedCall,
  STARTED_AT,
  STARTED_MS,
  STEREO_PCMU,
  writeFiles,
} from "./partial_recordings.ts";

const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const AUDIO = partialAudio(STEREO_PCMU, 16_000);

/** The metadata of one recording that was recovered. */
async function recovered(
  files: Files,
  { name = ID, day = DAY, nowMs = NOW_MS, modifiedMs }: {
    readonly name?: string;
    readonly day?: string;
    readonly nowMs?: number;
    readonly modifiedMs?: number;
  } = {},
): Promise<RecordingMetadata> {
  await using dir = await TempDir.create();
  await writeFiles(dir.path, name, files, day);
  if (modifiedMs !== undefined) {
    for (const extension of Object.keys(files)) {
      const path = join(dir.path, day, name + extension);
      await Deno.utime(path, new Date(modifiedMs), new Date(modifiedMs));
    }
  }
  const result = await recoverRecordings(dir.path, { now: () => nowMs });
  assertEquals(result, { recovered: 1, beingMade: 0, empty: 0, failed: 0, isStopped: false });
  const { metadata } = await readFiles(dir.path, name, day);
  assert(metadata !== undefined);
  return metadata;
}

Deno.test("recovery: gaps are what the log says, and the duration has them", async () => {
  const gaps = [
    { startSamples: 1_000, samples: 500, silenceSamples: 500, cause: "discarded" },
    { startSamples: 2_000, samples: 80_000, silenceSamples: 3_000, cause: "paused" },
    { startSamples: 84_000, samples: 700, silenceSamples: 0, cause: "storage" },
  ] as const;
  const log = callLog(ID, STEREO_PCMU) + gaps.map((gap) => gapLine(gap)).join("");
  const metadata = await recovered({ ".wav.part": AUDIO, ".jsonl": log });
  assertEquals(metadata.gaps, [...gaps]);
  assertEquals(metadata.recordedSamples, 8_000);
  assertEquals(metadata.durationSamples, 8_000 + 77_000 + 700);
  assertEquals(metadata.duration, "PT10.7125S");
  assertEquals(metadata.endedAt, new Date(STARTED_MS + 10_712).toISOString());
});

Deno.test("recovery: of a gap whose silence was being written, what is in the file counts", async () => {
  const gap = { startSamples: 6_000, samples: 9_000, silenceSamples: 9_000, cause: "paused" };
  const later = { startSamples: 16_000, samples: 100, silenceSamples: 100, cause: "discarded" };
  const log = callLog(ID, STEREO_PCMU) + [gap, later].map((gap) => gapLine(gap as never)).join("");
  const metadata = await recovered({ ".wav.part": AUDIO, ".jsonl": log });
  // What was between this gap and the later one is lost, and so is the later one.
  assertEquals(metadata.gaps, [{ ...gap, silenceSamples: 2_000 }] as never);
  assertEquals(metadata.durationSamples, 15_000);
});

Deno.test("recovery: gaps that can't be are no gaps", async () => {
  const lines = [
    { startSamples: 0, samples: 10, silenceSamples: 11, cause: "paused" },
    { startSamples: 0, samples: Number.MAX_SAFE_INTEGER, silenceSamples: 0, cause: "paused" },
    { startSamples: 0, samples: -1, silenceSamples: 0, cause: "paused" },
    { startSamples: 0, samples: 1, silenceSamples: 0, cause: "else" },
  ].map((gap) => gapLine(gap as never, 8_000));
  const metadata = await recovered({
    ".wav.part": AUDIO,
    ".jsonl": callLog(ID, STEREO_PCMU) + lines.join(""),
  });
  assertEquals(metadata.gaps, []);
  assertEquals(metadata.unloggedMessages, 4);
  assertEquals(metadata.durationSamples, 8_000);
});

Deno.test("recovery: a thousand gaps are listed, all count", async () => {
  let log = callLog(ID, STEREO_PCMU);
  for (let index = 0; index < 1_500; index++) {
    log += gapLine({
      startSamples: index * 10,
      samples: 5,
      silenceSamples: 0,
      cause: "discarded",
    });
  }
  const metadata = await recovered({ ".wav.part": AUDIO, ".jsonl": log });
  assertEquals(metadata.gaps.length, 1_000);
  assertEquals(metadata.unlistedGaps, 500);
  assertEquals(metadata.durationSamples, 8_000 + 7_500);
});

Deno.test("recovery: the reason of a close that came before the kill", async () => {
  const close = messageLine("client", ID, "close", { reason: "end" }, 8_000);
  const closed = messageLine("server", ID, "closed", {}, 8_000);
  const log = callLog(ID, STEREO_PCMU) + close + closed;
  const { closeReason, isComplete } = await recovered({ ".wav.part": AUDIO, ".jsonl": log });
  assertEquals({ closeReason, isComplete }, { closeReason: "end", isComplete: false });
  // Not what a message only mentions.
  const event = messageLine("client", ID, "error", { message: 'x "type":"close"', type: "close" });
  const other = await recovered({ ".wav.part": AUDIO, ".jsonl": callLog(ID, STEREO_PCMU) + event });
  assertEquals(other.closeReason, null);
  const foreign = messageLine("client", crypto.randomUUID(), "close", { reason: "end" });
  const third = await recovered({ ".wav.part": AUDIO, ".jsonl": callLog(ID, null) + foreign });
  assertEquals(third.closeReason, null);
});

Deno.test("recovery: without the first line, the session's opening says whose it is", async () => {
  const { participant, language } = openParameters();
  const torn = callLine(recordedCall(ID, MONO_L16)).slice(20);
  for (const first of ["", torn, "\0\0\0\0\n", "[]\n", '{"call":{}}\n']) {
    const metadata = await recovered({
      ".wav.part": partialAudio(MONO_L16, 1_000),
      ".jsonl": first + openLines(ID, MONO_L16),
    });
    assertEquals(metadata.organizationId, ORGANIZATION_ID);
    assertEquals(metadata.conversationId, CONVERSATION_ID);
    assertEquals(metadata.correlationId, undefined);
    assertEquals(metadata.participant, participant);
    assertEquals(metadata.language, language);
    assertEquals(metadata.media, { format: "L16", channels: ["external"], rate: 8000 });
    assertEquals(metadata.startedAt, STARTED_AT);
    assertEquals(metadata.unloggedMessages, first === "" ? 0 : 1);
  }
});

Deno.test("recovery: with nothing that says whose it is, it says so, and logs it", async () => {
  await using logs = await LogRecords.watch();
  for (const log of [undefined, "", "no line at all", callLine(recordedCall(NIL, STEREO_PCMU))]) {
    const metadata = await recovered({
      ".wav.part": AUDIO,
      ...(log === undefined ? {} : { ".jsonl": log }),
    }, { modifiedMs: STARTED_MS + 61_000 });
    const { organizationId, conversationId, participant, language, correlationId } = metadata;
    assertEquals({ organizationId, conversationId, participant, language, correlationId }, {
      organizationId: NIL,
      conversationId: NIL,
      participant: { id: NIL, ani: "", aniName: "", dnis: "" },
      language: undefined,
      correlationId: undefined,
    });
    assertEquals(metadata.sessionId, ID);
    assertEquals(metadata.media?.channels, ["external", "internal"]);
    const isKnown = log?.includes(STARTED_AT) ?? false;
    assertEquals(
      metadata.startedAt,
      isKnown ? STARTED_AT : new Date(STARTED_MS + 60_000).toISOString(),
    );
  }
  assertEquals(logs.of("Recovered the recording {id}, but nothing says whose it is").length, 4);
});

Deno.test("recovery: the names of further recordings of a session, and unique ones", async () => {
  const files = { ".wav.part": AUDIO, ".jsonl": callLog(ID, STEREO_PCMU) };
  for (const name of [`${ID}.2`, `${ID}.0badcafe`, `${ID}.12345678`]) {
    const { conversationId, sessionId } = await recovered(files, { name });
    assertEquals([conversationId, sessionId], [CONVERSATION_ID, ID]);
  }
  const upper = callLine(recordedCall(ID.toUpperCase(), STEREO_PCMU));
  const metadata = await recovered({ ...files, ".jsonl": upper }, { name: `${ID}.10` });
  assertEquals(metadata.sessionId, ID.toUpperCase());
});

Deno.test("recovery: the audio file knows better than the log what it is", async () => {
  const files = { ".wav.part": partialAudio(MONO_L16, 1_000), ".jsonl": callLog(ID, STEREO_PCMU) };
  const metadata = await recovered(files);
  assertEquals(metadata.media, { format: "L16", channels: ["external"], rate: 8000 });
  assertEquals(metadata.recordedSamples, 500);
  const none = await recovered({ ".wav.part": AUDIO, ".jsonl": callLog(ID, null) });
  assertEquals(none.media, { format: "PCMU", channels: ["external", "internal"], rate: 8000 });
  // But not which channel is which.
  const inverted = { format: "PCMU", channels: ["internal", "external"], rate: 8000 } as const;
  const call = recordedCall(ID, null, { media: { ...inverted, channels: [...inverted.channels] } });
  const { media } = await recovered({ ".wav.part": AUDIO, ".jsonl": callLine(call) });
  assertEquals(media?.channels, ["internal", "external"]);
});

Deno.test("recovery: a session without audio, and one whose audio was never written", async () => {
  const none = await recovered({ ".jsonl": callLog(ID, null) });
  assertEquals([none.media, none.recordedSamples, none.durationSamples], [null, 0, 0]);
  assertEquals(none.endedAt, new Date(STARTED_MS + 10_000).toISOString());
  await using dir = await TempDir.create();
  await writeFiles(dir.path, ID, { ".jsonl": callLog(ID, STEREO_PCMU) });
  assertEquals((await recoverRecordings(dir.path)).recovered, 1);
  const audio = await readIfExists(join(dir.path, DAY, `${ID}.wav`));
  assertEquals(audio, new Uint8Array(headerOf(STEREO_PCMU, 0)));
  // Of a log without a call, what can be said is its time.
  const unknown = await recovered({ ".jsonl": messageLine("client", ID, "ping", {}, 8_000) });
  assertEquals(unknown.media, null);
  assertEquals(unknown.conversationId, NIL);
});

Deno.test("recovery: clocks that jump give times that make sense", async () => {
  const files = { ".wav.part": AUDIO, ".jsonl": callLog(ID, STEREO_PCMU) };
  const second = (ms: number) => new Date(STARTED_MS + ms).toISOString();
  // The last line is of second 10, and the audio of second 1.
  assertEquals((await recovered(files)).endedAt, second(10_000));
  assertEquals((await recovered(files, { nowMs: STARTED_MS + 3_000 })).endedAt, second(3_000));
  // It was started in the future: it ended when its audio did.
  assertEquals((await recovered(files, { nowMs: STARTED_MS - 9_000 })).endedAt, second(1_000));
  const files1 = { ...files, ".jsonl": callLine(recordedCall(ID, STEREO_PCMU)) };
  assertEquals((await recovered(files1)).endedAt, second(1_000));
  // The clock was set back during the call.
  const back = messageLine("client", ID, "ping").replace(
    /"time":"[^"]*"/,
    '"time":"2001-01-01T00:00:00Z"',
  );
  const set = await recovered({ ...files, ".jsonl": callLog(ID, STEREO_PCMU) + back });
  assertEquals(set.endedAt, second(1_000));
  const far = recordedCall(ID, STEREO_PCMU, { startedAt: "9999-12-31T23:59:59.999Z" });
  const { startedAt, endedAt } = await recovered({ ...files, ".jsonl": callLine(far) });
  assertEquals([startedAt, endedAt], [far.startedAt, far.startedAt]);
});

Deno.test("recovery: without a call, the folder's day counts more than times of files", async () => {
  const files = { ".wav.part": AUDIO };
  const start = async (modifiedMs: number, day = DAY) =>
    (await recovered(files, { modifiedMs, day })).startedAt;
  assertEquals(await start(Date.parse("1970-01-02T00:00:00Z")), `${DAY}T00:00:00.000Z`);
  // The file was made just now, which is later.
  assertEquals(await start(Date.parse("2100-01-01T00:00:00Z")), `${DAY}T23:59:59.999Z`);
  assertEquals(await start(STARTED_MS), new Date(STARTED_MS - 1_000).toISOString());
  assertEquals(await start(STARTED_MS, "9998-01-01"), "9998-01-01T00:00:00.000Z");
  // A call that says when it started is believed.
  const { startedAt } = await recovered({
    ...files,
    ".jsonl": callLog(ID, STEREO_PCMU),
  }, { day: "2001-01-01" });
  assertEquals(startedAt, STARTED_AT);
});

Deno.test("recovery: metadata beside that says something else is made anew", async () => {
  const first = await recovered({ ".wav.part": AUDIO, ".jsonl": callLog(ID, STEREO_PCMU) });
  for (
    const other of [
      { ...first, recordedSamples: 7_999 },
      { ...first, sessionId: crypto.randomUUID() },
      { ...first, media: null },
      { ...first, version: 2 },
      { ...first, media: { ...first.media, format: "L16" } },
      {},
    ]
  ) {
    const part = JSON.stringify({ ...other, closeReason: "other" });
    const metadata = await recovered({
      ".wav.part": AUDIO,
      ".jsonl": callLog(ID, STEREO_PCMU),
      ".json.part": part,
    });
    assertEquals(metadata, first);
  }
  const same = JSON.stringify({ ...first, closeReason: "kept", extra: 1 });
  const kept = await recovered({ ".wav.part": AUDIO, ".json.part": same });
  assertEquals(kept, { ...first, closeReason: "kept" });
});

Deno.test("recovery: a line of any length, and a log of any kind, is read", async () => {
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  const long = `{"time":"${"x".repeat(3_000_000)}"}\n`;
  const close = messageLine("client", ID, "close", { reason: "disconnect" }, 8_000);
  const wide = messageLine("client", ID, "custom", { text: "ä€😀".repeat(80_000) }, 8_000);
  const metadata = await recovered({
    ".wav.part": AUDIO,
    ".jsonl": callLog(ID, STEREO_PCMU) + long + "\n\n" + wide + long + close,
  });
  assertEquals(metadata.closeReason, "disconnect");
  assertEquals(metadata.unloggedMessages, 2);
  await using dir = await TempDir.create();
  await writeFiles(dir.path, ID, { ".wav.part": AUDIO, ".jsonl": noise });
  assertEquals((await recoverRecordings(dir.path)).recovered, 1);
  assertEquals(await readIfExists(join(dir.path, DAY, `${ID}.jsonl`)), noise);
});
