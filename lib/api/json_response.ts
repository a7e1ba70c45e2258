/**
 * Answers in JSON.
 *
 * Imports nothing.
 */

/** Of every answer: recordings are personal data, and nobody shall guess what they are. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "private, no-store",
  "x-content-type-options": "nosniff",
};

const encoder = new TextEncoder();

/** An answer with a value as JSON, in UTF-8. */
export function jsonResponse(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const bytes = encoder.encode(`${JSON.stringify(value)}\n`);
  return new Response(bytes, {
    status,
    headers: {
      ...COMMON_HEADERS,
      "content-type": "application/json; charset=utf-8",
      // Said here, so that HEAD has it, too.
      "content-length": String(bytes.length),
      ...headers,
    },
  });
}
