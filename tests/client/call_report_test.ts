import { assertEquals } from "@std/assert";
import { summarizeRoundTrips } from "../../lib/client/call_report.ts";

Deno.test("call report: shortest, middle and longest round trip", () => {
  const cases: [
    trips: number[],
    summary: [min: number, median: number, max: number] | undefined,
  ][] = [
    [[], undefined],
    [[3], [3, 3, 3]],
    [[4, 1], [1, 2.5, 4]],
    [[10, 2, 9], [2, 9, 10]],
    [[4, 3, 2, 100], [2, 3.5, 100]],
  ];
  for (const [trips, expected] of cases) {
    const found = summarizeRoundTrips(trips);
    assertEquals(found && [found.min, found.median, found.max], expected);
  }
});
