/**
 * Runs a target with one seed, and tells what it found.
 */
import fc from "fast-check";
import type { FuzzTarget, Tally } from "./fuzz_target.ts";

/** An input that did what none may do, as small as it could be made. */
export interface Defect {
  readonly target: string;
  /** With it, the first batch finds the defect again. */
  readonly seed: number;
  readonly counterexample: string;
  readonly error: unknown;
}

/** An input that takes longer, several times over, is a defect: others have to wait meanwhile. */
const MAX_INPUT_MS = 1000;
const SLOW_ATTEMPTS = 3;

/**
 * Tries a batch of inputs.
 *
 * @returns A defect, if one was found.
 */
export async function fuzzBatch<I>(
  target: FuzzTarget<I>,
  seed: number,
  tally: Tally,
): Promise<Defect | undefined> {
  const startMs = performance.now();
  const property = fc.asyncProperty(target.arbitrary, async (value) => {
    let fastestMs = Infinity;
    for (let attempt = 1; attempt <= SLOW_ATTEMPTS; attempt++) {
      const beginMs = performance.now();
      const running = target.run(value, tally);
      if (running !== undefined) await running;
      const ms = performance.now() - beginMs;
      if (target.hasSeveral) return;
      if (attempt === 1) tally.tried(ms);
      // The machine may have been busy with something else.
      fastestMs = Math.min(fastestMs, ms);
      if (fastestMs <= MAX_INPUT_MS) return;
    }
    throw new Error(`An input takes ${Math.round(fastestMs)} ms`);
  });
  const details = await fc.check(property, { seed, numRuns: target.batch });
  tally.spentMs += performance.now() - startMs;
  if (!details.failed || details.counterexample === null) return undefined;
  const [value] = details.counterexample;
  return {
    target: target.name,
    seed,
    counterexample: target.describe(value),
    error: details.errorInstance,
  };
}

/** The seed has all of it; a terminal need not. */
const MAX_DESCRIBED_CHARS = 8000;

/** A defect for people: what to do to see it again, what was fed, what came of it. */
export function describeDefect({ target, seed, counterexample, error }: Defect): string {
  const stack = error instanceof Error ? error.stack ?? error.message : String(error);
  return `Defect in ${target}; to see it again:

  deno task fuzz --target ${JSON.stringify(target)} --seed ${seed}

${counterexample.slice(0, MAX_DESCRIBED_CHARS)}

${stack}
`;
}
