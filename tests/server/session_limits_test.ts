/**
 * What a session does to a client that sends too much, or does not read, over real sockets.
 */
import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import type { Call } from "../../lib/app/app.ts";
import { watchDefects } from "../helpers/defects.ts";
import { until, within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import type { RawFrame, RawSocket } from "../helpers/raw_socket.ts";
import { type Behaviour, TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, noise } from "../helpers/wav_check.ts";
import { type Json, openParameters } from "../helpers/wire_client.ts";

const HOUR_MS = 3_600_000;
const FAST = { perSecond: 1e6, burst: 1e6 };
const note = (kilobytes: number) => ({ type: "note", data: "x".repeat(kilobytes * 1000) });

const text = (id: string, type: string, seq: number, parameters: Json, serverseq = 0) =>
  JSON.stringify({ version: "2", id, type, seq, serverseq, position: "PT0S", parameters });

// ——— a client that does not read ———

/** An app that knows whether `disconnect` was sent, and says no more then. */
class TalkingApp extends TestApp {
  readonly #state: { hasDisconnected: boolean };

  constructor(behaviour: Behaviour = {}) {
    const state = { hasDisconnected: false };
    super({
      message: ({ text }) => {
        if (JSON.parse(text).type === "disconnect") state.hasDisconnected = true;
      },
      ...behaviour,
    });
    this.#state = state;
  }

  /** Sends events until the client is asked to go; returns how many. */
  async talk(call: Call): Promise<number> {
    let count = 0;
    await until(() => {
      if (this.#state.hasDisconnected) return true;
      call.sendEvent(note(60));
      count++;
      return false;
    }, "disconnect of the client that does not read");
    return count;
  }
}

/** An open session whose client reads nothing from now on. */
async function openUnread(
  server: TestServer,
  app: TestApp,
): Promise<{ id: string; socket: RawSocket; call: Call }> {
  const id = crypto.randomUUID();
  const socket = await server.connectRaw(id);
  await socket.sendText(text(id, "open", 1, openParameters()));
  await socket.message("opened");
  return { id, socket, call: await app.nextCall() };
}

/** All frames up to the WebSocket's goodbye, which is answered. */
async function readAll(socket: RawSocket): Promise<RawFrame[]> {
  const frames: RawFrame[] = [];
  for (let frame = await socket.frame(); frame !== undefined; frame = await socket.frame()) {
    if (frame.opcode === 8) {
      await socket.sendFrame(8, frame.payload);
      break;
    }
    frames.push(frame);
  }
  await socket.end();
  return frames;
}

const parse = ({ payload }: RawFrame) => JSON.parse(new TextDecoder().decode(payload));

Deno.test("slow reader: it gets disconnect as the last message, and the socket is closed", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  const app = new TalkingApp();
  await using server = await TestServer.start({
    apps: [app],
    maxBufferedBytes: 200_000,
    sessionLimits: { textRate: FAST, closeTimeoutMs: 300 },
  });
  await using bystander = await server.connect();
  await bystander.open();
  await app.nextCall();
  const { id, socket, call } = await openUnread(server, app);
  await using _socket = socket;
  const count = await app.talk(call);
  await bystander.ping();

  await until(() => server.server.connectionCount === 1, "end of the connection");
  assertEquals(server.server.socketCount, 2, "the client has not ended it yet");
  const messages = (await readAll(socket)).filter(({ opcode }) => opcode === 1).map(parse);
  const { type, parameters } = messages.at(-1);
  assertEquals(type, "disconnect");
  assertEquals(parameters, {
    reason: "error",
    info: "More than 200000 bytes wait to be read",
  });
  assertEquals(messages.map(({ seq }) => seq), messages.map((_, index) => index + 2));
  assertEquals(messages.length, count + 1, "nothing was dropped, and nothing was sent after that");
  await until(() => server.server.socketCount === 1, "end of the socket");

  const [line, ...others] = logs.of("The client of {sessionId} does not read");
  assertEquals(line?.properties.sessionId, id);
  assertGreater(Number(line?.properties.bufferedAmount), 200_000);
  assertEquals(others, []);
  assertEquals(logs.of("Defect"), []);
  await bystander.ping();
  await bystander.close();
});

Deno.test("slow reader: the call's recording is finished like any other", async () => {
  const app = new TalkingApp();
  await using server = await TestServer.start({
    apps: [app],
    maxBufferedBytes: 65_536,
    sessionLimits: { textRate: FAST, closeTimeoutMs: 300 },
  });
  const { id, socket, call } = await openUnread(server, app);
  await using _socket = socket;
  const audio = noise(1600);
  await socket.sendFrame(2, audio);
  await app.told("audio");
  await app.talk(call);
  await server.idle();
  const { wav, metadata } = await server.recording(id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, false);
});

Deno.test("slow reader: one that reads after disconnect, and closes, gets closed", async () => {
  const app = new TalkingApp();
  await using server = await TestServer.start({
    apps: [app],
    maxBufferedBytes: 200_000,
    sessionLimits: { textRate: FAST, closeTimeoutMs: HOUR_MS },
  });
  const { id, socket, call } = await openUnread(server, app);
  await using _socket = socket;
  await app.talk(call);
  const { seq } = await socket.message("disconnect");
  await socket.sendText(text(id, "close", 2, { reason: "disconnect" }, Number(seq)));
  assertEquals((await socket.message("closed")).seq, Number(seq) + 1);
  socket.drop();
  await server.idle();
  assertEquals((await server.recording(id)).metadata.isComplete, true);
});

Deno.test("slow reader: beyond twice the bound, the connection ends at once", async () => {
  using _defects = watchDefects();
  const app = new TalkingApp({
    async close(_end, call) {
      await Promise.resolve();
      // Nothing keeps an app from it, and it is sent whatever the rate.
      try {
        for (let i = 0; i < 20; i++) call.sendEvent(note(60));
      } catch {
        // The connection is over.
      }
    },
  });
  await using server = await TestServer.start({
    apps: [app],
    maxBufferedBytes: 200_000,
    // Nothing but the bound ends it.
    sessionLimits: { textRate: FAST, closeTimeoutMs: HOUR_MS, hangupTimeoutMs: HOUR_MS },
  });
  const { id, socket, call } = await openUnread(server, app);
  await using _socket = socket;
  const count = await app.talk(call);
  await socket.sendText(text(id, "close", 2, { reason: "disconnect" }, count + 2));
  await server.idle();
});

// ——— a client that sends too much ———

const RATES = {
  receivedTextRate: { perSecond: 5, burst: 50 },
  receivedAudioRate: { perSecond: 5, burst: 50 },
} as const;

Deno.test("flood: a client that goes on after disconnect is hung up on; a bystander notices nothing", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  await using server = await TestServer.start({ sessionLimits: RATES });
  await using bystander = await server.connect();
  await bystander.open();
  const calm = noise(3200);
  bystander.sendAudio(calm.slice(0, 1600));

  await using client = await server.connect();
  await client.open();
  for (let i = 0; i < 5000; i++) client.send("ping");
  await bystander.ping();
  await within(client.ended, "end of the flood's connection");
  bystander.sendAudio(calm.slice(1600));
  await bystander.ping();
  await bystander.close();
  await server.idle();
  assertEquals(bystander.history.map(({ type }) => type), ["opened", "pong", "pong", "closed"]);
  const { wav, metadata } = await server.recording(bystander.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: calm });
  assertEquals(metadata.isComplete, true);

  // What the client read of it is not sure: it was still sending when the connection ended.
  const flood = await server.recording(client.id);
  assertEquals(flood.metadata.isComplete, false);
  const sent = flood.lines.filter(({ from }) => from === "server").map(({ message }) => message);
  const [opened, disconnect, ...others] = sent.filter(({ type }) => type !== "pong");
  assertEquals([opened.type, disconnect.type, others], ["opened", "disconnect", []]);
  assertEquals(disconnect.parameters, { reason: "error", info: "More than 5 messages a second" });
  assertLess(flood.lines.length, 300, "what came after the end was neither answered nor kept");

  const lines = ["The client of {sessionId} broke the protocol", "Ending the connection"].map(
    (beginning) => logs.of(beginning).map(({ properties }) => properties),
  );
  for (const [properties, ...others] of lines) {
    assertEquals(properties?.sessionId, client.id);
    assertEquals(properties?.info, "More than 5 messages a second");
    assertEquals(others, []);
  }
  assertEquals(logs.of("Defect"), []);
});

Deno.test("flood: a client that stops when it is told gets closed, with its last seq", async () => {
  await using server = await TestServer.start({ sessionLimits: RATES });
  await using client = await server.connect();
  await client.open();
  for (let i = 0; i < 70; i++) client.send("ping");
  for (let i = 0; i < 71; i++) {
    const message = await client.next();
    if (message.type === "disconnect") assertMatch(message.parameters.info, /5 messages a second/);
    else assertEquals(message.type, "pong");
  }
  await client.close("disconnect");
  await server.idle();
  assertEquals((await server.recording(client.id)).metadata.isComplete, true);
});

Deno.test("flood: frames without end are a flood too; what came before is recorded", async () => {
  await using server = await TestServer.start({ sessionLimits: RATES });
  await using client = await server.connect();
  await client.open();
  const audio = noise(50 * 160);
  for (let i = 0; i < 50; i++) client.sendAudio(audio.slice(i * 160, (i + 1) * 160));
  await client.ping();
  for (let i = 0; i < 5000; i++) client.sendAudio(new Uint8Array(0));
  await within(client.ended, "end of the flood's connection");
  await server.idle();
  const { wav, lines } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  const { type, parameters } = lines.at(-1)?.message;
  assertEquals(type, "disconnect");
  assertEquals(parameters, { reason: "error", info: "More than 5 audio frames a second" });
});

Deno.test("ahead: audio beyond the limit gets disconnect; all before is recorded, it is not", async () => {
  await using server = await TestServer.start({ sessionLimits: { maxAudioAheadMs: 12_000 } });
  await using client = await server.connect();
  await client.open();
  // Four seconds each.
  const audio = noise(3 * 64_000);
  for (let i = 0; i < 3; i++) client.sendAudio(audio.slice(i * 64_000, (i + 1) * 64_000));
  client.sendAudio(noise(64_000, 2));
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters, {
    reason: "error",
    info: "Audio came more than 12 s ahead of real time",
  });
  await client.close("disconnect");
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.durationSamples, 96_000);
  assertEquals(metadata.closeReason, "disconnect");
});

Deno.test("ahead: 30 s of history at once are taken, in frames of 30 samples or of 32,000", async () => {
  await using server = await TestServer.start();
  for (const bytes of [2 * 30, 1600, 64_000]) {
    await using client = await server.connect();
    await client.open();
    const audio = noise(30 * 16_000);
    for (let at = 0; at < audio.length; at += bytes) client.sendAudio(audio.slice(at, at + bytes));
    await client.ping();
    await client.close();
    const { wav } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  }
});

// ——— what the log repeats ———

Deno.test("log: types and reasons that are words are logged, others of a client are not repeated", async () => {
  await using logs = await LogRecords.watch();
  await using server = await TestServer.start();
  const bad = ["Jordan-5551234567", "jordan doe", "tel:+15551234567", "x".repeat(33), "a_b_c_d_e"];
  for (const word of ["playback_paused", "end", ...bad]) {
    await using client = await server.connect();
    await client.open();
    client.send(word);
    await client.close(word);
    await server.idle();
  }
  const types = logs.of("Ignored a message of unknown type")
    .map(({ properties }) => properties.messageType);
  const reasons = logs.of("Session {sessionId} is closed").map(({ properties }) =>
    properties.reason
  );
  assertEquals(types, ["playback_paused", "end", ...bad.map(() => "(not a word)")]);
  const others = bad.map(() => "(another reason)");
  assertEquals(reasons, ["(another reason)", "end", ...others]);
  for (const word of bad) assert(!logs.text.includes(word), `the log has ${word}`);
});

// ——— a client that reads ———

Deno.test("fast reader: what an app sends in one go is no fault of the client", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  await using client = await server.connect();
  await client.open();
  const call = await app.nextCall();
  // Below the 4 MB that may wait; the barge-in sends all of them at once.
  for (let i = 0; i < 60; i++) call.sendEvent(note(60));
  call.sendEvent({ type: "barge_in", data: {} });
  await until(() => client.history.length >= 60, "all events");
  client.send("ping");
  while ((await client.next()).type !== "pong");
  assertEquals(client.history.filter(({ type }) => type === "disconnect"), []);
});

Deno.test("fast reader: an app whose last events are many is closed once, and the recording finishes", async () => {
  const app = new TestApp({
    close(_end, call) {
      for (let i = 0; i < 10; i++) call.sendEvent(note(60));
    },
  });
  await using server = await TestServer.start({ apps: [app], maxBufferedBytes: 65_536 });
  await using client = await server.connect();
  await client.open();
  client.send("close", { reason: "end" });
  while ((await client.next()).type !== "closed");
  await client.hangUp();
  await server.idle();
  assertEquals(app.count("close"), 1);
  assertEquals((await server.recording(client.id)).metadata.isComplete, true);
});
