/**
 * Recordings in object storage, by the program as a whole: with the object server killed and started
 * again while calls run and end, and with the program killed while it records and uploads.
 */
import { assert, assertEquals, assertGreater, assertGreaterOrEqual } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { ask, bucketEnv } from "./helpers/bucket_server.ts";
import {
  assertSameBytes,
  eventually,
  filesBelow,
  Program,
  TemporaryFolder,
  wavChunks,
} from "./helpers/program.ts";
import { type PlacedCall, placeRandomCall } from "./helpers/placed_call.ts";
import { Standstill } from "./helpers/standstill.ts";
import { assertWav, noise } from "./helpers/wav_check.ts";
import { EXTERNAL, WireClient } from "./helpers/wire_client.ts";
import { CREDENTIALS, ObjectServer } from "./storage/s3/object_server.ts";

const CALLS_A_ROUND = 8;
const ROUNDS = 4;
/** In real time, until the program is killed. */
const RUNNING_CALLS_A_ROUND = 5;
const RUNNING_MS = 2_000;
/** How much of a call may be lost, in samples: a second. */
const MAX_LOST_SAMPLES = 8_000;

/** Places a call of known audio, and says what it was, by the session's id. */
async function placeCall(server: Program, sent: Map<string, Uint8Array>): Promise<void> {
  const { port } = await server.url();
  const addr = { transport: "tcp", hostname: "127.0.0.1", port: Number(port) } as const;
  await using client = await WireClient.connect({ addr });
  await client.open({ media: [EXTERNAL] });
  const audio = noise(3000 + sent.size);
  client.sendAudio(audio);
  await client.close("end");
  sent.set(client.id, audio);
}

/** Files of recordings that are on the disk. */
async function filesOnDisk(folder: TemporaryFolder): Promise<string[]> {
  return await filesBelow(folder.join("data", "recordings"));
}

async function everyRecording(server: Program): Promise<Map<string, string>> {
  const response = await ask(server, "/api/recordings?limit=500");
  const { recordings } = await response.json();
  return new Map(recordings.map(({ sessionId, id }: Record<string, string>) => [sessionId, id]));
}

Deno.test("main: no recording is lost while the object server or the program is killed, again and again", async () => {
  await using folder = await TemporaryFolder.make();
  await using objects = await ObjectServer.start();
  const env = bucketEnv(objects, { S3_KEEP_LOCAL: "off" });
  const sent = new Map<string, Uint8Array>();
  const running = new Map<PlacedCall, number>();
  using standstill = new Standstill();
  for (let round = 0; round < ROUNDS; round++) {
    await using server = Program.server(folder.path, env);
    const url = await server.url();
    const controller = new AbortController();
    const calls = Array.from(
      { length: RUNNING_CALLS_A_ROUND },
      (_, index) => placeRandomCall(url, round * RUNNING_CALLS_A_ROUND + index, controller.signal),
    );
    if (round % 2 === 0) await objects.kill();
    await Promise.all(Array.from({ length: CALLS_A_ROUND }, () => placeCall(server, sent)));
    await delay(RUNNING_MS);
    if (round % 2 === 0) await objects.restart();
    // In the middle of uploads, as it comes.
    await delay(100 * round);
    await standstill.isOver(2_000);
    for (const call of calls) running.set(call, call.sentSamples);
    server.kill("SIGKILL");
    await server.ended();
    controller.abort();
    await Promise.all(calls.map(({ outcome }) => outcome));
  }
  await using last = Program.server(folder.path, env);
  await eventually(
    async () => (await filesOnDisk(folder)).length === 0 || undefined,
    "all uploaded, and removed from the disk",
    60_000,
  );
  await last.stop();
  // The disk is lost, and with it the index.
  await Deno.remove(folder.join("data"), { recursive: true });
  await using server = Program.server(folder.path, env);
  const ids = await eventually(async () => {
    const found = await everyRecording(server);
    return found.size === sent.size + running.size ? found : undefined;
  }, "all in the index");
  for (const [sessionId, audio] of sent) {
    const response = await ask(server, `/api/recordings/${ids.get(sessionId)}/audio`);
    assertEquals(response.status, 200);
    const wav = await response.bytes();
    assertSameBytes(wavChunks(wav).get("data") ?? new Uint8Array(), audio, sessionId);
  }
  let recovered = 0;
  for (const [call, sentSamples] of running) {
    const id = ids.get(call.id);
    const metadata = await (await ask(server, `/api/recordings/${id}`)).json();
    const { recordedSamples } = metadata;
    const { format, channels, data } = call;
    const frameBytes = channels * (format === "PCMU" ? 1 : 2);
    const wav = await (await ask(server, `/api/recordings/${id}/audio`)).bytes();
    assertWav(wav, { format, channels, data: data.subarray(0, recordedSamples * frameBytes) });
    assertGreaterOrEqual(recordedSamples, sentSamples - MAX_LOST_SAMPLES, call.id);
    if (metadata.recovered) recovered++;
  }
  assertGreater(recovered, ROUNDS);
  const [id = ""] = ids.values();
  const removed = await ask(server, `/api/recordings/${id}`, { method: "DELETE" });
  assertEquals([removed.status, await removed.text()], [204, ""]);
  const gone = await ask(server, `/api/recordings/${id}/audio`);
  assertEquals([gone.status, (await gone.json()).error.code], [404, "not_found"]);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  assert(!output.includes(CREDENTIALS.secretAccessKey + '"'), output);
});

Deno.test("main: an object server that is not there delays no call, and health says so", async () => {
  await using folder = await TemporaryFolder.make();
  await using objects = await ObjectServer.start();
  await objects.kill();
  await using server = Program.server(folder.path, bucketEnv(objects));
  const sent = new Map<string, Uint8Array>();
  await placeCall(server, sent);
  const problem = await eventually(async () => {
    const text = await (await ask(server, "/healthz")).text();
    return /recordings cannot be uploaded \(\w+\)/.exec(text)?.[0];
  }, "a problem in health");
  assertEquals(problem, "recordings cannot be uploaded (network)");
  const metrics = await (await ask(server, "/metrics")).text();
  assert(metrics.includes("\naudiohook_uploads_waiting 1\n"), metrics);
  const [[sessionId, audio] = ["", new Uint8Array()]] = sent;
  const id = await eventually(
    async () => (await everyRecording(server)).get(sessionId),
    "the recording in the index",
  );
  const wav = await (await ask(server, `/api/recordings/${id}/audio`)).bytes();
  assertSameBytes(wavChunks(wav).get("data") ?? new Uint8Array(), audio);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
});
