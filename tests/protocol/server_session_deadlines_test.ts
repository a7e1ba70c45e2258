import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertThrows } from "@std/assert";
import { LocalProtocolError, type ServerSessionEvent } from "../../lib/protocol/mod.ts";
import { isMessage, openParameters, STEREO, type WireClient } from "../helpers/protocol_wire.ts";
import {
  assertRefused,
  connect,
  entitiesOf,
  note,
  offer,
  open,
} from "../helpers/server_session.ts";

// --- Deadlines ---------------------------------------------------------------------------------

const TIMES = {
  openTimeoutMs: 1000,
  openedTimeoutMs: 2000,
  silenceTimeoutMs: 3000,
  closeTimeoutMs: 4000,
  closedTimeoutMs: 5000,
  hangupTimeoutMs: 6000,
} as const;

function assertNothingBefore(client: WireClient, nowMs: number): void {
  assertEquals(client.session.deadlineMs, nowMs);
  client.nowMs = nowMs - 1;
  client.session.tick(nowMs - 1);
  assertEquals(client.receive(), []);
  assertEquals(client.events(), []);
  assertEquals(client.session.deadlineMs, nowMs);
  client.nowMs = nowMs;
  client.session.tick(nowMs);
}

/** The connection is given up, once. */
function assertHangup(client: WireClient): void {
  const events: readonly ServerSessionEvent[] = client.events();
  assertEquals(events.map(({ type }) => type), ["hangup"]);
  assertEquals(client.receive(), []);
  client.session.tick(client.nowMs);
  client.session.tick(client.nowMs + 1e6);
  assertEquals(client.events(), []);
  assertEquals(client.session.deadlineMs, Infinity);
}

Deno.test("session: defaults stay within the client's own limits (section 17)", () => {
  const opening = connect();
  opening.nowMs = 100;
  opening.send("open", openParameters());
  assertLess(opening.session.deadlineMs, 100 + 5000);
  const closing = open();
  closing.nowMs = 100;
  closing.send("close", { reason: "end" });
  assertLess(closing.session.deadlineMs, 100 + 10_000);
  const silent = open();
  assertGreaterOrEqual(silent.session.deadlineMs, 3 * 5000, "several intervals of pings");
});

Deno.test("session: without open it disconnects, and then hangs up", () => {
  const client = connect(TIMES);
  assertNothingBefore(client, 1000);
  assertRefused(client);
  assertNothingBefore(client, 5000);
  assertHangup(client);
});

Deno.test("session: an open that the application does not answer is refused in time", () => {
  const client = connect(TIMES);
  client.nowMs = 500;
  client.send("open", openParameters());
  client.events();
  assertNothingBefore(client, 2500);
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.parameters.reason, "error");
  assertThrows(() => client.session.opened({}, 2500), LocalProtocolError);
  client.events();
  assertNothingBefore(client, 6500);
  assertHangup(client);
});

Deno.test("session: when nothing is received it disconnects; any frame counts", () => {
  const client = open({ media: offer(STEREO) }, {}, TIMES);
  client.nowMs = 1000;
  client.audio(1600);
  assertEquals(client.session.deadlineMs, 4000);
  client.nowMs = 2000;
  client.send("ping");
  client.receive();
  assertEquals(client.session.deadlineMs, 5000);
  assertNothingBefore(client, 5000);
  assertRefused(client);
  assertNothingBefore(client, 9000);
  assertHangup(client);
});

Deno.test("session: disconnect without close ends in a hangup", () => {
  const client = open({}, {}, TIMES);
  client.nowMs = 100;
  client.session.disconnect("completed", undefined, undefined, 100);
  client.receive();
  assertNothingBefore(client, 4100);
  assertHangup(client);
});

Deno.test("session: a refused open without close ends in a hangup", () => {
  const client = connect(TIMES);
  client.send("open", openParameters());
  client.events();
  client.session.disconnect("unauthorized", undefined, undefined, 0);
  client.receive();
  assertNothingBefore(client, 4000);
  assertHangup(client);
});

Deno.test("session: closed is sent in time even if the application does not", () => {
  const client = open({}, {}, { ...TIMES, textRate: { perSecond: 1, burst: 1 } });
  client.nowMs = 100;
  client.send("close", { reason: "end" });
  client.events();
  assertNothingBefore(client, 5100);
  assertEquals(client.receiveOne("closed").clientseq, 2);
  assertThrows(() => client.session.closed(undefined, 5100), LocalProtocolError);
  client.events();
  assertNothingBefore(client, 11_100);
  assertHangup(client);
});

Deno.test("session: closed by the deadline takes the waiting events along", () => {
  const client = open({}, {}, { ...TIMES, textRate: { perSecond: 0.1, burst: 1 } });
  for (let n = 0; n < 3; n++) client.session.sendEvent([note(n)], 0);
  client.send("close", { reason: "end" });
  client.advanceTo(5000);
  const frames = client.receive();
  assertEquals(entitiesOf(frames), [0, 1, 2].map(note));
  const last = frames.at(-1);
  assert(last !== undefined && isMessage(last));
  assertEquals(last.type, "closed");
});

Deno.test("session: a withdrawn session is closed in time too", () => {
  const client = connect(TIMES);
  client.send("open", openParameters());
  client.send("close", { reason: "end" });
  client.events();
  assertNothingBefore(client, 5000);
  client.receiveOne("closed");
  client.events();
  assertNothingBefore(client, 11_000);
  assertHangup(client);
});

Deno.test("session: a client that does not end the connection after closed is hung up on", () => {
  const client = open({}, {}, TIMES);
  client.send("close", { reason: "end" });
  client.events();
  client.session.closed(undefined, 100);
  client.receive();
  assertNothingBefore(client, 6100);
  assertHangup(client);
});

Deno.test("session: close after our disconnect starts the time for closed anew", () => {
  const client = open({}, {}, TIMES);
  client.session.disconnect("completed", undefined, undefined, 0);
  client.nowMs = 3999;
  client.send("close", { reason: "disconnect" }, { serverseq: 2 });
  client.receive();
  client.events();
  assertNothingBefore(client, 8999);
  client.receiveOne("closed");
});

Deno.test("session: a tick at any other time is harmless", () => {
  const client = open({}, {}, TIMES);
  for (let nowMs = 0; nowMs < 3000; nowMs += 7) client.session.tick(nowMs);
  assertEquals(client.receive(), []);
  assertEquals(client.events(), []);
});

// --- Silence during a pause ----------------------------------------------------------------------

/** A session that is paused since 0 ms, by the client or by us, as the client confirmed. */
function openPaused(by: "client" | "server" | "both" | "start"): WireClient {
  const client = open({ media: offer(STEREO), startPaused: by === "start" }, {}, TIMES);
  if (by === "server" || by === "both") client.session.pause(0);
  client.receive();
  client.send("paused");
  if (by === "both") client.send("paused");
  client.events();
  return client;
}

for (const by of ["client", "server", "both", "start"] as const) {
  Deno.test(`session: during a pause (${by}), only a ping is a sign of life`, () => {
    const client = openPaused(by);
    assertEquals(client.session.deadlineMs, 3000);
    client.nowMs = 1000;
    client.send("paused");
    client.send("dtmf", { digit: "1" });
    client.send("update", { language: "es" });
    client.send("of_tomorrow");
    client.send("discarded", { start: "PT0S", discarded: "PT0S" });
    assertEquals(client.session.deadlineMs, 3000);
    client.nowMs = 2000;
    client.send("ping");
    client.receive();
    client.events();
    assertEquals(client.session.deadlineMs, 5000);
    assertNothingBefore(client, 5000);
    const { parameters } = client.receiveOne("disconnect");
    assertEquals(parameters.reason, "error");
    assertEquals(parameters.info, 'No "ping" was received during the pause within 3000 ms');
    client.events();
    assertNothingBefore(client, 9000);
    assertHangup(client);
  });
}

Deno.test("session: a pause begins and ends with a sign of life", () => {
  const client = open({ media: offer(STEREO) }, {}, TIMES);
  client.nowMs = 1000;
  client.send("paused");
  assertEquals(client.session.deadlineMs, 4000);
  client.nowMs = 2000;
  client.send("resumed", { start: "PT0S", discarded: "PT1S" });
  assertEquals(client.session.deadlineMs, 5000);
  client.nowMs = 3000;
  client.audio(1600);
  assertEquals(client.session.deadlineMs, 6000);
});

Deno.test("session: until the client knows of our pause, its audio is a sign of life", () => {
  const client = open({ media: offer(STEREO) }, {}, TIMES);
  client.session.pause(0);
  client.receive();
  client.nowMs = 1000;
  assertEquals(client.audio(1600), 0);
  assertEquals(client.session.deadlineMs, 4000);
});

Deno.test("session: a client that pings lives through a pause of a day", () => {
  const client = openPaused("both");
  while (client.nowMs < 86_400_000) {
    client.advanceTo(client.nowMs + 2500);
    client.send("ping");
    client.receiveOne("pong");
  }
  assertEquals(client.session.state, "open");
});

Deno.test("session: audio that comes while paused does not keep the session alive", () => {
  const client = openPaused("client");
  client.nowMs = 1000;
  assertEquals(client.audio(1600), -1);
  // It breaks the protocol: the client has to go, and audio does not put that off.
  client.receiveOne("disconnect");
  client.events();
  client.nowMs = 3000;
  client.audio(1600);
  assertEquals(client.session.deadlineMs, 5000);
});

Deno.test("session: each time that is over is told by what did not come, and within what time", () => {
  const infoOf = (client: WireClient): unknown => {
    const info = client.receive().filter(isMessage).at(-1)?.parameters.info;
    return info ?? client.events().map((event) => "info" in event ? event.info : event.type).at(-1);
  };
  const idle = connect(TIMES);
  idle.session.tick(1000);
  assertEquals(infoOf(idle), 'No "open" was received within 1000 ms');
  idle.session.tick(5000);
  assertEquals(infoOf(idle), 'No "close" within 4000 ms');
  const opening = connect(TIMES);
  opening.send("open", openParameters());
  opening.session.tick(2000);
  assertEquals(infoOf(opening), "The session could not be opened within 2000 ms");
  const silent = open({}, {}, TIMES);
  silent.session.tick(3000);
  assertEquals(infoOf(silent), "Nothing was received within 3000 ms");
  const closed = open({}, {}, TIMES);
  closed.send("close", { reason: "end" });
  closed.session.closed(undefined, 0);
  closed.receive();
  closed.session.tick(6000);
  assertEquals(infoOf(closed), "The client did not end the connection within 6000 ms");
});
