import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { SERVER_SESSION_LIMITS } from "../../lib/protocol/mod.ts";
import {
  clientMessage,
  EXTERNAL,
  openParameters,
  STEREO,
  type WireClient,
} from "../helpers/protocol_wire.ts";
import {
  assertCloses,
  assertRefused,
  connect,
  offer,
  open,
  openBot,
} from "../helpers/server_session.ts";

const answer = { media: offer(STEREO) };

/** The fault that the server names, in its `disconnect`. */
function refusal(client: WireClient): unknown {
  const { parameters } = client.receiveOne("disconnect");
  assertEquals(parameters.reason, "error");
  return parameters.info;
}

// ——— sizes and depth ———

/** A ping of so many bytes. */
function sendPingOf(client: WireClient, bytes: number, fill = "x"): void {
  client.seq++;
  const { seq, serverseq } = client;
  const empty = JSON.stringify({ ...clientMessage("ping", {}, { seq, serverseq }), fill: "" });
  const rest = bytes - empty.length;
  const fillBytes = new TextEncoder().encode(fill).length;
  const filling = fill.repeat(Math.floor(rest / fillBytes)) + "x".repeat(rest % fillBytes);
  client.session.receiveText(empty.replace('"fill":""', `"fill":"${filling}"`), client.nowMs);
}

for (const [name, fill] of [["of one byte", "x"], ["of three", "€"], ["of four", "😀"]] as const) {
  Deno.test(`session: a text of as many bytes as configured is the largest, characters ${name}`, () => {
    for (const maxTextBytes of [1000, 65_535, 200_000]) {
      const client = open(answer, {}, { maxTextBytes });
      sendPingOf(client, maxTextBytes, fill);
      client.receiveOne("pong");
      sendPingOf(client, maxTextBytes + 1, fill);
      assertEquals(refusal(client), `Message exceeds ${maxTextBytes} bytes`);
      assertCloses(client);
    }
  });
}

Deno.test("session: a text of 65,535 bytes is the largest by default", () => {
  const client = open();
  sendPingOf(client, 65_535);
  client.receiveOne("pong");
  sendPingOf(client, 65_536);
  assertRefused(client);
});

/** A ping in which this many objects and lists are within each other, those of the message too. */
function sendPingOfDepth(client: WireClient, depth: number): void {
  let deep: null | [unknown] = null;
  for (let i = 2; i < depth; i++) deep = [deep];
  client.send("ping", { deep: deep as never });
}

Deno.test("session: JSON as deep as configured is the deepest", () => {
  for (const maxJsonDepth of [8, 64, 1000]) {
    const client = open(answer, {}, { maxJsonDepth });
    sendPingOfDepth(client, maxJsonDepth);
    client.receiveOne("pong");
    sendPingOfDepth(client, maxJsonDepth + 1);
    assertEquals(refusal(client), `Message is nested deeper than ${maxJsonDepth} levels`);
    assertCloses(client);
  }
});

Deno.test("session: brackets within texts are not depth", () => {
  const client = open(answer, {}, { maxJsonDepth: 8 });
  client.send("ping", { text: `"\\"${"[{".repeat(100)}`, other: "\\" });
  client.receiveOne("pong");
  client.send("ping", { "[[[[[[[[[[[[": 1 });
  client.receiveOne("pong");
});

Deno.test("session: an audio frame of as many bytes as configured is the largest", () => {
  for (const maxAudioFrameBytes of [1, 160, 100_000]) {
    const client = open({ media: offer(EXTERNAL) }, { media: [EXTERNAL] }, { maxAudioFrameBytes });
    assertEquals(client.audio(maxAudioFrameBytes), 0);
    assertEquals(client.audio(maxAudioFrameBytes + 1), -1);
    assertEquals(refusal(client), `Audio frame exceeds ${maxAudioFrameBytes} bytes`);
    assertCloses(client);
  }
});

// ——— floods ———

const RATES = {
  receivedTextRate: { perSecond: 2, burst: 20 },
  receivedAudioRate: { perSecond: 4, burst: 20 },
} as const;

/** `open` was one message. */
const PINGS = RATES.receivedTextRate.burst - 1;

Deno.test("session: more messages than allowed get disconnect, once, which names the limit", () => {
  const client = open(answer, {}, RATES);
  for (let i = 0; i < PINGS; i++) client.send("ping");
  assertEquals(client.receiveTypes(), Array(PINGS).fill("pong"));
  client.send("ping");
  const [pong, disconnect] = client.receive();
  assert(pong !== undefined && "type" in pong && disconnect !== undefined && "type" in disconnect);
  assertEquals([pong.type, disconnect.type], ["pong", "disconnect"]);
  assertEquals(disconnect.parameters, { reason: "error", info: "More than 2 messages a second" });
  assertEquals(client.eventTypes(), ["violation"]);
});

Deno.test("session: after a flood, what is under way is counted, so that close is answered", () => {
  const client = open(answer, {}, RATES);
  for (let i = 0; i < 2 * PINGS; i++) client.send("ping");
  client.receive();
  assertEquals(client.eventTypes(), ["violation"]);
  assertCloses(client);
});

Deno.test("session: a client that goes on flooding after disconnect is hung up on, once", () => {
  const client = open(answer, {}, RATES);
  for (let i = 0; i < 100; i++) client.send("ping");
  client.receive();
  const events = client.events();
  assertEquals(events.map(({ type }) => type), ["violation", "hangup"]);
  assertEquals(events[1], { type: "hangup", info: "More than 2 messages a second" });
  // From now on it is not listened to.
  client.send("close", { reason: "end" });
  assertEquals(client.audio(1600), -1);
  client.session.tick(1e9);
  assertEquals(client.receive(), []);
  assertEquals(client.events(), []);
  assertEquals(client.session.deadlineMs, Infinity);
});

Deno.test("session: messages at the rate never are a flood, for a day", () => {
  const client = open(answer, {}, RATES);
  for (let seconds = 0; seconds < 86_400; seconds += 60) {
    client.advanceTo(seconds * 1000);
    for (let i = 0; i < PINGS + 1 && seconds > 0; i++) client.send("ping");
    client.receive();
    assertEquals(client.events(), []);
    client.advanceTo(seconds * 1000 + 30_000);
    client.send("ping");
  }
  assertEquals(client.session.state, "open");
});

Deno.test("session: messages that break the protocol, or that nobody knows, are counted too", () => {
  for (
    const send of [
      (client: WireClient) => client.send("of_tomorrow"),
      (client: WireClient) => client.session.receiveText("{", client.nowMs),
      (client: WireClient) => client.send("open", openParameters()),
    ]
  ) {
    const client = connect(RATES);
    for (let i = 0; i < 20; i++) send(client);
    assertEquals(client.eventTypes().includes("hangup"), false);
    for (let i = 0; i < 22; i++) send(client);
    assertEquals(client.eventTypes().at(-1), "hangup");
  }
});

Deno.test("session: a flood before opened is refused, and the session is not opened", () => {
  const client = connect(RATES);
  client.send("open", openParameters());
  for (let i = 0; i < 20; i++) client.send("of_tomorrow");
  assertEquals(refusal(client), "More than 2 messages a second");
  assertEquals(client.session.maySend("opened"), false);
  assertCloses(client);
});

Deno.test("session: more frames than allowed get disconnect, and are not used", () => {
  const client = open(answer, {}, RATES);
  for (let i = 0; i < 20; i++) assertEquals(client.audio(2), i);
  assertEquals(client.audio(2), -1);
  assertEquals(client.session.positionSamples, 20);
  assertEquals(refusal(client), "More than 4 audio frames a second");
  assertEquals(client.eventTypes(), ["violation"]);
  assertCloses(client);
});

Deno.test("session: empty frames are a flood as well, and whoever goes on is hung up on", () => {
  const client = open(answer, {}, RATES);
  for (let i = 0; i < 41; i++) client.audio(0);
  assertEquals(client.eventTypes(), ["violation"]);
  assertEquals(client.audio(0), -1);
  assertEquals(client.eventTypes(), ["hangup"]);
});

// ——— ahead of real time ———

Deno.test("session: audio too far ahead gets disconnect; all before it counts, it does not", () => {
  for (const [media, sampleFrameBytes] of [[EXTERNAL, 1], [STEREO, 2]] as const) {
    const client = open({ media: offer(media) }, { media: [media] }, { maxAudioAheadMs: 5000 });
    for (let second = 0; second < 5; second++) {
      assertEquals(client.audio(8000 * sampleFrameBytes), second * 8000);
    }
    assertEquals(client.audio(sampleFrameBytes), -1);
    assertEquals(client.session.positionSamples, 40_000);
    assertEquals(refusal(client), "Audio came more than 5 s ahead of real time");
    assertEquals(client.eventTypes(), ["violation"]);
    assertCloses(client);
  }
});

Deno.test("session: audio that was lost is not audio that came", () => {
  const client = open(answer, {}, { maxAudioAheadMs: 5000 });
  client.send("discarded", { start: "PT0S", discarded: "PT3600S" });
  assertEquals(client.audio(16_000), 3600 * 8000);
  client.send("paused");
  client.send("resumed", { start: "PT3601S", discarded: "PT3600S" });
  assertEquals(client.audio(16_000), 7201 * 8000);
  assertEquals(client.session.state, "open");
});

Deno.test("session: audio at fault does not count as sent ahead", () => {
  const client = open(answer, {}, { maxAudioAheadMs: 5000 });
  client.send("paused");
  for (let i = 0; i < 10; i++) assertEquals(client.audio(16_000), -1);
  client.send("resumed", { start: "PT0S", discarded: "PT0S" });
  for (let i = 0; i < 5; i++) assertEquals(client.audio(16_000), i * 8000);
});

Deno.test("session: by default 60 s may come ahead, twice what a client keeps", () => {
  const client = openBot();
  assertEquals(SERVER_SESSION_LIMITS.maxAudioAheadMs, 60_000);
  for (let second = 0; second < 60; second++) assertEquals(client.audio(8000), second * 8000);
  assertEquals(client.audio(8), -1);
  assertMatch(String(refusal(client)), /60 s ahead/);
});

Deno.test("session: property: a call with history, stalls and pings is never refused", () => {
  const seconds = fc.array(
    fc.record({ stallsFor: fc.integer({ min: 0, max: 25 }), runsFor: fc.nat(60) }),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(seconds, fc.constantFrom(20, 100, 250), (phases, frameMs) => {
      const client = openBot();
      const bytes = frameMs * 8;
      let sentMs = 0;
      const sendUpTo = (streamMs: number) => {
        for (; sentMs + frameMs <= streamMs; sentMs += frameMs) {
          assertEquals(client.audio(bytes), sentMs * 8);
        }
      };
      sendUpTo(30_000);
      for (const { stallsFor, runsFor } of phases) {
        client.nowMs += stallsFor * 1000;
        for (let second = 0; second <= runsFor; second++) {
          sendUpTo(client.nowMs + 30_000);
          if (second % 5 === 0) client.send("ping");
          client.receive();
          client.nowMs += 1000;
        }
      }
      assertEquals(client.session.state, "open");
      assertEquals(client.events(), []);
    }),
    { numRuns: 30 },
  );
});

Deno.test("session: a close that is itself one message too many is answered by closed", () => {
  const client = open({}, {}, { receivedTextRate: { perSecond: 2, burst: 20 } });
  for (let i = 0; i < 19; i++) client.send("ping");
  client.receive();
  client.send("close", { reason: "end" });
  assertEquals(client.eventTypes(), ["close", "violation"]);
  client.session.closed(undefined, 0);
  assertEquals(client.receiveOne("closed").clientseq, client.seq);
});

Deno.test("session: what is under way when we disconnect is forgiven once", () => {
  const client = open({}, {}, { receivedTextRate: { perSecond: 2, burst: 20 } });
  client.session.disconnect("completed", undefined, undefined, 0);
  client.receive();
  for (let i = 0; i < 19; i++) client.send("ping");
  client.send("close", { reason: "disconnect" }, { serverseq: 2 });
  assertEquals(client.eventTypes(), ["close", "violation"]);
  client.session.closed(undefined, 0);
  assertEquals(client.receive().length, 20);
});
