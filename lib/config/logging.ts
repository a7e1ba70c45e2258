/**
 * Sets up LogTape. Every other room only asks for a logger below the category "audiohook", and
 * knows neither levels nor formats.
 *
 * Must not import: anything of lib outside this folder.
 */
import { compareLogLevel, configureSync, type LogRecord } from "@logtape/logtape";
import { formatJson, prettyFormatter } from "./log_formatters.ts";
import type { Settings } from "./settings.ts";
import { writeText } from "./text_output.ts";

/** The root of all log categories of this project. */
export const LOG_CATEGORY = "audiohook";

/** What {@link configureLogging} needs to know of the settings. */
export interface LoggingOptions {
  /** Lowest level that is logged. */
  readonly level: Settings["logLevel"];
  /** Form of the log lines. */
  readonly format: Settings["logFormat"];
}

/**
 * Sets up logging for the whole process; called again, it replaces the set-up. Every record is
 * written before the logging call returns, so that the last words of a failing process are not
 * lost.
 *
 * @param write Takes one record, which ends in a newline. By default it goes to standard output,
 * with colours if that is a terminal and `NO_COLOR` is not set.
 * @example
 * ```ts
 * import { getLogger } from "@logtape/logtape";
 *
 * configureLogging({ level: "info", format: "json" });
 * getLogger(["audiohook", "server"]).info("Listening on {port}", { port: 8000 });
 * ```
 */
export function configureLogging(
  { level, format }: LoggingOptions,
  write?: (line: string) => void,
): void {
  const colours = write === undefined && Deno.stdout.isTerminal() && !Deno.noColor;
  const formatter = format === "json" ? formatJson : prettyFormatter(colours);
  const writeLine = write ?? ((line: string) => writeText(Deno.stdout, line));
  configureSync({
    // There may be a set-up already: a command may change it, tests do.
    reset: true,
    sinks: { output: (record: LogRecord) => writeLine(formatter(record)) },
    loggers: [
      { category: LOG_CATEGORY, sinks: ["output"], lowestLevel: level },
      {
        // LogTape about itself: at info it would greet us at every start.
        category: ["logtape", "meta"],
        sinks: ["output"],
        lowestLevel: compareLogLevel(level, "warning") > 0 ? level : "warning",
      },
    ],
  });
}
