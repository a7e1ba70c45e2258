/**
 * Lines and a progress bar for the command line tools.
 *
 * Imports nothing.
 */

const BAR_WIDTH = 30;
const encoder = new TextEncoder();

/** Writes to standard output; a progress bar stays below the lines. */
export class Terminal {
  readonly #isTerminal = Deno.stdout.isTerminal();
  #bar = "";
  #printedTenths = 0;

  /** Prints a line. What steers a terminal is escaped: the text may be the server's. */
  print(text: string): void {
    const line = text.replace(
      /\p{Cc}/gu,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
    if (this.#isTerminal) write(`\r\x1b[K${line}\n${this.#bar}`);
    else write(`${line}\n`);
  }

  /** Shows a progress bar; where there is no terminal, a line for each tenth. */
  progress(fraction: number, text: string): void {
    const filled = Math.round(Math.min(1, fraction) * BAR_WIDTH);
    const bar = `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${text}`;
    if (this.#isTerminal) {
      this.#bar = bar;
      write(`\r\x1b[K${bar}`);
    } else if (Math.floor(fraction * 10) > this.#printedTenths) {
      this.#printedTenths = Math.floor(fraction * 10);
      this.print(bar);
    }
  }

  /** Leaves the progress bar as it is. */
  endProgress(): void {
    if (this.#bar !== "") write("\n");
    this.#bar = "";
  }
}

function write(text: string): void {
  let rest = encoder.encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch {
    // Whoever read the output is gone (EPIPE). The call goes on.
  }
}
