// What a client finds wrong in a server's messages: the section of each rule, and whether it ends
// the session.
import { assert, assertEquals } from "@std/assert";
import { ClientSession, type OpenParameters } from "../../lib/protocol/mod.ts";
import {
  EXTERNAL,
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

interface Found {
  readonly section: string;
  readonly ends: boolean;
  readonly code: number;
}

function opening(more: JsonObject = {}): WireServer {
  const server = new WireServer(new ClientSession({ id: SESSION_ID }));
  server.session.open(openParameters(more) as unknown as OpenParameters, 0);
  server.receiveOne("open");
  return server;
}

function open(media: JsonObject = STEREO, more: JsonObject = {}): WireServer {
  const server = opening({ media: [media], ...more });
  server.send("opened", { media: [media], ...(more.supportedLanguages ? more : {}) });
  server.events();
  return server;
}

function pinged(): WireServer {
  const server = open();
  server.session.tick(1000);
  server.receive();
  return server;
}

function violations(server: WireServer): Found[] {
  return server.events().flatMap((event) => {
    if (event.type !== "violation") return [];
    const { section, ends, code, info } = event;
    assert(info.length > 0 && info.length < 500, info);
    return [{ section, ends, code }];
  });
}

const data = (change: JsonObject): JsonObject => {
  const entity = transcriptEntity("x");
  return { type: "transcript", data: { ...entity.data as JsonObject, ...change } };
};
const alternative = (interpretation: JsonObject, confidence = 0.5): JsonObject =>
  data({
    alternatives: [{ confidence, interpretations: [{ type: "display", ...interpretation }] }],
  });
const word = (offset: string, confidence = 1): JsonObject => ({
  type: "word",
  value: "x",
  confidence,
  offset,
  duration: "PT0.1S",
});
const event = (...entities: JsonObject[]) => (server: WireServer) =>
  server.send("event", { entities });
const bytes = (length: number) => new Uint8Array(length);
const note = (server: WireServer) => server.send("event", { entities: [{ type: "x", data: 1 }] });
/** A message without a number that can be read has one all the same. */
const raw = (text: string) => (server: WireServer) => {
  server.seq++;
  server.session.receiveText(text, 0);
};

interface Fault {
  readonly section: string;
  readonly commit: (server: WireServer) => void;
  /** 400 unless given. */
  readonly code?: number;
  readonly on?: () => WireServer;
}

/** They end the session, as the official client does. */
const ENDING: Readonly<Record<string, Fault>> = {
  "no JSON": { section: "4", commit: raw("{") },
  "JSON that is no object": { section: "4", commit: raw("[]") },
  "another version": { section: "4", commit: (s) => s.send("updated", {}, { version: "1" }) },
  "another id": { section: "4", commit: (s) => s.send("updated", {}, { id: OTHER_UUID }) },
  "a gap in seq": { section: "4", code: 500, commit: (s) => s.send("updated", {}, { seq: 9 }) },
  "a repeated seq": { section: "4", code: 500, commit: (s) => s.send("updated", {}, { seq: 1 }) },
  "a clientseq above ours": {
    section: "4",
    commit: (s) => s.send("updated", {}, { clientseq: 2 }),
  },
  "a clientseq that falls": {
    section: "4",
    on: pinged,
    commit: (s) => s.send("updated", {}, { clientseq: 0 }),
  },
  "a clientseq that falls, of an unknown type": {
    section: "4",
    on: pinged,
    commit: (s) => s.send("bulletin", {}, { clientseq: 0 }),
  },
  "an opened that answers nothing": {
    section: "4",
    on: opening,
    commit: (s) => s.send("opened", { media: [] }, { clientseq: 0 }),
  },
  "no parameters": {
    section: "4",
    commit(server) {
      const { parameters: _, ...message } = serverMessage("updated", {}, { seq: 2 });
      raw(JSON.stringify(message))(server);
    },
  },
  "nesting without end": {
    section: "4",
    commit: raw("[".repeat(1000)),
  },
  "a text of more than 64,000 bytes": {
    section: "1",
    code: 413,
    commit: (s) => s.send("event", { entities: [{ type: "x", data: "x".repeat(64_000) }] }),
  },
  "a reason that there is not": {
    section: "5",
    commit: (s) => s.send("disconnect", { reason: "because" }),
  },
  "no reason": { section: "5", commit: (s) => s.send("disconnect") },
  "an event without entities": { section: "5", commit: event() },
  "an entity without data": { section: "5", commit: event({ type: "transcript" }) },
  "an entity without a type": { section: "5", commit: event({ data: {} }) },
  "a startPaused of text": {
    section: "5",
    on: opening,
    commit: (s) => s.send("opened", { media: [], startPaused: "yes" }),
  },
  "a discardTo with an exponent": {
    section: "5",
    on: opening,
    commit: (s) => s.send("opened", { media: [], discardTo: "PT9e-7S" }),
  },
  "media that was not offered": {
    section: "6.3",
    on: opening,
    commit: (s) => s.send("opened", { media: [L16] }),
  },
  "two media": {
    section: "6.3",
    on: opening,
    commit: (s) => s.send("opened", { media: [STEREO, EXTERNAL] }),
  },
  "opened without media": { section: "6.3", on: opening, commit: (s) => s.send("opened") },
  "a second opened": { section: "6", commit: (s) => s.send("opened", { media: [] }) },
  "a pause before opened": { section: "8", on: opening, commit: (s) => s.send("pause") },
  "a resume before opened": { section: "8", on: opening, commit: (s) => s.send("resume") },
  "an updated before opened": { section: "10", on: opening, commit: (s) => s.send("updated") },
  "a pong before opened": { section: "11", on: opening, commit: (s) => s.send("pong") },
  "a pong that no ping asked for": { section: "11", commit: (s) => s.send("pong") },
  "a pong of another ping": {
    section: "11",
    on: pinged,
    commit: (s) => s.send("pong", {}, { clientseq: 3 }),
  },
  "a pong too many": {
    section: "11",
    on: pinged,
    commit(server) {
      for (const clientseq of [2, 3, 3]) server.send("pong", {}, { clientseq });
    },
  },
  "an event before opened": {
    section: "12",
    on: opening,
    commit: event({ type: "x", data: {} }),
  },
  "closed without close": { section: "13", commit: (s) => s.send("closed") },
  "audio before opened": {
    section: "15",
    code: 415,
    on: opening,
    commit: (s) => s.session.receiveAudio(bytes(160), 0),
  },
  "audio to two channels": {
    section: "15",
    code: 415,
    commit: (s) => s.session.receiveAudio(bytes(160), 0),
  },
  "an audio frame of more than 64,000 bytes": {
    section: "15",
    code: 413,
    on: () => open(EXTERNAL),
    commit: (s) => s.session.receiveAudio(bytes(64_001), 0),
  },
  "part of a sample": {
    section: "15",
    on: () => open(L16),
    commit: (s) => s.session.receiveAudio(bytes(161), 0),
  },
  "reconnect before opened": { section: "16", on: opening, commit: (s) => s.send("reconnect") },
};

for (const [name, { section, commit, code = 400, on = open }] of Object.entries(ENDING)) {
  Deno.test(`client rules: ${name} breaks section ${section}, and ends the session`, () => {
    const server = on();
    commit(server);
    assertEquals(violations(server), [{ section, ends: true, code }]);
    const frames = server.receive().filter(isMessage);
    assertEquals(frames.map(({ type }) => type), ["error", "close"]);
    assertEquals(frames[0]?.parameters.code as unknown, code);
    server.send("closed");
    assertEquals(server.eventTypes(), ["closed"]);
  });
}

/** What a `closed` can be that is not as it should be. */
const FAULTY_CLOSED: Readonly<Record<string, (server: WireServer) => void>> = {
  "a gap in seq": (s) => s.send("closed", {}, { seq: 9 }),
  "a repeated seq": (s) => s.send("closed", {}, { seq: 1 }),
  "another id": (s) => s.send("closed", {}, { id: OTHER_UUID }),
  "a clientseq above ours": (s) => s.send("closed", {}, { clientseq: 99 }),
  "a clientseq that falls": (s) => s.send("closed", {}, { clientseq: 0 }),
  "a clientseq before close": (s) => s.send("closed", {}, { clientseq: s.clientseq - 1 }),
  "another version": (s) => s.send("closed", {}, { version: "1" }),
  "outputVariables that are none": (s) => s.send("closed", { outputVariables: 1 }),
};

for (const [name, commit] of Object.entries(FAULTY_CLOSED)) {
  Deno.test(`client rules: a closed with ${name} is a fault, and ends the session all the same`, () => {
    const server = pinged();
    server.session.close("end", 1000);
    server.receiveOne("close");
    commit(server);
    const [violation, closed, ...more] = server.events();
    assertEquals([violation?.type, closed?.type, more.length], ["violation", "closed", 0]);
    assertEquals(server.session.state, "closed");
    assertEquals(server.session.deadlineMs, Infinity);
    server.session.tick(1e9);
    assertEquals([server.receive(), server.events()], [[], []]);
    // A second one is one too many.
    server.send("closed");
    commit(server);
    assertEquals(server.eventTypes().every((type) => type === "violation"), true);
  });
}

Deno.test("client rules: a closed that waits for no close is a fault, and does not answer a later one", () => {
  const server = open();
  server.send("disconnect", { reason: "completed" });
  server.send("closed", {}, { clientseq: 1 });
  assertEquals(server.eventTypes(), ["disconnect", "violation", "closed"]);
  server.receiveOne("close");
});

/** They are reported, and nothing else happens. */
const REPORTED: Readonly<Record<string, Fault>> = {
  "an updated without an update": { section: "10", commit: (s) => s.send("updated") },
  "supportedLanguages that were asked for, and are not there": {
    section: "6.4",
    on: () => opening({ supportedLanguages: true }),
    commit: (s) => s.send("opened", { media: [STEREO] }),
  },
  "a transcript of nothing": { section: "12", commit: event({ type: "transcript", data: null }) },
  "a transcript's id that is no UUID": { section: "12", commit: event(data({ id: "1" })) },
  "a channel that there is not": { section: "12", commit: event(data({ channelId: 2 })) },
  "an offset that is no duration": { section: "12", commit: event(data({ offset: 1.5 })) },
  "an isFinal of text": { section: "12", commit: event(data({ isFinal: "true" })) },
  "no alternatives": { section: "12", commit: event(data({ alternatives: null })) },
  "a confidence above 1": { section: "12", commit: event(alternative({ transcript: "" }, 1.01)) },
  "a confidence below 0": { section: "12", commit: event(alternative({ transcript: "" }, -1)) },
  "a word's confidence above 1": {
    section: "12",
    commit: event(alternative({ transcript: "x", tokens: [word("PT1S", 2)] })),
  },
  "words at one offset": {
    section: "12",
    commit: event(alternative({ transcript: "x", tokens: [word("PT1S"), word("PT1.0S")] })),
  },
  "an agentassist of another shape": {
    section: "12",
    commit: event({ type: "agentassist", data: { id: OTHER_UUID, utterances: [{}] } }),
  },
  "a disposition that there is not": {
    section: "15",
    commit: event({ type: "bot_turn_response", data: { disposition: "maybe" } }),
  },
};

for (const [name, { section, commit, on = open }] of Object.entries(REPORTED)) {
  Deno.test(`client rules: ${name} breaks section ${section}, and the session goes on`, () => {
    const server = on();
    commit(server);
    assertEquals(violations(server), [{ section, ends: false, code: 400 }]);
    assertEquals(server.receive(), []);
    assertEquals(server.session.state, "open");
    server.session.update("es");
    server.receiveOne("update");
  });
}

Deno.test("client rules: entities that are not right are handed on, and only the first are reported", () => {
  const server = open();
  const entities = Array.from({ length: 50 }, () => data({ channelId: 9 }));
  server.send("event", { entities });
  const events = server.events();
  assertEquals(events.map(({ type }) => type), [
    ...["violation", "violation", "violation"],
    "event",
  ]);
  assertEquals(events.at(-1) as unknown, { type: "event", entities });
});

Deno.test("client rules: what a violation says has no word of the server's data", () => {
  const server = open();
  server.send("event", { entities: [data({ id: "secret-1", channelId: "secret-2" })] });
  server.send("disconnect", { reason: "secret-3" });
  assert(
    !JSON.stringify(server.events().filter(({ type }) => type === "violation"))
      .includes("secret"),
  );
});

// --- Section 14: after disconnect --------------------------------------------------------------

const AFTER_DISCONNECT: Readonly<Record<string, (server: WireServer) => void>> = {
  "another disconnect": (s) => s.send("disconnect", { reason: "completed" }),
  pause: (s) => s.send("pause"),
  resume: (s) => s.send("resume"),
  updated: (s) => s.send("updated"),
  reconnect: (s) => s.send("reconnect"),
  opened: (s) => s.send("opened", { media: [] }),
  audio: (s) => s.session.receiveAudio(bytes(160), 0),
};

for (const [name, commit] of Object.entries(AFTER_DISCONNECT)) {
  Deno.test(`client rules: ${name} after disconnect breaks section 14`, () => {
    for (const server of [open(EXTERNAL), opening({ media: [EXTERNAL] })]) {
      server.send("disconnect", { reason: "completed" });
      server.receiveOne("close");
      server.events();
      commit(server);
      assertEquals(violations(server).map(({ section }) => section), ["14"]);
      assertEquals(server.receive(), []);
      server.send("closed");
      assertEquals(server.eventTypes(), ["closed"]);
    }
  });
}

Deno.test("client rules: event, pong and closed may follow disconnect", () => {
  const server = pinged();
  // It has not received the pings yet.
  server.send("disconnect", { reason: "completed" }, { clientseq: 1 });
  server.receiveOne("close");
  server.send("pong", {}, { clientseq: 2 });
  server.send("event", { entities: [transcriptEntity("x")] }, { clientseq: 2 });
  server.send("pong", {}, { clientseq: 3 });
  server.send("closed");
  assertEquals(server.eventTypes(), ["disconnect", "pong", "event", "pong", "closed"]);
});

Deno.test("client rules: each update may be answered once", () => {
  const server = open();
  for (const language of ["es", "de"]) server.session.update(language);
  server.receive();
  for (let i = 0; i < 3; i++) server.send("updated");
  assertEquals(server.eventTypes(), ["updated", "updated", "violation", "updated"]);
});

/** What may answer an `update`, and whether advice is given at the end. */
const ANSWERS: Readonly<
  Record<string, readonly [say: (server: WireServer) => void, advised: boolean]>
> = {
  "nothing": [() => {}, true],
  "an event": [note, true],
  "resume": [(s) => s.send("resume"), true],
  "updated": [(s) => s.send("updated"), false],
  "pause": [(s) => s.send("pause"), false],
  "disconnect": [(s) => s.send("disconnect", { reason: "completed" }), false],
};

for (const [what, [say, advised]] of Object.entries(ANSWERS)) {
  Deno.test(`client rules: an update that ${what} answers ${advised ? "is worth advice" : "is fine"}`, () => {
    const server = open();
    server.session.update("es");
    server.receiveOne("update");
    say(server);
    if (server.session.state === "open") server.session.close("end", 0);
    server.receive();
    server.send("closed");
    const events = server.events();
    assertEquals(events.filter(({ type }) => type === "violation"), []);
    const advice = events.flatMap((event) => event.type === "advice" ? [event.section] : []);
    assertEquals(advice, advised ? ["10"] : []);
    assertEquals(events.at(-1)?.type, "closed");
  });
}

Deno.test("client rules: languages that nobody asked for are no fault", () => {
  const server = opening();
  server.send("opened", { media: [STEREO], supportedLanguages: ["en-US"] });
  assertEquals(server.eventTypes(), ["opened"]);
});

// --- Section 11: when pings are due ------------------------------------------------------------

Deno.test("client rules: pings do not drift, and none is made up for", () => {
  const server = open();
  const pings: number[] = [];
  let lateMs = 0;
  const tick = () => {
    server.nowMs = server.session.deadlineMs + lateMs;
    server.session.tick(server.nowMs);
    for (const ping of server.receive().filter(isMessage)) {
      pings.push(server.nowMs);
      server.send("pong", {}, { clientseq: ping.seq });
    }
  };
  for (lateMs of [0, 30, 400, 4999, 0]) tick();
  assertEquals(pings, [1000, 1000, 6030, 11_400, 20_999, 21_000]);
  // Later than an interval: counted from then on.
  lateMs = 12_000;
  tick();
  lateMs = 0;
  tick();
  assertEquals(pings.slice(6), [38_000, 43_000]);
  assertEquals(server.eventTypes().includes("timeout"), false);
});

Deno.test("client rules: what discardTo left out is told before close", () => {
  const server = opening();
  server.send("opened", { media: [STEREO], discardTo: "PT10S" });
  for (let i = 0; i < 3; i++) assertEquals(server.session.sendAudio(bytes(1600)), false);
  server.session.close("end", 0);
  const [discarded, close] = server.receive().filter(isMessage);
  assertEquals(discarded?.parameters as unknown, { start: "PT0S", discarded: "PT0.3S" });
  assertEquals([close?.type, close?.position], ["close", "PT0.3S"]);
});
