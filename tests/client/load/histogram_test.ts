import { assert, assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { Histogram } from "../../../lib/client/load/histogram.ts";

/** The exact percentile, of the nearest rank. */
function exact(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(1, Math.ceil(fraction * sorted.length)) - 1] ?? NaN;
}

/** Times as they come: from microseconds to hours. */
const time = fc.oneof(
  fc.double({ min: 0.001, max: 1e7, noNaN: true }),
  fc.double({ min: -3, max: 7, noNaN: true }).map((exponent) => 10 ** exponent),
  fc.integer({ min: 1, max: 20 }),
);

Deno.test("histogram: every percentile is within 1 % of the exact one", () => {
  fc.assert(
    fc.property(
      fc.array(time, { minLength: 1, maxLength: 300 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, fraction) => {
        const histogram = new Histogram();
        for (const value of values) histogram.record(value);
        for (const asked of [fraction, 0.5, 0.9, 0.99, 1]) {
          const expected = exact(values, asked);
          const found = histogram.percentile(asked) ?? NaN;
          assertLessOrEqual(Math.abs(found - expected), expected * 0.01 + 1e-12);
        }
        assertEquals(histogram.summary().count, values.length);
        assertEquals(histogram.summary().maxMs, Math.max(...values));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("histogram: times below a microsecond are told to within one", () => {
  const histogram = new Histogram();
  for (const value of [-5, 0, 0.0001, 0.0005]) histogram.record(value);
  assertEquals(histogram.count, 4);
  const median = histogram.percentile(0.5);
  assert(median !== undefined && median >= 0 && median <= 0.001);
  assertEquals(histogram.percentile(1), 0.0005);
});

Deno.test("histogram: what is too long for it counts, with an exact maximum", () => {
  const histogram = new Histogram();
  histogram.record(1e9);
  histogram.record(Infinity);
  histogram.record(NaN);
  assertEquals(histogram.count, 2);
  assertEquals(histogram.percentile(1), Infinity);
});

Deno.test("histogram: nothing has no percentiles, nor has what was cleared", () => {
  const empty = { count: 0, p50Ms: null, p90Ms: null, p99Ms: null, maxMs: null };
  const histogram = new Histogram();
  assertEquals(histogram.summary(), empty);
  histogram.record(3);
  assertEquals(histogram.percentile(0.5), 3);
  histogram.clear();
  assertEquals(histogram.summary(), empty);
  histogram.record(1);
  assertLess(histogram.percentile(0.99) ?? NaN, 1.01);
});
