/**
 * Answers in plain text, for people who look at them.
 *
 * Imports nothing.
 */

/** An answer of one line. */
export function textResponse(
  status: number,
  line: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(`${line}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  });
}
