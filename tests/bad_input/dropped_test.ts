/**
 * What apps and recordings make of a connection that breaks (protocol section 13).
 */
import { assertEquals } from "@std/assert";
import { until, within } from "../helpers/deadline.ts";
import { watchDefects } from "../helpers/defects.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, noise } from "../helpers/wav_check.ts";
import { openParameters } from "../helpers/wire_client.ts";
import { RawSession } from "./raw_session.ts";

Deno.test("dropped: before open", async () => {
  using _defects = watchDefects();
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using session = await RawSession.connect(server);
  await until(() => server.server.connectionCount === 1, "connection");
  session.socket.drop();
  await server.idle();
  assertEquals(app.notes, []);
  assertEquals(await server.data.files(), []);
});

Deno.test("dropped: while opening", async () => {
  using _defects = watchDefects();
  const gate = Promise.withResolvers<void>();
  const slow = new TestApp({ name: "slow", open: () => gate.promise });
  const quick = new TestApp({ name: "quick" });
  await using server = await TestServer.start({ apps: [quick, slow] });
  await using session = await RawSession.connect(server);
  await session.send("open", openParameters());
  await slow.nextCall();
  session.socket.drop();
  await server.idle();
  assertEquals(quick.whats, ["open", "close", "ended"]);
  gate.resolve();
  await slow.told("close");
  // A whole other call, so that whatever the late app sets off has had its time.
  await using client = await server.connect();
  await client.open();
  await client.close();
  await server.idle();
  await within(server.recorder.finished(), "end of all recordings");
  assertEquals(slow.whats.slice(0, 2), ["open", "close"]);
  assertEquals(
    quick.whats.slice(0, 4),
    ["open", "close", "ended", "open"],
    "no opened after ended",
  );
  assertEquals((await server.files()).filter((name) => name.startsWith(session.id)), []);
});

for (
  const [how, last] of [
    ["between frames", new Uint8Array()],
    ["within a frame", new Uint8Array([0x82, 0xFE, 0x06, 0x40, 0, 0, 0, 0, 1, 2, 3])],
    ["after a frame with an unknown opcode", new Uint8Array([0x8B, 0x80, 0, 0, 0, 0])],
    ["after a text that is not UTF-8", new Uint8Array([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28])],
    ["after a frame of 2^62 bytes", new Uint8Array([0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0])],
  ] as const
) {
  Deno.test(`dropped: open, ${how}`, async () => {
    using _defects = watchDefects();
    const app = new TestApp();
    await using server = await TestServer.start({ apps: [app] });
    await using bystander = await server.connect();
    await bystander.open();
    await using session = await RawSession.connect(server);
    await session.open();
    const audio = noise(1600);
    await session.sendAudio(audio);
    await session.ping();
    await session.socket.write(last);
    session.socket.drop();
    await until(() => server.server.connectionCount === 1, "end of the connection");
    await bystander.ping();
    await bystander.close();
    await server.idle();
    const { wav, metadata } = await server.recording(session.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: audio });
    assertEquals(metadata.isComplete, false);
    assertEquals(metadata.closeReason, null);
    assertEquals(app.notes.filter(({ what }) => what === "close")[0]?.detail, { how: "lost" });
  });
}

Deno.test("dropped: disconnecting", async () => {
  using _defects = watchDefects();
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using session = await RawSession.connect(server);
  await session.open();
  (await app.nextCall()).disconnect("completed");
  await session.expect("disconnect");
  session.socket.drop();
  await server.idle();
  const { metadata } = await server.recording(session.id);
  assertEquals(metadata.isComplete, false);
  assertEquals(metadata.closeReason, null);
  assertEquals(app.count("close"), 1);
});

Deno.test("dropped: closing", async () => {
  using _defects = watchDefects();
  const gate = Promise.withResolvers<void>();
  const app = new TestApp({ close: () => gate.promise });
  await using server = await TestServer.start({ apps: [app] });
  await using session = await RawSession.connect(server);
  await session.open();
  const audio = noise(160);
  await session.sendAudio(audio);
  await session.send("close", { reason: "end" });
  await app.told("close");
  session.socket.drop();
  gate.resolve();
  await server.idle();
  const { wav, metadata } = await server.recording(session.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.closeReason, "end");
  assertEquals(app.count("close"), 1);
  assertEquals(app.count("ended"), 1);
});

Deno.test("dropped: by a WebSocket's goodbye, without close", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(1601 * 2);
  client.sendAudio(audio);
  await client.ping();
  await client.hangUp();
  await server.idle();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, false);
});
