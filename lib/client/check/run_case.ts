/**
 * Runs one case to its end, and makes a result of it.
 *
 * Imports its neighbours.
 */
import { CaseEnd, type CheckCase } from "./check_case.ts";
import type { CheckResult, CheckVerdict } from "./check_report.ts";
import type { CheckRun } from "./check_run.ts";

/** Runs a case. Never throws: a case that falls over is a result too. */
export async function runCase(one: CheckCase, run: CheckRun): Promise<CheckResult> {
  const ended = await judge(one, run);
  await run.end();
  const seen = [ended.seen];
  let verdict = ended.verdict;
  if (run.faults.length > 0) {
    // Whatever the case was about: a client would have ended the session. What ended the
    // connection is told by the case already, if it waited for something.
    seen.unshift(
      ...run.faults.map((fault) => `The server sent ${fault}`)
        .filter((fault) => !ended.seen.startsWith(fault)),
    );
    if (verdict !== "defect") verdict = "fail";
  } else if (run.advice.length > 0 && verdict === "pass") {
    seen.unshift(...run.advice.map((advice) => `The server sent ${advice}`));
    verdict = "advice";
  }
  const { elapsedMs, lines } = run.transcript;
  return outcome(one, verdict, run.transcript.redact(seen.join("; ")), elapsedMs, lines);
}

/** The result of a case that is not tried. */
export function skipCase(one: CheckCase, reason: string): CheckResult {
  return outcome(one, "skip", reason, 0, []);
}

async function judge(
  one: CheckCase,
  run: CheckRun,
): Promise<{ verdict: CheckVerdict; seen: string }> {
  try {
    return { verdict: "pass", seen: await one.run(run) };
  } catch (error) {
    if (!(error instanceof CaseEnd)) {
      // The server is not to blame, and the other cases are not to suffer.
      return { verdict: "defect", seen: `The checker itself failed: ${error}` };
    }
    const { verdict, seen } = error;
    const isLenient = verdict === "fail" && one.strength === "should";
    return { verdict: isLenient ? "advice" : verdict, seen };
  }
}

function outcome(
  { name, title, sections }: CheckCase,
  verdict: CheckVerdict,
  seen: string,
  tookMs: number,
  transcript: CheckResult["transcript"],
): CheckResult {
  return { name, title, sections, verdict, seen, tookMs, transcript };
}
