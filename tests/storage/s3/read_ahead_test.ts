/**
 * Reading ahead: in order, within its bounds, and over at once when nobody takes any more.
 */
import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import fc from "fast-check";
import { readAhead } from "../../../lib/storage/s3/read_ahead.ts";

Deno.test("readAhead: in order and within its bounds, whichever is read first", async () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 30 });
  const atOnce = fc.integer({ min: 1, max: 6 });
  const maxBytes = fc.integer({ min: 1, max: 50 });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      sizes,
      atOnce,
      maxBytes,
      async (s, items, atOnce, maxBytes) => {
        let [begun, taken] = [0, 0];
        const bytesOf = (from: number, to: number) =>
          items.slice(from, to).reduce((sum, size) => sum + size, 0);
        const read = (size: number) => {
          begun++;
          assertLessOrEqual(begun - taken, atOnce);
          assert(begun - taken === 1 || bytesOf(taken, begun) <= maxBytes);
          return s.schedule(Promise.resolve(size));
        };
        const result: number[] = [];
        const all = (async () => {
          for await (const size of readAhead(items, (size) => size, read, { atOnce, maxBytes })) {
            result.push(size);
            taken++;
          }
        })();
        await s.waitFor(all);
        assertEquals(result, items);
      },
    ),
  );
});

/** Never ends but by the signal. */
function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

Deno.test("readAhead: an error, or nobody who takes more, stops what is under way", async () => {
  const signals: AbortSignal[] = [];
  const reads = () =>
    readAhead(
      [0, 1, 2, 3, 4, 5],
      () => 1,
      (n, signal) => {
        signals.push(signal);
        if (n === 1) return Promise.reject(new RangeError("This one cannot be read"));
        return n === 0 ? Promise.resolve(n) : untilStopped(signal);
      },
      { atOnce: 3, maxBytes: 100 },
    );
  await assertRejects(() => Array.fromAsync(reads()), RangeError, "This one");
  assertEquals(signals.map(({ aborted }) => aborted), [true, true, true, true]);
  signals.length = 0;
  for await (const n of reads()) {
    assertEquals(n, 0);
    break;
  }
  assertEquals(signals.map(({ aborted }) => aborted), [true, true, true]);
});
