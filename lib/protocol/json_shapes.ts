/**
 * Schemas of what may be large: they look at no more than they have to, and stop at the first
 * fault. zod's own copy every entry and list every fault, which costs the time of others.
 *
 * Imports nothing but zod.
 */
import { z } from "zod";

/** Any JSON object; it is not copied. */
export const objectSchema: z.ZodType<Record<string, unknown>> = z.custom<Record<string, unknown>>(
  isObject,
  {
    error: "expected an object",
  },
);

/** An object whose values are texts; it is not copied. */
export const stringMapSchema: z.ZodType<Record<string, string>> = z.custom<Record<string, string>>(
  (value) => {
    if (!isObject(value)) return false;
    for (const key in value) if (typeof value[key] !== "string") return false;
    return true;
  },
  { error: "expected an object whose values are texts" },
);

/** A list of at most so many items, of which none is looked at if there are more. */
export function shortListSchema<T extends z.ZodType>(
  item: T,
  maxLength: number,
): z.ZodType<z.output<T>[]> {
  return z.custom((value) => !Array.isArray(value) || value.length <= maxLength, {
    error: `expected at most ${maxLength} items`,
  }).pipe(z.array(item)) as z.ZodType<z.output<T>[]>;
}

/** Parameters of a message that has none. Others are ignored: the protocol grows by adding them. */
export const noParametersSchema: z.ZodObject = z.object({});

/** Tells whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
