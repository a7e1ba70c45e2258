/**
 * Standard output as the place of a tool's report: a report that got lost is no success.
 *
 * Imports the configuration's ways with text and failures.
 */
import { describeFailure } from "../config/describe_failure.ts";
import { writeText } from "../config/text_output.ts";

/** Standard output, and whether all that was written is there. */
export class ReportOutput {
  #failure: unknown;

  /** Writes text as it is. Never throws. */
  write(text: string): void {
    const failure = writeText(Deno.stdout, text);
    this.#failure ??= failure;
  }

  /**
   * The exit code of a tool that would end with this one. If some of the report is lost, it is not
   * 0, and standard error has a line on why. Whoever stops reading wanted no more.
   */
  exitCode(code: number): number {
    if (this.#failure === undefined) return code;
    const why = describeFailure(this.#failure);
    writeText(
      Deno.stderr,
      `Cannot write all of the report to standard output (${why}): write it to another place\n`,
    );
    return code === 0 ? 1 : code;
  }
}
