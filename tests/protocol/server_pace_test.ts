// How fast a server may send, as a client session counts it (protocol sections 12 and 15).
import { assert, assertEquals } from "@std/assert";
import { ClientSession, type OpenParameters } from "../../lib/protocol/mod.ts";
import {
  EXTERNAL,
  isMessage,
  type JsonObject,
  L16,
  openParameters,
  SESSION_ID,
  STEREO,
  WireServer,
} from "../helpers/protocol_wire.ts";

function open(media: JsonObject = STEREO): WireServer {
  const server = new WireServer(new ClientSession({ id: SESSION_ID }));
  server.session.open(openParameters({ media: [media] }) as unknown as OpenParameters, 0);
  server.receiveOne("open");
  server.send("opened", { media: [media] });
  server.events();
  return server;
}

const violations = (server: WireServer) =>
  server.events().flatMap((event) => {
    if (event.type !== "violation") return [];
    const { section, ends, code } = event;
    return [{ section, ends, code }];
  });
const bytes = (length: number) => new Uint8Array(length);
const note = (server: WireServer) => server.send("event", { entities: [{ type: "x", data: 1 }] });

Deno.test("server pace: more than 30 events at once are told so by 429, once, and handed on", () => {
  const server = open();
  for (let i = 0; i < 30; i++) note(server);
  assertEquals(server.eventTypes(), Array(30).fill("event"));
  assertEquals(server.receive(), []);
  for (let i = 0; i < 50; i++) note(server);
  const error = server.receiveOne("error");
  assertEquals(error.parameters as unknown, {
    code: 429,
    message: "More than 10 messages a second",
    retryAfter: "PT1S",
  });
  assertEquals(error.serverseq, 32);
  const types = server.eventTypes();
  assertEquals(types.filter((type) => type === "event").length, 50);
  assertEquals(types.filter((type) => type === "violation").length, 1);
  assertEquals(server.session.state, "open");
  // A second later there is room for ten.
  server.nowMs = 1000;
  for (let i = 0; i < 10; i++) note(server);
  assertEquals(server.receive(), []);
  note(server);
  server.receiveOne("error");
  assertEquals(violations(server), [{ section: "12", ends: false, code: 429 }]);
});

Deno.test("server pace: ten messages a second are never too many, nor what can't be paced", () => {
  const server = open();
  for (let i = 0; i < 30; i++) note(server);
  for (let nowMs = 100; nowMs < 4000; nowMs += 100) {
    server.nowMs = nowMs;
    server.send(nowMs % 200 === 0 ? "pause" : "resume");
    for (let i = 0; i < 20; i++) server.session.update("es");
    server.session.tick(nowMs);
    const sent = server.receive().filter(isMessage);
    for (const { type, seq } of sent) {
      if (type === "ping") server.send("pong", {}, { clientseq: seq });
      if (type === "update") server.send("updated", {}, { clientseq: seq });
    }
  }
  const types = server.eventTypes();
  assertEquals(types.includes("violation"), false);
  assertEquals(types.filter((type) => type === "updated").length, 39 * 20);
});

const PACED: Readonly<Record<string, (server: WireServer) => void>> = {
  "pauses and resumes": (s) => s.send(s.seq % 2 === 0 ? "pause" : "resume"),
  "unknown types": (s) => s.send("bulletin"),
  "reconnects": (s) => s.send("reconnect"),
};

for (const [what, say] of Object.entries(PACED)) {
  Deno.test(`server pace: ${what} count like events`, () => {
    const server = open();
    for (let i = 0; i < 30; i++) say(server);
    assertEquals(violations(server), []);
    say(server);
    assertEquals(violations(server), [{ section: "12", ends: false, code: 429 }]);
    const errors = server.receive().filter((frame) => isMessage(frame) && frame.type === "error");
    assertEquals(errors.length, 1);
    assertEquals(server.session.state, "open");
  });

  Deno.test(`server pace: a flood of ${what} ends the session`, () => {
    const server = open();
    for (let i = 0; i < 330; i++) say(server);
    assertEquals(violations(server), [{ section: "12", ends: false, code: 429 }]);
    say(server);
    assertEquals(violations(server), [{ section: "12", ends: true, code: 429 }]);
    assertEquals(server.receive().filter(isMessage).at(-1)?.type, "close");
    // What is under way does not count for nothing.
    say(server);
    assertEquals(violations(server).every(({ ends }) => ends), true);
    server.send("closed");
    assertEquals(server.eventTypes(), ["closed"]);
  });
}

Deno.test("server pace: a server that is too fast for hours, and no flood, is only told so", () => {
  const server = open();
  for (let nowMs = 0; nowMs < 600_000; nowMs += 10) {
    server.nowMs = nowMs;
    note(server);
    server.receive();
  }
  const found = violations(server);
  assertEquals(found.every(({ ends }) => !ends), true);
  assert(found.length > 590 && found.length <= 600, `told ${found.length} times`);
  assertEquals(server.session.state, "open");
});

Deno.test("server pace: a bot's audio may be 30 s ahead of real time, in frames of any size", () => {
  const server = open(L16);
  const frame = bytes(64_000);
  for (let i = 0; i < 7; i++) assertEquals(server.session.receiveAudio(frame, 0), true);
  assertEquals(server.session.receiveAudio(bytes(32_000), 0), true);
  assertEquals(server.receive(), []);
  // It is played all the same.
  assertEquals(server.session.receiveAudio(frame, 0), true);
  const { code, message } = server.receiveOne("error").parameters;
  assertEquals([code, message], [429, "Audio came more than 30 s ahead of real time"]);
  assertEquals(violations(server), [{ section: "15", ends: false, code: 429 }]);
  for (let nowMs = 4000; nowMs < 400_000; nowMs += 4000) {
    assertEquals(server.session.receiveAudio(frame, nowMs), true);
  }
  assertEquals(violations(server), []);
});

Deno.test("server pace: audio has a rate of its own", () => {
  const server = open(EXTERNAL);
  for (let i = 0; i < 30; i++) note(server);
  for (let i = 0; i < 30; i++) assertEquals(server.session.receiveAudio(bytes(160), 0), true);
  assertEquals(server.receive(), []);
  // It is played all the same.
  assertEquals(server.session.receiveAudio(bytes(160), 0), true);
  assertEquals(server.receiveOne("error").parameters.code, 429);
  assertEquals(violations(server), [{ section: "12", ends: false, code: 429 }]);
});

Deno.test("server pace: what waited while the client did not read is not too much", () => {
  const server = open();
  server.session.forgivePace(10_000);
  for (let i = 0; i < 130; i++) note(server);
  assertEquals(server.receive(), []);
  note(server);
  server.receiveOne("error");
  // Once: an hour later, 30 at once are the most again.
  server.nowMs = 3_600_000;
  for (let i = 0; i < 30; i++) note(server);
  assertEquals(server.receive(), []);
  for (let i = 0; i < 10; i++) note(server);
  server.receiveOne("error");
});
