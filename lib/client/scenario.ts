/**
 * A scenario: what a caller does in a call, and when. A JSON file that a person writes.
 *
 * Imports zod, and identifiers from the protocol; no I/O.
 */
import { z } from "zod";
import { languageSchema } from "../protocol/mod.ts";

/** Largest file of a scenario. */
export const MAX_SCENARIO_BYTES = 1_000_000;
/** So much can be done in one call. */
export const MAX_SCENARIO_STEPS = 1000;
/** The longest call that a scenario can be about: a day. */
const MAX_SECONDS = 86_400;

/** A scenario is wrong; the message names the step and says what is right. */
export class ScenarioError extends Error {
  override readonly name = "ScenarioError";
}

function seconds(max: number): z.ZodNumber {
  const problem = { error: `expected a number of seconds from 0 to ${max}` };
  return z.number(problem).min(0, problem).max(max, problem);
}

function amount(max: number): z.ZodNumber {
  const problem = { error: `expected a number of seconds greater than 0 and at most ${max}` };
  return z.number(problem).gt(0, problem).max(max, problem);
}

const at = seconds(MAX_SECONDS);
const digits = z.string({ error: "expected the digits in quotation marks" })
  .regex(/^[0-9*#A-Da-d]{1,64}$/, { error: "expected 1 to 64 of the digits 0-9 * # A-D" });
const code = z.int({ error: "expected a whole number from 400 to 9999" })
  .min(400, { error: "expected a whole number from 400 to 9999" })
  .max(9999, { error: "expected a whole number from 400 to 9999" });
const message = z.string({ error: "expected a text" }).max(1000, {
  error: "expected at most 1000 characters",
});
const REASONS = ["end", "error", "disconnect", "reconnect"] as const;

const stepSchema = z.discriminatedUnion("do", [
  z.strictObject({ at, do: z.literal("pause") }),
  z.strictObject({ at, do: z.literal("resume") }),
  z.strictObject({ at, do: z.literal("update"), language: languageSchema }),
  z.strictObject({ at, do: z.literal("dtmf"), digits }),
  z.strictObject({ at, do: z.literal("discard"), seconds: amount(3600) }),
  z.strictObject({ at, do: z.literal("error"), code, message }),
  z.strictObject({ at, do: z.literal("stall"), seconds: amount(300) }),
  z.strictObject({ at, do: z.literal("drop") }),
  z.strictObject({ at, do: z.literal("reset") }),
  z.strictObject({
    at,
    do: z.literal("close"),
    reason: z.enum(REASONS, { error: `expected one of ${REASONS.join(", ")}` }).optional(),
  }),
]);

/** One thing that is done, `at` so many seconds of the call. */
export type ScenarioStep = z.infer<typeof stepSchema>;

/** What can be done. */
const ACTIONS = stepSchema.options.map((option) => option.shape.do.value);

// The steps one by one, so that a message can name the first that is wrong.
const scenarioSchema = z.strictObject({
  steps: z.array(z.unknown(), { error: "expected a list" })
    .min(1, { error: "expected at least one step" })
    .max(MAX_SCENARIO_STEPS, { error: `expected at most ${MAX_SCENARIO_STEPS} steps` }),
});

/**
 * Reads a scenario.
 *
 * @param text What the file has.
 * @returns The steps, in the order of their times.
 * @throws {ScenarioError} If it is not one.
 */
export function parseScenario(text: string): readonly ScenarioStep[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ScenarioError(
      'Expected a JSON object such as {"steps": [{"at": 3, "do": "pause"}]}',
    );
  }
  const outline = scenarioSchema.safeParse(value);
  if (!outline.success) {
    throw new ScenarioError(
      `Expected {"steps": […]}: ${describe(outline.error, "the scenario")}`,
    );
  }
  let latest = 0;
  return outline.data.steps.map((given, index) => {
    const step = parseStep(given, index + 1);
    if (step.at < latest) {
      throw new ScenarioError(
        `Step ${index + 1}: expected "at" to be at least ${latest}, the time of the step before`,
      );
    }
    latest = step.at;
    return step;
  });
}

function parseStep(given: unknown, number: number): ScenarioStep {
  const parsed = stepSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const isUnknown = parsed.error.issues.some(({ code }) => code === "invalid_union");
  const why = isUnknown
    ? `expected "do" to be one of ${ACTIONS.join(", ")}`
    : describe(parsed.error, "a step");
  throw new ScenarioError(`Step ${number}: ${why}`);
}

/** The first fault: which field, and what was expected. */
function describe(error: z.ZodError, whole: string): string {
  const [issue] = error.issues;
  if (issue?.code === "unrecognized_keys") {
    return `unknown field ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}`;
  }
  const what = issue?.message.replace(/^Invalid input: /, "") ?? "not as expected";
  const path = issue?.path.join(".") ?? "";
  return path === "" ? `${whole} is not right: ${what}` : `"${path}": ${what}`;
}
