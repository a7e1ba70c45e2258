/**
 * The program is killed, again and again, while it records real calls: the next start completes
 * what was left, and of no call more than the last second is lost.
 */
import { assert, assertEquals, assertGreater, assertGreaterOrEqual } from "@std/assert";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { recordingMetadataSchema } from "../lib/storage/recording_metadata.ts";
import { until } from "./helpers/deadline.ts";
import { filesBelow, Program, TemporaryFolder } from "./helpers/program.ts";
import { type PlacedCall, placeRandomCall, randomNumbers } from "./helpers/placed_call.ts";
import { Standstill } from "./helpers/standstill.ts";
import { assertWav } from "./helpers/wav_check.ts";
import { API_KEY, NIL, SECRET } from "./helpers/wire_client.ts";
import { snapshot } from "./storage/partial_recordings.ts";

const ROUNDS = 10;
const CALLS = 20;
/** How much of a call may be lost, in samples: a second. */
const MAX_LOST_SAMPLES = 8_000;
/** Calls begin within this time. */
const START_MS = 1_000;
const MIN_KILL_MS = 300;
const MAX_KILL_MS = 3_500;
const ENV = {
  AUDIOHOOK_KEYS: JSON.stringify({ [API_KEY]: SECRET.toBase64() }),
  LOG_LEVEL: "debug",
};

/** Whether all recordings have ended; files without a byte are none. */
async function haveEnded(folder: string): Promise<boolean> {
  const files = await filesBelow(folder);
  const ended = new Set(files.filter((path) => path.endsWith(".json")));
  for (const path of files) {
    const name = /^(.*)\.(?:jsonl|wav|wav\.part)$/.exec(path)?.[1];
    if (name === undefined || ended.has(`${name}.json`)) continue;
    // What has gone meanwhile was renamed, or removed: then it's better looked at again.
    const size = await Deno.stat(join(folder, path)).then(({ size }) => size, () => 1);
    if (size > 0) return false;
  }
  return true;
}

/** Compares a recording with what was sent. Returns whether it was recovered. */
async function check(folder: string, call: PlacedCall, sentSamples: number): Promise<boolean> {
  const { id, format, channels, data } = call;
  const path = (await filesBelow(folder)).find((path) => path.endsWith(`${id}.json`));
  if (path === undefined) {
    // Its files were not made, or not written to, when the kill came.
    assert(sentSamples <= MAX_LOST_SAMPLES, `there is no recording of ${sentSamples} samples`);
    return false;
  }
  const location = join(folder, path.slice(0, -".json".length));
  const text = await Deno.readTextFile(`${location}.json`);
  const metadata = recordingMetadataSchema.parse(JSON.parse(text));
  const { recordedSamples, durationSamples, gaps } = metadata;
  const frameBytes = channels * (format === "PCMU" ? 1 : 2);
  const what = `${id}: ${recordedSamples} of ${sentSamples} samples`;
  assertEquals([metadata.sessionId, durationSamples, gaps], [id, recordedSamples, []], what);
  if (recordedSamples > MAX_LOST_SAMPLES || metadata.conversationId !== NIL) {
    assertEquals(metadata.conversationId, call.conversationId, what);
  }
  assertWav(await Deno.readFile(`${location}.wav`), {
    format,
    channels,
    data: data.subarray(0, recordedSamples * frameBytes),
  });
  assertGreaterOrEqual(recordedSamples, sentSamples - MAX_LOST_SAMPLES, what);
  if (metadata.isComplete) {
    assertEquals(recordedSamples * frameBytes, data.length, what);
    assertEquals(metadata.closeReason, "end", what);
  } else {
    assertEquals(metadata.recovered, true, what);
  }
  return metadata.recovered;
}

// By the seed in its name, a run that fails can be tried again.
const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

Deno.test(`main: killed at any moment, it loses no more than a second of any call (seed ${seed})`, async () => {
  const random = randomNumbers(seed);
  await using folder = await TemporaryFolder.make();
  const recordings = folder.join("data", "recordings");
  let recovered = 0;
  using standstill = new Standstill();
  await using servers = new AsyncDisposableStack();
  const start = () => servers.use(Program.server(folder.path, ENV));
  let server = start();
  for (let round = 0; round < ROUNDS; round++) {
    const url = await server.url();
    const controller = new AbortController();
    const calls: PlacedCall[] = [];
    const placing = Array.from({ length: CALLS }, async (_, index) => {
      await delay(random() * START_MS);
      const callSeed = seed + round * CALLS + index + 1;
      calls.push(placeRandomCall(url, callSeed, controller.signal));
    });
    await delay(MIN_KILL_MS + random() * (MAX_KILL_MS - MIN_KILL_MS));
    await standstill.isOver(2_000);
    const sent = new Map(calls.map((call) => [call, call.sentSamples]));
    server.kill("SIGKILL");
    assertEquals((await server.ended()).signal, "SIGKILL");
    await Promise.all(placing);
    controller.abort();
    await Promise.all(calls.map(({ outcome }) => outcome));
    server = start();
    if (random() < 0.5) {
      // And once more, perhaps in the middle of recovery.
      await server.url();
      await delay(random() * 50);
      server.kill("SIGKILL");
      await server.ended();
      server = start();
    }
    await until(() => haveEnded(recordings), "recovery");
    for (const call of calls) {
      if (!call.isOpened) continue;
      if (await check(recordings, call, sent.get(call) ?? 0)) recovered++;
    }
  }
  assertGreater(recovered, ROUNDS * CALLS / 10);
  await server.waitFor(/Recovery is done/);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  const before = await snapshot(recordings);
  server = start();
  await server.waitFor(/Recovery is done/);
  assertEquals((await server.stop()).code, 0);
  assertEquals(await snapshot(recordings), before);
});
