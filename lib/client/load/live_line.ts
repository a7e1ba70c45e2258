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

const DEFAULT_COLUMNS = 80;
const SEPARATOR = " | ";

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
    // What does not fit would begin a new line, which is not rewritten.
    const maxCharacters = this.#isTerminal ? columns() - 1 : Infinity;
    const line = progressLine({ ...progress, pong: this.#pong ?? progress.pong }, maxCharacters);
    if (this.#isTerminal) {
      writeText(this.#to, `\r\x1b[K${line}`);
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
    // A terminal that does not know its size says 0.
    return Deno.consoleSize().columns || DEFAULT_COLUMNS;
  } catch {
    // Some streams are a terminal, and those that are asked are none.
    return DEFAULT_COLUMNS;
  }
}

/**
 * The state as text.
 *
 * @param maxCharacters If all of it is longer, what matters most comes first, and the rest as far
 * as there is room.
 */
export function progressLine(progress: LoadProgress, maxCharacters: number): string {
  const { opening, open, closing, ended, failed, violations, pong, lateness } = progress;
  const time = `${Math.round(progress.elapsedSeconds)} s`;
  const late = `late p99 ${formatMs(lateness.p99Ms)}`;
  const rate = `${Math.round(progress.framesPerSecond)} frames/s`;
  const roundTrip = `RTT p50 ${formatMs(pong.p50Ms)} p99 ${formatMs(pong.p99Ms)}`;
  const line = [
    time,
    `${opening} opening, ${open} open, ${closing} closing, ${ended} ended`,
    `${rate}, ${late}`,
    roundTrip,
    `${failed} failed, ${violations} violations`,
  ].join(SEPARATOR);
  if (line.length <= maxCharacters) return line;
  let short = `${time}${SEPARATOR}${open} open, ${failed} failed`.slice(0, maxCharacters);
  for (const part of [roundTrip, `${violations} violations`, late, rate]) {
    const longer = `${short}${SEPARATOR}${part}`;
    if (longer.length > maxCharacters) break;
    short = longer;
  }
  return short;
}
