import { assert, assertEquals, assertGreater, assertMatch, assertRejects } from "@std/assert";
import { sweepingTone } from "../../../lib/client/load/load_audio.ts";
import type { LoadProgress, LoadResult } from "../../../lib/client/load/load_result.ts";
import { type LoadOptions, runLoad } from "../../../lib/client/load/run_load.ts";
import { reportLines } from "../../../lib/client/load/load_report.ts";
import { within } from "../../helpers/deadline.ts";
import { type Script, ScriptedServer } from "../scripted_server.ts";

const AUDIO = sweepingTone();

function options(url: URL, more: Partial<LoadOptions> = {}): LoadOptions {
  return {
    url,
    apiKey: "key",
    clientSecret: new Uint8Array(),
    sessions: 4,
    ratePerSecond: 200,
    durationSeconds: 0.5,
    audio: AUDIO,
    ...more,
  };
}

/** Loads a server that does what a script says. */
async function loadScripted(
  script: Script,
  more: Partial<LoadOptions> = {},
): Promise<{ result: LoadResult; server: ScriptedServer }> {
  await using server = new ScriptedServer(script);
  const result = await runLoad(options(server.url, more));
  assertEquals(JSON.parse(JSON.stringify(result)), result);
  const { started, well, faulted, cancelled, failed } = result.sessions;
  assertEquals(well + faulted + cancelled + failed, started);
  return { result, server };
}

function counts(tallies: LoadResult["failures"]): Record<string, number> {
  return Object.fromEntries(Object.entries(tallies).map(([kind, { count }]) => [kind, count]));
}

Deno.test("run load: the server gets what a client sends, in the client's time", async () => {
  const progress: LoadProgress[] = [];
  const { result, server } = await loadScripted((peer, message) => peer.answer(message), {
    durationSeconds: 1.5,
    onProgress: (one) => progress.push(one),
    progressIntervalMs: 200,
  });
  assert(result.isGood);
  assertEquals(server.peers.length, 4);
  const starts = new Set<string>();
  for (const { faults, types, frames } of server.peers) {
    assertEquals(faults, []);
    assertEquals([types[0], types.at(-1)], ["open", "close"]);
    assertEquals(types.filter((type) => type === "ping").length, 2);
    for (const frame of frames) assertEquals(frame.length, 1600);
    starts.add((frames[0] ?? new Uint8Array()).toBase64());
  }
  assertEquals(starts.size, 4, "they say the same");
  const frames = server.peers.reduce((sum, peer) => sum + peer.frames.length, 0);
  assertEquals(frames, result.sent.frames);
  assertGreater(progress.length, 2);
  assert(progress.some(({ open }) => open === 4));
  assertEquals([result.server, result.verify], [null, null]);
});

Deno.test("run load: a server that breaks the protocol is told with its words", async () => {
  const { result } = await loadScripted((peer, message) => {
    if (message.type === "open") peer.say("opened", { media: [{ type: "video" }] });
    else peer.answer(message);
  });
  assertEquals(counts(result.failures), { violation: 4 });
  const violations = Object.values(result.violations);
  assertEquals(violations.reduce((sum, { count }) => sum + count, 0), 4);
  assertMatch(violations[0]?.examples[0] ?? "", /media/i);
  assertEquals(result.isGood, false);
});

Deno.test("run load: what the server ends by disconnect fails by its reason", async () => {
  const { result } = await loadScripted((peer, message) => {
    peer.answer(message);
    if (message.type === "open") {
      peer.say("disconnect", { reason: "error", info: "\x1b[2J no more" });
    }
  });
  assertEquals(counts(result.failures), { "disconnect error": 4 });
  assertEquals(result.failures["disconnect error"]?.examples, ["\x1b[2J no more"]);
  assert(reportLines(result).some((line) => line.includes("4 x disconnect error")));
});

Deno.test("run load: a server that selects no audio gets none", async () => {
  const { result, server } = await loadScripted((peer, message) => {
    if (message.type === "open") peer.say("opened", { media: [] });
    else peer.answer(message);
  });
  assert(result.isGood);
  assertEquals(result.sent.frames, 0);
  assertEquals(server.peers.flatMap(({ frames }) => frames), []);
});

Deno.test("run load: what a paused stream does not send is counted, and reported", async () => {
  const { result, server } = await loadScripted((peer, message) => {
    if (message.type === "open") {
      peer.say("opened", { media: [message.parameters.media[0]], startPaused: true });
    } else peer.answer(message);
  });
  assert(result.isGood);
  assertEquals(result.sent.frames, 0);
  assertEquals(result.sent.framesNotWanted + result.sent.framesSkipped, 20);
  assertEquals(server.peers.flatMap(({ frames }) => frames), []);
});

Deno.test("run load: who is stopped before it began has done nothing", async () => {
  await using server = new ScriptedServer();
  const result = await runLoad(options(server.url, { signal: AbortSignal.abort() }));
  assertEquals([result.stopped?.by, result.sessions.started, result.isGood], ["signal", 0, false]);
});

Deno.test("run load: nobody listens", async () => {
  const result = await runLoad(options(new URL("ws://127.0.0.1:1/"), { sessions: 300 }));
  assertEquals(result.stopped?.by, "refused");
  assertEquals(counts(result.failures), { "unreachable ECONNREFUSED": 10 });
});

Deno.test("run load: nobody listens, whom a single session calls for as long as is wanted", async () => {
  const url = new URL("ws://127.0.0.1:1/");
  const hold = options(url, { sessions: 1, holdSeconds: 600 });
  const result = await within(runLoad(hold), "the end of the run");
  assertEquals(result.stopped?.by, "refused");
  assertMatch(result.stopped?.why ?? "", /^None of the first 10 connected: unreachable ECONNREF/);
  assertEquals(counts(result.failures), { "unreachable ECONNREFUSED": 10 });
});

Deno.test("run load: options that make no sense are errors at once", async () => {
  const url = new URL("ws://127.0.0.1:1/");
  const wrong: Partial<LoadOptions>[] = [
    { sessions: 0 },
    { sessions: 1.5 },
    { ratePerSecond: 0 },
    { frameMs: 5 },
    { durationSeconds: NaN },
    { faults: { drop: 60, reset: 60 } },
  ];
  for (const one of wrong) await assertRejects(() => runLoad(options(url, one)), RangeError);
});
