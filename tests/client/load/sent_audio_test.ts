import { assert, assertEquals, assertLess, assertNotEquals } from "@std/assert";
import { AudioRing, LoadAudio, sweepingTone } from "../../../lib/client/load/load_audio.ts";
import { FaultPlan } from "../../../lib/client/load/fault_plan.ts";
import { SentAudio } from "../../../lib/client/load/sent_audio.ts";
import { assertSameBytes } from "../../helpers/program.ts";

const FRAME = 8;

/** Ten samples of two channels, all bytes different. */
const AUDIO = Uint8Array.from({ length: 20 }, (_, i) => i);

/** What is recorded of a stream from a place in the audio. */
function circle(startSamples: number, samples: number): Uint8Array {
  return Uint8Array.from({ length: samples * 2 }, (_, i) => (startSamples * 2 + i) % 20);
}

Deno.test("audio ring: frames from any place go on with the beginning", () => {
  for (const frameSamples of [1, 3, 10, 25]) {
    const ring = new AudioRing(AUDIO, 2, frameSamples);
    for (let position = 0; position < 40; position++) {
      assertSameBytes(ring.frame(position, frameSamples), circle(position, frameSamples));
    }
  }
});

Deno.test("audio ring: sessions begin at different places, all within the audio", () => {
  const ring = new AudioRing(new Uint8Array(100_000), 2, FRAME);
  const starts = Array.from({ length: 5000 }, (_, i) => ring.startOf(i));
  for (const start of starts) assert(start >= 0 && start < 50_000 && Number.isInteger(start));
  assertEquals(new Set(starts).size, 5000);
});

Deno.test("load audio: the channels that are offered are those that were asked for", () => {
  const tone = sweepingTone();
  const channels = (asked: "both" | "external") =>
    new LoadAudio(tone, asked, FRAME).offers.map((media) => media.channels.join());
  assertEquals(channels("both"), ["external,internal", "external", "internal"]);
  assertEquals(channels("external"), ["external"]);
});

Deno.test("sweeping tone: no second of it is like another", () => {
  const tone = sweepingTone();
  const [media] = new LoadAudio(tone, "both", FRAME).offers;
  assert(media !== undefined);
  const bytes = tone.bytesFor(media);
  const seconds = new Set<string>();
  for (let at = 0; at < bytes.length; at += 16_000) {
    seconds.add(bytes.subarray(at, at + 16_000).toBase64());
  }
  assertEquals(seconds.size, bytes.length / 16_000);
});

Deno.test("sent audio: a recording is right only if every byte is", () => {
  const sent = new SentAudio(new AudioRing(AUDIO, 2, FRAME), 7);
  for (let i = 0; i < 5; i++) sent.add(FRAME);
  assertEquals([sent.samples, sent.bytes], [40, 80]);
  const recorded = circle(7, 40);
  assertEquals(sent.firstDifference(recorded), undefined);
  assertEquals(sent.firstDifference(recorded.subarray(0, 33)), undefined);
  assertEquals(sent.firstDifference(new Uint8Array()), undefined);
  assertEquals(sent.firstDifference(Uint8Array.of(...recorded, 0)), 80);
  assertEquals(sent.firstDifference(circle(8, 40)), 0);
  for (const at of [0, 1, 39, 40, 79]) {
    const wrong = recorded.slice();
    wrong[at] = (wrong[at] ?? 0) ^ 1;
    assertEquals(sent.firstDifference(wrong), at);
  }
});

Deno.test("sent audio: what was left out is silence, and does not matter at the end", () => {
  const sent = new SentAudio(new AudioRing(AUDIO, 2, FRAME), 3);
  sent.leaveOut(0, FRAME);
  sent.add(FRAME);
  sent.leaveOut(16, FRAME);
  sent.leaveOut(24, FRAME);
  sent.add(FRAME);
  sent.leaveOut(40, FRAME);
  assertEquals([sent.bytes, sent.bytesWithSilence], [80, 96]);
  const silence = (samples: number) => new Uint8Array(samples * 2).fill(0xff);
  const recorded = Uint8Array.of(
    ...silence(8),
    ...circle(11, 8),
    ...silence(16),
    ...circle(35, 8),
  );
  assertEquals(sent.firstDifference(recorded), undefined);
  assertEquals(sent.firstDifference(Uint8Array.of(...recorded, ...silence(8))), undefined);
  assertEquals(sent.firstDifference(Uint8Array.of(...recorded, ...silence(9))), 96);
  assertEquals(sent.firstDifference(Uint8Array.of(...recorded, 1)), 80);
  const without = Uint8Array.of(...silence(8), ...circle(11, 40));
  assertEquals(sent.firstDifference(without), 32);
});

Deno.test("fault plan: the same seed breaks the same sessions; the shares are kept", () => {
  const shares = { drop: 10, stall: 20, reset: 5 };
  const plan = (seed: number, all = shares) => {
    const faults = new FaultPlan(all, seed);
    return Array.from({ length: 10_000 }, () => faults.next());
  };
  assertEquals(plan(1), plan(1));
  assertNotEquals(plan(1), plan(2));
  for (const [kind, percent] of Object.entries(shares)) {
    const found = plan(3).filter((fault) => fault?.kind === kind).length / 100;
    assertLess(Math.abs(found - percent), 1.5, kind);
  }
  for (const fault of plan(4)) {
    if (fault === undefined) continue;
    assert(fault.at >= 0 && fault.at < 1 && fault.stallMs >= 1000 && fault.stallMs <= 8000);
  }
  assertEquals(plan(5, { drop: 0, stall: 0, reset: 0 }).filter((fault) => fault), []);
  assertEquals(plan(6, { drop: 0, stall: 0, reset: 100 }).filter((fault) => !fault), []);
});
