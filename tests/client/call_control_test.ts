// What may be done to a call while it runs, against our own server and against a scripted one.
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import type { CallControl } from "../../lib/client/call_control.ts";
import type { CallEvent } from "../../lib/client/call_event.ts";
import { until } from "../helpers/deadline.ts";
import { app, RecordingServer } from "./recording_server.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { eventsOf, type SomeCall, type SomeCallOptions, startCall } from "./some_call.ts";

const BOT = { channels: 1, seconds: 60, speed: 1 } as const;

async function opened(call: SomeCall): Promise<void> {
  await until(() => eventsOf(call, "opened").length > 0, "opened");
}

const typesOf = (call: SomeCall, from: "client" | "server") =>
  call.messages.filter((message) => message.from === from && !/^p[io]ng$/.test(message.type))
    .map(({ type }) => type);

/** What can be done only in an open session. */
const ACTS: Readonly<Record<string, (control: CallControl) => boolean>> = {
  pause: (control) => control.pause(),
  update: (control) => control.update("es-419"),
  dtmf: (control) => control.dtmf("5"),
  discard: (control) => control.discard(1),
};

Deno.test("control: before the session is open, and after the call, nothing is possible", async () => {
  await using server = new ScriptedServer();
  const refused: string[] = [];
  const call = startCall(server.url, {
    channels: 1,
    onControl(control) {
      for (const [name, act] of Object.entries(ACTS)) if (!act(control)) refused.push(name);
      assertEquals([control.resume(), control.stall(1), control.drop()], [false, false, false]);
      assertEquals([control.reset(), control.error(500, "x")], [false, false]);
    },
  });
  assertEquals(refused, Object.keys(ACTS));
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(typesOf(call, "client"), ["open", "close"]);
  for (const [name, act] of Object.entries(ACTS)) assertEquals(act(call.control), false, name);
  const { control } = call;
  assertEquals([control.close(), control.drop(), control.reset()], [false, false, false]);
  assertEquals([control.resume(), control.stall(1), control.error(500, "")], [false, false, false]);
});

Deno.test("control: what is said goes over the wire, in order", async () => {
  await using server = new ScriptedServer();
  const call = startCall(server.url, BOT);
  await opened(call);
  const { control } = call;
  assertEquals(control.pause(), true);
  assertEquals(control.pause(), false);
  assertEquals(control.resume(), true);
  assertEquals(control.resume(), false);
  assertEquals(control.update("no language"), false);
  assertEquals(control.update("de"), true);
  assertEquals(control.dtmf("12"), false);
  assertEquals(control.dtmf("#"), true);
  assertEquals(control.error(12, "x"), false);
  assertEquals(control.error(500, "x"), true);
  for (const seconds of [0, -1, NaN, Infinity]) {
    assertEquals([control.discard(seconds), control.stall(seconds)], [false, false]);
  }
  assertEquals(control.close("reconnect"), true);
  assertEquals(control.close(), false);
  assertEquals((await call.outcome).failure, undefined);
  const types = ["open", "paused", "resumed", "update", "dtmf", "error", "close"];
  assertEquals(server.peer.types, types);
  assertEquals(typesOf(call, "client"), types);
  assertEquals(server.peer.message("update")?.parameters, { language: "de" });
  assertEquals(server.peer.message("dtmf")?.parameters, { digit: "#" });
  assertEquals(server.peer.message("error")?.parameters, { code: 500, message: "x" });
  assertEquals(server.peer.message("close")?.parameters, { reason: "reconnect" });
  assertEquals(server.peer.faults, []);
});

Deno.test("control: digits are for a bot alone", async () => {
  await using server = new ScriptedServer();
  const call = startCall(server.url, { seconds: 60, speed: 1 });
  await opened(call);
  assertEquals(call.control.dtmf("1"), false);
  call.control.close();
  await call.outcome;
});

Deno.test("control: a pause leaves silence in the recording, and an update is answered", async () => {
  const languages: string[] = [];
  await using server = await RecordingServer.start(
    app("listener", () => ({ update: (language) => void languages.push(language) })),
  );
  const call = startCall(server.url, { seconds: 600, speed: 20 });
  await opened(call);
  call.control.update("es");
  call.control.pause();
  await until(() => eventsOf(call, "updated").length > 0, "updated");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert(call.control.resume());
  call.control.close();
  assertEquals((await call.outcome).failure, undefined);
  const { metadata } = await server.recorded();
  assertEquals(languages, ["es"]);
  assertEquals(metadata.gaps.length, 1);
  assertEquals(metadata.gaps[0].cause, "paused");
});

Deno.test("control: its own pause, and its language, outlive a retry", async () => {
  await using server = new ScriptedServer();
  const call = startCall(server.url, { seconds: 60, speed: 1, maxRetries: 1 });
  await opened(call);
  call.control.update("fr-CA");
  call.control.pause();
  call.control.reset();
  await until(() => server.peers[1]?.types.includes("paused"), "paused");
  assertEquals(server.peers[1]?.types, ["open", "paused"]);
  assertEquals(server.peers[1]?.message("open")?.parameters.language, "fr-CA");
  assertEquals(server.peers[1]?.frames, []);
  assertEquals(call.control.resume(), true);
  await until(() => (server.peers[1]?.frames.length ?? 0) > 0, "audio");
  call.control.close();
  const outcome = await call.outcome;
  assertEquals([outcome.failure, outcome.attempts], [undefined, 2]);
});

Deno.test("control: its own pause outlives an attempt that opens no session", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (server.peers.length === 2 && message.type === "open") {
      peer.say("disconnect", { reason: "error" });
    } else peer.answer(message);
  });
  const call = startCall(server.url, { seconds: 60, speed: 1, maxRetries: 2 });
  await opened(call);
  call.control.pause();
  call.control.drop();
  await until(() => server.peers[2]?.types.includes("paused"), "paused");
  assertEquals(server.peers[2]?.types, ["open", "paused"]);
  call.control.close();
  const outcome = await call.outcome;
  assertEquals([outcome.failure, outcome.attempts], [undefined, 3]);
});

Deno.test("control: a call can be steered until its last frame is said", async () => {
  await using server = new ScriptedServer();
  const call = startCall(server.url, { seconds: 2, speed: 1, frameSamples: 16_000, channels: 1 });
  await until(() => server.peers[0]?.frames.length === 1, "the only frame");
  assertEquals(call.control.update("es"), true);
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(typesOf(call, "client"), ["open", "update", "close"]);
});

Deno.test("control: once the session is closed, nothing is possible, nor changes how it ended", async () => {
  await using server = new ScriptedServer();
  const possible: boolean[] = [];
  const call = startCall(server.url, {
    onEvent(event) {
      if (event.type !== "closed") return;
      queueMicrotask(() => {
        const { control } = call;
        possible.push(control.drop(), control.reset(), control.stall(1), control.close());
      });
    },
  });
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(possible, [false, false, false, false]);
});

Deno.test("control: who ends the call does not wait for the end of a stall", async () => {
  await using server = new ScriptedServer();
  const controller = new AbortController();
  const { signal } = controller;
  const call = startCall(server.url, { seconds: 600, speed: 1, signal });
  await opened(call);
  assertEquals(call.control.stall(300), true);
  controller.abort();
  const outcome = await call.outcome;
  assertEquals([outcome.failure, outcome.violations], [undefined, []]);
  assertEquals(server.peer.types.at(-1), "close");
});

for (const how of ["drop", "reset"] as const) {
  Deno.test(`control: a ${how} without retries is a loss of the connection, as asked for`, async () => {
    await using server = new ScriptedServer();
    const call = startCall(server.url, { seconds: 60, speed: 1 });
    await opened(call);
    assertEquals(call.control[how](), true);
    assertEquals(call.control[how](), false);
    const outcome = await call.outcome;
    assertMatch(outcome.failure ?? "", how === "drop" ? /dropped, as asked/ : /reset, as asked/);
    assertEquals(outcome.violations, []);
    assertEquals(server.peer.types, ["open"]);
  });
}

Deno.test("control: while it stalls nothing is read, and nothing is late by that", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type !== "ping") peer.answer(message);
  });
  const call = startCall(server.url, {
    seconds: 60,
    speed: 1,
    limits: { firstPingMs: 50, pongTimeoutMs: 800 },
  });
  await until(() => eventsOf(call, "opened").length > 0 && server.peer.types.at(-1) === "ping", "");
  assertEquals(call.control.stall(1.2), true);
  assertEquals(call.control.stall(1), false);
  const { peer } = server;
  for (const { seq } of peer.received.filter(({ type }) => type === "ping")) {
    peer.raw(peer.envelope("pong", { clientseq: seq, parameters: {} }));
  }
  for (let i = 0; i < 33; i++) peer.say("event", { entities: [{ type: "x", data: i }] });
  const framesBefore = peer.frames.length;
  await until(() => peer.frames.length >= framesBefore + 4, "audio during the stall");
  assertEquals([...eventsOf(call, "event"), ...eventsOf(call, "pong")], []);
  await until(() => eventsOf(call, "event").length === 33, "the events");
  assertEquals(eventsOf(call, "pong").length, 2);
  call.control.close();
  const outcome = await call.outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(outcome.violations, []);
});

Deno.test("control: a probe opens and closes, and says nothing", async () => {
  const nil = "00000000-0000-0000-0000-000000000000";
  await using server = await RecordingServer.start();
  const call = startCall(server.url, {
    isProbe: true,
    seconds: 60,
    speed: 1,
    openMore: {
      conversationId: nil,
      participant: { id: nil, ani: "", aniName: "", dnis: "" },
      media: [{ type: "audio", format: "PCMU", channels: ["external"], rate: 8000 }],
    },
  });
  const outcome = await call.outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(typesOf(call, "server"), ["opened", "closed"]);
  assertEquals(outcome.sentFrames, 0);
  assertEquals(await server.count(), 0);
});

Deno.test("control: a probe to a server that selects audio sends none of it", async () => {
  await using server = new ScriptedServer();
  const outcome = await startCall(server.url, { isProbe: true, seconds: 60, historySeconds: 9 })
    .outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(server.peer.types, ["open", "close"]);
  assertEquals(server.peer.frames, []);
  assertEquals([outcome.positionSamples, outcome.sentFrames, outcome.attempts], [0, 0, 1]);
  assertLess(outcome.openedMs ?? Infinity, 30_000);
  assertLess(outcome.closedMs ?? Infinity, 50_000, "before the call would end by itself");
});

// --- The bot's voice ---------------------------------------------------------------------------

/** A bot that plays once it is open, with what is told of the playing. */
async function playing(
  play: (server: ScriptedServer) => void,
  options: SomeCallOptions = {},
): Promise<{ call: SomeCall; told: string[] }> {
  const told: string[] = [];
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "open") play(server);
    if (message.type.startsWith("playback")) told.push(message.type);
  });
  const call = startCall(server.url, { ...BOT, ...options });
  await until(() => told.includes("playback_completed"), "playback_completed");
  call.control.close();
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(server.peer.faults, []);
  return { call, told };
}

/** 24 s: longer than a test waits until all of it was played, and no more than may come at once. */
function playLong(peer: ScriptedServer["peer"]): void {
  for (let n = 0; n < 3; n++) peer.raw(new Uint8Array(64_000));
}

Deno.test("playback: it is told when the voice begins, and when all of it was played", async () => {
  const startedMs = performance.now();
  const { call, told } = await playing(({ peer }) => {
    for (let i = 0; i < 4; i++) peer.raw(new Uint8Array(800));
    peer.raw(new Uint8Array(0));
  });
  assertGreater(performance.now() - startedMs, 390);
  assertEquals(told, ["playback_started", "playback_completed"]);
  const states = (event: CallEvent) => event.type === "playback" ? [event.state] : [];
  assertEquals(call.events.flatMap(states), ["started", "completed"]);
  assertEquals((await call.outcome).receivedAudioBytes, 3200);
});

Deno.test("playback: barge_in drops what waits", async () => {
  const { told } = await playing(({ peer }) => {
    playLong(peer);
    peer.say("event", { entities: [{ type: "barge_in", data: {} }] });
  });
  assertEquals(told, ["playback_started", "playback_completed"]);
});

Deno.test("playback: the caller hears at the call's own speed", async () => {
  await playing(({ peer }) => playLong(peer), { speed: 100, seconds: 600 });
});
