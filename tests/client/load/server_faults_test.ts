// What a load says of a server that breaks off, is late, or is read late.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FaultPlan } from "../../../lib/client/load/fault_plan.ts";
import { sweepingTone } from "../../../lib/client/load/load_audio.ts";
import type { LoadResult, Tally } from "../../../lib/client/load/load_result.ts";
import { type LoadOptions, runLoad } from "../../../lib/client/load/run_load.ts";
import { frameBytes, type FrameShape } from "../../helpers/frame_bytes.ts";
import { type RawPeer, type RawScript, RawServer } from "../raw_server.ts";
import { type Peer, type Script, ScriptedServer } from "../scripted_server.ts";
import { KEY, load } from "./load_process.ts";

const SESSIONS = 3;
const STALL_ALL = { stall: 100 };
const AUDIO = sweepingTone();

function loadOf(url: URL, more: Partial<LoadOptions> = {}): Promise<LoadResult> {
  return runLoad({
    url,
    apiKey: "key",
    clientSecret: new Uint8Array(),
    sessions: SESSIONS,
    ratePerSecond: 200,
    durationSeconds: 0.5,
    audio: AUDIO,
    ...more,
  });
}

async function loadScripted(script: Script, more: Partial<LoadOptions>): Promise<LoadResult> {
  await using server = new ScriptedServer(script);
  return await loadOf(server.url, more);
}

function counts(tallies: Readonly<Record<string, Tally>>): Record<string, number> {
  return Object.fromEntries(Object.entries(tallies).map(([kind, { count }]) => [kind, count]));
}

/** Opens, and says something that is no frame. */
const says = (shape: FrameShape): RawScript => async (peer) => {
  await peer.openSession();
  await peer.write(frameBytes({ ...shape, masked: false }));
  await peer.drain();
};

const goodbye = (peer: RawPeer) =>
  peer.write(frameBytes({ opcode: 8, payload: new Uint8Array([0x03, 0xe8]), masked: false }));

const BREAKING_OFF: Readonly<Record<string, readonly [RawScript, code: number, section: string]>> =
  {
    "text that is no UTF-8": [
      says({ opcode: 1, payload: new Uint8Array([0xff, 0xfe, 0x80]) }),
      1007,
      "1",
    ],
    "a reserved bit": [says({ opcode: 1, payload: "{}", rsv: 4 }), 1002, "1"],
    "a message beyond all bounds": [
      says({ opcode: 1, payload: "x".repeat(3_000_000) }),
      1009,
      "1",
    ],
    "a goodbye in mid-call": [
      async (peer) => {
        await peer.openSession();
        await goodbye(peer);
        await peer.drain();
      },
      1000,
      "1",
    ],
    "a goodbye in place of closed": [
      async (peer) => {
        await peer.openSession();
        await peer.until("close");
        await goodbye(peer);
        await peer.drain();
      },
      1000,
      "13.2",
    ],
  };

for (const [what, [script, code, section]] of Object.entries(BREAKING_OFF)) {
  Deno.test(`load: ${what} is a violation of section ${section}`, async () => {
    await using server = new RawServer(script);
    const { failures, violations, isGood } = await loadOf(server.url);
    assertEquals(counts(failures), { [`lost ${code}`]: SESSIONS });
    assertEquals(counts(violations), { [section]: SESSIONS });
    assertMatch(violations[section]?.examples[0] ?? "", new RegExp(`WebSocket.*\\(code ${code}`));
    assertEquals(isGood, false);
  });
}

Deno.test("load: a network that drops the connection breaks no rule", async () => {
  await using server = new RawServer((peer) => peer.openSession());
  const { failures, violations } = await loadOf(server.url);
  assertEquals([counts(failures), violations], [{ "lost 1006": SESSIONS }, {}]);
});

Deno.test("load: a hang-up after disconnect with error is told by its reason alone", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.openSession();
    await peer.say("disconnect", { reason: "error" });
    await goodbye(peer);
    await peer.drain();
  });
  const { failures, violations } = await loadOf(server.url);
  assertEquals([counts(failures), violations], [{ "disconnect error": SESSIONS }, {}]);
});

Deno.test("load: the report names what broke the connections", async () => {
  await using server = new RawServer(says({ opcode: 1, payload: new Uint8Array([0xff]) }));
  const args = ["--sessions", String(SESSIONS), "--duration", "1"];
  const ended = await load(["--url", server.url.href, "--key", KEY, ...args]);
  assertEquals(ended.code, 1, ended.output);
  assertMatch(
    ended.stdout,
    /\nViolations of the server, by section:\n {2}3 x 1\n +The server ended, or broke, .*1007.*UTF/,
  );
});

Deno.test("load: answers that come too late are violations of their sections", async () => {
  const silent = (type: string): Script => (peer, message) => {
    if (message.type !== type) peer.answer(message);
  };
  const [open, ping, close] = await Promise.all([
    loadScripted(silent("open"), {}),
    loadScripted(silent("ping"), { durationSeconds: 60 }),
    loadScripted(silent("close"), {}),
  ]);
  const found = (result: LoadResult) => [counts(result.failures), counts(result.violations)];
  assertEquals(found(open), [{ "timeout opened": SESSIONS }, { "6.1": SESSIONS }]);
  assertEquals(found(ping), [{ "timeout pong": SESSIONS }, { "11": SESSIONS }]);
  assertEquals(found(close), [{ "timeout closed": SESSIONS }, { "13.2": SESSIONS }]);
});

/** A seed with which the first session stalls at once, for so long. */
function seedOf(fromMs: number, toMs: number): number {
  for (let seed = 0;; seed++) {
    const fault = new FaultPlan({ drop: 0, reset: 0, ...STALL_ALL }, seed).next();
    if (fault !== undefined && fault.at < 0.02 && fault.stallMs >= fromMs && fault.stallMs < toMs) {
      return seed;
    }
  }
}

const ONE_LONG_STALL = { sessions: 1, faults: STALL_ALL, durationSeconds: 9 };
const ONE_SHORT_STALL = { sessions: 1, faults: STALL_ALL, durationSeconds: 2 };

Deno.test("load: what a server said in its rates while nobody read is not too much at once", async () => {
  const timers: ReturnType<typeof setInterval>[] = [];
  const talk = (peer: Peer) => peer.say("event", { entities: [{ type: "greeting", data: {} }] });
  const result = await loadScripted((peer, message) => {
    peer.answer(message);
    if (message.type === "open") timers.push(setInterval(() => talk(peer), 125));
    if (message.type === "close") timers.forEach(clearInterval);
  }, { ...ONE_LONG_STALL, seed: seedOf(7000, 8000) });
  timers.forEach(clearInterval);
  assertEquals([counts(result.violations), counts(result.failures)], [{}, {}]);
  const { stall, stallsEndedWell } = result.faults;
  assertEquals([stall, stallsEndedWell], [1, 1]);
  assert(result.isGood);
});

Deno.test("load: what a server says wrong to who stalled is a violation", async () => {
  const result = await loadScripted((peer, message) => {
    if (message.type === "close") peer.say("updated");
    peer.answer(message);
  }, { ...ONE_SHORT_STALL, seed: seedOf(1000, 1500) });
  assertEquals([counts(result.violations), result.sessions.faulted], [{ "10": 1 }, 1]);
  assertEquals([result.isGood, result.faults.stallsEndedWell], [false, 1]);
});

Deno.test("load: a server that hangs up on who stalls breaks no rule", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.openSession();
    // By then, it stalls.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await goodbye(peer);
    await peer.drain();
  });
  const result = await loadOf(server.url, { ...ONE_SHORT_STALL, seed: seedOf(1000, 1500) });
  assertEquals([counts(result.violations), counts(result.failures)], [{}, {}]);
  assertEquals([result.sessions.faulted, result.faults.stallsEndedWell], [1, 0]);
  assert(result.isGood);
});
