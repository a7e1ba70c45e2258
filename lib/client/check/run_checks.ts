/**
 * Runs the cases against a server.
 *
 * A server that stalls, floods or goes away ends cases, never the run. Imports its neighbours.
 */
import { ALL_CASES } from "./all_cases.ts";
import type { CheckCase } from "./check_case.ts";
import { CheckClock } from "./check_clock.ts";
import type { CheckReport, CheckResult } from "./check_report.ts";
import type { CheckTarget } from "./check_request.ts";
import { CheckRun } from "./check_run.ts";
import { firstCall, type Nature } from "./first_call.ts";
import { runCase, skipCase } from "./run_case.ts";
import { Transcript } from "./transcript.ts";

/** Options of {@link runChecks}. */
export interface CheckOptions {
  /** `ws:` or `wss:`. */
  readonly url: URL;
  readonly apiKey: string;
  /** Empty or absent: requests are not signed, and what concerns signatures is skipped. */
  readonly clientSecret?: Uint8Array;
  /** UUID of the organization; random unless given. */
  readonly organizationId?: string;
  /** Which cases; all, unless given. See {@link selectCases}. */
  readonly only?: string;
  /** How many cases run at once; {@link PARALLEL_CASES} unless given. */
  readonly parallel?: number;
  /** How much longer everything may take than the protocol allows; 1 unless given. */
  readonly timeoutScale?: number;
  /** A case is over. */
  readonly onResult?: (result: CheckResult, done: number, total: number) => void;
  /** Ends the run early: what has not begun is skipped. */
  readonly signal?: AbortSignal;
}

/** How many cases run at once. */
export const PARALLEL_CASES = 8;
/** Room for the protocol's longest waits, `opened` and `closed`, one after the other. */
const CASE_LIMIT_MS = 16_000;
/** Between connections that are to be refused: more look like an attack. */
const REFUSAL_PAUSE_MS = 100;

/**
 * The cases whose names begin with one of several words, which commas separate; with `*` for
 * anything.
 */
export function selectCases(only: string | undefined): readonly CheckCase[] {
  if (only === undefined) return ALL_CASES;
  const patterns = only.split(",").map((word) => word.trim()).filter((word) => word !== "").map(
    (word) => new RegExp(`^${word.split("*").map(RegExp.escape).join(".*")}`),
  );
  return ALL_CASES.filter(({ name }) => patterns.some((pattern) => pattern.test(name)));
}

/**
 * Checks a server.
 *
 * @returns What was found; {@link CheckReport.problem} if nothing could be checked. Never throws
 * because of what a server does.
 */
export async function runChecks(options: CheckOptions): Promise<CheckReport> {
  const { url, apiKey, parallel = PARALLEL_CASES, timeoutScale = 1, onResult, signal } = options;
  const target: CheckTarget = {
    url,
    apiKey,
    clientSecret: options.clientSecret ?? new Uint8Array(),
    organizationId: options.organizationId ?? crypto.randomUUID(),
  };
  const startedAt = new Date().toISOString();
  const startedMs = performance.now();
  const begin = () => ({
    target,
    clock: new CheckClock(CASE_LIMIT_MS, timeoutScale),
    transcript: new Transcript([apiKey]),
  });
  const report = (problem: string | undefined, results: readonly CheckResult[]) => ({
    url: url.href,
    startedAt,
    tookMs: Math.round(performance.now() - startedMs),
    problem,
    results,
  });

  const first = await firstCall(new CheckRun(begin()));
  if ("problem" in first) return report(first.problem, []);

  const cases = selectCases(options.only);
  const results = new Map<CheckCase, CheckResult>();
  const runOne = async (one: CheckCase) => {
    const reason = signal?.aborted ? "The run was ended" : skipReason(one, target, first);
    const result = reason === undefined
      ? await runCase(one, new CheckRun(begin()))
      : skipCase(one, reason);
    results.set(one, result);
    onResult?.(result, results.size, cases.length);
  };
  const refusals = cases.filter(({ lane }) => lane === "refusals");
  const others = cases.filter(({ lane }) => lane === undefined);
  const drain = async (queue: CheckCase[], pauseMs = 0) => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
      await runOne(one);
      if (pauseMs > 0 && queue.length > 0 && results.get(one)?.verdict !== "skip") {
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  };
  if (parallel === 1) await drain(refusals, REFUSAL_PAUSE_MS);
  await Promise.all([
    drain(refusals, REFUSAL_PAUSE_MS),
    ...Array.from({ length: Math.max(1, parallel - 1) }, () => drain(others)),
  ]);
  return report(undefined, cases.flatMap((one) => results.get(one) ?? []));
}

function skipReason({ needs }: CheckCase, target: CheckTarget, nature: Nature): string | undefined {
  if (needs === "secret" && target.clientSecret.length === 0) {
    return "There is no client secret to sign with";
  }
  if (needs === "audio" && nature.audio === "none") {
    return "The server selects no audio from what is offered";
  }
  return undefined;
}
