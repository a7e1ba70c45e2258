import { assertEquals, assertThrows } from "@std/assert";
import { LocalProtocolError } from "../../lib/protocol/mod.ts";
import type { WireClient } from "../helpers/protocol_wire.ts";
import { assertCloses, open, openBot } from "../helpers/server_session.ts";

// --- What is at fault, floods, and the end of the connection ------------------------------------

for (
  const [what, reason, send] of [
    ["without a reason", "error", (client: WireClient) => client.send("close")],
    ["without a position", "error", (client: WireClient) => {
      client.send("close", { reason: "end" }, { position: undefined });
    }],
    ["with a seq that is too high", "end", (client: WireClient) => {
      client.send("close", { reason: "end" }, { seq: client.seq + 5 });
    }],
    ["with a serverseq that is too high", "end", (client: WireClient) => {
      client.send("close", { reason: "end" }, { serverseq: 99 });
    }],
  ] as const
) {
  Deno.test(`session: a close ${what} gets disconnect, and closes all the same`, () => {
    const client = open();
    send(client);
    assertEquals(client.receiveTypes(), ["disconnect"]);
    assertEquals(client.events().filter(({ type }) => type === "close"), [
      { type: "close", reason },
    ]);
    client.session.closed(undefined, client.nowMs);
    assertEquals(client.receiveOne("closed").clientseq, client.seq);
  });
}

Deno.test("session: a faulty close after close or closed is ignored", () => {
  const client = open();
  assertCloses(client);
  client.send("close");
  assertEquals(client.receive(), []);
  assertEquals(client.eventTypes(), ["violation"]);
});

Deno.test("session: when the connection has ended, nothing can be asked, and nothing is due", () => {
  const client = openBot();
  for (let i = 0; i < 100; i++) {
    client.session.sendEvent([{ type: "x", data: i }], client.nowMs);
    client.session.play(new Uint8Array(1600), client.nowMs);
  }
  client.receive();
  client.session.connectionEnded();
  assertEquals(client.session.state, "closed");
  assertEquals(client.session.deadlineMs, Infinity);
  const { session, nowMs } = client;
  for (
    const ask of [
      () => session.sendEvent([{ type: "x", data: 0 }], nowMs),
      () => session.pause(nowMs),
      () => session.resume(nowMs),
      () => session.play(new Uint8Array(1600), nowMs),
      () => session.disconnect("completed", undefined, undefined, nowMs),
      () => session.closed(undefined, nowMs),
    ]
  ) assertThrows(ask, LocalProtocolError);
  session.tick(1e9);
  assertEquals(client.receive(), []);
});

Deno.test("session: unknown messages and errors without number are reported ten times each", () => {
  const client = open(undefined, {}, { receivedTextRate: { perSecond: 20, burst: 4000 } });
  for (let i = 0; i < 1000; i++) {
    client.send("of_tomorrow");
    client.send("error", { code: 500, message: "x" });
  }
  const types = client.eventTypes();
  assertEquals(types.filter((type) => type === "unknown").length, 10);
  assertEquals(types.filter((type) => type === "error").length, 10);
  assertEquals(client.session.state, "open");
});

Deno.test("session: a flood of pings delays events by seconds, not by minutes", () => {
  const client = open(undefined, {}, { receivedTextRate: { perSecond: 20, burst: 5000 } });
  for (let i = 0; i < 5000; i++) client.send("ping");
  client.receive();
  client.session.sendEvent([{ type: "x", data: 0 }], client.nowMs);
  client.advanceTo(client.nowMs + 5000);
  client.receiveOne("event");
});

Deno.test("session: lost audio at another position than ours is noted, and ours is kept", () => {
  const client = open();
  client.audio(1600);
  client.events();
  client.send("discarded", { start: "PT0.2S", discarded: "PT1S" });
  assertEquals(client.events(), [
    { type: "drift", positionSamples: 800, reportedSamples: 1600 },
    { type: "gap", positionSamples: 800, samples: 8000, cause: "discarded" },
  ]);
  client.send("discarded", { start: "PT1.1S", discarded: "PT1S" });
  assertEquals(client.eventTypes(), ["gap"]);
});
