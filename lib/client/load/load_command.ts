/**
 * `deno task load`: many sessions at an AudioHook server, from the command line.
 *
 * Imports its neighbours, and the configuration.
 */
import { listenForStopSignals } from "../../config/stop_signals.ts";
import { escapeControls } from "../../config/text_output.ts";
import type { ReportOutput } from "../report_output.ts";
import { runCommand } from "../run_command.ts";
import { LiveLine } from "./live_line.ts";
import { HELP, type LoadCommandOptions, readLoadOptions } from "./load_options.ts";
import { reportLines } from "./load_report.ts";
import { runLoad } from "./run_load.ts";

/**
 * Runs the command.
 *
 * @returns The exit code.
 */
export function loadCommand(args: readonly string[]): Promise<number> {
  return runCommand(async (output) => {
    const options = await readLoadOptions(args);
    if (options !== undefined) return await measure(options, output);
    output.write(`${HELP}\n`);
    return 0;
  });
}

async function measure(
  { load, isJson }: LoadCommandOptions,
  output: ReportOutput,
): Promise<number> {
  const controller = new AbortController();
  const live = new LiveLine(isJson ? Deno.stderr : Deno.stdout);
  listenForStopSignals(() => {
    live.print("Closing all sessions");
    controller.abort();
  });
  live.print(
    `Loading ${load.url} with ${load.sessions} sessions of ${load.durationSeconds} s each`,
  );
  const result = await runLoad({
    ...load,
    signal: controller.signal,
    progressIntervalMs: live.intervalMs,
    onProgress: (progress) => live.show(progress),
    onWarning: (warning) => live.print(`Warning: ${warning}`),
  });
  live.end();
  if (isJson) {
    output.write(`${JSON.stringify(result, undefined, 2)}\n`);
  } else {
    const lines = reportLines(result).map(escapeControls);
    output.write(`\n${lines.join("\n")}\n`);
  }
  return result.isGood ? 0 : 1;
}

if (import.meta.main) Deno.exit(await loadCommand(Deno.args));
