import { assertEquals } from "@std/assert";
import { parseRetryAfter } from "../../lib/client/retry_after.ts";

const NOW_MS = Date.UTC(1994, 10, 6, 8, 49, 37);

Deno.test("retry after: seconds, and dates of both kinds, are seconds from now", () => {
  const cases: [header: string, seconds: number | undefined][] = [
    ["0", 0],
    ["120", 120],
    ["999999", 999_999],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 0],
    ["Sun, 06 Nov 1994 08:50:37 GMT", 60],
    ["Sunday, 06-Nov-94 09:49:37 GMT", 3600],
    ["Sat, 05 Nov 1994 08:49:37 GMT", 0],
  ];
  for (const [header, seconds] of cases) {
    assertEquals(parseRetryAfter(header, NOW_MS), seconds, header);
  }
  // Rounded up: not a moment too early.
  assertEquals(parseRetryAfter("Sun, 06 Nov 1994 08:50:37 GMT", NOW_MS + 1), 60);
  assertEquals(parseRetryAfter("Sun, 06 Nov 1994 08:50:37 GMT", NOW_MS - 1), 61);
});

Deno.test("retry after: what is neither, or weeks away, says nothing", () => {
  const cases = [
    "",
    "-5",
    "1.5",
    "1000000",
    "99999999999999999999",
    "soon",
    "Sun, 99 Nov 1994 08:49:37 GMT",
    "Sun, 06 Xyz 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 CET",
    "Sun, 06 Nov 2094 08:49:37 GMT",
    "1994-11-06T08:49:37Z",
  ];
  for (const header of cases) assertEquals(parseRetryAfter(header, NOW_MS), undefined, header);
});
