/** What an app may rely on: the order of what it is told, and that its end always comes. */
import { assertEquals, assertMatch } from "@std/assert";
import type { App, CallHandler } from "../../lib/app/app.ts";
import { until } from "../helpers/deadline.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { openParameters } from "../helpers/wire_client.ts";

Deno.test("lifecycle: an app hears of all messages before its close, though another still opens", async () => {
  const heard: string[] = [];
  const fast: App = {
    name: "fast",
    open: (): CallHandler => ({
      message: ({ text }) => void heard.push(JSON.parse(text).type),
      close: ({ how }) => void heard.push(`[${how}]`),
      ended: () => void heard.push("[ended]"),
    }),
  };
  const gate = Promise.withResolvers<void>();
  const slow = new TestApp({ open: () => gate.promise });
  await using server = await TestServer.start({ apps: [fast, slow] });
  await using client = await server.connect();
  client.send("open", openParameters());
  await slow.nextCall();
  client.send("close", { reason: "end" });
  await client.expect("closed");
  await client.hangUp();
  gate.resolve();
  await server.idle();
  assertEquals(heard, ["open", "close", "[closed]", "closed", "[ended]"]);
});

Deno.test("lifecycle: a handler whose wishes are invalid gets close, and its signal is aborted", async () => {
  const signals: AbortSignal[] = [];
  const bad = new TestApp({
    open: (_call, signal) => void signals.push(signal),
    preferences: { discardTo: "5s" },
  });
  await using server = await TestServer.start({ apps: [bad] });
  await using client = await server.connect();
  await client.open();
  assertEquals(await bad.told("close"), { how: "left_out" });
  await until(() => signals[0]?.aborted === true, "abort of the app that is left out");
  await client.close();
  await server.idle();
  assertEquals(bad.whats, ["open", "close"]);
});

Deno.test("lifecycle: a handler that fails when it is looked at harms only itself", async () => {
  const broken: App = {
    name: "broken",
    open: () => ({
      get dtmf(): undefined {
        throw new Error("a getter that throws");
      },
    }),
  };
  const good = new TestApp();
  await using server = await TestServer.start({ apps: [broken, good] });
  await using client = await server.connect();
  await client.open();
  client.send("dtmf", { digit: "1" });
  assertEquals(await good.told("dtmf"), "1");
  await client.ping();
  await client.close();
});

Deno.test("lifecycle: an offer that is too large to be repeated is refused, with the reason", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  const media = [{
    type: "audio",
    format: "PCMU",
    channels: ["external"],
    rate: 8000,
    note: "x".repeat(63_900),
  }];
  client.send("open", openParameters({ media }));
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters.reason, "error");
  assertMatch(parameters.info, /"opened".*64000 bytes/);
  await client.close("disconnect");
  await server.idle();
  assertEquals(await server.data.files(), []);
});

Deno.test("lifecycle: all that a client may say at once is logged to the last message", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  const text = "x".repeat(800);
  for (let i = 0; i < 500; i++) client.send("of_tomorrow", { text });
  await client.ping();
  await client.close();
  await client.hangUp();
  await server.idle();
  const { lines, metadata } = await server.recording(client.id);
  assertEquals(metadata.unloggedMessages, 0);
  // And open, opened, ping, pong, close, closed.
  assertEquals(lines.length, 506);
});
