/**
 * The header `Retry-After` (RFC 9110): seconds, or a date.
 *
 * Imports nothing; time is an argument.
 */

/** Eleven days: who asks for more is not understood. */
const MAX_SECONDS = 999_999;
/** An HTTP date, as servers write them and as they did. */
const HTTP_DATE = /^[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * When a server says to try again.
 *
 * @param nowMs Present time, in milliseconds since 1970.
 * @returns Whole seconds from now, 0 for a time that has passed; `undefined` if it does not say so.
 */
export function parseRetryAfter(header: string, nowMs: number): number | undefined {
  if (/^\d{1,6}$/.test(header)) return Number(header);
  if (!HTTP_DATE.test(header)) return undefined;
  const seconds = Math.max(0, Math.ceil((Date.parse(header) - nowMs) / 1000));
  // Nor is NaN: a date that there is not.
  return seconds <= MAX_SECONDS ? seconds : undefined;
}
