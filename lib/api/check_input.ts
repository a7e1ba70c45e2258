/**
 * What a request says, checked: its query and its values.
 *
 * Imports zod and its neighbours.
 */
import type { z } from "zod";
import { type ErrorCode, errorResponse } from "./api_error.ts";

/** A checked value, or what the request is answered. */
export type Checked<T> =
  | { readonly outcome: "right"; readonly value: T }
  | { readonly outcome: "refused"; readonly response: Response };

/** Checks a query. Parameters that are unknown or repeated are errors: a typo would go unseen. */
export function checkQuery<S extends z.ZodObject>(
  schema: S,
  text: string,
): Checked<z.output<S>> {
  const values: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(text)) {
    if (Object.hasOwn(values, name) && Object.hasOwn(schema.shape, name)) {
      return refused("invalid_query", `Expected ${name} once, got it more than once`);
    }
    // Not by assignment: of `__proto__`, nothing would be left to complain of.
    Object.defineProperty(values, name, { value, enumerable: true, configurable: true });
  }
  return check(schema, values, "invalid_query");
}

/** Checks a value against a schema. */
export function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  code: ErrorCode,
): Checked<z.output<S>> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { outcome: "right", value: parsed.data };
  const problems = parsed.error.issues.map((issue) => {
    if (issue.code === "unrecognized_keys") return unknownNames(schema);
    const path = issue.path.join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  return refused(code, problems.join("; "));
}

/** A refusal. */
export function refused(
  code: ErrorCode,
  message: string,
): { readonly outcome: "refused"; readonly response: Response } {
  return { outcome: "refused", response: errorResponse(code, message) };
}

/** Says which names there are; the unknown ones may be long, and are not repeated. */
function unknownNames(schema: z.ZodType): string {
  const names = "shape" in schema ? Object.keys(schema.shape as Record<string, unknown>) : [];
  return names.length === 0
    ? "expected no parameters"
    : `expected no other names than ${names.join(", ")}`;
}
