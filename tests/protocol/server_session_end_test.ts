import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertThrows,
} from "@std/assert";
import { LocalProtocolError } from "../../lib/protocol/mod.ts";
import {
  EXTERNAL,
  INTERNAL,
  isMessage,
  L16,
  openParameters,
  STEREO,
} from "../helpers/protocol_wire.ts";
import { assertCloses, entitiesOf, note, offer, open, openBot } from "../helpers/server_session.ts";

// --- Section 13: close -------------------------------------------------------------------------

Deno.test("session: the last events go out before closed", () => {
  const client = open({}, {}, { textRate: { perSecond: 1, burst: 1 } });
  for (let n = 0; n < 5; n++) client.session.sendEvent([note(n)], 0);
  client.send("close", { reason: "end" });
  assertEquals(client.events(), [{ type: "close", reason: "end" }]);
  client.session.sendEvent([note(5)], 0);
  client.session.closed(undefined, 0);
  const frames = client.receive();
  assertEquals(entitiesOf(frames), [0, 1, 2, 3, 4, 5].map(note));
  const last = frames.at(-1);
  assert(last !== undefined && isMessage(last));
  assertEquals([last.type, last.clientseq] as unknown, ["closed", 2] as unknown);
});

Deno.test("session: closed carries the output variables that are given", () => {
  const client = openBot();
  client.send("close", { reason: "end" });
  client.session.closed({ answer: "42" }, 0);
  assertEquals(client.receiveOne("closed").parameters, { outputVariables: { answer: "42" } });
});

Deno.test("session: input after closed is ignored", () => {
  const client = open();
  client.send("close", { reason: "end" });
  client.session.closed(undefined, 0);
  client.receive();
  client.events();
  client.send("ping");
  client.send("open", openParameters());
  client.send("close", { reason: "end" });
  client.send("hello");
  client.session.receiveText("{", 0);
  assertEquals(client.audio(1600), -1);
  assertEquals(client.receive(), []);
  assertEquals(client.session.state, "closed");
  const told = client.events().filter(({ type }) => type !== "violation" && type !== "unknown");
  assertEquals(told, []);
});

Deno.test("session: input after close changes nothing, and closed can still be sent", () => {
  const client = open();
  client.send("close", { reason: "end" });
  client.events();
  client.send("ping");
  client.send("close", { reason: "end" });
  client.send("paused");
  client.session.receiveText("{", 0);
  assertEquals(client.receive(), []);
  const told = client.events().filter(({ type }) => type !== "violation");
  assertEquals(told, []);
  client.session.closed(undefined, 0);
  client.receiveOne("closed");
});

// --- Section 14: disconnect --------------------------------------------------------------------

Deno.test("session: disconnect completed ends by close and closed", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  assertEquals(client.receiveOne("disconnect").parameters, { reason: "completed" });
  assertEquals(client.session.state, "disconnecting");
  assertCloses(client);
});

Deno.test("session: disconnect hands output variables to the flow", () => {
  const client = openBot();
  client.session.disconnect("completed", "Done", { answer: "42" }, 0);
  assertEquals(client.receiveOne("disconnect").parameters, {
    reason: "completed",
    info: "Done",
    outputVariables: { answer: "42" },
  });
});

Deno.test("session: disconnect is sent once, also when the client breaks the protocol then", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  client.receiveOne("disconnect");
  assertThrows(
    () => client.session.disconnect("error", undefined, undefined, 0),
    LocalProtocolError,
  );
  client.send("ping", {}, { seq: 77 });
  client.send("open", openParameters());
  assertEquals(client.receive(), []);
});

Deno.test("session: after disconnect events and pongs follow, but no audio", () => {
  const client = openBot();
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  client.session.disconnect("completed", undefined, undefined, 0);
  client.receive();
  client.session.sendEvent([note(1)], 0);
  client.send("ping");
  client.advanceTo(4000);
  assertEquals(client.receiveTypes(), ["event", "pong"]);
});

Deno.test("session: what was in flight at our disconnect is no fault", () => {
  const client = openBot();
  client.session.disconnect("completed", undefined, undefined, 0);
  client.receive();
  client.audio(160);
  client.send("ping");
  client.send("discarded", { start: "PT0.02S", discarded: "PT1S" });
  client.send("update", { language: "es" });
  client.send("paused");
  client.send("resumed", { start: "PT1.02S", discarded: "PT1S" });
  client.send("dtmf", { digit: "1" });
  client.send("playback_started");
  client.send("playback_completed");
  client.send("error", { code: 400, message: "x" });
  assertEquals(client.events().filter(({ type }) => type === "violation"), []);
  assertEquals(client.receiveTypes(), ["pong"]);
  assertCloses(client);
});

Deno.test("session: a close that crosses our disconnect is answered by closed", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  client.send("close", { reason: "end" }, { serverseq: 1 });
  client.session.closed(undefined, 0);
  assertEquals(client.receiveTypes(), ["disconnect", "closed"]);
});

// --- Section 15: audio connector ---------------------------------------------------------------

Deno.test("session: dtmf and playback are reported", () => {
  const client = openBot();
  client.send("dtmf", { digit: "5" });
  client.send("dtmf", { digit: "#" });
  client.send("playback_started");
  client.send("playback_completed");
  assertEquals(client.events(), [
    { type: "dtmf", digit: "5" },
    { type: "dtmf", digit: "#" },
    { type: "playback", state: "started" },
    { type: "playback", state: "completed" },
  ]);
});

Deno.test("session: only a session with just the external channel plays audio", () => {
  for (const media of [STEREO, INTERNAL, undefined]) {
    const client = open(media === undefined ? {} : { media: offer(media) });
    assertThrows(() => client.session.play(new Uint8Array(160), 0), LocalProtocolError);
    assertEquals(client.receive(), []);
  }
});

Deno.test("session: played audio is sent in order, whole, and in frames of 64,000 at most", () => {
  const client = openBot({ silenceTimeoutMs: 1e9 });
  const sent: number[] = [];
  let value = 0;
  for (const length of [64_000, 1, 159, 8000, 0, 32, 32, 32, 24_000]) {
    const frame = new Uint8Array(length).map(() => value++ % 251);
    sent.push(...frame);
    client.session.play(frame, 0);
  }
  client.advanceTo(60_000);
  const received = client.receive().flatMap((frame) => isMessage(frame) ? [] : [...frame]);
  assertEquals(received.length, sent.length);
  assert(received.every((byte, index) => byte === sent[index]));
});

Deno.test("session: a frame that is too large, or has part of a sample, is not played", () => {
  const client = openBot();
  assertThrows(() => client.session.play(new Uint8Array(64_001), 0), LocalProtocolError);
  assertEquals(client.receive(), []);
  client.session.play(new Uint8Array(64_000), 0);
  assertEquals(client.receiveTypes(), ["audio"]);
  const linear = open({ media: offer(L16) }, { media: [L16] });
  assertThrows(() => linear.session.play(new Uint8Array(161), 0), LocalProtocolError);
  assertEquals(linear.receive(), []);
});

for (const [media, bytesPerMs] of [[EXTERNAL, 8], [L16, 16]] as const) {
  Deno.test(`session: ${media.format} is played near real time, without gaps or bursts`, () => {
    const limits = { silenceTimeoutMs: 1e9 };
    const client = open({ media: offer(media) }, { media: [media] }, limits);
    const totalMs = 20_000;
    for (let ms = 0; ms < totalMs; ms += 20) {
      client.session.play(new Uint8Array(20 * bytesPerMs).fill(ms / 20), 0);
    }
    let sentMs = 0;
    const times: number[] = [];
    for (let nowMs = 0; nowMs < totalMs + 2000; nowMs += 10) {
      client.advanceTo(nowMs);
      for (const frame of client.receive()) {
        assert(!isMessage(frame));
        assertEquals(frame.length % (bytesPerMs / 8), 0);
        sentMs += frame.length / bytesPerMs;
        times.push(nowMs);
      }
      assertLessOrEqual(sentMs, nowMs + 2000, "too far ahead");
      assertGreaterOrEqual(sentMs, Math.min(nowMs, totalMs), "the caller hears a gap");
    }
    assertEquals(sentMs, totalMs);
    for (const [index, from] of times.entries()) {
      const inOneSecond = times.slice(index).filter((at) => at < from + 1000).length;
      assertLessOrEqual(inOneSecond, 30);
    }
  });
}

Deno.test("session: after close nothing is played any more", () => {
  const client = openBot();
  for (let i = 0; i < 10; i++) client.session.play(new Uint8Array(8000), 0);
  client.receive();
  client.send("close", { reason: "end" });
  client.advanceTo(5000);
  assertEquals(client.receive(), []);
  assertThrows(() => client.session.play(new Uint8Array(80), 5000), LocalProtocolError);
});

// --- Section 16: reconnect ---------------------------------------------------------------------

Deno.test("session: reconnect is sent, and the session goes on", () => {
  const client = open();
  client.session.reconnect(undefined, 0);
  assertEquals(client.receiveOne("reconnect").parameters, {});
  client.session.reconnect("Maintenance", 0);
  assertEquals(client.receiveOne("reconnect").parameters, { info: "Maintenance" });
  assertEquals(client.audio(1600), 0);
  client.send("close", { reason: "reconnect" });
  assertEquals(client.events(), [{ type: "close", reason: "reconnect" }]);
});
