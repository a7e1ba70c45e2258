import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  durationSchema,
  durationToSamples,
  formatDuration,
  parseDuration,
  samplesToDuration,
} from "../../lib/protocol/duration.ts";

const RATE = 8000;
const MAX_SECONDS = 31 * 24 * 3600;
const MAX_SAMPLES = MAX_SECONDS * RATE;
const WIRE = /^PT(0|[1-9]\d*)(\.\d*[1-9])?S$/;

Deno.test("duration: one sample is exactly PT0.000125S", () => {
  assertEquals(samplesToDuration(1, RATE), "PT0.000125S");
  assertEquals(durationToSamples("PT0.000125S", RATE), 1);
});

Deno.test("duration: whole seconds, fractions and zero are printed without padding", () => {
  assertEquals(samplesToDuration(0, RATE), "PT0S");
  assertEquals(samplesToDuration(8000, RATE), "PT1S");
  assertEquals(samplesToDuration(12_000, RATE), "PT1.5S");
  assertEquals(samplesToDuration(7999, RATE), "PT0.999875S");
  assertEquals(samplesToDuration(MAX_SAMPLES, RATE), `PT${MAX_SECONDS}S`);
  assertEquals(samplesToDuration(MAX_SAMPLES - 1, RATE), `PT${MAX_SECONDS - 1}.999875S`);
});

Deno.test("duration: what the protocol shows as examples is read exactly", () => {
  assertEquals(parseDuration("PT0S"), 0);
  assertEquals(parseDuration("PT1.5S"), 1_500_000_000);
  assertEquals(parseDuration("PT0.0001250S"), 125_000);
  assertEquals(parseDuration("PT1.2S"), 1_200_000_000);
});

Deno.test("duration: the smallest values are printed without an exponent", () => {
  assertEquals(formatDuration(1), "PT0.000000001S");
  assertEquals(formatDuration(900), "PT0.0000009S");
  assertEquals(formatDuration(0), "PT0S");
});

Deno.test("duration: exponents, signs, NaN, infinities and other units are refused", () => {
  for (
    const text of [
      "PT9e-7S",
      "PT1E3S",
      "PT-1S",
      "-PT1S",
      "PT+1S",
      "PTNaNS",
      "PTInfinityS",
      "PTS",
      "PT",
      "P1D",
      "PT1",
      "1",
      "",
      "PT1.S",
      "PT1,5S",
      "PT1.5.5S",
      " PT1S",
      "PT1S ",
      "PT1S\n",
      "PT 1S",
      "PT0x10S",
      "PT1_000S",
      "PT١S",
    ]
  ) {
    assertEquals(parseDuration(text), undefined, JSON.stringify(text));
    assertEquals(durationSchema.safeParse(text).success, false, JSON.stringify(text));
    assertThrows(() => durationToSamples(text, RATE), RangeError);
  }
});

Deno.test("duration: absurd values are refused", () => {
  for (
    const text of [
      "PT99999999999S",
      `PT${"9".repeat(400)}S`,
      `PT${Number.MAX_SAFE_INTEGER}S`,
      `PT0.${"1".repeat(100_000)}S`,
    ]
  ) {
    assertEquals(durationSchema.safeParse(text).success, false, text.slice(0, 40));
    assertThrows(() => durationToSamples(text, RATE), RangeError);
  }
});

Deno.test("duration: values that are no text are refused", () => {
  for (const value of [1, null, undefined, {}, ["PT1S"], true, NaN]) {
    assertEquals(durationSchema.safeParse(value).success, false);
  }
});

Deno.test("duration: only whole numbers that are not negative are printed", () => {
  for (const value of [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53]) {
    assertThrows(() => formatDuration(value), RangeError);
  }
  for (const value of [-1, NaN, Infinity]) {
    assertThrows(() => samplesToDuration(value, RATE), RangeError);
  }
});

Deno.test("duration: the schema keeps the text that was sent", () => {
  assertEquals(durationSchema.parse("PT0.0001250S"), "PT0.0001250S");
});

Deno.test("duration: samples to text and back is the identity up to 31 days", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_SAMPLES }), (samples) => {
      const text = samplesToDuration(samples, RATE);
      assertMatch(text, WIRE);
      assertEquals(durationToSamples(text, RATE), samples);
      // Exact: 1 sample is 125,000 ns.
      assertEquals(BigInt(parseDuration(text) ?? -1), BigInt(samples) * 125_000n);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("duration: nanoseconds to text and back is the identity up to 31 days", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_SECONDS * 1e9 }), (nanoseconds) => {
      const text = formatDuration(nanoseconds);
      assertMatch(text, WIRE);
      assertEquals(parseDuration(text), nanoseconds);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("duration: positions that a client adds up as doubles keep their sample", () => {
  let seconds = 0;
  for (let samples = 0; samples < 800_000; samples += 161) {
    const text = `PT${seconds.toFixed(17)}S`;
    assertEquals(durationToSamples(text, RATE), samples, text);
    seconds += 161 / RATE;
  }
});

Deno.test("duration: any text is read or refused, and never throws", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.string({ unit: fc.constantFrom("P", "T", "S", ".", "0", "1", "9", "-", "e") }),
      ),
      (text) => {
        const nanoseconds = parseDuration(text);
        if (nanoseconds === undefined) return;
        assertEquals(Number.isSafeInteger(nanoseconds) && nanoseconds >= 0, true);
        assertMatch(text, /^PT\d+(\.\d+)?S$/);
      },
    ),
    { numRuns: 20_000 },
  );
});
