import { assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { FrameWheel } from "../../../lib/client/load/frame_wheel.ts";

/** Remembers when it was due. */
class Recorder {
  readonly dueMs: number[] = [];

  step(dueMs: number): void {
    this.dueMs.push(dueMs);
  }
}

/** A wheel, its time, and so many that are due. */
function wheelOf(count: number, frameMs = 100) {
  const time = { nowMs: 1000 };
  const wheel = new FrameWheel<Recorder>(frameMs, () => time.nowMs);
  const recorders = Array.from({ length: count }, () => new Recorder());
  for (const recorder of recorders) wheel.add(recorder);
  const pass = (ms: number, stepMs = 5) => {
    for (const endMs = time.nowMs + ms; time.nowMs < endMs;) {
      time.nowMs += stepMs;
      wheel.turn();
    }
  };
  return { wheel, recorders, pass };
}

for (const frameMs of [20, 100, 33, 1000]) {
  Deno.test(`frame wheel: all are due once in ${frameMs} ms, spread evenly`, () => {
    const count = 400;
    const { recorders, pass } = wheelOf(count, frameMs);
    // And a millisecond: sums of fractions are not exact.
    pass(frameMs * 10 + 1, 1);
    for (const { dueMs } of recorders) {
      assertEquals(dueMs.length, 10);
      for (const [i, ms] of dueMs.entries()) {
        const previous = dueMs[i - 1];
        if (previous !== undefined) assertLessOrEqual(Math.abs(ms - previous - frameMs), 1e-6);
      }
    }
    const perSlot = Map.groupBy(recorders, ({ dueMs }) => dueMs[0]);
    const slots = Math.round(frameMs / 5);
    assertEquals(perSlot.size, slots);
    for (const group of perSlot.values()) {
      assertGreaterOrEqual(group.length, Math.floor(count / slots));
      assertLessOrEqual(group.length, Math.ceil(count / slots));
    }
  });
}

Deno.test("frame wheel: who is late gets what was due meanwhile, one interval at a time", () => {
  const { recorders: [recorder], pass } = wheelOf(1);
  pass(100);
  assertEquals(recorder?.dueMs.length, 1);
  pass(500, 500);
  assertEquals(recorder?.dueMs.length, 2);
  pass(20);
  assertEquals(recorder?.dueMs.length, 6);
  pass(1000);
  assertEquals(recorder?.dueMs.length, 16);
});

Deno.test("frame wheel: more than 2 s behind, it goes on with the present", () => {
  const { recorders: [recorder], pass } = wheelOf(1);
  pass(100);
  pass(60_000, 60_000);
  pass(100);
  const [first = 0, ...later] = recorder?.dueMs ?? [];
  assertLessOrEqual(later.length, 3);
  for (const ms of later) {
    // In step with the first one all the same.
    assertEquals(Math.round(ms - first) % 100, 0);
    assertGreaterOrEqual(ms - first, 59_000);
  }
});

Deno.test("frame wheel: what was removed is not due any more, and its place is taken", () => {
  const { wheel, recorders, pass } = wheelOf(40);
  const removed = recorders.splice(0, 20);
  for (const recorder of removed) wheel.delete(recorder);
  for (let i = 0; i < 20; i++) {
    const recorder = new Recorder();
    recorders.push(recorder);
    wheel.add(recorder);
  }
  pass(100);
  for (const recorder of removed) assertEquals(recorder.dueMs, []);
  const perSlot = Map.groupBy(recorders, ({ dueMs }) => dueMs[0]);
  assertEquals([...perSlot.values()].map((group) => group.length), Array(20).fill(2));
});
