// Audio from before `opened`, and audio that the network does not take (protocol sections 6.8, 9
// and 17).
import { assert, assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import { assertSameBytes } from "../helpers/program.ts";
import { RawServer } from "./raw_server.ts";
import { RecordingServer } from "./recording_server.ts";
import { type Peer, ScriptedServer } from "./scripted_server.ts";
import { eventsOf, type SomeCall, startCall } from "./some_call.ts";

const seconds = (duration: string) => Number(/^PT([\d.]+)S$/.exec(duration)?.[1]);

/** What was reported as left out. */
const discardedOf = (peer: Peer) =>
  peer.received.filter(({ type }) => type === "discarded")
    .map(({ parameters: { start, discarded } }) => [seconds(start), seconds(discarded)]);

const audioOf = (peer: Peer) => Uint8Array.from(peer.frames.flatMap((frame) => [...frame]));

/** The audio of a peer, with zeros for what was reported as left out. */
function positioned(peer: Peer, sampleBytes: number): Uint8Array {
  const total = Math.round(seconds(peer.received.at(-1)?.position ?? "") * 8000) * sampleBytes;
  const audio = audioOf(peer);
  const bytes = new Uint8Array(total);
  let [from, to] = [0, 0];
  for (const [start = 0, discarded = 0] of discardedOf(peer)) {
    const length = Math.round(start * 8000) * sampleBytes - to;
    bytes.set(audio.subarray(from, from + length), to);
    from += length;
    to += length + Math.round(discarded * 8000) * sampleBytes;
  }
  bytes.set(audio.subarray(from), to);
  return bytes;
}

for (
  const [historySeconds, lost] of [
    [0, 0],
    [0.5, 0],
    [7, 0],
    [20, 0],
    [25.5, 5.5],
    [30, 10],
  ] as const
) {
  Deno.test(`catch up: of ${historySeconds} s that went by, ${lost} s are discarded, the rest is sent`, async () => {
    await using server = new ScriptedServer();
    const call = startCall(server.url, { seconds: 32, speed: 40, historySeconds });
    const outcome = await call.outcome;
    assertEquals(outcome.failure, undefined);
    assertEquals(outcome.positionSamples, 32 * 8000);
    const { peer } = server;
    assertEquals(peer.faults, []);
    assertEquals(discardedOf(peer), lost === 0 ? [] : [[0, lost]]);
    assertSameBytes(audioOf(peer), call.data.subarray(lost * 16_000));
    assertEquals(outcome.sentAudioBytes, call.data.length - lost * 16_000);
    assertEquals(outcome.sentFrames, peer.frames.length);
    for (const frame of peer.frames) assertLessOrEqual(frame.length, 64_000);
    const [event] = eventsOf(call, "catch-up");
    assertEquals(
      [event?.offeredSamples, event?.lostSamples],
      historySeconds === 0 ? [undefined, undefined] : [(historySeconds - lost) * 8000, lost * 8000],
    );
    if (historySeconds >= 7) assertGreater(new Set(peer.frames.map((f) => f.length)).size, 3);
  });
}

Deno.test("catch up: our own server records it in its place", async () => {
  await using server = await RecordingServer.start();
  const call = startCall(server.url, { seconds: 26, speed: 40, historySeconds: 25 });
  assertEquals((await call.outcome).failure, undefined);
  const { data, metadata } = await server.recorded();
  const expected = new Uint8Array(call.data);
  expected.fill(0xff, 0, 5 * 16_000);
  assertSameBytes(data, expected);
  assertEquals(metadata.gaps.length, 1);
});

Deno.test("catch up: discardTo skips history in whole frames, and one message tells of all", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type !== "open") return peer.answer(message);
    peer.say("opened", { media: [message.parameters.media[0]], discardTo: "PT15S" });
  });
  const call = startCall(server.url, { seconds: 31, speed: 40, historySeconds: 30 });
  assertEquals((await call.outcome).failure, undefined);
  const [[start, discarded = 0] = [], ...more] = discardedOf(server.peer);
  assertEquals([start, more.length], [0, 0]);
  assertGreater(discarded, 10);
  assertLessOrEqual(discarded, 15);
  assertSameBytes(audioOf(server.peer), call.data.subarray(Math.round(discarded * 16_000)));
});

Deno.test("catch up: history of a session that starts paused is part of resumed", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (message.type === "open") {
      const { media: [media] } = message.parameters;
      peer.say("opened", { media: [media], startPaused: true });
    } else peer.answer(message);
    if (message.type === "paused") setTimeout(() => peer.say("resume"), 50);
  });
  const call = startCall(server.url, { seconds: 40, speed: 40, historySeconds: 30 });
  assertEquals((await call.outcome).failure, undefined);
  const resumed = server.peer.message("resumed");
  assertEquals(resumed?.parameters.start, "PT0S");
  const lost = seconds(resumed?.parameters.discarded);
  assertGreater(lost, 30);
  assertEquals(discardedOf(server.peer), []);
  assertSameBytes(audioOf(server.peer), call.data.subarray(Math.round(lost * 16_000)));
});

Deno.test("catch up: what goes by while the call is tried again is sent then, and nothing is lost", async () => {
  await using server = new ScriptedServer((peer, message) => {
    if (server.peers.length === 1 && message.type === "open") {
      peer.say("disconnect", { reason: "error" });
    } else peer.answer(message);
  });
  const call = startCall(server.url, {
    seconds: 8,
    speed: 10,
    maxRetries: 1,
    backoffMs: () => 200,
  });
  assertEquals((await call.outcome).failure, undefined);
  const [, second] = server.peers;
  assert(second !== undefined);
  assertSameBytes(audioOf(second), call.data);
  assertGreater(eventsOf(call, "catch-up")[0]?.offeredSamples ?? 0, 16_000);
});

Deno.test("catch up: a call that loses its connection goes on with what went by meanwhile", async () => {
  await using server = new ScriptedServer();
  const sentBefore: number[] = [];
  const call = startCall(server.url, {
    seconds: 60,
    speed: 20,
    maxRetries: 1,
    backoffMs: () => 1500,
    onProgress: (position) => {
      if (position >= 40_000 && sentBefore.length === 0) {
        sentBefore.push(position + 800);
        assertEquals(call.control.drop(), true);
      }
    },
  });
  const outcome = await call.outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals([outcome.attempts, outcome.positionSamples], [2, 60 * 8000]);
  const [caughtUp] = eventsOf(call, "catch-up");
  // 1.5 s at that speed are 30 s, of which 20 s are kept.
  assertEquals(caughtUp?.offeredSamples, 160_000);
  const lost = caughtUp?.lostSamples ?? 0;
  assertGreater(lost, 60_000);
  const [, second] = server.peers;
  assert(second !== undefined);
  assertEquals(discardedOf(second), [[0, lost / 8000]]);
  // The rest of the call, after what was lost.
  assertSameBytes(audioOf(second), call.data.subarray(call.data.length - audioOf(second).length));
  const total = seconds(second.message("close")?.position ?? "") * 8000;
  assertEquals(total, audioOf(second).length / 2 + lost);
  assertLess(60 * 8000 - total - (sentBefore[0] ?? 0), 801);
  assertEquals(second.faults, []);
});

// --- Throttling --------------------------------------------------------------------------------

/** A server that does not read for a while, then answers as it should. */
async function slowServer(dropsLateAudio: boolean): Promise<{ call: SomeCall; heard: number }> {
  let heard = 0;
  await using server = new RawServer(async (peer) => {
    await peer.openSession();
    await new Promise((resolve) => setTimeout(resolve, 600));
    await peer.until("close");
    await peer.say("closed");
    heard = await peer.drain();
  });
  const call = startCall(server.url, {
    seconds: 1500,
    speed: 1500,
    frameSamples: 8000,
    dropsLateAudio,
    limits: { firstPingMs: 60_000 },
  });
  await call.outcome;
  return { call, heard };
}

Deno.test("throttle: live audio that the network does not take is left out and told, text never is", async () => {
  const { call } = await slowServer(true);
  const outcome = await call.outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(outcome.positionSamples, 1500 * 8000);
  assertLess(outcome.sentAudioBytes, call.data.length);
  const reported = call.messages.filter(({ type }) => type === "discarded")
    .reduce((sum, { parameters }) => sum + seconds(parameters.discarded), 0);
  assertEquals(Math.round(reported * 16_000), call.data.length - outcome.sentAudioBytes);
  const throttled = eventsOf(call, "throttled");
  assertEquals(throttled[0]?.isThrottled, true);
  assertGreater(throttled[0]?.bufferedBytes ?? 0, 256 * 1024);
});

Deno.test("throttle: a file that is said faster than real time waits, and loses nothing", async () => {
  const { call } = await slowServer(false);
  const outcome = await call.outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(outcome.sentAudioBytes, call.data.length);
  assertEquals(call.messages.filter(({ type }) => type === "discarded"), []);
  assertEquals(eventsOf(call, "throttled").map(({ isThrottled }) => isThrottled).slice(0, 2), [
    true,
    false,
  ]);
});

Deno.test("throttle: what is left out by request is told to the sample", async () => {
  await using server = new ScriptedServer();
  let hasDropped = false;
  const call = startCall(server.url, {
    seconds: 4,
    speed: 10,
    onProgress: (position) => {
      if (hasDropped || position < 8000) return;
      hasDropped = true;
      assertEquals(call.control.discard(0.503), true);
    },
  });
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(discardedOf(server.peer), [[1, 0.503]]);
  const expected = new Uint8Array(call.data);
  expected.fill(0, 16_000, 16_000 + 0.503 * 16_000);
  assertSameBytes(positioned(server.peer, 2), expected);
});
