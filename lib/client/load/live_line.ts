/**
 * How a load goes, in one line: rewritten each second on a terminal, a line every few seconds
 * elsewhere.
 *
 * Imports how text is written from the configuration.
 */
import { escapeControls, writeText } from "../../config/text_output.ts";
import { formatMs } from "./load_report.ts";
import type { TimeSummary } from "./histogram.ts";
import type { LoadProgress } from "./load_result.ts";

/** The line. */
export class LiveLine {
  readonly #to: typeof Deno.stdout | typeof Deno.stderr;
  readonly #isTerminal: boolean;
  #isShown = false;
  #pong: TimeSummary | undefined;

  /** @param to Where it is written. */
  constructor(to: typeof Deno.stdout | typeof Deno.stderr) {
    this.#to = to;
    this.#isTerminal = to.isTerminal();
  }

  /** How often the state should be shown. */
  get intervalMs(): number {
    return this.#isTerminal ? 1000 : 5000;
  }

  /** Shows the present state. */
  show(progress: LoadProgress): void {
    // Few sessions do not ping in every second: the last ones are better than none.
    if (progress.pong.count > 0) this.#pong = progress.pong;
    const line = progressLine({ ...progress, pong: this.#pong ?? progress.pong });
    if (this.#isTerminal) {
      // What does not fit would begin a new line, which is not rewritten.
      writeText(this.#to, `\r\x1b[K${line.slice(0, columns() - 1)}`);
      this.#isShown = true;
    } else {
      writeText(this.#to, `${line}\n`);
    }
  }

  /** Writes a line of its own. What steers a terminal is escaped. */
  print(text: string): void {
    this.end();
    writeText(this.#to, `${escapeControls(text)}\n`);
  }

  /** Leaves the line as it is. */
  end(): void {
    if (this.#isShown) writeText(this.#to, "\n");
    this.#isShown = false;
  }
}

/** Width of the terminal. */
function columns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    // Some streams are a terminal, and those that are asked are none.
    return 80;
  }
}

/** The state as text. */
export function progressLine(progress: LoadProgress): string {
  const { opening, open, closing, ended, failed, violations, pong, lateness } = progress;
  return [
    `${Math.round(progress.elapsedSeconds)} s`,
    `${opening} opening, ${open} open, ${closing} closing, ${ended} ended`,
    `${Math.round(progress.framesPerSecond)} frames/s, late p99 ${formatMs(lateness.p99Ms)}`,
    `RTT p50 ${formatMs(pong.p50Ms)} p99 ${formatMs(pong.p99Ms)}`,
    `${failed} failed, ${violations} violations`,
  ].join(" | ");
}
