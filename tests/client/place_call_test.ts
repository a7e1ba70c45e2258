import {
  assert,
  assertEquals,
  assertExists,
  assertGreaterOrEqual,
  assertLess,
  assertMatch,
} from "@std/assert";
import type { App, Call, CallHandler } from "../../lib/app/app.ts";
import { CallAudio } from "../../lib/client/call_audio.ts";
import { type CallOutcome, placeCall, type PlaceCallOptions } from "../../lib/client/place_call.ts";
import type { AudioChannel, AudioFormat } from "../../lib/protocol/mod.ts";
import { assertSameBytes } from "../helpers/program.ts";
import { app, type Recorded, RecordingServer, UNSIGNED_KEY } from "./recording_server.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { channelOf, someMulaw, somePcm16, wavFile } from "./wav_files.ts";

const SILENCE = 0xff;

interface CallOptions extends Partial<PlaceCallOptions> {
  readonly format?: AudioFormat;
  /** In place of what the file offers. */
  readonly channels?: AudioChannel[][];
}

async function call(url: URL, wav: Uint8Array, options: CallOptions = {}): Promise<CallOutcome> {
  const audio = CallAudio.fromWav(wav);
  const organizationId = crypto.randomUUID();
  const format = options.format ?? "PCMU";
  const channels = options.channels ?? audio.offers(format).map((offer) => [...offer.channels]);
  return await placeCall({
    request: {
      url,
      organizationId,
      sessionId: crypto.randomUUID(),
      correlationId: crypto.randomUUID(),
      apiKey: UNSIGNED_KEY,
    },
    open: {
      organizationId,
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: channels.map((channels) => ({ type: "audio", format, channels, rate: 8000 })),
    },
    speed: 100,
    ...options,
    audio,
  });
}

function assertSucceeded(outcome: CallOutcome, samples: number): void {
  assertEquals(outcome.failure, undefined);
  assertEquals(outcome.positionSamples, samples);
}

/** What a recording of a mono or stereo µ-law call should be: silence in the place of its gaps. */
function withSilence(data: Uint8Array, { metadata }: Recorded, frameBytes: number): Uint8Array {
  const expected = new Uint8Array(data);
  for (const { startSamples, samples } of metadata.gaps) {
    expected.fill(SILENCE, startSamples * frameBytes, (startSamples + samples) * frameBytes);
  }
  return expected;
}

for (const frameSamples of [1, 7, 160, 800, 4000]) {
  for (const format of ["PCMU", "L16"] as const) {
    Deno.test(`place call: frames of ${frameSamples} samples, stereo ${format}`, async () => {
      const frames: { length: number; positionSamples: number }[] = [];
      const listener = app("listener", () => ({
        audio: ({ bytes, positionSamples }) => {
          frames.push({ length: bytes.length, positionSamples });
        },
      }));
      await using server = await RecordingServer.start(listener);
      // An odd number of samples: the last frame is a shorter one.
      const samples = frameSamples === 1 ? 601 : 9001;
      const data = format === "PCMU" ? someMulaw(samples * 2) : somePcm16(samples * 2);
      const outcome = await call(server.url, wavFile(format, 2, data), { format, frameSamples });
      assertSucceeded(outcome, samples);
      const { data: recorded, wav, metadata } = await server.recorded();
      assertSameBytes(recorded, data);
      assertEquals(metadata.gaps, []);
      assertEquals(wav?.get("fmt ")?.[0], format === "PCMU" ? 7 : 1);
      const bytes = format === "PCMU" ? 2 : 4;
      assertEquals(frames.length, Math.ceil(samples / frameSamples));
      let position = 0;
      for (const { length, positionSamples } of frames) {
        assertEquals(positionSamples, position);
        assertEquals(length, Math.min(frameSamples, samples - position) * bytes);
        position += frameSamples;
      }
    });
  }
}

Deno.test("place call: the speed decides how long it takes", async () => {
  await using server = await RecordingServer.start();
  const data = someMulaw(8000 * 60);
  const startedMs = performance.now();
  assertSucceeded(await call(server.url, wavFile("PCMU", 1, data), { speed: 60 }), 8000 * 60);
  const tookMs = performance.now() - startedMs;
  // 600 frames, the last of which is due after 599 frames' time.
  assertGreaterOrEqual(tookMs, 59_900 / 60 - 5);
  assertLess(tookMs, 50_000);
  assertSameBytes((await server.recorded()).data, data);
});

Deno.test("place call: onProgress tells how far it is, up to the end", async () => {
  await using server = await RecordingServer.start();
  const positions: number[] = [];
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(2 * 2500)), {
    onProgress: (positionSamples) => positions.push(positionSamples),
  });
  assertSucceeded(outcome, 2500);
  assertEquals(positions, [800, 1600, 2400, 2500]);
});

Deno.test("place call: a file without audio opens and closes", async () => {
  await using server = await RecordingServer.start();
  assertSucceeded(await call(server.url, wavFile("PCMU", 2, new Uint8Array())), 0);
  assertEquals((await server.recorded()).data.length, 0);
});

Deno.test("place call: an abort closes properly, and what was said is recorded", async () => {
  await using server = await RecordingServer.start();
  const controller = new AbortController();
  const data = someMulaw(8000 * 600);
  const outcome = await call(server.url, wavFile("PCMU", 2, data), {
    speed: 10,
    signal: controller.signal,
    onProgress: (positionSamples) => positionSamples >= 4000 && controller.abort(),
  });
  assertEquals(outcome.failure, undefined);
  assertLess(outcome.positionSamples, 8000 * 300);
  const { data: recorded, metadata, messages } = await server.recorded();
  assertSameBytes(recorded, data.subarray(0, outcome.positionSamples * 2));
  assertEquals(metadata.closeReason, "end");
  assertEquals(metadata.isComplete, true);
  assertEquals(messages.at(-1)?.type, "closed");
});

Deno.test("place call: an abort before the connection ends it as a failure", async () => {
  await using server = await RecordingServer.start();
  const wav = wavFile("PCMU", 2, someMulaw(8000));
  const outcome = await call(server.url, wav, { signal: AbortSignal.abort() });
  assertExists(outcome.failure);
  assertEquals(await server.count(), 0);
});

Deno.test("place call: an abort while open is being answered closes, and is answered", async () => {
  const controller = new AbortController();
  await using server = new ScriptedServer((peer, message) => {
    // `opened` crosses with `close`: it comes when nobody waits for it any more.
    if (message.type === "open") controller.abort();
    if (message.type === "close") {
      peer.say("opened", { media: [peer.message("open")?.parameters.media[0]] });
      peer.say("closed");
    }
  });
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(8000)), {
    signal: controller.signal,
  });
  assertEquals(outcome.failure, undefined);
  assertEquals(server.peer.types, ["open", "close"]);
  assertEquals(server.peer.message("close")?.parameters, { reason: "end" });
  assertEquals(server.peer.frames.length, 0);
});

/** An app that wants something of the answer to `open`. */
function choosy(preferences: CallHandler["preferences"]): App {
  return app("choosy", () => ({ preferences }));
}

Deno.test("place call: a server that selects one channel gets just that channel", async () => {
  for (const [index, channel] of (["external", "internal"] as const).entries()) {
    await using server = await RecordingServer.start(
      choosy({ media: { type: "audio", format: "PCMU", channels: [channel], rate: 8000 } }),
    );
    const data = someMulaw(2 * 3001);
    assertSucceeded(await call(server.url, wavFile("PCMU", 2, data)), 3001);
    const { data: recorded, metadata } = await server.recorded();
    assertEquals(metadata.media.channels, [channel]);
    assertSameBytes(recorded, channelOf(data, index, 2));
  }
});

Deno.test("place call: inverted order is offered, selected, sent and recorded inverted", async () => {
  for (const format of ["PCMU", "L16"] as const) {
    await using server = await RecordingServer.start();
    const size = format === "PCMU" ? 1 : 2;
    const data = format === "PCMU" ? someMulaw(2 * 3001) : somePcm16(2 * 3001);
    const wav = wavFile(format, 2, data);
    const channels: AudioChannel[][] = [["internal", "external"]];
    assertSucceeded(await call(server.url, wav, { channels, format }), 3001);
    const { data: recorded, metadata } = await server.recorded();
    assertEquals(metadata.media.channels, ["internal", "external"]);
    assertSameBytes(channelOf(recorded, 0, 2, size), channelOf(data, 1, 2, size));
    assertSameBytes(channelOf(recorded, 1, 2, size), channelOf(data, 0, 2, size));
  }
});

for (
  const [discardTo, frameSamples, skipped] of [
    ["PT0.5S", 800, 4000],
    // What is discarded is rounded down to a frame.
    ["PT0.55S", 800, 4000],
    ["PT0.0001250S", 1, 1],
    ["PT0S", 160, 0],
  ] as const
) {
  Deno.test(`place call: discardTo ${discardTo} is honoured, in frames of ${frameSamples}`, async () => {
    await using server = new ScriptedServer((peer, message) => {
      if (message.type !== "open") return peer.answer(message);
      peer.say("opened", { media: [message.parameters.media[0]], discardTo });
    });
    const data = someMulaw(2 * 4801);
    const outcome = await call(server.url, wavFile("PCMU", 2, data), { frameSamples });
    assertSucceeded(outcome, 4801);
    const { frames, received, faults } = server.peer;
    const sent = Uint8Array.from(frames.flatMap((frame) => [...frame]));
    assertSameBytes(sent, data.subarray(skipped * 2));
    const reports = received.filter(({ type }) => type === "discarded");
    assertEquals(
      reports.map(({ parameters }) => parameters.start),
      skipped === 0 ? [] : ["PT0S"],
    );
    for (const { parameters: { discarded } } of reports) {
      assertEquals(Number(/^PT([\d.]+)S$/.exec(discarded)?.[1]) * 8000, skipped);
    }
    assertEquals(received.at(-1)?.position, "PT0.600125S");
    assertEquals(faults, []);
  });
}

/** Resumes at the first tick after the client says that it has paused. */
function pausing(when: (call: Call) => boolean, preferences = {}): App {
  return app("pausing", (call) => {
    let isPaused = false;
    let isDone = false;
    return {
      preferences,
      audio() {
        if (isDone || !when(call)) return;
        isDone = true;
        call.pause();
      },
      paused: () => {
        isPaused = true;
      },
      tick() {
        if (isPaused) call.resume();
        isPaused = false;
      },
    };
  });
}

/** Places a call, and hangs up when a second more was said after it was resumed. Returns what was said. */
async function callUntilResumed(url: URL): Promise<Uint8Array> {
  const data = someMulaw(2 * 8000 * 600);
  const controller = new AbortController();
  let position = 0;
  let end = Infinity;
  const outcome = await call(url, wavFile("PCMU", 2, data), {
    speed: 4,
    signal: controller.signal,
    onEvent({ type }) {
      if (type === "resume") end = position + 8000;
    },
    onProgress(positionSamples) {
      position = positionSamples;
      if (position >= end) controller.abort();
    },
  });
  assertEquals(outcome.failure, undefined);
  return data.subarray(0, outcome.positionSamples * 2);
}

Deno.test("place call: a session that starts paused is answered, and begins with silence", async () => {
  await using server = await RecordingServer.start(pausing(() => false, { startPaused: true }));
  const data = await callUntilResumed(server.url);
  const recorded = await server.recorded();
  const types = recorded.messages.map(({ type }) => type).filter((type) => !/p[io]ng/.test(type));
  assertEquals(types, ["open", "opened", "paused", "resume", "resumed", "close", "closed"]);
  const [gap] = recorded.metadata.gaps;
  assertEquals([gap.startSamples, gap.cause], [0, "paused"]);
  assertGreaterOrEqual(gap.samples, 800);
  assertSameBytes(recorded.data, withSilence(data, recorded, 2));
  const resumed = recorded.messages.find(({ type }) => type === "resumed");
  assertEquals(resumed?.parameters, { start: "PT0S", discarded: `PT${gap.samples / 8000}S` });
});

Deno.test("place call: a pause and a resume in mid-call leave exactly that silence", async () => {
  await using server = await RecordingServer.start(
    pausing(({ positionSamples }) => positionSamples >= 8000),
  );
  const data = await callUntilResumed(server.url);
  const recorded = await server.recorded();
  const types = recorded.messages.map(({ type }) => type).filter((type) => !/p[io]ng/.test(type));
  assertEquals(types.slice(2), ["pause", "paused", "resume", "resumed", "close", "closed"]);
  assertEquals(recorded.metadata.gaps.length, 1);
  const [gap] = recorded.metadata.gaps;
  assertGreaterOrEqual(gap.startSamples, 8000);
  assertGreaterOrEqual(gap.samples, 800);
  assertSameBytes(recorded.data, withSilence(data, recorded, 2));
});

Deno.test("place call: redundant pause and resume are questions, answered with the present state", async () => {
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "open") {
      for (const type of ["pause", "pause", "resume", "resume"]) peer.say(type);
    }
  });
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(8000)));
  assertSucceeded(outcome, 4000);
  assertEquals(server.peer.types, ["open", "paused", "paused", "resumed", "resumed", "close"]);
  assertEquals(server.peer.received[4]?.parameters.discarded, "PT0S");
  assertEquals(server.peer.faults, []);
});

Deno.test("place call: a session without audio takes its time, and leaves no audio file", async () => {
  await using server = await RecordingServer.start(choosy({ media: null }));
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(2 * 2001)), { speed: 10 });
  assertEquals(outcome.failure, undefined);
  const { wav, metadata } = await server.recorded();
  assertEquals(wav, undefined);
  assertEquals(metadata.media, null);
  assertEquals(metadata.isComplete, true);
});

Deno.test("place call: without audio, nothing is said that the protocol forbids", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type === "open") peer.say("opened", { media: [] });
    else peer.answer(message);
  });
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(2 * 2000)));
  assertEquals(outcome.failure, undefined);
  assertEquals(server.peer.frames, []);
  assertEquals(server.peer.types.at(-1), "close");
  assertEquals(server.peer.faults, []);
});

Deno.test("place call: the bot's audio is received as it was played", async () => {
  const played = [someMulaw(1600), someMulaw(333), someMulaw(4000)];
  const bot = app("bot", (call) => ({
    opened() {
      for (const frame of played) call.play(frame);
    },
  }));
  await using server = await RecordingServer.start(bot);
  const received: number[] = [];
  const outcome = await call(server.url, wavFile("PCMU", 1, someMulaw(8000 * 4)), {
    speed: 2,
    onAudio: (frame) => received.push(...frame),
  });
  assertEquals(outcome.failure, undefined);
  assertEquals(received, played.flatMap((frame) => [...frame]));
});

Deno.test("place call: events and the disconnect of an app are told, in order", async () => {
  const talker = app("talker", (call) => ({
    opened() {
      call.sendEvent({ type: "note", data: { number: 1 } });
      call.sendEvent({ type: "note", data: { number: 2 } });
      call.disconnect("completed", { info: "enough" });
    },
  }));
  await using server = await RecordingServer.start(talker);
  const told: string[] = [];
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(2 * 80_000)), {
    speed: 1,
    onEvent(event) {
      if (event.type === "event") {
        told.push(...event.entities.map(({ data }) => JSON.stringify(data)));
      } else if (event.type === "disconnect") told.push(event.parameters.reason);
      else told.push(event.type);
    },
  });
  assertEquals(outcome.failure, undefined);
  assertEquals(told.filter((text) => text !== "pong"), [
    "connected",
    "opened",
    '{"number":1}',
    '{"number":2}',
    "completed",
    "closed",
    "connection-ended",
  ]);
  assertEquals((await server.recorded()).metadata.closeReason, "disconnect");
});

Deno.test("place call: pings come twice about a second after opened, and their round trips are kept", async () => {
  await using server = new ScriptedServer();
  const controller = new AbortController();
  let pongs = 0;
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(2 * 8000 * 60)), {
    speed: 1,
    signal: controller.signal,
    onEvent({ type }) {
      if (type === "pong" && ++pongs === 2) controller.abort();
    },
  });
  assertEquals(outcome.failure, undefined);
  assertEquals(server.peer.types, ["open", "ping", "ping", "close"]);
  assertEquals(outcome.roundTripsMs.length, 2);
  for (const roundTripMs of outcome.roundTripsMs) {
    assertGreaterOrEqual(roundTripMs, 0);
    // A later one would have ended the call.
    assertLess(roundTripMs, 5000);
  }
  assertEquals(server.peer.received.map(({ serverseq }) => serverseq), [0, 1, 1, 3]);
  const position = `PT${outcome.positionSamples / 8000}S`;
  assertEquals(server.peer.message("close")?.position, position);
  assertEquals(server.peer.message("open")?.position, "PT0S");
  assertEquals(server.peer.faults, []);
});

Deno.test("place call: unknown messages and fields of the server are ignored and counted", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type === "open") {
      peer.raw(peer.envelope("novelty", { parameters: { x: 1 }, surprise: true }));
      peer.raw(peer.envelope("opened", {
        parameters: { media: [message.parameters.media[0]], novelty: 1 },
        surprise: true,
      }));
    } else peer.answer(message);
  });
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(8000)));
  assertSucceeded(outcome, 4000);
  assertEquals(server.peer.message("close")?.serverseq, 2);
});

/** Faults of a server, each of which breaks the session, as section 4 and others have it. */
const FAULTS: Record<string, (server: ScriptedServer) => void> = {
  "no parameters": ({ peer }) => peer.raw(peer.envelope("event", {})),
  "a gap in seq": ({ peer }) => {
    peer.envelope("pong", { parameters: {} });
    peer.say("updated");
  },
  "another id": ({ peer }) =>
    peer.raw(peer.envelope("updated", { id: crypto.randomUUID(), parameters: {} })),
  "a clientseq that was not sent": ({ peer }) =>
    peer.raw(peer.envelope("updated", { clientseq: 99, parameters: {} })),
  // It has a number, even if nobody can read it.
  "no JSON": ({ peer }) => peer.raw(peer.envelope("updated", { parameters: {} }).slice(0, -1)),
  "a pong without a ping": ({ peer }) => peer.say("pong"),
  "a second opened": ({ peer }) => peer.say("opened", { media: [] }),
  "audio in a session with two channels": ({ peer }) => peer.raw(new Uint8Array(800)),
};

for (const [fault, commit] of Object.entries(FAULTS)) {
  Deno.test(`place call: ${fault} is a failure, even if it ends with closed`, async () => {
    await using server = new ScriptedServer((peer, message) => {
      peer.answer(message);
      if (message.type === "open") commit(server);
    });
    const wav = wavFile("PCMU", 2, someMulaw(2 * 80_000));
    const outcome = await call(server.url, wav, { speed: 1 });
    assertMatch(outcome.failure ?? "", /protocol/);
    assertEquals(server.peer.types.slice(1), ["error", "close"]);
    assertEquals(server.peer.message("close")?.parameters, { reason: "error" });
    assertEquals(server.peer.faults, []);
  });
}

Deno.test("place call: media that was not offered is a failure", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type === "open") {
      const [offer] = message.parameters.media;
      peer.say("opened", { media: [{ ...offer, channels: [...offer.channels].reverse() }] });
    } else peer.answer(message);
  });
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(8000)));
  assertMatch(outcome.failure ?? "", /not one of the offered/);
  assertEquals(server.peer.message("error")?.parameters.code, 400);
  assertEquals(server.peer.frames, []);
});

Deno.test("place call: a server that refuses by disconnect gets close, and it is a failure", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type === "open") peer.say("disconnect", { reason: "unauthorized", info: "no" });
    else peer.answer(message);
  });
  const outcome = await call(server.url, wavFile("PCMU", 2, someMulaw(8000)));
  assertMatch(outcome.failure ?? "", /"unauthorized"/);
  assertEquals(server.peer.types, ["open", "close"]);
  assertEquals(server.peer.message("close")?.parameters, { reason: "disconnect" });
});

Deno.test("place call: a connection that ends early is a failure", async () => {
  for (const at of ["open", "ping", "close"]) {
    await using server = new ScriptedServer((peer, message) => {
      if (message.type === at) peer.socket.close();
      else peer.answer(message);
    });
    const wav = wavFile("PCMU", 2, someMulaw(2 * 8000 * 2));
    const outcome = await call(server.url, wav, { speed: 1.5 });
    assertExists(outcome.failure, at);
  }
});

Deno.test("place call: a refused connection is a failure that names the server", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = new URL(`ws://127.0.0.1:${port}/hook`);
  const outcome = await call(url, wavFile("PCMU", 2, someMulaw(8000)));
  assertMatch(outcome.failure ?? "", new RegExp(`127\\.0\\.0\\.1:${port}`));
  assertEquals(outcome.positionSamples, 0);
});

Deno.test("place call: a key that is not known is a failure that tells the status", async () => {
  await using server = await RecordingServer.start();
  const audio = CallAudio.fromWav(wavFile("PCMU", 2, someMulaw(8000)));
  const organizationId = crypto.randomUUID();
  const outcome = await placeCall({
    request: {
      url: server.url,
      organizationId,
      sessionId: crypto.randomUUID(),
      correlationId: crypto.randomUUID(),
      apiKey: "unknown",
      clientSecret: new Uint8Array(32),
    },
    audio,
    open: {
      organizationId,
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: [],
    },
    speed: 1,
  });
  assertMatch(outcome.failure ?? "", /401|unauthorized/i);
});

Deno.test("place call: a server that is silent is given up, at whatever point", async () => {
  const wav = wavFile("PCMU", 2, someMulaw(8000));
  await using neverOpens = new ScriptedServer(() => {});
  await using neverPongs = new ScriptedServer((peer, message) => {
    if (message.type !== "ping") peer.answer(message);
  });
  // Takes the connection, and never says a word of HTTP.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) connections.push(connection);
  })();
  const timed = async (placing: Promise<CallOutcome>) => {
    const startedMs = performance.now();
    const { failure } = await placing;
    return { failure, tookMs: performance.now() - startedMs };
  };
  const [open, pong, handshake] = await Promise.all([
    timed(call(neverOpens.url, wav)),
    timed(call(neverPongs.url, wavFile("PCMU", 1, new Uint8Array(8000 * 20)), { speed: 1 })),
    timed(call(new URL(`ws://127.0.0.1:${listener.addr.port}/hook`), wav)),
  ]);
  for (const connection of connections) connection.close();
  listener.close();
  await accepting;
  assertMatch(open.failure ?? "", /opened/);
  assertGreaterOrEqual(open.tookMs, 4990);
  assertLess(open.tookMs, 30_000);
  assertMatch(pong.failure ?? "", /pong/);
  // A ping after 1 s, and 5 s for its answer.
  assertLess(pong.tookMs, 30_000);
  assertExists(handshake.failure);
  assertLess(handshake.tookMs, 60_000);
  assert(connections.length > 0);
});
