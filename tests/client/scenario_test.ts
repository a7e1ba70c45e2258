import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { MAX_SCENARIO_STEPS, parseScenario, ScenarioError } from "../../lib/client/scenario.ts";

const ALL = [
  { at: 0, do: "dtmf", digits: "0123456789*#ABCD" },
  { at: 1.5, do: "pause" },
  { at: 1.5, do: "resume" },
  { at: 2, do: "update", language: "cmn-CN" },
  { at: 3, do: "discard", seconds: 0.5 },
  { at: 4, do: "error", code: 500, message: "Out of order" },
  { at: 5, do: "stall", seconds: 2 },
  { at: 6, do: "close", reason: "reconnect" },
  { at: 7, do: "drop" },
  { at: 8, do: "reset" },
  { at: 86_400, do: "close" },
];

Deno.test("scenario: everything that can be done", () => {
  assertEquals(parseScenario(JSON.stringify({ steps: ALL })), ALL as never);
});

/** Texts of scenarios, and what the message says. */
const WRONG: [text: string, says: RegExp][] = [
  ["", /JSON object such as/],
  ["{", /JSON object such as/],
  ["[]", /"steps".*object/],
  ["null", /"steps".*object/],
  ["{}", /"steps": expected a list/],
  [`{"steps": 3}`, /"steps": expected a list/],
  [`{"steps": []}`, /at least one step/],
  [`{"steps": [{"at": 1, "do": "pause"}], "more": 1}`, /unknown field "more"/],
  [JSON.stringify({ steps: Array(MAX_SCENARIO_STEPS + 1).fill(0) }), /at most 1000 steps/],
];

const PAUSE = { at: 1, do: "pause" };

/** Second steps, and what the message says of them. */
const WRONG_STEPS: [step: unknown, says: RegExp][] = [
  [null, /object/],
  ["pause", /object/],
  [{}, /"do" to be one of pause, resume, update, dtmf/],
  [{ at: 2, do: "hang up" }, /"do" to be one of .*drop, reset, close/],
  [{ do: "pause" }, /"at": expected a number of seconds from 0 to 86400/],
  [{ at: "2", do: "pause" }, /"at": expected a number of seconds/],
  [{ at: -1, do: "pause" }, /"at": expected a number of seconds/],
  [{ at: 86_401, do: "pause" }, /"at": expected a number of seconds/],
  [{ at: 0.5, do: "pause" }, /"at" to be at least 1, the time of the step before/],
  [{ at: 2, do: "pause", seconds: 3 }, /unknown field "seconds"/],
  [{ at: 2, do: "update" }, /"language"/],
  [{ at: 2, do: "update", language: "not a language" }, /"language": expected a language tag/],
  [{ at: 2, do: "dtmf", digits: 12 }, /"digits": expected the digits in quotation marks/],
  [{ at: 2, do: "dtmf", digits: "" }, /"digits": expected 1 to 64/],
  [{ at: 2, do: "dtmf", digits: "1x" }, /"digits": expected 1 to 64/],
  [{ at: 2, do: "dtmf", digits: "1".repeat(65) }, /"digits": expected 1 to 64/],
  [{ at: 2, do: "discard" }, /"seconds": expected a number of seconds/],
  [{ at: 2, do: "discard", seconds: 3601 }, /"seconds": expected a number of seconds/],
  [{ at: 2, do: "discard", seconds: 0 }, /"seconds": .* greater than 0 and at most 3600/],
  [{ at: 2, do: "stall", seconds: 0 }, /"seconds": .* greater than 0 and at most 300/],
  [{ at: 2, do: "stall", seconds: 301 }, /"seconds": .* greater than 0 and at most 300/],
  [{ at: 2, do: "error", code: 399, message: "" }, /"code": expected a whole number/],
  [{ at: 2, do: "error", code: 400.5, message: "" }, /"code": expected a whole number/],
  [{ at: 2, do: "error", code: 500 }, /"message": expected a text/],
  [{ at: 2, do: "error", code: 500, message: "x".repeat(1001) }, /"message": .*1000 characters/],
  [{ at: 2, do: "close", reason: "bye" }, /"reason": expected one of end, error/],
];

Deno.test("scenario: what is no scenario gets told what is right", () => {
  for (const [text, says] of WRONG) {
    const { message } = assertThrows(() => parseScenario(text), ScenarioError);
    assertMatch(message, says, text);
  }
});

Deno.test("scenario: a wrong step is named, and told what is right", () => {
  for (const [step, says] of WRONG_STEPS) {
    const text = JSON.stringify({ steps: [PAUSE, step, PAUSE] });
    const { message } = assertThrows(() => parseScenario(text), ScenarioError);
    assert(message.startsWith("Step 2: "), `${text}: ${message}`);
    assertMatch(message, says, text);
    assert(!message.includes("\n"), message);
  }
});

Deno.test("scenario: any text is a scenario, or gets a ScenarioError", () => {
  const step = fc.record({
    at: fc.oneof(fc.integer({ min: -1, max: 5 }), fc.jsonValue()),
    do: fc.constantFrom("pause", "dtmf", "close", "x", 1),
    digits: fc.constantFrom("1", "", 1),
  }, { requiredKeys: [] });
  const value = fc.oneof(
    fc.jsonValue(),
    fc.record({ steps: fc.array(fc.oneof(step, fc.jsonValue())) }),
  );
  fc.assert(fc.property(value, (given) => {
    try {
      parseScenario(JSON.stringify(given));
    } catch (error) {
      assert(error instanceof ScenarioError, String(error));
    }
  }));
});
