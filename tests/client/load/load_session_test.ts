import { assert, assertEquals, assertGreater } from "@std/assert";
import type { Fault } from "../../../lib/client/load/fault_plan.ts";
import { LoadAudio, sweepingTone } from "../../../lib/client/load/load_audio.ts";
import { LoadNumbers } from "../../../lib/client/load/load_numbers.ts";
import { LoadSession } from "../../../lib/client/load/load_session.ts";
import { until, within } from "../../helpers/deadline.ts";
import { ScriptedServer } from "../scripted_server.ts";

const FRAME_MS = 1000;
const FRAME_SAMPLES = 8000;

/** Samples in a duration such as `PT1.5S`. */
function samplesOf(duration: string): number {
  return Math.round(Number(duration.slice(2, -1)) * 8000);
}

/** One session, without a clock: the test steps it. */
async function openSession(server: ScriptedServer, fault?: Fault) {
  const numbers = new LoadNumbers();
  const ended = Promise.withResolvers<void>();
  const session = new LoadSession(
    {
      url: server.url,
      apiKey: "key",
      clientSecret: new Uint8Array(),
      organizationId: crypto.randomUUID(),
      audio: new LoadAudio(sweepingTone(), "both", FRAME_SAMPLES),
      frameSamples: FRAME_SAMPLES,
      frameMs: FRAME_MS,
      durationMs: 1e9,
      limits: {},
      numbers,
      isVerified: true,
      onEnd: () => ended.resolve(),
    },
    0,
    fault,
  );
  void session.begin();
  await until(() => numbers.open === 1, "an open session");
  return { session, numbers, ended: ended.promise };
}

Deno.test("load session: a disconnect that was read before a stall ends the stall", async () => {
  await using server = new ScriptedServer();
  const stall = { kind: "stall", at: 0, stallMs: 1e9 } as const;
  const { session, numbers, ended } = await openSession(server, stall);
  session.step(FRAME_MS, performance.now());
  assertEquals(numbers.faults.stall, 1);
  // As the socket does with what it had read.
  const parameters = { reason: "completed" };
  session.onText(server.peer.envelope("disconnect", { parameters }));
  await within(ended, "the end of the session");
  assertEquals([numbers.faults.stallsEndedWell, numbers.violations.total], [0, 0]);
  assertEquals([server.peer.types, server.peer.faults], [["open", "close"], []]);
});

Deno.test("load session: what a backed up socket can't take is left out, and reported", async () => {
  await using server = new ScriptedServer();
  const { session, numbers, ended } = await openSession(server);
  // The server is in this process, and reads nothing as long as this goes on.
  let dueMs = 0;
  const nowMs = performance.now();
  for (let i = 0; i < 2000; i++) session.step(dueMs += FRAME_MS, nowMs);
  assertGreater(numbers.framesThrottled, 0);
  assertGreater(numbers.frames, 4);
  const sentAtFirst = numbers.frames;
  await until(() => server.peer.frames.length === sentAtFirst, "all frames");
  for (let i = 0; i < 3; i++) session.step(dueMs += FRAME_MS, nowMs);
  session.close();
  await ended;
  const { peer } = server;
  assertEquals(peer.faults, []);
  assertEquals([numbers.well, numbers.frames + numbers.framesThrottled], [1, 2003]);
  const discarded = peer.received.filter(({ type }) => type === "discarded");
  assertEquals(discarded.length, 1);
  const { start, discarded: length } = discarded[0]?.parameters ?? {};
  assertEquals(samplesOf(start), sentAtFirst * FRAME_SAMPLES);
  assertEquals(samplesOf(length), numbers.framesThrottled * FRAME_SAMPLES);
  // What a server records of it.
  const gapBytes = samplesOf(length) * 2;
  const recorded = new Uint8Array(2003 * FRAME_SAMPLES * 2).fill(0xff);
  let at = 0;
  for (const [i, frame] of peer.frames.entries()) {
    if (i === sentAtFirst) at += gapBytes;
    recorded.set(frame, at);
    at += frame.length;
  }
  assertEquals(at, recorded.length);
  const { sent } = session;
  assert(sent !== undefined);
  assertEquals(sent.bytes, recorded.length);
  assertEquals(sent.firstDifference(recorded), undefined);
  recorded[(sentAtFirst + 5) * FRAME_SAMPLES * 2] = 1;
  assertEquals(sent.firstDifference(recorded), (sentAtFirst + 5) * FRAME_SAMPLES * 2);
});
