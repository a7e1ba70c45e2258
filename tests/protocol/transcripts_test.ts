// Fixed transcripts, written by hand from the protocol's description, and replayed into either
// side: both sides share one state table, and could share a misreading.
//
// A step is a frame, which is delivered where it stands (`from`); what an application does (`do`),
// perhaps before a frame of the other side that is under way; or what is true then (`expect`). `*`
// stands for any text that the protocol leaves to the sender, and `free` names envelope fields whose
// value it leaves to the sender.
import { assert, assertEquals } from "@std/assert";
import {
  ClientSession,
  type EventEntity,
  type OpenedAnswer,
  type OpenParameters,
  ServerSession,
} from "../../lib/protocol/mod.ts";
import { type Json, type JsonObject, ORGANIZATION_ID } from "../helpers/protocol_wire.ts";

interface Step {
  readonly from?: "client" | "server";
  readonly text?: JsonObject;
  readonly free?: readonly string[];
  readonly audioBytes?: number;
  readonly do?: string;
  readonly args?: Json[];
  readonly atMs?: number;
  readonly expect?: string;
  readonly is?: Json;
}

type Side = "client" | "server";

// The others have faults that our own sessions do not commit.
const TRANSCRIPTS: Readonly<Record<string, readonly Side[]>> = {
  monitor_call: ["client", "server"],
  pauses_crossing: ["client", "server"],
  hold_ends_during_server_pause: ["client", "server"],
  disconnect_completed: ["client", "server"],
  bot: ["client", "server"],
  bad_seq_then_close: ["server"],
  organization_mismatch: ["server"],
  probe: ["client", "server"],
  update: ["client", "server"],
  discarded: ["client", "server"],
  discard_to_and_start_paused: ["client", "server"],
  no_media: ["client", "server"],
  no_media_but_audio: ["server"],
  close_crosses_opened: ["client", "server"],
  close_while_opening: ["client", "server"],
  open_refused: ["client", "server"],
  unknown_types: ["server"],
  media_not_offered: ["client"],
  rate_limited: ["client", "server"],
};

const ID = "e160e428-53e2-487c-977d-96989bf5c99d";
const DIRECTORY = new URL("../testdata/transcripts/", import.meta.url);

/** Replaces what may be any text by `*`, where the transcript says so. */
function generalize(actual: Json, expected: Json): Json {
  if (expected === "*" && typeof actual === "string" && actual !== "") return "*";
  if (typeof actual !== "object" || actual === null) return actual;
  if (typeof expected !== "object" || expected === null) return actual;
  if (Array.isArray(actual) || Array.isArray(expected)) return actual;
  return Object.fromEntries(
    Object.entries(actual).map(([key, value]) => [key, generalize(value, expected[key] ?? null)]),
  );
}

type Act = (args: readonly Json[], nowMs: number) => unknown;

function actionsOfServer(session: ServerSession): Record<string, Act> {
  return {
    opened: ([answer], nowMs) => session.opened(answer as unknown as OpenedAnswer, nowMs),
    sendEvent: ([entities], nowMs) =>
      session.sendEvent(entities as unknown as EventEntity[], nowMs),
    pause: (_, nowMs) => session.pause(nowMs),
    resume: (_, nowMs) => session.resume(nowMs),
    updated: (_, nowMs) => session.updated(nowMs),
    play: ([length], nowMs) => session.play(new Uint8Array(Number(length)), nowMs),
    disconnect: ([reason, info, variables], nowMs) =>
      session.disconnect(
        reason as "completed",
        info as string | undefined,
        variables as Record<string, string> | undefined,
        nowMs,
      ),
    closed: (_, nowMs) => session.closed(undefined, nowMs),
  };
}

function actionsOfClient(session: ClientSession): Record<string, Act> {
  return {
    open: ([parameters], nowMs) => session.open(parameters as unknown as OpenParameters, nowMs),
    sendAudio: ([length]) => session.sendAudio(new Uint8Array(Number(length)).fill(0xff)),
    discard: ([samples]) => session.discard(Number(samples)),
    pause: () => session.pause(),
    resume: () => session.resume(),
    update: ([language]) => session.update(String(language)),
    dtmf: ([digit]) => session.dtmf(String(digit)),
    playback: ([state]) => session.playback(state as "started"),
    error: ([parameters]) =>
      session.error(parameters as unknown as Parameters<ClientSession["error"]>[0]),
    close: ([reason], nowMs) => session.close(reason as "end", nowMs),
  };
}

async function read(name: string): Promise<readonly Step[]> {
  return JSON.parse(await Deno.readTextFile(new URL(`${name}.json`, DIRECTORY)));
}

function replay(side: Side, steps: readonly Step[]): void {
  const session = side === "server"
    ? new ServerSession({ id: ID, organizationId: ORGANIZATION_ID, nowMs: 0 })
    : new ClientSession({ id: ID });
  const actions = session instanceof ServerSession
    ? actionsOfServer(session)
    : actionsOfClient(session);
  const sent: (string | Uint8Array)[] = [];
  let nowMs = 0;
  for (const [index, step] of steps.entries()) {
    const where = `step ${index + 1}: ${JSON.stringify(step)}`;
    nowMs = step.atMs ?? nowMs;
    if (step.do === "tick") {
      session.tick(nowMs);
    } else if (step.do !== undefined) {
      const [who, what] = step.do.split(".");
      if (who === side) {
        const act = actions[what ?? ""];
        assert(act !== undefined, where);
        act(step.args ?? [], nowMs);
      }
    } else if (step.expect !== undefined) {
      const [who, what] = step.expect.split(".");
      if (who === side) {
        assertEquals((session as unknown as JsonObject)[what ?? ""], step.is, where);
      }
    } else if (step.from === side) {
      const frame = sent.shift();
      assert(frame !== undefined, `nothing was sent at ${where}`);
      if (step.text !== undefined) {
        assert(typeof frame === "string", where);
        const actual = generalize(JSON.parse(frame), step.text);
        const free = Object.fromEntries((step.free ?? []).map((key) => [key, "*"]));
        assertEquals({ ...actual as JsonObject, ...free }, { ...step.text, ...free }, where);
      } else {
        assert(frame instanceof Uint8Array, where);
        assertEquals(frame.length, step.audioBytes, where);
      }
    } else if (step.text !== undefined) {
      session.receiveText(JSON.stringify(step.text), nowMs);
    } else {
      session.receiveAudio(new Uint8Array(step.audioBytes ?? 0).fill(0xff), nowMs);
    }
    sent.push(...session.takeOutput());
  }
  assertEquals(sent, [], "more was sent than the transcript has");
}

for (const [name, sides] of Object.entries(TRANSCRIPTS)) {
  for (const side of sides) {
    Deno.test(`transcripts: the ${side} sends what ${name} has, and no more`, async () => {
      replay(side, await read(name));
    });
  }
}

Deno.test("transcripts: every file is replayed", async () => {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(DIRECTORY)) files.push(name.replace(/\.json$/, ""));
  assertEquals(files.toSorted(), Object.keys(TRANSCRIPTS).toSorted());
});

Deno.test("transcripts: numbers of both directions have no gap unless that is the point", async () => {
  for (const name of Object.keys(TRANSCRIPTS)) {
    if (name === "bad_seq_then_close") continue;
    const seq = { client: 0, server: 0 };
    for (const { from, text } of await read(name)) {
      if (from === undefined || text === undefined) continue;
      assertEquals(text.seq, ++seq[from], name);
      const acknowledged = Number(from === "client" ? text.serverseq : text.clientseq);
      assert(acknowledged <= seq[from === "client" ? "server" : "client"], name);
    }
  }
});
