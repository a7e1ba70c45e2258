/**
 * Lines and a progress bar for the command line tools.
 *
 * Imports its neighbours, and how text is written from the configuration.
 */
import { escapeControls } from "../config/text_output.ts";
import { ReportOutput } from "./report_output.ts";

const BAR_WIDTH = 30;

/** Writes to standard output; a progress bar stays below the lines. */
export class Terminal {
  readonly #output: ReportOutput;
  readonly #isTerminal = Deno.stdout.isTerminal();
  #bar = "";
  #printedTenths = 0;

  /** @param output Where it is written; one of its own unless given. */
  constructor(output = new ReportOutput()) {
    this.#output = output;
  }

  /** Prints a line. What steers a terminal is escaped: the text may be the server's. */
  print(text: string): void {
    const line = escapeControls(text);
    if (this.#isTerminal) this.#output.write(`\r\x1b[K${line}\n${this.#bar}`);
    else this.#output.write(`${line}\n`);
  }

  /** Shows a progress bar; where there is no terminal, a line for each tenth. */
  progress(fraction: number, text: string): void {
    const filled = Math.round(Math.min(1, fraction) * BAR_WIDTH);
    const bar = `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${text}`;
    if (this.#isTerminal) {
      this.#bar = bar;
      this.#output.write(`\r\x1b[K${bar}`);
    } else if (Math.floor(fraction * 10) > this.#printedTenths) {
      this.#printedTenths = Math.floor(fraction * 10);
      this.print(bar);
    }
  }

  /** Leaves the progress bar as it is. */
  endProgress(): void {
    if (this.#bar !== "") this.#output.write("\n");
    this.#bar = "";
  }
}
