/**
 * Text for people and logs: how it is written, and what must not be in it.
 *
 * Must not import: anything else in lib.
 */

const encoder = new TextEncoder();

/** Writes all of a text before it returns. An error is not reported: there is nowhere to. */
export function writeText(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  let rest = encoder.encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(to.writeSync(rest));
  } catch {
    // Whoever read it is gone (EPIPE), or the disk is full. The calls go on.
  }
}

/** Escapes what could forge a line or steer a terminal: values may come from the network. */
export function escapeControls(text: string): string {
  return text.replace(
    /\p{Cc}/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
