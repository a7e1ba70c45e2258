import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  ClientSession,
  type ClientSessionLimits,
  LocalProtocolError,
  type OpenParameters,
  type SessionState,
} from "../../lib/protocol/mod.ts";
import {
  EXTERNAL,
  INTERNAL,
  isMessage,
  type JsonObject,
  L16,
  openParameters,
  OTHER_UUID,
  serverMessage,
  SESSION_ID,
  STEREO,
  transcriptEntity,
  WireServer,
} from "../helpers/protocol_wire.ts";

const parametersOfOpen = (more: JsonObject = {}) =>
  openParameters(more) as unknown as OpenParameters;

function connect(limits: Partial<ClientSessionLimits> = {}): WireServer {
  return new WireServer(new ClientSession({ id: SESSION_ID, limits }));
}

/** A session whose `open` was received. */
function opening(more: JsonObject = {}): WireServer {
  const server = connect();
  server.session.open(parametersOfOpen(more), 0);
  server.receiveOne("open");
  return server;
}

/** A session that was opened at time 0. */
function open(opened: JsonObject = { media: [STEREO] }, more: JsonObject = {}): WireServer {
  const server = opening(more);
  server.send("opened", opened);
  server.events();
  return server;
}

function openBot(): WireServer {
  return open({ media: [EXTERNAL] }, { media: [EXTERNAL] });
}

const bytes = (length: number, value = 0xff) => new Uint8Array(length).fill(value);

/** Checks that the client reported a code, and ends the session (sections 6.3 and 17). */
function assertEnds(server: WireServer, code: number): void {
  const frames = server.receive();
  assertEquals(frames.map((frame) => isMessage(frame) ? frame.type : "audio"), ["error", "close"]);
  const [error, close] = frames;
  assert(error !== undefined && isMessage(error) && close !== undefined && isMessage(close));
  assertEquals(error.parameters.code, code);
  assertEquals(typeof error.parameters.message, "string");
  assertEquals(close.parameters.reason, "error");
  const violation = server.events().find(({ type }) => type === "violation");
  assert(violation?.type === "violation");
  assertEquals(violation.code, code);
}

/** Checks that the only thing told is an answer that did not come (sections 6.1, 11 and 13.2). */
function assertTimeout(server: WireServer, waitedFor: string, section: string): void {
  const [event, ...more] = server.events();
  assert(event?.type === "timeout");
  assertEquals([event.waitedFor, event.section, more.length] as unknown, [waitedFor, section, 0]);
  assert(event.info.includes(`"${waitedFor}"`), event.info);
}

/** Answers `close` by `closed`. */
function assertCloses(server: WireServer): void {
  server.send("closed");
  assertEquals(server.eventTypes().at(-1), "closed");
  assertEquals(server.session.state, "closed");
  assertEquals(server.session.deadlineMs, Infinity);
}

// --- Sections 4 and 6: open --------------------------------------------------------------------

Deno.test("client: open is the first message, at position PT0S", () => {
  const server = connect();
  server.session.open(parametersOfOpen(), 0);
  assertEquals(server.receiveOne("open") as unknown, {
    version: "2",
    id: SESSION_ID,
    type: "open",
    seq: 1,
    serverseq: 0,
    position: "PT0S",
    parameters: openParameters(),
  });
  assertEquals(server.session.state, "opening");
  assertThrows(() => server.session.open(parametersOfOpen(), 0), LocalProtocolError);
});

Deno.test("client: opened is reported, and the media is selected", () => {
  const server = opening();
  server.send("opened", { media: [STEREO], supportedLanguages: ["en-US"] });
  assertEquals(server.events() as unknown, [{
    type: "opened",
    parameters: { media: [STEREO], supportedLanguages: ["en-US"] },
  }]);
  assertEquals(server.receive(), []);
  assertEquals(server.session.state, "open");
  assertEquals(server.session.media?.channels, ["external", "internal"]);
});

Deno.test("client: no audio before opened, nor in a session without media", () => {
  const early = opening();
  assertThrows(() => early.session.sendAudio(bytes(160)), LocalProtocolError);
  const none = open({ media: [] });
  assertEquals(none.session.media, undefined);
  assertThrows(() => none.session.sendAudio(bytes(160)), LocalProtocolError);
  assertEquals([...early.receive(), ...none.receive()], []);
});

Deno.test("client: opened without an answer within 5 s is a timeout", () => {
  const server = opening();
  assertEquals(server.session.deadlineMs, 5000);
  server.session.tick(4999);
  assertEquals(server.events(), []);
  server.session.tick(5000);
  assertTimeout(server, "opened", "6.1");
  assertEquals(server.session.deadlineMs, Infinity);
});

Deno.test("client: media that was not offered ends the session with 400", () => {
  const others: JsonObject[] = [
    L16,
    { ...STEREO, channels: ["internal", "external"] },
    { ...STEREO, rate: 16_000 },
    { ...STEREO, format: "L16" },
  ];
  for (const media of others) {
    const server = opening();
    server.send("opened", { media: [media] });
    assertEnds(server, 400);
    assertCloses(server);
  }
});

Deno.test("client: every offer can be selected", () => {
  for (const media of [STEREO, EXTERNAL, INTERNAL]) {
    const server = open({ media: [media] });
    assertEquals(server.session.media?.channels as unknown, media.channels as unknown);
    assertEquals(server.receive(), []);
  }
});

Deno.test("client: startPaused is answered by paused", () => {
  const server = open({ media: [STEREO], startPaused: true });
  assertEquals(server.receiveOne("paused").parameters, {});
  assertEquals(server.session.paused, { byServer: true, byClient: false });
  assertEquals(server.session.sendAudio(bytes(1600)), false);
  assertEquals(server.receive(), []);
  server.send("resume");
  assertEquals(server.receiveOne("resumed").parameters, {
    start: "PT0S",
    discarded: "PT0.1S",
  });
});

Deno.test("client: audio before discardTo is left out, rounded down to its frame, and told", () => {
  const server = open({ media: [STEREO], discardTo: "PT0.25S" });
  assertEquals(server.session.sendAudio(bytes(1600)), false);
  assertEquals(server.session.sendAudio(bytes(1600)), false);
  assertEquals(server.receive(), []);
  assertEquals(server.session.sendAudio(bytes(1600)), true);
  const [discarded, audio] = server.receive();
  assert(discarded !== undefined && isMessage(discarded));
  assertEquals(discarded.type, "discarded");
  assertEquals(discarded.parameters, { start: "PT0S", discarded: "PT0.2S" });
  assertEquals(audio as unknown, bytes(1600) as unknown);
  assertEquals(server.session.positionSamples, 2400);
});

Deno.test("client: a discardTo at the end of a frame leaves that frame out", () => {
  const server = open({ media: [STEREO], discardTo: "PT0.1S" });
  assertEquals(server.session.sendAudio(bytes(1600)), false);
  assertEquals(server.session.sendAudio(bytes(1600)), true);
  assertEquals(server.receiveTypes(), ["discarded", "audio"]);
});

Deno.test("client: a discardTo of PT0S leaves nothing out", () => {
  const server = open({ media: [STEREO], discardTo: "PT0S" });
  assertEquals(server.session.sendAudio(bytes(1600)), true);
  assertEquals(server.receiveTypes(), ["audio"]);
});

Deno.test("client: a disconnect in place of opened is answered by close", () => {
  const server = opening();
  server.send("disconnect", { reason: "unauthorized", info: "No" });
  assertEquals(server.events() as unknown, [
    { type: "disconnect", parameters: { reason: "unauthorized", info: "No" } },
  ]);
  assertEquals(server.receiveOne("close").parameters, { reason: "disconnect" });
  assertCloses(server);
});

Deno.test("client: a disconnect before open is answered by close", () => {
  const server = connect();
  server.send("disconnect", { reason: "error" });
  const close = server.receiveOne("close");
  assertEquals([close.seq, close.serverseq, close.parameters.reason] as unknown, [
    1,
    1,
    "disconnect",
  ]);
  assertCloses(server);
});

Deno.test("client: it can close while open is being answered, and opened may cross that", () => {
  const server = opening();
  server.session.close("end", 0);
  server.receiveOne("close");
  server.send("opened", { media: [STEREO], startPaused: true });
  server.send("event", { entities: [transcriptEntity("x")] });
  server.send("pause");
  assertEquals(server.receive(), []);
  assertEquals(server.eventTypes().includes("violation"), false);
  assertCloses(server);
});

Deno.test("client: audio that follows such an opened is no fault of the server", () => {
  const server = opening({ media: [EXTERNAL] });
  server.session.close("end", 0);
  server.receiveOne("close");
  server.send("opened", { media: [EXTERNAL] });
  server.session.receiveAudio(bytes(160), 0);
  assertEquals(server.eventTypes().includes("violation"), false);
  assertCloses(server);
});

// --- Section 4: counting -----------------------------------------------------------------------

Deno.test("client: a gap in seq ends the session with 500", () => {
  const server = open();
  server.send("updated", {}, { seq: 3 });
  assertEnds(server, 500);
  assertCloses(server);
});

Deno.test("client: a first message whose seq is not 1 ends the session with 500", () => {
  const server = opening();
  server.send("opened", { media: [] }, { seq: 2 });
  assertEnds(server, 500);
});

Deno.test("client: a clientseq above what was sent ends the session", () => {
  const server = open();
  server.send("updated", {}, { clientseq: 2 });
  assertEquals(server.receiveTypes(), ["error", "close"]);
});

Deno.test("client: another id, bad parameters or malformed JSON end the session", () => {
  const faults: ((server: WireServer) => void)[] = [
    (server) => server.send("updated", {}, { id: OTHER_UUID }),
    (server) => server.send("event", { entities: [] }),
    (server) => server.send("disconnect", { reason: "because" }),
    (server) => server.session.receiveText("{", 0),
    (server) => server.send("updated", {}, { version: "1" }),
    (server) => {
      const { parameters: _, ...message } = serverMessage("updated", {}, { seq: 2 });
      server.session.receiveText(JSON.stringify(message), 0);
    },
    (server) => server.send("opened", { media: [] }),
    (server) => server.send("closed"),
  ];
  for (const commit of faults) {
    const server = open();
    commit(server);
    assertEquals(server.receiveTypes(), ["error", "close"]);
    assertEquals(server.session.state, "closing");
    assertEquals(server.eventTypes(), ["violation"]);
  }
});

Deno.test("client: an unknown type is counted, reported and otherwise ignored", () => {
  const server = open();
  server.send("hello", { any: [1] });
  assertEquals(server.events(), [{ type: "unknown", messageType: "hello" }]);
  server.session.update("es");
  assertEquals(server.receiveOne("update").serverseq, 2);
  server.send("updated");
  assertEquals(server.events(), [{ type: "updated" }]);
});

// --- Section 7: audio --------------------------------------------------------------------------

Deno.test("client: audio moves the position that messages carry, to the sample", () => {
  const server = open();
  for (const samples of [800, 1, 161, 32_000]) {
    assertEquals(server.session.sendAudio(bytes(samples * 2)), true);
  }
  server.session.update("es");
  const frames = server.receive();
  assertEquals(frames.slice(0, 4).map((frame) => isMessage(frame) ? 0 : frame.length), [
    1600,
    2,
    322,
    64_000,
  ]);
  const update = frames.at(4);
  assert(update !== undefined && isMessage(update));
  assertEquals(update.position, "PT4.12025S");
  assertEquals(server.session.positionSamples, 32_962);
});

Deno.test("client: part of a sample, or too large a frame, can't be sent", () => {
  const server = open();
  assertThrows(() => server.session.sendAudio(bytes(1601)), LocalProtocolError);
  assertThrows(() => server.session.sendAudio(bytes(64_002)), LocalProtocolError);
  const linear = open({ media: [L16] }, { media: [L16] });
  assertThrows(() => linear.session.sendAudio(bytes(161)), LocalProtocolError);
  assertEquals([...server.receive(), ...linear.receive()], []);
  assertEquals(server.session.positionSamples, 0);
});

Deno.test("client: a binary frame to a stereo session ends it with 415", () => {
  const server = open();
  assertEquals(server.session.receiveAudio(bytes(160), 0), false);
  assertEnds(server, 415);
});

Deno.test("client: a binary frame before opened, or to a session without media, is a fault", () => {
  for (const server of [opening(), open({ media: [] })]) {
    assertEquals(server.session.receiveAudio(bytes(160), 0), false);
    assertEquals(server.receiveTypes(), ["error", "close"]);
  }
});

Deno.test("client: a bot's audio is taken, up to 64,000 bytes and in whole samples", () => {
  const server = openBot();
  assertEquals(server.session.receiveAudio(bytes(64_000), 0), true);
  assertEquals(server.session.receiveAudio(bytes(1), 0), true);
  assertEquals(server.session.receiveAudio(bytes(64_001), 0), false);
  assertEnds(server, 413);
  const linear = open({ media: [L16] }, { media: [L16] });
  assertEquals(linear.session.receiveAudio(bytes(320), 0), true);
  assertEquals(linear.session.receiveAudio(bytes(321), 0), false);
  assertEquals(linear.receiveTypes(), ["error", "close"]);
});

// --- Section 8: pauses -------------------------------------------------------------------------

Deno.test("client: pause is answered by paused, resume by resumed with what was dropped", () => {
  const server = open();
  server.session.sendAudio(bytes(1600));
  server.receive();
  server.send("pause");
  const paused = server.receiveOne("paused");
  assertEquals([paused.parameters, paused.position] as unknown, [{}, "PT0.1S"] as unknown);
  assertEquals(server.session.paused, { byServer: true, byClient: false });
  for (let i = 0; i < 5; i++) assertEquals(server.session.sendAudio(bytes(1602)), false);
  server.send("resume");
  const resumed = server.receiveOne("resumed");
  assertEquals(resumed.parameters, { start: "PT0.1S", discarded: "PT0.500625S" });
  assertEquals(server.session.paused, { byServer: false, byClient: false });
  assertEquals(server.session.sendAudio(bytes(1600)), true);
  assertEquals(server.receiveTypes(), ["audio"]);
  assertEquals(server.session.positionSamples, 800 + 4005 + 800);
  assertEquals(server.eventTypes(), ["pause", "resume"]);
});

Deno.test("client: its own pause is told by paused, and its end by resumed", () => {
  const server = open();
  server.session.pause();
  server.receiveOne("paused");
  assertEquals(server.session.paused, { byServer: false, byClient: true });
  assertEquals(server.session.sendAudio(bytes(1600)), false);
  server.session.resume();
  assertEquals(server.receiveOne("resumed").parameters, {
    start: "PT0S",
    discarded: "PT0.1S",
  });
});

Deno.test("client: resume is answered by paused while its own pause holds", () => {
  const server = open();
  server.session.pause();
  server.send("pause");
  server.send("resume");
  assertEquals(server.receiveTypes(), ["paused", "paused", "paused"]);
  assertEquals(server.session.paused, { byServer: false, byClient: true });
  server.session.sendAudio(bytes(1600));
  server.session.resume();
  assertEquals(server.receiveOne("resumed").parameters.discarded, "PT0.1S");
});

Deno.test("client: the end of its own pause is not told while the server's holds", () => {
  const server = open();
  server.send("pause");
  server.session.pause();
  server.receive();
  server.session.resume();
  assertEquals(server.receive(), []);
  assertEquals(server.session.paused, { byServer: true, byClient: false });
  server.send("resume");
  server.receiveOne("resumed");
});

Deno.test("client: a redundant resume is answered by resumed with PT0S, pause by paused", () => {
  const server = open();
  server.session.sendAudio(bytes(1600));
  server.receive();
  server.send("resume");
  assertEquals(server.receiveOne("resumed").parameters, { start: "PT0.1S", discarded: "PT0S" });
  server.send("pause");
  server.send("pause");
  assertEquals(server.receiveTypes(), ["paused", "paused"]);
  server.session.pause();
  server.send("pause");
  assertEquals(server.receiveTypes(), ["paused", "paused"]);
});

Deno.test("client: ending a pause that does not hold sends nothing", () => {
  const server = open();
  server.session.resume();
  assertEquals(server.receive(), []);
});

// --- Section 9: discarded ----------------------------------------------------------------------

Deno.test("client: discarded audio is reported before the next frame", () => {
  const server = open();
  server.session.sendAudio(bytes(1600));
  server.receive();
  server.session.discard(4001);
  server.session.sendAudio(bytes(1600));
  const [discarded, audio] = server.receive();
  assert(discarded !== undefined && isMessage(discarded) && audio !== undefined);
  assertEquals(discarded.type, "discarded");
  assertEquals(discarded.parameters, { start: "PT0.1S", discarded: "PT0.500125S" });
  assertEquals(server.session.positionSamples, 800 + 4001 + 800);
});

Deno.test("client: what is discarded during a pause is part of resumed, once", () => {
  const server = open();
  server.send("pause");
  server.receive();
  server.session.discard(800);
  server.session.sendAudio(bytes(1600));
  assertEquals(server.receive(), []);
  server.send("resume");
  assertEquals(server.receiveOne("resumed").parameters, { start: "PT0S", discarded: "PT0.2S" });
  server.session.sendAudio(bytes(1600));
  assertEquals(server.receiveTypes(), ["audio"]);
});

// --- Sections 10 and 12: update, events --------------------------------------------------------

Deno.test("client: update, updated, event and reconnect are passed on", () => {
  const server = open();
  server.session.update("es-419");
  assertEquals(server.receiveOne("update").parameters, { language: "es-419" });
  const entities = [transcriptEntity("hola"), { type: "mood", data: { any: [1] } }];
  server.send("updated");
  server.send("event", { entities });
  server.send("reconnect", { info: "Maintenance" });
  server.send("reconnect");
  assertEquals(server.events() as unknown, [
    { type: "updated" },
    { type: "event", entities },
    { type: "reconnect", info: "Maintenance" },
    { type: "reconnect", info: undefined },
  ]);
  assertEquals(server.receive(), []);
});

Deno.test("client: what can't be on the wire is not sent", () => {
  const server = openBot();
  assertThrows(() => server.session.dtmf("12345"), LocalProtocolError);
  assertThrows(() => server.session.update("not a tag"), LocalProtocolError);
  assertThrows(() => server.session.error({ code: 3, message: "x" }), LocalProtocolError);
  assertThrows(
    () => server.session.error({ code: 429, message: "x", retryAfter: "PT9e-7S" }),
    LocalProtocolError,
  );
  assertEquals(server.receive(), []);
  server.session.dtmf("5");
  assertEquals(server.receiveOne("dtmf").parameters, { digit: "5" });
});

Deno.test("client: dtmf, playback and error are sent as they are", () => {
  const server = openBot();
  server.session.dtmf("#");
  server.session.playback("started");
  server.session.playback("completed");
  server.session.error({ code: 429, message: "Too many", retryAfter: "PT2S" });
  const frames = server.receive().map((frame) => isMessage(frame) ? frame : undefined);
  assertEquals(frames.map((frame) => [frame?.type, frame?.parameters]) as unknown, [
    ["dtmf", { digit: "#" }],
    ["playback_started", {}],
    ["playback_completed", {}],
    ["error", { code: 429, message: "Too many", retryAfter: "PT2S" }],
  ]);
});

// --- Section 11: ping --------------------------------------------------------------------------

Deno.test("client: it pings twice about 1 s after opened, then every 5 s with rtt", () => {
  const server = open();
  assertEquals(server.session.deadlineMs, 1000);
  server.session.tick(999);
  assertEquals(server.receive(), []);
  server.session.tick(1000);
  const first = server.receive();
  assertEquals(first.map((frame) => isMessage(frame) ? [frame.type, frame.seq] : 0) as unknown, [
    ["ping", 2],
    ["ping", 3],
  ]);
  server.nowMs = 1020;
  server.send("pong", {}, { clientseq: 2 });
  server.nowMs = 1030;
  server.send("pong", {}, { clientseq: 3 });
  assertEquals(server.events(), [
    { type: "pong", roundTripMs: 20 },
    { type: "pong", roundTripMs: 30 },
  ]);
  for (const nowMs of [6000, 11_000, 16_000]) {
    assertEquals(server.session.deadlineMs, nowMs);
    server.session.tick(nowMs - 1);
    assertEquals(server.receive(), []);
    server.session.tick(nowMs);
    const ping = server.receiveOne("ping");
    assertEquals(ping.parameters, { rtt: "PT0.03S" });
    server.nowMs = nowMs + 30;
    server.send("pong");
    assertEquals(server.eventTypes(), ["pong"]);
  }
});

Deno.test("client: it does not ping during open and close", () => {
  const early = opening();
  early.session.tick(1000);
  early.session.tick(4999);
  assertEquals(early.receive(), []);
  const late = open();
  late.session.close("end", 500);
  late.receive();
  for (let nowMs = 500; nowMs < 10_500; nowMs += 100) late.session.tick(nowMs);
  assertEquals(late.receive(), []);
});

Deno.test("client: a pong later than 5 s is a timeout", () => {
  const server = open();
  server.session.tick(1000);
  server.receive();
  server.nowMs = 1010;
  server.send("pong", {}, { clientseq: 2 });
  server.events();
  assertEquals(server.session.deadlineMs, 6000);
  server.session.tick(5999);
  assertEquals(server.events(), []);
  server.session.tick(6000);
  assertTimeout(server, "pong", "11");
  assertEquals(server.receiveOne("error").parameters.code, 408);
  server.session.tick(60_000);
  assertEquals(server.receive(), []);
  assertEquals(server.events(), []);
  // It was late, which was told: that it comes at all is no fault.
  server.send("pong", {}, { clientseq: 3 });
  assertEquals(server.eventTypes(), ["pong"]);
  server.send("pong", {}, { clientseq: 3 });
  assertEquals(server.eventTypes(), ["violation"]);
});

Deno.test("client: a pong with another clientseq, or without a ping, is a fault", () => {
  const unasked = open();
  unasked.send("pong");
  assertEquals(unasked.receiveTypes(), ["error", "close"]);
  const wrong = open();
  wrong.session.tick(1000);
  wrong.receive();
  wrong.send("pong", {}, { clientseq: 3 });
  assertEquals(wrong.receiveTypes(), ["error", "close"]);
});

Deno.test("client: pongs that cross its close are taken", () => {
  const server = open();
  server.session.tick(1000);
  server.receive();
  server.session.close("end", 1001);
  server.receive();
  server.send("pong", {}, { clientseq: 2 });
  server.send("pong", {}, { clientseq: 3 });
  assertEquals(server.eventTypes(), ["pong", "pong"]);
  assertCloses(server);
});

// --- Sections 13 and 14: the end ---------------------------------------------------------------

for (const reason of ["end", "error", "disconnect", "reconnect"] as const) {
  Deno.test(`client: close with reason ${reason} ends by closed`, () => {
    const server = open();
    server.session.close(reason, 0);
    assertEquals(server.receiveOne("close").parameters, { reason });
    server.send("event", { entities: [transcriptEntity("last")] });
    assertEquals(server.eventTypes(), ["event"]);
    server.send("closed", { outputVariables: { answer: "42" } });
    assertEquals(server.events() as unknown, [
      { type: "closed", parameters: { outputVariables: { answer: "42" } } },
    ]);
    assertEquals(server.session.state, "closed");
  });
}

Deno.test("client: closed that does not come within 10 s is a timeout", () => {
  const server = open();
  server.session.close("end", 500);
  server.receive();
  assertEquals(server.session.deadlineMs, 10_500);
  server.session.tick(10_499);
  assertEquals(server.events(), []);
  server.session.tick(10_500);
  assertTimeout(server, "closed", "13.2");
  assertEquals(server.session.deadlineMs, Infinity);
});

for (const reason of ["completed", "unauthorized", "error", "rejected"]) {
  Deno.test(`client: disconnect with ${reason} is answered by close with disconnect`, () => {
    const server = open();
    server.send("disconnect", { reason, outputVariables: { answer: "42" } });
    assertEquals(server.receiveOne("close").parameters, { reason: "disconnect" });
    assertEquals(server.events() as unknown, [{
      type: "disconnect",
      parameters: { reason, outputVariables: { answer: "42" } },
    }]);
    assertThrows(() => server.session.sendAudio(bytes(1600)), LocalProtocolError);
    assertCloses(server);
  });
}

Deno.test("client: a disconnect that crosses its close is reported, and not answered again", () => {
  const server = open();
  server.session.close("end", 0);
  server.receive();
  server.send("disconnect", { reason: "completed" });
  assertEquals(server.eventTypes(), ["disconnect"]);
  assertEquals(server.receive(), []);
  assertCloses(server);
});

Deno.test("client: all that may cross its close is taken and not answered", () => {
  const server = openBot();
  server.session.update("es");
  server.session.close("end", 0);
  server.receive();
  server.send("pause");
  server.send("resume");
  server.send("updated");
  server.send("event", { entities: [transcriptEntity("x")] });
  server.send("reconnect");
  server.session.receiveAudio(bytes(160), 0);
  assertEquals(server.eventTypes().includes("violation"), false);
  assertEquals(server.receive(), []);
  assertCloses(server);
});

Deno.test("client: input after closed changes nothing", () => {
  const server = open();
  server.session.close("end", 0);
  server.receive();
  server.send("closed");
  server.events();
  server.send("pause");
  server.session.receiveText("{", 0);
  server.session.receiveAudio(bytes(160), 0);
  assertEquals(server.receive(), []);
  assertEquals(server.session.state, "closed");
  assertEquals(server.events().filter(({ type }) => type !== "violation"), []);
});

// --- Our own faults ----------------------------------------------------------------------------

const REACH: Readonly<Partial<Record<SessionState, () => WireServer>>> = {
  idle: () => connect(),
  opening: () => opening(),
  open: () => openBot(),
  withdrawing: () => {
    const server = opening();
    server.session.close("end", 0);
    return server;
  },
  closing: () => {
    const server = openBot();
    server.session.close("end", 0);
    return server;
  },
  closed: () => {
    const server = openBot();
    server.session.close("end", 0);
    server.receive();
    server.send("closed");
    return server;
  },
};

const ACTIONS: Readonly<
  Record<string, { act: (session: ClientSession) => void; allowed: readonly SessionState[] }>
> = {
  open: { act: (session) => session.open(parametersOfOpen(), 0), allowed: ["idle"] },
  sendAudio: { act: (session) => session.sendAudio(bytes(160)), allowed: ["open"] },
  discard: { act: (session) => session.discard(800), allowed: ["open"] },
  pause: { act: (session) => session.pause(), allowed: ["open"] },
  update: { act: (session) => session.update("es"), allowed: ["open"] },
  dtmf: { act: (session) => session.dtmf("1"), allowed: ["open"] },
  "playback started": { act: (session) => session.playback("started"), allowed: ["open"] },
  "playback completed": { act: (session) => session.playback("completed"), allowed: ["open"] },
  close: { act: (session) => session.close("end", 0), allowed: ["idle", "opening", "open"] },
};

for (const [state, reach] of Object.entries(REACH) as [SessionState, () => WireServer][]) {
  Deno.test(`client: what may be done while ${state}, and nothing else`, () => {
    for (const [name, { act, allowed }] of Object.entries(ACTIONS)) {
      const server = reach();
      assertEquals(server.session.state, state);
      server.receive();
      server.events();
      const { deadlineMs, positionSamples } = server.session;
      if (allowed.includes(state)) {
        act(server.session);
        assertEquals(server.receive().length, 1, name);
        continue;
      }
      assertThrows(() => act(server.session), LocalProtocolError, undefined, name);
      assertEquals(server.receive(), [], name);
      assertEquals(server.events(), [], name);
      assertEquals(server.session.state, state, name);
      assertEquals(server.session.deadlineMs, deadlineMs, name);
      assertEquals(server.session.positionSamples, positionSamples, name);
    }
    const server = reach();
    server.receive();
    if (state !== "open") assertThrows(() => server.session.resume(), LocalProtocolError);
  });
}

Deno.test("client: a tick at any other time is harmless", () => {
  const server = connect();
  server.session.tick(1e9);
  assertEquals(server.session.deadlineMs, Infinity);
  assertEquals(server.events(), []);
  const started = open();
  for (let nowMs = 0; nowMs < 1000; nowMs += 7) started.session.tick(nowMs);
  assertEquals(started.receive(), []);
  assertEquals(started.events(), []);
});
