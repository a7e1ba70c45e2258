/**
 * What is wrong with a value, in words that may be sent and logged.
 *
 * Imports types of zod only.
 */
import type { z } from "zod";

/** Below these fields, even the names are the customer's own words. */
const PRIVATE_FIELDS: readonly PropertyKey[] = [
  "customConfig",
  "inputVariables",
  "outputVariables",
  "metadata",
];

/** Names the first fault: where, and what was expected. Never a value: it may be personal. */
export function describeProblem(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "not as expected";
  const firstPrivate = issue.path.findIndex((key) => PRIVATE_FIELDS.includes(key));
  const path = firstPrivate < 0 ? issue.path : issue.path.slice(0, firstPrivate + 1);
  const what = issue.message.replace(/^Invalid input: /, "");
  return path.length === 0 ? what : `${path.join(".")}: ${what}`;
}
