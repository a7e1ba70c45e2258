// How fast a server may send, over real sockets (protocol sections 12 and 15): too fast is told by 429, and
// our own server never is.
import { assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { until } from "../helpers/deadline.ts";
import { app, RecordingServer } from "./recording_server.ts";
import { type Peer, ScriptedServer } from "./scripted_server.ts";
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
  assertMatch(outcome.failure ?? "", /section 12\): More than 10 messages a second/);
  assertEquals(outcome.violations.length, 1);
  const errors = server.peer.received.filter(({ type }) => type === "error");
  assertEquals(errors.map(({ parameters }) => [parameters.code, parameters.retryAfter]), [
    [429, "PT1S"],
  ]);
  assertEquals(server.peer.message("close")?.parameters.reason, "end");
  assertEquals(server.peer.message("close")?.serverseq, 81);
});

const FLOODS: Readonly<Record<string, (peer: Peer) => void>> = {
  "events": (peer) => peer.say("event", { entities: [{ type: "note", data: 1 }] }),
  "requests for a pause": (peer) => peer.say("pause"),
  "messages of an unknown type": (peer) => peer.say("bulletin"),
  "requests to reconnect": (peer) => peer.say("reconnect"),
  "updated that nobody asked for": (peer) => peer.say("updated"),
};

for (const [what, say] of Object.entries(FLOODS)) {
  Deno.test(`pace: a flood of ${what} is told by 429, and is not listened to for long`, async () => {
    await using server = new ScriptedServer((peer, message) => {
      if (message.type === "open") {
        peer.answer(message);
        for (let n = 0; n < 5000; n++) say(peer);
      }
    });
    const call = startCall(server.url, { seconds: 60, speed: 1 });
    const outcome = await call.outcome;
    assertMatch(outcome.failure ?? "", /section 1[02]\)/);
    assertLess(call.messages.filter(({ from }) => from === "server").length, 600);
    assertEquals(outcome.violations.some(({ section }) => section === "12"), true);
    assertEquals(call.messages.find(({ type }) => type === "error")?.parameters.code, 429);
    assertEquals(call.messages.find(({ type }) => type === "close")?.parameters.reason, "error");
  });
}

Deno.test("pace: audio that is far ahead of real time is told by 429, and is played", async () => {
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type !== "open") return;
    for (let n = 0; n < 5; n++) peer.raw(new Uint8Array(64_000));
  });
  const call = startCall(server.url, { seconds: 60, speed: 1, channels: 1 });
  await until(() => eventsOf(call, "violation").length > 0, "the violation");
  await until(() => server.peer.message("error") !== undefined, "the error");
  call.control.close();
  const outcome = await call.outcome;
  assertMatch(outcome.failure ?? "", /section 15\): Audio came more than 30 s ahead/);
  assertEquals([outcome.violations.length, outcome.receivedAudioBytes], [1, 320_000]);
  assertEquals(server.peer.message("error")?.parameters.code, 429);
});

Deno.test("pace: each of many updates may be answered at once", async () => {
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "update") peer.say("updated");
  });
  const call = startCall(server.url, { seconds: 60, speed: 1 });
  await until(() => eventsOf(call, "opened").length > 0, "the session");
  for (let n = 0; n < 100; n++) assertEquals(call.control.update("es"), true);
  await until(() => eventsOf(call, "updated").length === 100, "all answers");
  call.control.close();
  const outcome = await call.outcome;
  assertEquals([outcome.failure, outcome.violations], [undefined, []]);
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
