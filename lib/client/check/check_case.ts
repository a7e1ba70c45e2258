/**
 * What a case is, and how it ends.
 *
 * Imports types of its neighbours only.
 */
import type { CheckRun } from "./check_run.ts";
import type { CheckVerdict } from "./check_report.ts";

/** One demand of the protocol, and how to try it. */
export interface CheckCase {
  /** `group.what-is-demanded` */
  readonly name: string;
  /** What is demanded, in a sentence. */
  readonly title: string;
  /** Sections of `docs/protocol.md`. */
  readonly sections: readonly number[];
  /** Without it, the case is skipped. */
  readonly needs?: "secret" | "audio";
  /**
   * `must`, unless given: the protocol demands it. `should`: it is our decision where the protocol
   * is silent, so that another way is worth an advice, not a failure.
   */
  readonly strength?: "must" | "should";
  /**
   * `refusals`: the server is to refuse a connection. These run one after the other and with pauses
   * between them: many at once look like an attack.
   */
  readonly lane?: "refusals";
  /**
   * Tries it.
   *
   * @returns What was seen, if all is well.
   * @throws {CaseEnd} If not.
   */
  run(check: CheckRun): Promise<string>;
}

/** Ends a case otherwise than well. */
export class CaseEnd extends Error {
  override readonly name = "CaseEnd";

  constructor(readonly verdict: Exclude<CheckVerdict, "pass" | "defect">, readonly seen: string) {
    super(seen);
  }
}

/** The server does not do what is demanded. */
export function fail(seen: string): never {
  throw new CaseEnd("fail", seen);
}

/** What the server does is allowed; another way would be better. */
export function advise(seen: string): never {
  throw new CaseEnd("advice", seen);
}

/** The case cannot be tried. */
export function skip(reason: string): never {
  throw new CaseEnd("skip", reason);
}

/**
 * Does several things at once, and waits for all of them even if one ends the case: nothing may go
 * on when the case is over.
 */
export async function allOf<T>(acts: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(acts);
  return await Promise.all(acts);
}
