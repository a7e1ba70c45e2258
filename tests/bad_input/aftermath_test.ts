/**
 * What comes after a fault, or after `close`, and what is recorded of it (protocol section 4).
 */
import { assertEquals } from "@std/assert";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, noise } from "../helpers/wav_check.ts";
import { openParameters } from "../helpers/wire_client.ts";
import { MARK } from "./runner.ts";

Deno.test("after a fault: pings and audio in flight are still dealt with", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(320);
  client.send("ping", {}, { seq: 5 });
  client.sendAudio(audio);
  client.send("ping");
  client.send("hologram");
  await client.expect("disconnect");
  assertEquals((await client.expect("pong")).clientseq, 6);
  await client.close("disconnect");
});

Deno.test("after a fault: the call is recorded up to it", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const audio = noise(3200);
  client.sendAudio(audio);
  client.sendText(`{"broken": "${MARK}`);
  client.seq++;
  await client.expect("disconnect");
  await client.close("disconnect");
  const { wav, metadata, lines } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.closeReason, "disconnect");
  assertEquals(lines.map(({ message, text }) => message?.type ?? text), [
    "open",
    "opened",
    `{"broken": "${MARK}`,
    "disconnect",
    "close",
    "closed",
  ]);
});

Deno.test("after a fault: a close is answered even if the client did not count the broken text", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  client.miscounts = true;
  client.sendText(`{"broken": "${MARK}`);
  await client.expect("disconnect");
  // Section 4: the next message continues from the number that the client actually used.
  await client.close("disconnect", 3000);
});

Deno.test("after close: audio and messages are ignored, and not recorded", async () => {
  const gate = Promise.withResolvers<void>();
  const app = new TestApp({ close: () => gate.promise });
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  const audio = noise(1600);
  client.sendAudio(audio);
  client.send("close", { reason: "end" });
  await app.told("close");
  client.sendAudio(noise(1600, 2));
  client.sendAudio(noise(161, 2));
  gate.resolve();
  await client.expect("closed");
  client.sendAudio(noise(1600, 3));
  client.send("ping");
  client.sendText("no JSON");
  client.send("open", openParameters());
  await client.hangUp();
  await server.idle();
  assertEquals(client.history.map(({ type }) => type), ["opened", "closed"]);
  assertEquals(app.count("audio"), 1);
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, true);
});

Deno.test("after close: a second close gets no second closed", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  client.send("close", { reason: "end" });
  client.send("close", { reason: "end" });
  await client.expect("closed");
  await client.hangUp();
  await server.idle();
  assertEquals(client.history.map(({ type }) => type), ["opened", "closed"]);
  assertEquals(app.count("close"), 1);
});
