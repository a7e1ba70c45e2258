/**
 * Does what a scenario says, when the time of each step comes.
 *
 * Time is handed in. It is the call's: real time since the server's first `opened`, times the
 * call's speed, because the stream's clock runs on where there is no audio to count (pauses, a
 * session without media, an attempt that is tried again). Imports types only.
 */
import type { CallControl } from "./call_control.ts";
import type { ScenarioStep } from "./scenario.ts";

/** What became of a step. */
export interface StepResult {
  readonly step: ScenarioStep;
  /** Counted from 1, as people count. */
  readonly number: number;
  /** Whether the call let it be done. */
  readonly wasPossible: boolean;
}

/** Runs one scenario in one call. */
export class ScenarioRunner {
  readonly #steps: readonly ScenarioStep[];
  readonly #speed: number;
  #startMs = Infinity;
  #done = 0;

  /**
   * @param steps In the order of their times.
   * @param speed That of the call; 1 is real time.
   */
  constructor(steps: readonly ScenarioStep[], speed: number) {
    this.#steps = steps;
    this.#speed = speed;
  }

  /** The call was opened: its time begins. Once it has begun, nothing happens. */
  start(nowMs: number): void {
    if (this.#startMs === Infinity) this.#startMs = nowMs;
  }

  /** When {@link ScenarioRunner.run} has something to do; `Infinity` if never, or not yet. */
  get dueMs(): number {
    const next = this.#steps[this.#done];
    return next === undefined ? Infinity : this.#startMs + next.at * 1000 / this.#speed;
  }

  /** Does all that is due. */
  run(nowMs: number, control: CallControl): readonly StepResult[] {
    const results: StepResult[] = [];
    for (; this.dueMs <= nowMs; this.#done++) {
      const step = this.#steps[this.#done];
      if (step === undefined) break;
      results.push({ step, number: this.#done + 1, wasPossible: take(step, control) });
    }
    return results;
  }

  /** How many steps did not come yet. */
  get stepsLeft(): number {
    return this.#steps.length - this.#done;
  }
}

function take(step: ScenarioStep, control: CallControl): boolean {
  switch (step.do) {
    case "pause":
    case "resume":
    case "drop":
    case "reset":
      return control[step.do]();
    case "update":
      return control.update(step.language);
    case "dtmf":
      return Array.from(step.digits).every((digit) => control.dtmf(digit));
    case "discard":
    case "stall":
      return control[step.do](step.seconds);
    case "error":
      return control.error(step.code, step.message);
    case "close":
      return control.close(step.reason ?? "end");
  }
}

/** A step in a few words. */
export function describeStep(step: ScenarioStep): string {
  switch (step.do) {
    case "update":
      return `update to ${step.language}`;
    case "dtmf":
      return `dtmf ${step.digits}`;
    case "discard":
    case "stall":
      return `${step.do} ${step.seconds} s`;
    case "error":
      return `error ${step.code}`;
    case "close":
      return `close (${step.reason ?? "end"})`;
    case "pause":
    case "resume":
    case "drop":
    case "reset":
      return step.do;
  }
}
