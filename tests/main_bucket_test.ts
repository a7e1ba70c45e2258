/**
 * The program where no disk lasts: recordings are in object storage alone, of which several
 * instances make, complete and read them. They and the storage are killed while calls run.
 */
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertMatch,
} from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { recordingMetadataSchema } from "../lib/storage/recording_metadata.ts";
import { ask, bucketEnv } from "./helpers/bucket_server.ts";
import { type PlacedCall, placeRandomCall } from "./helpers/placed_call.ts";
import { eventually, filesBelow, Program, TemporaryFolder } from "./helpers/program.ts";
import { Standstill } from "./helpers/standstill.ts";
import { assertWav } from "./helpers/wav_check.ts";
import { ObjectServer } from "./storage/s3/object_server.ts";

const CALLS = 12;
/** Longer than until the kill; some are shorter, and end by themselves. */
const CALL_SECONDS = 60;
const OUTAGE_AT_MS = 11_000;
const OUTAGE_MS = 4_000;
/** After the end of the outage. */
const KILL_MS = 10_000;
/** What one instance may leave in memory: a part, and the time that it takes to be stored. */
const MAX_LOST_SAMPLES = 11 * 8_000;
/** Until another instance takes one that is silent for gone, and has looked for what it left. */
const RECOVERY_MS = 150_000;

function envOf(objects: ObjectServer, more: Record<string, string> = {}): Record<string, string> {
  return bucketEnv(objects, { DATA_DIR: "none", ...more });
}

async function statusOf(server: Program, path: string, init: RequestInit): Promise<number> {
  const response = await ask(server, path, init);
  await response.body?.cancel();
  return response.status;
}

/** Identifiers of recordings that have ended, by their sessions. */
async function ended(server: Program): Promise<Map<string, string>> {
  const response = await ask(server, "/api/recordings?limit=500");
  const { recordings = [] } = await response.json();
  return new Map(
    recordings.filter(({ endedAt }: { endedAt: string | null }) => endedAt !== null)
      .map(({ sessionId, id }: Record<string, string>) => [sessionId, id]),
  );
}

/** Compares a recording with what was sent. Returns whether it was recovered. */
async function check(
  server: Program,
  id: string | undefined,
  call: PlacedCall,
  sentSamples: number,
): Promise<boolean> {
  const { format, channels, data } = call;
  const answer = await ask(server, `/api/recordings/${id}`);
  const { recordedSamples, gaps, isComplete, recovered } = recordingMetadataSchema.parse(
    await answer.json(),
  );
  const what = `${call.id}: ${recordedSamples} of ${sentSamples} samples`;
  assertEquals(gaps, [], what);
  const frameBytes = channels * (format === "PCMU" ? 1 : 2);
  const wav = await (await ask(server, `/api/recordings/${id}/audio`)).bytes();
  assertWav(wav, { format, channels, data: data.subarray(0, recordedSamples * frameBytes) });
  assertGreaterOrEqual(recordedSamples, sentSamples - MAX_LOST_SAMPLES, what);
  if (isComplete) assertEquals(recordedSamples * frameBytes, data.length, what);
  assertEquals(recovered, !isComplete, what);
  return recovered;
}

Deno.test("main: without a disk, what a killed instance was recording is completed by another", async () => {
  await using folder = await TemporaryFolder.make();
  await using objects = await ObjectServer.start();
  await using first = Program.server(folder.path, envOf(objects));
  await using second = Program.server(folder.path, envOf(objects));
  const url = await first.url();
  await second.url();
  using standstill = new Standstill();
  const controller = new AbortController();
  const calls = Array.from(
    { length: CALLS },
    (_, index) => placeRandomCall(url, index, controller.signal, CALL_SECONDS),
  );
  await delay(OUTAGE_AT_MS);
  await objects.kill();
  await delay(OUTAGE_MS);
  await objects.restart();
  await delay(KILL_MS);
  await standstill.isOver(KILL_MS);
  assert(calls.every(({ isOpened }) => isOpened));
  const sent = new Map(calls.map((call) => [call, call.sentSamples]));
  first.kill("SIGKILL");
  await first.ended();
  controller.abort();
  await Promise.all(calls.map(({ outcome }) => outcome));
  const ids = await eventually(
    async () => {
      const found = await ended(second);
      return found.size === CALLS ? found : undefined;
    },
    "all completed",
    RECOVERY_MS,
  );
  let recovered = 0;
  for (const call of calls) {
    if (await check(second, ids.get(call.id), call, sent.get(call) ?? 0)) recovered++;
  }
  assertGreater(recovered, CALLS / 2);
  // And an instance that begins with nothing finds the same.
  await using third = Program.server(folder.path, envOf(objects));
  await eventually(async () => (await ended(third)).size === CALLS || undefined, "all indexed");
  const [id = ""] = ids.values();
  const path = `/api/recordings/${id}`;
  const hold = { method: "PUT", body: JSON.stringify({ reason: "a test" }) };
  assertEquals(await statusOf(third, `${path}/hold`, hold), 200);
  const remove = { method: "DELETE" };
  assertEquals(await statusOf(second, path, remove), 409);
  assertEquals(await statusOf(second, `${path}/hold`, remove), 204);
  assertEquals(await statusOf(second, path, remove), 204);
  assertEquals(await statusOf(third, `${path}/audio`, {}), 404);
  for (const server of [second, third]) {
    const { code, output } = await server.stop();
    assertEquals(code, 0, output);
  }
  assertEquals(await filesBelow(folder.path), []);
});

Deno.test("main: on Deno Deploy, its database has the index, it listens where it is told to, and metrics tell of no disk", async () => {
  await using folder = await TemporaryFolder.make();
  await using objects = await ObjectServer.start();
  const database = folder.join("deploy.kv");
  const { DATA_DIR: _, ...rest } = envOf(objects, {
    DENO_DEPLOYMENT_ID: "a-deployment",
    // What Deno opens when it is asked for no database in particular, as Deno Deploy has one.
    DENO_KV_DEFAULT_PATH: database,
    DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0",
    PORT: "1",
  });
  await using server = Program.server(folder.path, rest);
  const url = await server.url();
  const call = placeRandomCall(url, 7, new AbortController().signal, 1);
  assertEquals((await call.outcome).failure, undefined);
  const ids = await eventually(async () => {
    const found = await ended(server);
    return found.size === 1 ? found : undefined;
  }, "the recording in the index");
  const isRecovered = await check(server, ids.get(call.id), call, 0);
  assertEquals(isRecovered, false);
  const metrics = await (await ask(server, "/metrics")).text();
  assertMatch(metrics, /^audiohook_object_storage_busy_seconds \d/m);
  assert(!metrics.includes("audiohook_disk_"), metrics);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  using kv = await Deno.openKv(database);
  const { value: first } = await kv.list({ prefix: [] }).next();
  assert(first !== undefined, "the index is not in that database");
});
