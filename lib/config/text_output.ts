/**
 * Text for people and logs: how it is written, and what must not be in it.
 *
 * Must not import: anything else in lib.
 */

const encoder = new TextEncoder();

/**
 * Writes all of a text before it returns. The calls go on, whatever happens.
 *
 * @returns What went wrong, such as a full disk; `undefined` if nothing did, or if whoever read it
 * is gone (EPIPE).
 */
export function writeText(to: typeof Deno.stdout | typeof Deno.stderr, text: string): unknown {
  let rest = encoder.encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(to.writeSync(rest));
  } catch (error) {
    return error instanceof Deno.errors.BrokenPipe ? undefined : error;
  }
  return undefined;
}

/** Escapes what could forge a line or steer a terminal: values may come from the network. */
export function escapeControls(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
