/**
 * `deno task check`: checks whether an AudioHook server keeps the protocol, from the command line.
 *
 * Imports its neighbours, and the configuration for its defaults.
 */
import { describeFailure } from "../../config/describe_failure.ts";
import { loadSettings } from "../../config/load_settings.ts";
import { listenForStopSignals } from "../../config/stop_signals.ts";
import { writeText } from "../../config/text_output.ts";
import {
  parseOptions,
  readNumber,
  readOptional,
  readUuid,
  readWholeNumber,
} from "../option_values.ts";
import { runCommand } from "../run_command.ts";
import {
  readServerOptions,
  SERVER_OPTIONS,
  SERVER_OPTIONS_HELP,
  UsageError,
} from "../server_options.ts";
import { type CheckReport, countVerdicts, isConforming } from "./check_report.ts";
import { htmlReport } from "./html_report.ts";
import { type CheckOptions, PARALLEL_CASES, runChecks, selectCases } from "./run_checks.ts";
import { caseList, textReport } from "./text_report.ts";

const MAX_PARALLEL = 64;
const MAX_TIMEOUT_SCALE = 100;

const HELP = `Checks whether an AudioHook server keeps the protocol: any server, in any language.

Usage: deno task check [URL] [options]

${SERVER_OPTIONS_HELP}
  --org UUID      Organization that calls. Default: a random one
  --only NAMES    Only the cases whose names begin so: --only auth,open.media
                  With * for anything: --only "*close*"
  --list          Lists the cases (those of --only), and checks nothing
  --json          One JSON document in place of the report
  --html FILE     Writes a page, with what went over the wire where something is wrong
  --parallel N    How many cases run at once. Default: ${PARALLEL_CASES}
  --timeout-scale N
                  How much longer everything may take than the protocol allows. Default: 1
                  A case has 16 s times N; what a slow server needs more for is skipped
  --help          This text (also -h)

It places some 200 short calls without a caller, and some connections that have to be refused;
a server that counts these may refuse more for a minute.
Ends with 0 if nothing failed, 1 if something did or could not be checked because of a defect of
the checker, or if nothing could be checked, 2 if the options are wrong. Ctrl-C ends it with 1 and
a report of what was checked, once the cases that run are over; a second one, a second later, ends
it at once.`;

interface CommandOptions extends CheckOptions {
  readonly json: boolean;
  readonly html: string | undefined;
}

type Values = ReturnType<typeof parse>["values"];

/**
 * Runs the command.
 *
 * @returns The exit code.
 */
export function checkCommand(args: readonly string[]): Promise<number> {
  return runCommand(async (output) => {
    const { values, positionals } = parse(args);
    if (values.help || values.list) {
      output.write(values.help ? `${HELP}\n` : caseList(readCases(values.only)));
      return 0;
    }
    const options = await readOptions(values, positionals);
    const controller = new AbortController();
    listenForStopSignals(() => controller.abort());
    const progress = new Progress();
    const report = await runChecks({
      ...options,
      signal: controller.signal,
      onResult: (_result, done, total) => progress.show(`${done} of ${total} cases`),
    });
    progress.clear();
    const hasColor = Deno.stdout.isTerminal() && !Deno.noColor;
    output.write(options.json ? jsonReport(report) : textReport(report, hasColor));
    // Last: where the page cannot be written, there is the other report.
    if (options.html !== undefined) await writeFile(options.html, htmlReport(report));
    return isConforming(report) && !controller.signal.aborted ? 0 : 1;
  });
}

function jsonReport(report: CheckReport): string {
  return `${JSON.stringify({ ...report, summary: countVerdicts(report.results) }, null, 2)}\n`;
}

function parse(args: readonly string[]) {
  const string = { type: "string" } as const;
  const boolean = { type: "boolean" } as const;
  return parseOptions({
    args: [...args],
    allowPositionals: true,
    options: {
      ...SERVER_OPTIONS,
      "org": string,
      "only": string,
      "html": string,
      "parallel": string,
      "timeout-scale": string,
      "list": boolean,
      "json": boolean,
      "help": { ...boolean, short: "h" },
    },
  }, ["only"]);
}

async function readOptions(
  values: Values,
  [address, ...more]: readonly string[],
): Promise<CommandOptions> {
  if (more.length > 0 || address !== undefined && values.url !== undefined) {
    throw new UsageError("Expected one address of a server; see --help");
  }
  readCases(values.only);
  const { html, key, secret } = values;
  const organizationId = readOptional(values.org, (value) => readUuid("--org", value));
  const parallel = readOptional(
    values.parallel,
    (value) => readWholeNumber("--parallel", value, 1, MAX_PARALLEL),
  );
  const timeoutScale = readOptional(
    values["timeout-scale"],
    (value) => readNumber("--timeout-scale", value, 1, MAX_TIMEOUT_SCALE),
  );
  const url = address ?? values.url;
  const server = await readServerOptions({ url, key, secret }, await loadSettings());
  // Now: nobody wants to learn it when all is done.
  if (html !== undefined) await writeFile(html, "");
  return {
    ...server,
    organizationId,
    parallel,
    timeoutScale,
    only: values.only,
    json: values.json === true,
    html,
  };
}

function readCases(only: string | undefined) {
  const cases = selectCases(only);
  if (cases.length === 0) throw new UsageError(`No case is called ${only}; --list tells them all`);
  return cases;
}

async function writeFile(path: string, text: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, text);
  } catch (error) {
    throw new UsageError(
      `Expected the path of a file after --html, got ${path} (${describeFailure(error)})`,
    );
  }
}

/** How far it is, on standard error, where somebody looks at it. */
class Progress {
  readonly #isTerminal = Deno.stderr.isTerminal();

  show(text: string): void {
    if (this.#isTerminal) writeText(Deno.stderr, `\r\x1b[K${text}`);
  }

  clear(): void {
    this.show("");
  }
}

if (import.meta.main) Deno.exit(await checkCommand(Deno.args));
