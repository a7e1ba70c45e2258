/**
 * `deno task call`: places a call at an AudioHook server, from the command line.
 *
 * Imports its neighbours, and the configuration for its defaults.
 */
import { describeFailure } from "../config/describe_failure.ts";
import { listenForStopSignals } from "../config/stop_signals.ts";
import { CALL_HELP } from "./call_help.ts";
import { type CallOptions, readCallOptions } from "./call_options.ts";
import { JsonReport } from "./json_report.ts";
import { reportCall } from "./report_call.ts";
import type { ReportOutput } from "./report_output.ts";
import { runCommand } from "./run_command.ts";
import { SavedAudio } from "./saved_audio.ts";
import { UsageError } from "./server_options.ts";
import { TextReport } from "./text_report.ts";

/** What a shell sees of a program that Ctrl-C has ended. */
const INTERRUPTED = 130;

/**
 * Runs the command.
 *
 * @returns The exit code.
 */
export function callCommand(args: readonly string[]): Promise<number> {
  return runCommand(async (output) => {
    const options = await readCallOptions(args);
    if (options !== undefined) return await call(options, output);
    output.write(`${CALL_HELP}\n`);
    return 0;
  });
}

async function call(options: CallOptions, output: ReportOutput): Promise<number> {
  const { saveAudio, isJson, showsMessages } = options;
  const savedAudio = saveAudio === undefined ? undefined : createFile(saveAudio, options);
  const controller = new AbortController();
  listenForStopSignals(() => controller.abort());
  // A second Ctrl-C ends the program wherever it is.
  globalThis.addEventListener("unload", () => savedAudio?.finish());
  const { failures } = await reportCall({
    ...options,
    savedAudio,
    showsMessages,
    report: isJson ? new JsonReport(output) : new TextReport(output),
    signal: controller.signal,
    onQuitKey: isJson ? undefined : (does) => {
      if (does === "interrupt" && controller.signal.aborted) Deno.exit(INTERRUPTED);
      controller.abort();
    },
  });
  return failures.length === 0 ? 0 : 1;
}

function createFile(path: string, { format }: CallOptions): SavedAudio {
  try {
    return SavedAudio.create(path, format);
  } catch (error) {
    const why = error instanceof Deno.errors.AlreadyExists
      ? "is there already: remove it, or name another one"
      : describeFailure(error);
    throw new UsageError(
      `Expected the path of a new file after --save-audio, got ${path} (${why})`,
    );
  }
}

if (import.meta.main) Deno.exit(await callCommand(Deno.args));
