/**
 * Whole numbers in settings.
 *
 * Must not import: anything of lib outside this folder.
 */
import { z } from "zod";

/** A whole number in decimal digits, within bounds. */
export function wholeNumber(min: number, max: number): z.ZodType<number, string> {
  const problem = { error: `expected a whole number from ${min} to ${max}` };
  return z.string().regex(/^\d{1,10}$/, problem).transform(Number).refine(
    (value) => value >= min && value <= max,
    problem,
  );
}
