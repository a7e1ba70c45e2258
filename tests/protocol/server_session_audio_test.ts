import { assertEquals, assertLessOrEqual } from "@std/assert";
import { EXTERNAL, L16, openParameters, STEREO } from "../helpers/protocol_wire.ts";
import { assertCloses, assertRefused, connect, offer, open } from "../helpers/server_session.ts";

// --- Section 7: audio --------------------------------------------------------------------------

Deno.test("session: positions of stereo frames are counted in samples, sizes vary", () => {
  const client = open();
  let expected = 0;
  for (const samples of [800, 1, 161, 32_000, 0, 7, 799]) {
    assertEquals(client.audio(samples * 2), expected);
    expected += samples;
    assertEquals(client.session.positionSamples, expected);
  }
  assertEquals(client.eventTypes(), []);
});

Deno.test("session: positions of mono PCMU, mono L16 and stereo L16 frames", () => {
  const stereoL16 = { ...STEREO, format: "L16" };
  for (const [media, bytes] of [[EXTERNAL, 1], [L16, 2], [stereoL16, 4]] as const) {
    const client = open({ media: offer(media) }, { media: [media] });
    assertEquals(client.audio(161 * bytes), 0);
    assertEquals(client.audio(3 * bytes), 161);
    assertEquals(client.session.positionSamples, 164);
  }
});

Deno.test("session: a frame with part of a sample breaks the protocol", () => {
  const stereoL16 = { ...STEREO, format: "L16" };
  const cases = [[STEREO, 1], [STEREO, 1601], [L16, 3], [stereoL16, 2], [stereoL16, 6]] as const;
  for (const [media, bytes] of cases) {
    const client = open({ media: offer(media) }, { media: [media] });
    assertEquals(client.audio(bytes), -1);
    assertEquals(client.session.positionSamples, 0);
    assertRefused(client);
    assertCloses(client);
  }
});

Deno.test("session: a frame of 64,000 bytes is the largest", () => {
  const client = open();
  assertEquals(client.audio(64_000), 0);
  assertEquals(client.audio(64_002), -1);
  assertRefused(client);
  assertEquals(client.session.positionSamples, 32_000);
});

Deno.test("session: audio before open, and before opened, breaks the protocol", () => {
  const idle = connect();
  assertEquals(idle.audio(160), -1);
  assertRefused(idle);
  const opening = connect();
  opening.send("open", openParameters());
  assertEquals(opening.audio(160), -1);
  assertRefused(opening);
});

Deno.test("session: audio in a session without media breaks the protocol", () => {
  const client = open({});
  assertEquals(client.audio(160), -1);
  assertRefused(client);
});

Deno.test("session: audio while paused breaks the protocol, whoever paused", () => {
  const byClient = open();
  byClient.send("paused");
  assertEquals(byClient.audio(1600), -1);
  assertRefused(byClient);
  const byServer = open();
  byServer.session.pause(0);
  byServer.receive();
  assertEquals(byServer.audio(1600), 0, "sent before the client knew of the pause");
  byServer.send("paused");
  assertEquals(byServer.audio(1600), -1);
  assertRefused(byServer);
});

Deno.test("session: audio after close is ignored", () => {
  const client = open();
  client.audio(1600);
  client.send("close", { reason: "end" });
  assertEquals(client.audio(1600), -1);
  client.session.closed(undefined, 0);
  assertEquals(client.audio(1600), -1);
  assertEquals(client.session.positionSamples, 800);
  assertEquals(client.receiveTypes(), ["closed"]);
});

Deno.test("session: audio in flight after our disconnect is still received", () => {
  const client = open();
  client.session.disconnect("completed", undefined, undefined, 0);
  assertEquals(client.audio(1600), 0);
  assertEquals(client.audio(1600), 800);
  assertEquals(client.eventTypes(), []);
});

Deno.test("session: discarded advances the position and reports a gap", () => {
  const client = open();
  client.audio(1600);
  client.send("discarded", { start: "PT0.1S", discarded: "PT2.000125S" });
  assertEquals(client.events(), [
    { type: "gap", positionSamples: 800, samples: 16_001, cause: "discarded" },
  ]);
  assertEquals(client.audio(2), 16_801);
});

Deno.test("session: audio lost before the first frame is a gap at position 0", () => {
  const client = open();
  client.send("discarded", { start: "PT0S", discarded: "PT10S" });
  assertEquals(client.events(), [
    { type: "gap", positionSamples: 0, samples: 80_000, cause: "discarded" },
  ]);
  assertEquals(client.audio(1600), 80_000);
});

Deno.test("session: resumed advances the position by what was dropped during the pause", () => {
  const client = open();
  client.audio(1600);
  client.send("paused");
  client.send("resumed", { start: "PT0.1S", discarded: "PT3.5S" });
  assertEquals(client.events(), [
    { type: "paused" },
    { type: "gap", positionSamples: 800, samples: 28_000, cause: "paused" },
    { type: "resumed" },
  ]);
  assertEquals(client.audio(1600), 28_800);
});

Deno.test("session: a hostile amount of lost audio ends the session, not the disk", () => {
  const client = open();
  for (let day = 0; day < 40; day++) {
    client.send("discarded", { start: "PT0S", discarded: "PT86400S" });
  }
  assertLessOrEqual(client.session.positionSamples, 31 * 86_400 * 8000);
  const gaps = client.events().filter((event) => event.type === "gap");
  assertLessOrEqual(gaps.length, 31);
  client.receiveOne("disconnect");
  const absurd = open();
  absurd.send("discarded", { start: "PT0S", discarded: "PT99999999999S" });
  assertEquals(absurd.session.positionSamples, 0);
  assertRefused(absurd);
});
