/**
 * Clients that wait for ever, and what apps and recordings make of them (protocol sections 11, 13
 * and 14).
 */
import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { within } from "../helpers/deadline.ts";
import { watchDefects } from "../helpers/defects.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, concat, noise } from "../helpers/wav_check.ts";
import { RawSession } from "./raw_session.ts";

Deno.test("waiting: without an open, the client is asked to go, then the connection ends", async () => {
  await using server = await TestServer.start({
    sessionLimits: { openTimeoutMs: 200, closeTimeoutMs: 200 },
  });
  await using client = await server.connect();
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters.reason, "error");
  await within(client.ended, "end of the connection");
  await server.idle();
});

Deno.test("waiting: no close after disconnect, the connection ends and the call is incomplete", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({
    apps: [app],
    sessionLimits: { closeTimeoutMs: 200 },
  });
  await using client = await server.connect();
  await client.open();
  const audio = noise(160);
  client.sendAudio(audio);
  await client.ping();
  (await app.nextCall()).disconnect("completed");
  await client.expect("disconnect");
  await within(client.ended, "end of the connection");
  await server.idle();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, false);
  assertEquals(app.notes.find(({ what }) => what === "close")?.detail, { how: "lost" });
});

Deno.test("waiting: a client that stays after closed is hung up, not at once", async () => {
  await using server = await TestServer.start({ sessionLimits: { hangupTimeoutMs: 300 } });
  await using client = await server.connect();
  await client.open();
  client.send("close", { reason: "end" });
  const closedMs = performance.now();
  await client.expect("closed");
  await within(client.ended, "end of the connection");
  assertGreater(performance.now() - closedMs, 250, "the client has the first say");
  await server.idle();
});

// Deno's WebSocket can't be terminated: the TCP connection stays until the client, or TCP, ends it.
Deno.test("waiting: a client that does not answer the WebSocket's goodbye holds nothing up", async () => {
  await using server = await TestServer.start({ sessionLimits: { hangupTimeoutMs: 200 } });
  await using session = await RawSession.connect(server);
  await session.open();
  await session.send("close", { reason: "end" });
  await session.expect("closed");
  // It gets the WebSocket's goodbye, and says nothing to it.
  await server.idle();
  assertEquals((await server.recording(session.id)).metadata.isComplete, true);
  await within(server.server.shutdown(), "shutdown");
});

Deno.test("waiting: a silent client is asked to go", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({
    apps: [app],
    sessionLimits: { silenceTimeoutMs: 300, closeTimeoutMs: 200 },
  });
  await using client = await server.connect();
  await client.open();
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters.reason, "error");
  assertMatch(parameters.info, /received|silen|ping/i);
  await within(client.ended, "end of the connection");
  await server.idle();
  assertEquals((await server.recording(client.id)).metadata.isComplete, false);
});

Deno.test("many: twenty bad clients at once, and one good one", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start();
  await using bystander = await server.connect();
  await bystander.open();
  const calm = noise(20 * 320);
  const bad = Array.from({ length: 20 }, async (_, index) => {
    await using client = await server.connect();
    await client.open();
    client.send("ping", {}, { seq: 99 + index });
    await client.expect("disconnect");
    await client.close("disconnect");
  });
  for (let at = 0; at < calm.length; at += 320) {
    bystander.sendAudio(calm.slice(at, at + 320));
    await bystander.ping();
  }
  await Promise.all(bad);
  await bystander.close();
  await server.idle();
  assertWav((await server.recording(bystander.id)).wav, {
    format: "PCMU",
    channels: 2,
    data: concat(calm),
  });
});
