/**
 * What is fuzzed: a target, and the tally of what its inputs reached.
 */
import type fc from "fast-check";

/** One thing that takes input from the network, and how to find out whether it stands it. */
export interface FuzzTarget<I> {
  /** For the command line and the table. */
  readonly name: string;
  /** What one input is. */
  readonly input: string;
  /** Makes inputs, and shrinks those that found a defect. */
  readonly arbitrary: fc.Arbitrary<I>;
  /** How many values of {@link FuzzTarget.arbitrary} are tried with one seed: less than a second. */
  readonly batch: number;
  /**
   * Shares of the inputs that have to get this far, from 0 to 1: a fuzzer whose inputs are all
   * refused at the door finds nothing, and looks as if there were nothing to find.
   */
  readonly mustReach: Readonly<Record<string, number>>;
  /** Runs one value against the real code; whatever it throws is a defect. */
  run(value: I, tally: Tally): void | Promise<void>;
  /** A value for people: what was fed, rather than the numbers that it was made from. */
  describe(value: I): string;
  /** A value has several inputs: `run` counts and times them itself. */
  readonly hasSeveral?: boolean;
  /** What has to run meanwhile. */
  start?(): Promise<AsyncDisposable>;
}

/** What the inputs of one target came to. */
export class Tally {
  inputs = 0;
  slowestMs = 0;
  /** Time spent, with what it takes to make inputs. */
  spentMs = 0;
  readonly #reached = new Map<string, number>();

  /** An input was tried. */
  tried(ms: number): void {
    this.inputs++;
    this.slowestMs = Math.max(this.slowestMs, ms);
  }

  /** An input got somewhere; call it once per input and place. */
  reached(place: string): void {
    this.#reached.set(place, (this.#reached.get(place) ?? 0) + 1);
  }

  /** An input got to several places, each of which counts once. */
  reachedAll(places: ReadonlySet<string>): void {
    for (const place of places) this.reached(place);
  }

  /** Share of the inputs that got somewhere. */
  share(place: string): number {
    return (this.#reached.get(place) ?? 0) / Math.max(1, this.inputs);
  }

  /** All places that were reached, the most frequent first. */
  places(): string[] {
    return [...this.#reached].sort((one, other) => other[1] - one[1]).map(([place]) => place);
  }

  /** What was reached too rarely, in words. */
  missed(mustReach: Readonly<Record<string, number>>): string[] {
    return Object.entries(mustReach)
      .filter(([place, least]) => this.share(place) < least)
      .map(([place, least]) => `${place}: ${this.share(place)}, expected at least ${least}`);
  }
}

/** The same share for several places. */
export function shares(
  prefix: string,
  names: readonly string[],
  share: number,
): Readonly<Record<string, number>> {
  return Object.fromEntries(names.map((name) => [`${prefix} ${name}`, share]));
}
