import { assert, assertEquals, assertLess, assertLessOrEqual, assertThrows } from "@std/assert";
import { LocalProtocolError } from "../../lib/protocol/mod.ts";
import { isMessage, type JsonObject, transcriptEntity } from "../helpers/protocol_wire.ts";
import { BARGE_IN, entitiesOf, entity, note, open, openBot } from "../helpers/server_session.ts";

// --- Section 10: update ------------------------------------------------------------------------

Deno.test("session: update is reported, and answered by updated", () => {
  const client = open();
  client.send("update", { language: "es-419" });
  assertEquals(client.events(), [{ type: "update", language: "es-419" }]);
  assertEquals(client.receive(), []);
  client.session.updated(0);
  const updated = client.receiveOne("updated");
  assertEquals([updated.parameters, updated.clientseq] as unknown, [{}, 2] as unknown);
});

Deno.test("session: updated without an update can't be sent, nor twice for one", () => {
  const client = open();
  assertThrows(() => client.session.updated(0), LocalProtocolError);
  client.send("update", { language: "es" });
  client.session.updated(0);
  assertThrows(() => client.session.updated(0), LocalProtocolError);
  assertEquals(client.receiveTypes(), ["updated"]);
});

Deno.test("session: an update may be answered by pause or by disconnect", () => {
  const client = open();
  client.send("update", { language: "tlh" });
  client.session.pause(0);
  client.send("paused");
  client.send("update", { language: "en" });
  client.session.disconnect("completed", "Language not supported", undefined, 0);
  assertEquals(client.receiveTypes(), ["pause", "disconnect"]);
});

// --- Section 11: ping --------------------------------------------------------------------------

Deno.test("session: ping is answered by pong at once, with the number of the ping", () => {
  const client = open();
  for (let turn = 0; turn < 5; turn++) {
    client.send("ping", turn === 0 ? {} : { rtt: "PT0.02S" });
    const pong = client.receiveOne("pong");
    assertEquals([pong.clientseq, pong.seq] as unknown, [client.seq, turn + 2] as unknown);
  }
});

Deno.test("session: of several messages that arrive together each ping gets its own number", () => {
  const client = open();
  client.send("ping");
  client.send("ping");
  client.send("paused");
  client.send("ping");
  client.send("resumed", { start: "PT0S", discarded: "PT0S" });
  const pongs = client.receive().map((frame) => isMessage(frame) ? frame.clientseq : -1);
  assertEquals(pongs, [2, 3, 5]);
});

Deno.test("session: pong is at once also while events wait for their turn", () => {
  const client = open({}, {}, { textRate: { perSecond: 1, burst: 1 } });
  for (let n = 0; n < 50; n++) client.session.sendEvent([note(n)], 0);
  client.receive();
  for (let turn = 0; turn < 30; turn++) {
    client.send("ping");
    const frames = client.receive();
    const pong = frames.at(0);
    assert(pong !== undefined && isMessage(pong) && frames.length === 1);
    assertEquals(pong.type, "pong");
    assertEquals(pong.clientseq, client.seq);
  }
});

// --- Section 12: events ------------------------------------------------------------------------

Deno.test("session: an event is sent as it is, with all its entities", () => {
  const client = open();
  const entities = [transcriptEntity("hello"), { type: "mood", data: { any: [1, null] } }];
  client.session.sendEvent(entities.map(entity), 0);
  assertEquals(client.receiveOne("event").parameters, { entities });
});

Deno.test("session: an event without entities, or with an invalid one, is not sent", () => {
  const client = open();
  const invalid = transcriptEntity("x");
  (invalid.data as JsonObject).channelId = 7;
  assertThrows(() => client.session.sendEvent([], 0), LocalProtocolError);
  assertThrows(
    () => client.session.sendEvent([note(1), entity(invalid)], 0),
    LocalProtocolError,
  );
  assertThrows(
    () => client.session.sendEvent([{ type: "big", data: "x".repeat(64_000) }], 0),
    LocalProtocolError,
  );
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  assertThrows(
    () => client.session.sendEvent([{ type: "cyclic", data: cyclic }], 0),
    LocalProtocolError,
  );
  assertEquals(client.receive(), []);
  client.advanceTo(10_000);
  assertEquals(client.receive(), []);
  client.session.sendEvent([note(2)], 10_000);
  assertEquals(entitiesOf(client.receive()), [note(2)]);
});

Deno.test("session: more entities than fit into 64,000 bytes go into several events", () => {
  const client = open();
  const entities = Array.from({ length: 40 }, (_, n) => ({
    type: "note",
    data: { n, text: "é".repeat(2000) },
  }));
  client.session.sendEvent(entities, 0);
  const frames = [...client.receive()];
  client.advanceTo(60_000);
  frames.push(...client.receive());
  assertEquals(entitiesOf(frames), entities);
});

Deno.test("session: a sent event keeps what it said when the application changes it later", () => {
  const client = open({}, {}, { textRate: { perSecond: 1, burst: 1 } });
  const data = { n: 0 };
  for (let n = 0; n < 10; n++) {
    data.n = n;
    client.session.sendEvent([{ type: "note", data }], 0);
  }
  client.advanceTo(60_000);
  assertEquals(entitiesOf(client.receive()), Array.from({ length: 10 }, (_, n) => note(n)));
});

Deno.test("session: events are paced, none lost, none reordered, numbers without a gap", () => {
  const textRate = { perSecond: 5, burst: 20 };
  const client = open({}, {}, { textRate, silenceTimeoutMs: 1e9 });
  const received: unknown[] = [];
  const times: number[] = [];
  let n = 0;
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 50) {
    client.advanceTo(nowMs);
    if (nowMs < 30_000) {
      for (let i = 0; i < 5; i++) client.session.sendEvent([note(n++)], nowMs);
    }
    const frames = client.receive();
    received.push(...entitiesOf(frames));
    times.push(...frames.map(() => nowMs));
  }
  assertEquals(received, Array.from({ length: n }, (_, i) => note(i)));
  // No more than the burst and the rate, in any interval.
  times.forEach((from, first) => {
    for (let last = first; last < times.length; last++) {
      const seconds = ((times[last] ?? 0) - from) / 1000;
      assertLessOrEqual(last - first + 1, textRate.burst + textRate.perSecond * seconds + 1);
    }
  });
});

Deno.test("session: a long silence does not allow a larger burst of events", () => {
  const client = open({}, {}, { silenceTimeoutMs: 1e9 });
  client.advanceTo(3_600_000);
  for (let n = 0; n < 200; n++) client.session.sendEvent([note(n)], client.nowMs);
  assertLessOrEqual(client.receive().length, 30);
});

Deno.test("session: an event is sent at once when the client takes it", () => {
  const client = open();
  client.session.sendEvent([note(1)], 0);
  assertEquals(client.receiveTypes(), ["event"]);
  client.advanceTo(30_000);
  client.send("ping");
  client.session.sendEvent([note(2)], 30_000);
  assertEquals(client.receiveTypes(), ["pong", "event"]);
});

Deno.test("session: barge_in is immediate, in order, and drops what waits to be played", () => {
  const client = openBot({ textRate: { perSecond: 1, burst: 1 } });
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  for (let n = 0; n < 5; n++) client.session.sendEvent([note(n)], 0);
  const before = client.receive();
  const played = before.filter((frame) => !isMessage(frame)).length;
  assertLess(played, 10);
  client.session.sendEvent([BARGE_IN], 0);
  const after = client.receive();
  assertEquals(
    [...entitiesOf(before), ...entitiesOf(after)],
    [0, 1, 2, 3, 4].map(note).concat(BARGE_IN),
  );
  client.advanceTo(30_000);
  assertEquals(client.receive(), []);
  client.session.play(new Uint8Array(80), 30_000);
  assertEquals(client.receiveTypes(), ["audio"]);
});

Deno.test("session: what is played after barge_in does not wait for what was dropped", () => {
  const client = openBot();
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  client.session.sendEvent([BARGE_IN], 0);
  client.receive();
  client.session.play(new Uint8Array(800).fill(7), 0);
  client.advanceTo(100);
  assertEquals(client.receive() as unknown, [new Uint8Array(800).fill(7)] as unknown);
});

Deno.test("session: 429 with retryAfter holds back events and audio, and nothing else", () => {
  const client = openBot();
  client.send("error", { code: 429, message: "Too many", retryAfter: "PT2.5S" });
  assertEquals(client.events(), [{ type: "error", code: 429, retryAfterMs: 2500 }]);
  client.session.sendEvent([note(1)], 0);
  client.session.play(new Uint8Array(160), 0);
  client.advanceTo(2400);
  assertEquals(client.receive(), []);
  client.send("ping");
  client.receiveOne("pong");
  client.send("update", { language: "es" });
  client.session.updated(client.nowMs);
  client.session.pause(client.nowMs);
  assertEquals(client.receiveTypes(), ["updated", "pause"]);
  client.advanceTo(10_000);
  assertEquals(client.receiveTypes().toSorted(), ["audio", "event"]);
});

Deno.test("session: 429 with a retryAfter of a month holds back for a minute, and not for longer", () => {
  const client = open({}, {}, { silenceTimeoutMs: 1e9 });
  client.send("error", { code: 429, message: "Too many", retryAfter: "PT2678400S" });
  assertEquals(client.events(), [{ type: "error", code: 429, retryAfterMs: 60_000 }]);
  client.session.sendEvent([note(1)], 0);
  client.advanceTo(59_999);
  assertEquals(client.receive(), []);
  client.advanceTo(60_000);
  assertEquals(entitiesOf(client.receive()), [note(1)]);
});

Deno.test("session: 429 does not hold back the end of the session", () => {
  const client = open();
  client.send("error", { code: 429, message: "Too many", retryAfter: "PT30S" });
  client.session.sendEvent([note(1)], 0);
  client.events();
  client.send("close", { reason: "end" });
  client.session.closed(undefined, 0);
  assertEquals(client.receiveTypes(), ["event", "closed"]);
});

Deno.test("session: an error of the client is reported, and ends nothing", () => {
  const client = open();
  client.send("error", { code: 500, message: "Something" });
  const [event] = client.events();
  assert(event?.type === "error");
  assertEquals(event.code, 500);
  assertEquals(client.session.state, "open");
  client.send("ping");
  client.receiveOne("pong");
});
