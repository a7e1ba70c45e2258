// How fast a server may send, over real sockets (protocol section 12): too fast is told by 429, and
// our own server never is.
import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { until } from "../helpers/deadline.ts";
import { app, RecordingServer } from "./recording_server.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { eventsOf, startCall } from "./some_call.ts";

Deno.test("pace: what our own server sends is never too much, whatever its app does at once", async () => {
  const busy = app("busy", (call) => ({
    opened() {
      for (let n = 0; n < 300; n++) {
        call.sendEvent({ type: "note", data: { n } });
        call.play(new Uint8Array(80).fill(n % 251));
      }
    },
  }));
  await using server = await RecordingServer.start(busy);
  const call = startCall(server.url, { channels: 1, seconds: 4, speed: 1 });
  const outcome = await call.outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(outcome.violations, []);
  assertEquals(outcome.receivedAudioBytes, 24_000);
  assertEquals(eventsOf(call, "event").flatMap(({ entities }) => entities).length, 300);
});

Deno.test("pace: events that are too many are answered by one 429, handed on, and a failure", async () => {
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type !== "open") return;
    for (let n = 0; n < 80; n++) peer.say("event", { entities: [{ type: "note", data: n }] });
  });
  const call = startCall(server.url, { seconds: 60, speed: 1 });
  await until(() => eventsOf(call, "event").length === 80, "all events");
  call.control.close();
  const outcome = await call.outcome;
  assertMatch(outcome.failure ?? "", /section 12\): More than 10 events a second/);
  assertEquals(outcome.violations.length, 1);
  const errors = server.peer.received.filter(({ type }) => type === "error");
  assertEquals(errors.map(({ parameters }) => [parameters.code, parameters.retryAfter]), [
    [429, "PT1S"],
  ]);
  assertEquals(server.peer.message("close")?.parameters.reason, "end");
  assertEquals(server.peer.message("close")?.serverseq, 81);
});

Deno.test("pace: a call that is faster than real time has as many more events", async () => {
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type !== "open") return;
    for (let n = 0; n < 80; n++) peer.say("event", { entities: [{ type: "note", data: n }] });
  });
  const call = startCall(server.url, { seconds: 20, speed: 10 });
  const outcome = await call.outcome;
  assertEquals([outcome.failure, outcome.violations], [undefined, []]);
  assertEquals(eventsOf(call, "event").length, 80);
});

Deno.test("pace: a server that does not answer ping is told 408, and left at once", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type !== "ping") peer.answer(message);
  });
  const call = startCall(server.url, {
    seconds: 60,
    speed: 1,
    limits: { firstPingMs: 20, pongTimeoutMs: 100 },
  });
  const outcome = await call.outcome;
  assertMatch(outcome.failure ?? "", /"pong"/);
  assertEquals(outcome.violations.map(({ section }) => section), ["11"]);
  assertEquals(server.peer.types, ["open", "ping", "ping", "error"]);
  assertEquals(server.peer.message("error")?.parameters.code, 408);
  assertGreater(server.peer.frames.length, 0);
});
