/**
 * A server that stops: it asks its clients to go, waits for them, and leaves whole recordings.
 */
import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { watchDefects } from "../helpers/defects.ts";
import { PATIENCE_MS, until, within } from "../helpers/deadline.ts";
import { knockWith } from "../helpers/knock.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { HANDSHAKE, rawRequest } from "../helpers/raw_socket.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, noise } from "../helpers/wav_check.ts";
import {
  ENDPOINT,
  type Json,
  openParameters,
  requestHeaders,
  type ServerText,
} from "../helpers/wire_client.ts";

/** Longer than a test waits for anything. */
const HOUR_MS = 3_600_000;
const REASONS = ["completed", "unauthorized", "error", "rejected"];

function assertAsksToGo({ parameters }: ServerText): void {
  assert(REASONS.includes(parameters.reason), String(parameters.reason));
  // The call goes on, so the client should try elsewhere: only after `error` it does (section 14).
  assertEquals(parameters.reason, "error");
  assert(typeof parameters.info === "string" && parameters.info.length > 5);
}

Deno.test("shutdown: without connections, it stops at once", async () => {
  await using server = await TestServer.start();
  await within(server.stop(HOUR_MS), "shutdown");
  await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port: server.addr.port }));
});

Deno.test("shutdown: sends disconnect, waits for close, and the recordings are complete", async () => {
  await using server = await TestServer.start();
  const audio = noise(16_000);
  await using one = await server.connect();
  await using two = await server.connect();
  for (const client of [one, two]) {
    await client.open();
    client.sendAudio(audio.slice(0, 8000));
    await client.ping();
  }
  let hasStopped = false;
  const stopping = server.stop(20_000).then(() => hasStopped = true);
  for (const client of [one, two]) {
    assertAsksToGo(await client.expect("disconnect"));
    client.sendAudio(audio.slice(8000)); // it was on its way
    await client.ping();
  }
  assertEquals(hasStopped, false, "it waits for the clients");
  await one.close("disconnect");
  await two.ping();
  assertEquals(hasStopped, false, "it waits for all clients");
  await two.close("disconnect");
  await within(stopping, "shutdown");
  for (const client of [one, two]) {
    const { wav, metadata } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: audio });
    assertEquals(metadata.isComplete, true);
    assertEquals(metadata.closeReason, "disconnect");
  }
});

Deno.test("shutdown: in every state of a session", async () => {
  using _defects = watchDefects();
  const opening = Promise.withResolvers<void>();
  const closing = Promise.withResolvers<void>();
  let isSlow = false;
  const app = new TestApp({
    open: () => isSlow ? opening.promise : undefined,
    close: () => isSlow ? undefined : closing.promise,
  });
  await using server = await TestServer.start({ apps: [app] });

  await using connected = await server.connect();
  await using closer = await server.connect();
  await closer.open();
  closer.send("close", { reason: "end" });
  await app.told("close");
  await using leaving = await server.connect();
  await leaving.open();
  await app.nextCall();
  (await app.nextCall()).disconnect("completed");
  await leaving.expect("disconnect");
  await using opener = await server.connect();
  isSlow = true;
  opener.send("open", openParameters());
  await app.nextCall();

  const stopping = server.stop(20_000);
  assertAsksToGo(await connected.expect("disconnect"));
  assertAsksToGo(await opener.expect("disconnect"));
  await connected.close("disconnect");
  await opener.close("disconnect");
  opening.resolve();
  await leaving.close("disconnect");
  closing.resolve();
  // It was closing already, and is not told to go.
  await closer.expect("closed");
  await closer.hangUp();
  await within(stopping, "shutdown");
  assertEquals((await server.recording(closer.id)).metadata.isComplete, true);
  assertEquals((await server.recording(leaving.id)).metadata.isComplete, true);
  assertEquals((await server.data.files()).length, 6);
});

Deno.test("shutdown: hung clients are ended after the timeout, their recordings finished", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start();
  const audio = noise(16_000);
  await using client = await server.connect();
  await client.open();
  client.sendAudio(audio);
  await client.ping();
  const startMs = performance.now();
  await server.stop(600);
  const tookMs = performance.now() - startMs;
  assertGreaterOrEqual(tookMs, 590);
  await within(client.ended, "end of the WebSocket");
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, false);
});

Deno.test("shutdown: a client that answers nothing at all does not stop it", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start();
  const id = crypto.randomUUID();
  const text = (type: string, seq: number, parameters: Json) =>
    JSON.stringify({ version: "2", id, type, seq, serverseq: 0, position: "PT0S", parameters });
  await using socket = await server.connectRaw(id);
  await socket.sendText(text("open", 1, openParameters()));
  await socket.message("opened");
  await socket.sendFrame(2, noise(1600));
  await socket.sendText(text("ping", 2, {}));
  await socket.message("pong");
  await server.stop(500);
  const { wav, metadata } = await server.recording(id);
  assertWav(wav, { format: "PCMU", channels: 2, data: noise(1600) });
  assertEquals(metadata.isComplete, false);
});

Deno.test("shutdown: an app that hangs does not stop it", async () => {
  using _defects = watchDefects();
  const app = new TestApp({ close: () => new Promise(() => {}) });
  await using server = await TestServer.start({ apps: [app], appTimeouts: { closeMs: 300 } });
  await using client = await server.connect();
  await client.open();
  const stopping = server.stop(HOUR_MS);
  await client.expect("disconnect");
  await client.close("disconnect");
  await within(stopping, "shutdown");
});

Deno.test("shutdown: new connections get 503 meanwhile, and the process still lives", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const stopping = server.stop(20_000);
  await client.expect("disconnect");
  const headers = await requestHeaders(server.authority);
  const { status } = await rawRequest(server.addr.port, ENDPOINT, {
    Host: server.authority,
    ...HANDSHAKE,
    ...headers,
  });
  assertEquals(status, 503);
  const health = await rawRequest(server.addr.port, "/healthz", { Host: server.authority });
  assertEquals(health.status, 200);
  await client.close("disconnect");
  await within(stopping, "shutdown");
});

Deno.test("shutdown: a refusal that still waits is answered, long before its time", async () => {
  await using logs = await LogRecords.watch();
  // Longer than the test waits for anything.
  await using server = await TestServer.start({ authFailureDelayMs: 10 * PATIENCE_MS });
  const answer = knockWith(server, { secret: new Uint8Array(32).fill(1) });
  await until(() => logs.of("Refused a connection").length === 1, "refusal");
  const stopping = server.stop(20_000);
  assertEquals((await answer).status, 401);
  await within(stopping, "shutdown");
});
