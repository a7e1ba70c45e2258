/**
 * Durations on the wire: ISO 8601 in seconds, `PT1.5S` (protocol section 4).
 *
 * Inside the program a duration is a whole number of nanoseconds (exact in a double up to 104
 * days) or a whole number of samples. Nothing here rounds a value that the wire can express in
 * samples: one sample at 8,000 Hz is 125 µs, and a lost one would shift all audio after it.
 *
 * Imports nothing but zod.
 */
import { z } from "zod";

/** Longest duration and position that is believed: 31 days, in seconds. */
export const MAX_DURATION_SECONDS = 31 * 24 * 3600;

const NANOSECONDS_PER_SECOND = 1_000_000_000;
// Clients print doubles: more digits than nanoseconds are accepted, and cut off.
const PATTERN = /^PT(\d{1,7})(?:\.(\d{1,32}))?S$/;

/**
 * Reads a duration.
 *
 * @param text Text of the form `PT<seconds>S` or `PT<seconds>.<fraction>S`.
 * @returns Whole nanoseconds, or `undefined` if the text is no such duration or is longer than
 * {@link MAX_DURATION_SECONDS}.
 */
export function parseDuration(text: string): number | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const seconds = Number(match[1]);
  const nanoseconds = Number((match[2] ?? "").slice(0, 9).padEnd(9, "0"));
  const total = seconds * NANOSECONDS_PER_SECOND + nanoseconds;
  return total > MAX_DURATION_SECONDS * NANOSECONDS_PER_SECOND ? undefined : total;
}

/**
 * Prints a duration, exactly and without an exponent.
 *
 * @param nanoseconds Whole and not negative.
 * @throws {RangeError} If it is neither.
 */
export function formatDuration(nanoseconds: number): string {
  if (!Number.isSafeInteger(nanoseconds) || nanoseconds < 0) {
    throw new RangeError(`Expected a whole number of nanoseconds, got ${nanoseconds}`);
  }
  const seconds = Math.floor(nanoseconds / NANOSECONDS_PER_SECOND);
  const rest = nanoseconds % NANOSECONDS_PER_SECOND;
  const fraction = rest === 0 ? "" : `.${String(rest).padStart(9, "0").replace(/0+$/, "")}`;
  return `PT${seconds}${fraction}S`;
}

/**
 * Reads a duration as a number of samples.
 *
 * @param text A duration that {@link parseDuration} accepts.
 * @param rate Samples per second.
 * @returns The nearest whole number of samples: a client that prints doubles may be off by one in
 * the last digit, and must not lose a sample by it.
 * @throws {RangeError} If the text is no duration.
 */
export function durationToSamples(text: string, rate: number): number {
  const nanoseconds = parseDuration(text);
  if (nanoseconds === undefined) throw new RangeError("Expected a duration such as PT1.5S");
  return Math.round(nanoseconds / (NANOSECONDS_PER_SECOND / rate));
}

/**
 * Prints a number of samples as a duration.
 *
 * @param samples Whole and not negative.
 * @param rate Samples per second.
 */
export function samplesToDuration(samples: number, rate: number): string {
  const seconds = Math.floor(samples / rate);
  const rest = Math.round((samples % rate) * (NANOSECONDS_PER_SECOND / rate));
  return formatDuration(seconds * NANOSECONDS_PER_SECOND + rest);
}

/** Schema of a duration on the wire; it stays the string that was sent. */
export const durationSchema: z.ZodString = z.string().refine(
  (text) => parseDuration(text) !== undefined,
  { error: `expected a duration such as PT1.5S, of at most ${MAX_DURATION_SECONDS} seconds` },
);
