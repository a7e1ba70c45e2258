import { assertEquals } from "@std/assert";
import type { CallControl } from "../../lib/client/call_control.ts";
import { parseScenario } from "../../lib/client/scenario.ts";
import { describeStep, ScenarioRunner } from "../../lib/client/scenario_runner.ts";

/** Writes down what is asked of it, and lets happen what it is told to. */
class Notebook {
  readonly asked: string[] = [];
  readonly control: CallControl;

  constructor(allows: (name: string) => boolean = () => true) {
    const note = (name: string) => (...args: unknown[]) => {
      this.asked.push([name, ...args].join(" "));
      return allows(name);
    };
    this.control = {
      pause: note("pause"),
      resume: note("resume"),
      update: note("update"),
      dtmf: note("dtmf"),
      discard: note("discard"),
      error: note("error"),
      stall: note("stall"),
      drop: note("drop"),
      reset: note("reset"),
      close: note("close"),
    };
  }

  take(): string[] {
    return this.asked.splice(0);
  }
}

function runner(steps: unknown[], speed = 1): ScenarioRunner {
  return new ScenarioRunner(parseScenario(JSON.stringify({ steps })), speed);
}

Deno.test("scenario runner: nothing is due before the call is open", () => {
  const { control, asked } = new Notebook();
  const scenario = runner([{ at: 0, do: "pause" }]);
  assertEquals(scenario.dueMs, Infinity);
  assertEquals(scenario.run(1e9, control), []);
  assertEquals(asked, []);
  assertEquals(scenario.stepsLeft, 1);
});

Deno.test("scenario runner: each step comes at its time, and those of one time in their order", () => {
  const notebook = new Notebook();
  const scenario = runner([
    { at: 0, do: "update", language: "de-DE" },
    { at: 1.5, do: "pause" },
    { at: 1.5, do: "resume" },
    { at: 3, do: "close" },
  ]);
  scenario.start(1000);
  assertEquals(scenario.dueMs, 1000);
  scenario.run(1000, notebook.control);
  assertEquals(notebook.take(), ["update de-DE"]);
  assertEquals(scenario.dueMs, 2500);
  assertEquals(scenario.run(2499, notebook.control), []);
  assertEquals(notebook.take(), []);
  const results = scenario.run(2500, notebook.control);
  assertEquals(results.map(({ number, wasPossible }) => [number, wasPossible]), [
    [2, true],
    [3, true],
  ]);
  assertEquals(notebook.take(), ["pause", "resume"]);
  assertEquals(scenario.stepsLeft, 1);
  scenario.run(1e6, notebook.control);
  assertEquals(notebook.take(), ["close end"]);
  assertEquals([scenario.dueMs, scenario.stepsLeft], [Infinity, 0]);
  assertEquals(scenario.run(1e9, notebook.control), []);
});

Deno.test("scenario runner: a faster call has its steps sooner, and opening it again changes nothing", () => {
  const scenario = runner([{ at: 3, do: "pause" }], 10);
  scenario.start(500);
  assertEquals(scenario.dueMs, 800);
  scenario.start(700);
  assertEquals(scenario.dueMs, 800);
});

Deno.test("scenario runner: every step asks for what it says, and is described", () => {
  const cases: [step: Record<string, unknown>, asks: string[], described: string][] = [
    [{ do: "pause" }, ["pause"], "pause"],
    [{ do: "resume" }, ["resume"], "resume"],
    [{ do: "update", language: "es" }, ["update es"], "update to es"],
    [{ do: "dtmf", digits: "1#" }, ["dtmf 1", "dtmf #"], "dtmf 1#"],
    [{ do: "discard", seconds: 0.5 }, ["discard 0.5"], "discard 0.5 s"],
    [{ do: "error", code: 500, message: "Oh no" }, ["error 500 Oh no"], "error 500"],
    [{ do: "stall", seconds: 2 }, ["stall 2"], "stall 2 s"],
    [{ do: "drop" }, ["drop"], "drop"],
    [{ do: "reset" }, ["reset"], "reset"],
    [{ do: "close", reason: "error" }, ["close error"], "close (error)"],
    [{ do: "close" }, ["close end"], "close (end)"],
  ];
  for (const [step, asks, described] of cases) {
    const notebook = new Notebook();
    const scenario = runner([{ at: 0, ...step }]);
    scenario.start(0);
    const [result] = scenario.run(0, notebook.control);
    assertEquals(notebook.take(), asks);
    assertEquals(result && describeStep(result.step), described);
  }
});

Deno.test("scenario runner: a step that is not possible is reported, and the next ones come", () => {
  const notebook = new Notebook((name) => name !== "dtmf");
  const scenario = runner([{ at: 0, do: "dtmf", digits: "12" }, { at: 0, do: "pause" }]);
  scenario.start(0);
  const results = scenario.run(0, notebook.control);
  assertEquals(results.map(({ wasPossible }) => wasPossible), [false, true]);
  assertEquals(notebook.take(), ["dtmf 1", "pause"]);
});
