/**
 * The options of `deno task load`.
 *
 * Imports its neighbours, and the settings for their defaults.
 */
import { join } from "node:path";
import { describeFailure } from "../../config/describe_failure.ts";
import { loadSettings } from "../../config/load_settings.ts";
import { CallAudio } from "../call_audio.ts";
import {
  parseOptions,
  readNumber,
  readOptional,
  readWav,
  readWholeNumber,
  readWord,
} from "../option_values.ts";
import {
  readServerOptions,
  SERVER_OPTIONS,
  SERVER_OPTIONS_HELP,
  UsageError,
} from "../server_options.ts";
import { sweepingTone } from "./load_audio.ts";
import { readProcessUsage } from "./process_usage.ts";
import type { LoadOptions } from "./run_load.ts";

/** What `--help` prints. */
export const HELP = `Loads an AudioHook server with many sessions, and measures it.

Usage: deno task load [options]

  --sessions N    Sessions at a time, 1 to 50000. Default: 100
  --rate N        Sessions that begin each second, evenly spaced. Default: 50
  --duration S    Seconds of each call, from "opened" to "close". Default: 30
  --hold S        For so many seconds from the beginning, a session that ended is replaced
                  by another one. Default: 0
  --frame-ms N    Length of an audio frame, 20 to 1000. Default: 100
  --ping-interval S  Seconds between pings, 0.1 to 60. Default: 5
  --wav FILE      What is said, over and over: 8 kHz µ-law or 16-bit PCM, mono (the external
                  channel) or stereo. Default: a call of the tests, or a tone if there is none.
                  It is sent as µ-law; each session begins at another place
  --channels C    What is offered: both or external. Default: both
${SERVER_OPTIONS_HELP}

  --pid PID       The server's process, on this machine (Linux): measures CPU and memory
  --verify FOLDER The server's folder of recordings (its DATA_DIR/recordings): compares
                  each one with what was sent, byte by byte
  --drop N%       So many sessions lose their connection in the middle of the call,
  --reset N%      so many have it reset,
  --stall N%      so many stop reading for 1 to 8 seconds, all at random moments.
                  However these sessions end, it is no failure
  --seed N        Makes the same sessions break at the same moments, 0 to 4294967295
  --json          Prints the result as one JSON document on standard output, and the rest on
                  standard error
  --help          This text (also -h)

Percentiles are exact to 1 %. Ends with 0 if all sessions ended well, without a violation of the
protocol, and all recordings are right; 1 if not, 2 if the options are wrong.
Ctrl-C closes all sessions properly; a second one, a second later, ends at once.`;

/** What the command does. */
export interface LoadCommandOptions {
  readonly load: LoadOptions;
  readonly isJson: boolean;
}

/** Relative to this file; an installed or compiled tool may not have it. */
const DEFAULT_WAV = ["..", "..", "..", "tests", "testdata", "call.wav"];

/**
 * Reads the options.
 *
 * @returns `undefined`: only the help is wanted.
 * @throws {UsageError} If one is wrong; and what the settings and the WAV file fail with.
 */
export async function readLoadOptions(
  args: readonly string[],
): Promise<LoadCommandOptions | undefined> {
  const values = parse(args);
  if (values.help === true) return undefined;
  const faults = {
    drop: percent(values.drop, "--drop"),
    stall: percent(values.stall, "--stall"),
    reset: percent(values.reset, "--reset"),
  };
  if (faults.drop + faults.stall + faults.reset > 100) {
    throw new UsageError("Expected at most 100 % for --drop, --stall and --reset together");
  }
  const reader = (read: typeof readNumber) => (name: TextOption, min: number, max: number) =>
    readOptional(values[name], (value) => read(`--${name}`, value, min, max));
  const number = reader(readNumber);
  const whole = reader(readWholeNumber);
  const pingSeconds = number("ping-interval", 0.1, 60);
  const load = {
    sessions: whole("sessions", 1, 50_000) ?? 100,
    ratePerSecond: number("rate", 0.01, 10_000),
    frameMs: whole("frame-ms", 20, 1000),
    durationSeconds: number("duration", 0.1, 86_400) ?? 30,
    holdSeconds: number("hold", 0, 604_800),
    pingIntervalMs: pingSeconds === undefined ? undefined : pingSeconds * 1000,
    channels: readWord("--channels", values.channels ?? "both", ["both", "external"]),
    faults,
    seed: whole("seed", 0, 2 ** 32 - 1),
    serverPid: await readPid(values.pid),
    verifyFolder: await readFolder(values.verify),
    audio: await readAudio(values.wav),
  } as const;
  const server = await readServerOptions(values, await loadSettings());
  return { load: { ...load, ...server }, isJson: values.json === true };
}

type Values = ReturnType<typeof parse>;
type TextOption = Exclude<keyof Values, "json" | "help">;

function parse(args: readonly string[]) {
  const string = { type: "string" } as const;
  const boolean = { type: "boolean" } as const;
  return parseOptions({
    args: [...args],
    options: {
      ...SERVER_OPTIONS,
      sessions: string,
      rate: string,
      duration: string,
      hold: string,
      "frame-ms": string,
      "ping-interval": string,
      wav: string,
      channels: string,
      pid: string,
      verify: string,
      drop: string,
      stall: string,
      reset: string,
      seed: string,
      json: boolean,
      help: { ...boolean, short: "h" },
    },
  }).values;
}

function percent(text: Values["drop"], name: string): number {
  return readNumber(name, text?.replace(/%$/, "") ?? "0", 0, 100);
}

async function readPid(text: Values["pid"]): Promise<number | undefined> {
  const pid = readOptional(text, (value) => readWholeNumber("--pid", value, 1, 2 ** 31));
  if (pid === undefined) return undefined;
  if (Deno.build.os !== "linux") {
    throw new UsageError("--pid needs Linux: memory and CPU of a process are read from /proc");
  }
  if (typeof await readProcessUsage(pid) === "string") {
    throw new UsageError(
      `Expected a process of this machine after --pid: /proc/${pid} cannot be read by cat`,
    );
  }
  return pid;
}

async function readFolder(path: Values["verify"]): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const problem = await Deno.stat(path).then(
    ({ isDirectory }) => isDirectory ? undefined : "is a file",
    describeFailure,
  );
  if (problem === undefined) return path;
  throw new UsageError(
    `Expected the server's folder of recordings after --verify, got ${path} (${problem})`,
  );
}

async function readAudio(path: Values["wav"]): Promise<CallAudio> {
  if (path === undefined) {
    const folder = import.meta.dirname;
    const bytes = folder &&
      await Deno.readFile(join(folder, ...DEFAULT_WAV)).catch(() => undefined);
    return bytes ? CallAudio.fromWav(bytes) : sweepingTone();
  }
  const audio = await readWav("--wav", path);
  if (audio.samples < 1) throw new UsageError(`Expected some audio in ${path}`);
  return audio;
}
