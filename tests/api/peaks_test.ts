/**
 * The outline of a recording's audio, against one that is computed sample by sample.
 */
import { assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import type { RecordingArchive } from "../../lib/storage/recording_archive.ts";
import { ApiServer } from "../helpers/api_server.ts";
import type { FolderArchive } from "../helpers/folder_archive.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { type MadeAudio, samplesOf, wavFile } from "../helpers/recordings.ts";
import { noise } from "../helpers/wav_check.ts";
import { until } from "../helpers/deadline.ts";

const BOTH = ["external", "internal"] as const;

const SOURCES: readonly MadeAudio[] = [
  { format: "PCMU", channels: BOTH, data: noise(150_002) },
  { format: "PCMU", channels: ["internal"], data: noise(70_001) },
  { format: "L16", channels: BOTH, data: noise(90_004) },
  { format: "L16", channels: ["external"], data: noise(34) },
  { format: "PCMU", channels: BOTH, data: new Uint8Array() },
];

/** The same by the simplest of ways. */
function peaksOf(
  audio: MadeAudio,
  channel: "external" | "internal",
  from: number,
  to: number,
  pixels: number,
) {
  const samples = samplesOf(audio, channel).slice(from, to);
  const count = Math.min(pixels, samples.length);
  const parts = Array.from({ length: count }, (_, i) =>
    samples.slice(
      Math.floor(i * samples.length / count),
      Math.floor((i + 1) * samples.length / count),
    ).map((sample) => Math.floor(sample / 256)));
  return {
    channel,
    min: parts.map((part) => part.reduce((a, b) => Math.min(a, b))),
    max: parts.map((part) => part.reduce((a, b) => Math.max(a, b))),
  };
}

Deno.test("peaks: are the lowest and the highest sample of each part", async () => {
  await using api = await ApiServer.start();
  for (const audio of SOURCES) {
    const { id } = await api.record({ audio });
    const samples = samplesOf(audio, audio.channels[0]).length;
    const place = fc.option(fc.nat({ max: samples + 1000 }), { nil: undefined });
    const choice = fc.record({
      pixels: fc.oneof(
        fc.constant(undefined),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 10_000 }),
      ),
      channel: fc.constantFrom(undefined, ...audio.channels),
      from: place,
      to: place,
    }).filter(({ from = 0, to = Infinity }) => from < to);
    await fc.assert(
      fc.asyncProperty(choice, async ({ pixels, channel, from, to }) => {
        const query = new URLSearchParams({
          ...(pixels !== undefined && { pixels: String(pixels) }),
          ...(channel !== undefined && { channel }),
          ...(from !== undefined && { from: String(from / 8000) }),
          ...(to !== undefined && { to: String(to / 8000) }),
        });
        const response = await api.fetch(`/api/recordings/${id}/peaks?${query}`);
        const fromSamples = Math.min(from ?? 0, samples);
        const toSamples = Math.min(to ?? samples, samples);
        const channels = channel === undefined ? audio.channels : [channel];
        assertEquals(await response.json(), {
          rate: 8000,
          samples,
          fromSamples,
          toSamples,
          channels: channels.map((name) =>
            peaksOf(audio, name, fromSamples, toSamples, pixels ?? 1000)
          ),
        });
      }),
      { numRuns: 15 },
    );
  }
  await api.closed();
});

Deno.test("peaks: of a recording that is being made, of what is there", async () => {
  await using api = await ApiServer.start();
  const audio: MadeAudio = { format: "PCMU", channels: ["internal"], data: noise(5_000) };
  const { id } = await api.record({ audio, isBeingMade: true });
  const target = `/api/recordings/${id}/peaks?pixels=7`;
  const { channels, samples } = await (await api.fetch(target)).json();
  assertEquals([samples, channels], [5_000, [peaksOf(audio, "internal", 0, 5_000, 7)]]);
  // Which of the two it is, nobody knows now.
  await api.index.remove(id);
  const unnamed = (await (await api.fetch(target)).json()).channels;
  assertEquals(unnamed, [{ ...channels[0], channel: null }]);
});

Deno.test("peaks: places may be any numbers, as programs write them", async () => {
  await using api = await ApiServer.start();
  const audio: MadeAudio = { format: "PCMU", channels: ["internal"], data: noise(16_000) };
  const { id } = await api.record({ audio });
  const rows: readonly (readonly [place: string, samples: number])[] = [
    ["0.30000000000000004", 2_400],
    ["1.345678901", 10_765],
    ["5e-7", 0],
    ["2.5E-1", 2_000],
    ["1e+0", 8_000],
    ["00001.50", 12_000],
    ["12345678901.5", 16_000],
    ["1e300", 16_000],
    ["1e308", 16_000],
  ];
  for (const [place, expected] of rows) {
    const query = new URLSearchParams({ from: place, pixels: "3" });
    const response = await api.fetch(`/api/recordings/${id}/peaks?${query}`);
    const { fromSamples, channels } = await response.json();
    assertEquals([response.status, fromSamples], [200, expected], place);
    assertEquals(channels, [peaksOf(audio, "internal", expected, 16_000, 3)], place);
  }
  await api.closed();
});

Deno.test("peaks: of hours of audio, others are answered meanwhile", async () => {
  await using api = await ApiServer.start();
  const audio: MadeAudio = { format: "PCMU", channels: BOTH, data: noise(1000) };
  const bytes = 40 * 1024 * 1024;
  const { id, path } = await api.record({ audio, file: wavFile(audio, bytes) });
  await Deno.truncate(`${path}.wav`, 58 + bytes);
  let hasEnded = false;
  const outline = api.fetch(`/api/recordings/${id}/peaks`).then((response) => {
    hasEnded = true;
    return response.json();
  });
  let answers = 0;
  while (!hasEnded) {
    const response = await api.fetch("/api/recordings?limit=1");
    await response.body?.cancel();
    answers++;
  }
  const { channels } = await outline;
  assertEquals(channels.length, 2);
  assertEquals(answers > 3, true, `${answers} answers`);
});

/** An archive whose audio is not read before it is let. */
function held(archive: FolderArchive, gate: Promise<void>): RecordingArchive {
  return {
    list: () => archive.list(),
    metadata: (id) => archive.metadata(id),
    isUnderWay: (id) => archive.isUnderWay(id),
    hold: (id) => archive.hold(id),
    setHold: (id, hold) => archive.setHold(id, hold),
    remove: (id) => archive.remove(id),
    async open(id, part) {
      const file = await archive.open(id, part);
      await gate;
      return file;
    },
  };
}

Deno.test("peaks: so many are computed at once, others wait, and the next is told to come again", async () => {
  const gate = Promise.withResolvers<void>();
  await using api = await ApiServer.start({
    archive: (archive) => held(archive, gate.promise),
    limits: { maxPeaksRunning: 2, maxPeaksWaiting: 1 },
  });
  const { id } = await api.record({ audio: SOURCES[1] ?? null });
  const target = `/api/recordings/${id}/peaks?pixels=2`;
  const two = [api.fetch(target), api.fetch(target)];
  await until(() => api.archive.openedCount === 2, "two of them");
  const asked = [api.fetch(target), api.fetch(target)];
  const first = await Promise.race(asked);
  assertEquals(first.status, 503);
  assertEquals(first.headers.get("retry-after"), "5");
  assertEquals((await first.json()).error.code, "busy");
  assertEquals(api.archive.openedCount, 2);
  gate.resolve();
  const all = await Promise.all([...two, ...asked]);
  assertEquals(all.map(({ status }) => status).sort(), [200, 200, 200, 503]);
  for (const response of all) if (!response.bodyUsed) await response.body?.cancel();
  await api.closed();
});

Deno.test("peaks: who goes, is computed for no longer", async () => {
  await using api = await ApiServer.start();
  const audio: MadeAudio = { format: "PCMU", channels: BOTH, data: noise(1000) };
  const bytes = 200 * 1024 * 1024;
  const { id, path } = await api.record({ audio, file: wavFile(audio, bytes) });
  await Deno.truncate(`${path}.wav`, 58 + bytes);
  const controller = new AbortController();
  const asked = api.fetch(`/api/recordings/${id}/peaks`, { signal: controller.signal })
    .then(() => "answered", () => "gone");
  await until(() => api.archive.readBytes > 1000, "the beginning");
  controller.abort();
  assertEquals(await asked, "gone");
  await api.closed();
  assertLess(api.archive.readBytes, bytes);
});

Deno.test("peaks: what is too late is computed for no longer", async () => {
  await using _logs = await LogRecords.watch();
  await using api = await ApiServer.start({
    limits: { answerTimeoutMs: 50, maxPeaksRunning: 1, maxPeaksWaiting: 0 },
  });
  const audio: MadeAudio = { format: "PCMU", channels: BOTH, data: noise(1000) };
  const bytes = 200 * 1024 * 1024;
  const { id, path } = await api.record({ audio, file: wavFile(audio, bytes) });
  await Deno.truncate(`${path}.wav`, 58 + bytes);
  const response = await api.fetch(`/api/recordings/${id}/peaks`);
  assertEquals(response.status, 503);
  assertEquals((await response.json()).error.code, "storage_timeout");
  await api.closed();
  assertLess(api.archive.readBytes, bytes);
});
