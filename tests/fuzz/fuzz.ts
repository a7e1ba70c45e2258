/**
 * `deno task fuzz`: tries inputs for a while, all targets by turns, and tells how many there were.
 */
import { parseArgs } from "node:util";
import { writeText } from "../../lib/config/text_output.ts";
import { listenForStopSignals } from "../../lib/config/stop_signals.ts";
import { clientSessionTarget } from "./client_session_target.ts";
import { codecTarget } from "./codec_target.ts";
import { type Defect, describeDefect, fuzzBatch } from "./fuzz_batch.ts";
import { fuzzTable } from "./fuzz_table.ts";
import { type FuzzTarget, Tally } from "./fuzz_target.ts";
import { serverSessionTarget } from "./server_session_target.ts";
import { signatureTarget } from "./signature_target.ts";
import { upgradeTarget } from "./upgrade_target.ts";

/** All that is fuzzed. */
export const TARGETS: readonly FuzzTarget<unknown>[] = [
  codecTarget,
  serverSessionTarget,
  clientSessionTarget,
  signatureTarget,
  upgradeTarget,
] as FuzzTarget<unknown>[];

const HELP = `Tries inputs that were valid once, and looks for one that breaks something.

Usage: deno task fuzz [options]

  --seconds N    How long, at least a batch of each target. Default: 30
  --target NAME  Only this one: ${TARGETS.map(({ name }) => name).join(", ")}
  --seed N       Where the inputs begin; the same ones again with the same number.
                 Default: another one each time
  --help         This text

Ends with 0 if nothing was found, 1 if something was, 2 if the options are wrong.
Ctrl-C ends it, and prints what was done so far.`;

/** The options are wrong; the message says what is right. */
class UsageError extends Error {}

interface FuzzOptions {
  readonly seconds: number;
  readonly targets: readonly FuzzTarget<unknown>[];
  readonly seed: number;
}

/** What a command needs of the world. */
export interface FuzzCommandParts {
  readonly targets?: readonly FuzzTarget<unknown>[];
  readonly print?: (text: string) => void;
  readonly printError?: (text: string) => void;
  /** Shows what is going on, where there is a terminal. */
  readonly progress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** A target, and what was tried of it. */
export interface FuzzState {
  readonly target: FuzzTarget<unknown>;
  readonly tally: Tally;
  /** Seeds count up from the one that was asked for, a batch each. */
  batches: number;
  /** After the first, there would be nothing else to see. */
  defect?: Defect;
}

/**
 * Runs the command.
 *
 * @returns The exit code.
 */
export async function fuzzCommand(
  args: readonly string[],
  {
    targets = TARGETS,
    print = (text) => writeText(Deno.stdout, text),
    printError = (text) => writeText(Deno.stderr, text),
    progress = () => {},
    signal,
  }: FuzzCommandParts = {},
): Promise<number> {
  let options: FuzzOptions | undefined;
  try {
    options = readOptions(args, targets);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    printError(`${error.message}\n\n${HELP}\n`);
    return 2;
  }
  if (options === undefined) {
    print(`${HELP}\n`);
    return 0;
  }
  const { seed } = options;
  const states = await fuzz(options, progress, signal);
  for (const { defect } of states) if (defect !== undefined) print(`${describeDefect(defect)}\n`);
  print(`${fuzzTable(states)}\n\nSeed: ${seed}\n`);
  return states.some(({ defect }) => defect !== undefined) ? 1 : 0;
}

async function fuzz(
  { seconds, targets, seed }: FuzzOptions,
  progress: (text: string) => void,
  signal: AbortSignal | undefined,
): Promise<readonly FuzzState[]> {
  const states: FuzzState[] = targets.map((target) => ({
    target,
    tally: new Tally(),
    batches: 0,
  }));
  await using running = new AsyncDisposableStack();
  for (const target of targets) {
    if (target.start !== undefined) running.use(await target.start());
  }
  const endMs = performance.now() + seconds * 1000;
  while (!signal?.aborted) {
    // Most targets wait for nothing, and so would never let a Ctrl-C in.
    await new Promise((resolve) => setTimeout(resolve, 0));
    // The one that had the least time is next.
    const [next] = states.filter(({ defect }) => defect === undefined)
      .sort((one, other) => one.tally.spentMs - other.tally.spentMs);
    if (next === undefined || performance.now() >= endMs && next.batches > 0) break;
    next.defect = await fuzzBatch(next.target, seed + next.batches++, next.tally);
    const inputs = states.map(({ target, tally }) => `${target.name} ${tally.inputs}`);
    progress(`${inputs.join(", ")} (seed ${seed})`);
  }
  return states;
}

function readOptions(
  args: readonly string[],
  targets: readonly FuzzTarget<unknown>[],
): FuzzOptions | undefined {
  const { seconds = "30", target, seed, help } = parse(args);
  if (help) return undefined;
  const time = Number(seconds);
  if (!(time > 0 && time < Infinity) || seconds.trim() === "") {
    throw new UsageError(`Expected a number of seconds after --seconds, got "${seconds}"`);
  }
  const chosen = targets.filter(({ name }) => target === undefined || name === target);
  if (chosen.length === 0) throw new UsageError(`There is no target "${target}"`);
  const number = seed === undefined ? Math.floor(Math.random() * 2 ** 30) : Number(seed);
  if (!Number.isSafeInteger(number) || Math.abs(number) >= 2 ** 31 || seed?.trim() === "") {
    throw new UsageError(`Expected a whole number below 2^31 after --seed, got "${seed}"`);
  }
  return { seconds: time, targets: chosen, seed: number };
}

function parse(
  args: readonly string[],
): { seconds?: string; target?: string; seed?: string; help?: boolean } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seconds: { type: "string" },
        target: { type: "string" },
        seed: { type: "string" },
        help: { type: "boolean" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

if (import.meta.main) {
  const controller = new AbortController();
  listenForStopSignals(() => controller.abort());
  const isTerminal = Deno.stdout.isTerminal();
  const progress = (text: string) => {
    if (isTerminal) writeText(Deno.stdout, `\r\x1b[K${text}`);
  };
  const code = await fuzzCommand(Deno.args, {
    progress,
    print: (text) => writeText(Deno.stdout, isTerminal ? `\r\x1b[K${text}` : text),
    signal: controller.signal,
  });
  Deno.exit(code);
}
