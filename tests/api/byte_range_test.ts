import { assertEquals } from "@std/assert";
import { parseRange, type RangeRequest } from "../../lib/api/byte_range.ts";

const SIZE = 1000;
const whole: RangeRequest = { outcome: "whole" };
const unsatisfiable: RangeRequest = { outcome: "unsatisfiable" };
const part = (from: number, to: number): RangeRequest => ({ outcome: "part", from, to });
const MANY = "9".repeat(400);

const ROWS: readonly [header: string | null, expected: RangeRequest][] = [
  [null, whole],
  ["bytes=0-0", part(0, 1)],
  ["bytes=0-999", part(0, 1000)],
  ["bytes=0-1000", part(0, 1000)],
  ["bytes=10-19", part(10, 20)],
  ["Bytes= 10-19 ", part(10, 20)],
  ["bytes=,10-19,", part(10, 20)],
  ["bytes=990-", part(990, 1000)],
  ["bytes=999-", part(999, 1000)],
  ["bytes=-1", part(999, 1000)],
  ["bytes=-1000", part(0, 1000)],
  ["bytes=-5000", part(0, 1000)],
  [`bytes=0-${MANY}`, part(0, 1000)],
  [`bytes=-${MANY}`, part(0, 1000)],
  // Others than one range of bytes.
  ["bytes=0-1,5-6", whole],
  ["bytes=0-1,-5", whole],
  ["bytes=5-6, nonsense", whole],
  ["seconds=0-5", whole],
  // None that there is.
  ["bytes=1000-", unsatisfiable],
  ["bytes=1000-1001", unsatisfiable],
  [`bytes=${MANY}-`, unsatisfiable],
  ["bytes=-0", unsatisfiable],
  // None at all.
  ["bytes=9-3", unsatisfiable],
  ["bytes=", unsatisfiable],
  ["bytes=-", unsatisfiable],
  ["bytes=,", unsatisfiable],
  ["bytes", unsatisfiable],
  ["", unsatisfiable],
  ["bytes=a-b", unsatisfiable],
  ["bytes=1.5-3", unsatisfiable],
  ["bytes=0x1-3", unsatisfiable],
  ["bytes=--5", unsatisfiable],
  ["bytes=1-2-3", unsatisfiable],
  ["bytes=1 - 2", unsatisfiable],
];

Deno.test("byte range: what a Range header asks for", () => {
  for (const [header, expected] of ROWS) {
    assertEquals(parseRange(header, SIZE), expected, String(header).slice(0, 40));
  }
});

Deno.test("byte range: of nothing, there is no part", () => {
  for (const header of ["bytes=0-", "bytes=0-0", "bytes=-1"]) {
    assertEquals(parseRange(header, 0), unsatisfiable, header);
  }
  assertEquals(parseRange(null, 0), whole);
});
