/**
 * What a run of the conformance checker found.
 *
 * Imports nothing.
 */

/**
 * How a case ended:
 *
 * - `pass`: the server does what the protocol demands
 * - `fail`: it does not
 * - `advice`: it does what the protocol leaves open, and another way would be better
 * - `skip`: the case could not be tried; the reason is in `seen`
 * - `defect`: the checker itself fell over; nothing is known of the server
 */
export type CheckVerdict = "pass" | "fail" | "advice" | "skip" | "defect";

/** One line of what went over the wire. The API key and the signature are not in it. */
export interface TranscriptLine {
  /** Since the beginning of the case, in milliseconds. */
  readonly atMs: number;
  /** Which connection of the case, from 1. */
  readonly connection: number;
  /** By whom: `note` is the checker's own word. */
  readonly direction: "sent" | "received" | "note";
  /** Text as it was, shortened; audio as its size. */
  readonly text: string;
}

/** How one case ended. */
export interface CheckResult {
  /** Such as `auth.wrong-signature`; it does not change from one version to the next. */
  readonly name: string;
  /** What is demanded, in a sentence. */
  readonly title: string;
  /** Sections of `docs/protocol.md`. */
  readonly sections: readonly number[];
  readonly verdict: CheckVerdict;
  /** What was seen, in words. */
  readonly seen: string;
  readonly tookMs: number;
  readonly transcript: readonly TranscriptLine[];
}

/** What a run found. */
export interface CheckReport {
  readonly url: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly tookMs: number;
  /** Why nothing was checked: there is no such server, or it lets nobody in. */
  readonly problem: string | undefined;
  /** In the order of the list of cases, whatever order they ran in. */
  readonly results: readonly CheckResult[];
}

/** How many cases ended how. */
export function countVerdicts(results: readonly CheckResult[]): Record<CheckVerdict, number> {
  const counts = { pass: 0, fail: 0, advice: 0, skip: 0, defect: 0 };
  for (const { verdict } of results) counts[verdict]++;
  return counts;
}

/**
 * Whether the run checked something, and found nothing wrong, neither with the server nor with the
 * checker: then the command ends with 0.
 */
export function isConforming({ problem, results }: CheckReport): boolean {
  const { pass, fail, advice, defect } = countVerdicts(results);
  return problem === undefined && fail + defect === 0 && pass + advice > 0;
}
