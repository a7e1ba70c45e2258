/**
 * When a run of the checker is a good one.
 */
import { assertEquals } from "@std/assert";
import { type CheckVerdict, isConforming } from "../../../lib/client/check/check_report.ts";

function isGood(verdicts: readonly CheckVerdict[], problem?: string): boolean {
  const results = verdicts.map((verdict) => ({
    name: "open.probe",
    title: "A probe is answered",
    sections: [6],
    verdict,
    seen: "",
    tookMs: 1,
    transcript: [],
  }));
  const startedAt = "2026-01-02T03:04:05.678Z";
  return isConforming({ url: "ws://127.0.0.1/", startedAt, tookMs: 1, problem, results });
}

Deno.test("check: a run is good if something was checked, and nothing failed", () => {
  assertEquals(isGood(["pass", "skip", "advice"]), true);
  assertEquals(isGood(["advice"]), true);
  assertEquals(isGood(["pass", "fail"]), false);
  assertEquals(isGood(["pass", "defect"]), false, "something was not checked");
  assertEquals(isGood(["skip", "skip"]), false, "nothing could be checked");
  assertEquals(isGood([]), false);
  assertEquals(isGood(["pass"], "nobody listens"), false);
});
