/**
 * Servers to be measured, as processes of their own: ours by the flags of `deno task start`, and
 * the baseline. Their output goes to a file, as a service's does: nobody has to read it meanwhile.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { eventually, ROOT, taskFlags } from "../helpers/program.ts";
import { API_KEY, ENDPOINT, SECRET } from "../helpers/wire_client.ts";
import { type CommandLine, onCore } from "./cores.ts";

/** How a server is started. */
export interface ServerProcessOptions {
  /** Where recordings and the log go. */
  readonly folder: string;
  /** Settings that differ from the defaults. */
  readonly env?: Readonly<Record<string, string>>;
  /** Binds it to a core. */
  readonly core?: number;
}

/** What the system knows of a process. */
export interface ProcessUsage {
  /** Memory that is in RAM, bytes. */
  readonly rss: number;
  /** Time of all threads on all cores since the start, seconds. */
  readonly cpuSeconds: number;
}

const PAGE_BYTES = 4096;
const TICKS_PER_SECOND = 100;

/** A server that runs. Make it by `await using server = await ServerProcess.ours(…)`. */
export class ServerProcess implements AsyncDisposable {
  /** Where it is reached. */
  readonly url: URL;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, url: URL) {
    this.#child = child;
    this.url = url;
  }

  /** Our server; it knows {@linkcode API_KEY}. */
  static async ours(options: ServerProcessOptions): Promise<ServerProcess> {
    const command = [Deno.execPath(), "run", ...taskFlags("start"), join(ROOT, "main.ts")] as const;
    const env = {
      HOST: "127.0.0.1",
      PORT: "0",
      AUDIOHOOK_PATH: ENDPOINT,
      AUDIOHOOK_KEYS: JSON.stringify({ [API_KEY]: SECRET.toBase64() }),
      DATA_DIR: options.folder,
      LOG_FORMAT: "json",
      ...options.env,
    };
    const listening = /Listening for AudioHook on "?ws:\/\/127\.0\.0\.1:(\d+)/;
    return await ServerProcess.#start(command, { ...options, env }, listening, ENDPOINT);
  }

  /** Our server with a part of what it does (partial_server.ts). */
  static async partial(
    part: "protocol" | "recorder",
    options: ServerProcessOptions,
  ): Promise<ServerProcess> {
    return await ServerProcess.#script(["partial_server.ts", part], options, ENDPOINT);
  }

  /** The baseline. */
  static async bare(options: ServerProcessOptions): Promise<ServerProcess> {
    return await ServerProcess.#script(["bare_server.ts"], options, "/");
  }

  /** The baseline, writing what it gets to files (bare_writing_server.ts). */
  static async writing(
    where: "append" | "overwrite",
    options: ServerProcessOptions,
  ): Promise<ServerProcess> {
    const { folder } = options;
    const flags = [`--allow-write=${folder}`];
    return await ServerProcess.#script(
      ["bare_writing_server.ts", folder, where],
      options,
      "/",
      flags,
    );
  }

  /** Starts a script of this folder that prints its port. */
  static async #script(
    [script, ...args]: readonly [script: string, ...args: string[]],
    options: ServerProcessOptions,
    path: string,
    moreFlags: readonly string[] = [],
  ): Promise<ServerProcess> {
    const flags = ["--no-prompt", "--allow-net=127.0.0.1", ...moreFlags];
    const file = join(ROOT, "tests/bench", script);
    const command = [Deno.execPath(), "run", ...flags, file, ...args] as const;
    return await ServerProcess.#start(command, options, /^(\d+)\n/m, path);
  }

  /** Starts a program, and waits until its output matches; the first group is its port. */
  static async #start(
    command: CommandLine,
    { folder, env, core }: ServerProcessOptions,
    listening: RegExp,
    path: string,
  ): Promise<ServerProcess> {
    const log = join(folder, `${crypto.randomUUID()}.log`);
    const inShell = ["sh", "-c", 'exec "$@" >"$0" 2>&1', log, ...command] as const;
    const [program, ...args] = core === undefined ? inShell : await onCore(core, inShell);
    const child = new Deno.Command(program, { args, env, cwd: folder, stdin: "null" }).spawn();
    let hasEnded = false;
    void child.status.then(() => hasEnded = true);
    const port = await eventually(async () => {
      const output = await Deno.readTextFile(log).catch(() => "");
      if (hasEnded) throw new Error(`The server did not start: ${output}`);
      return listening.exec(output)?.[1];
    }, "a server that listens");
    return new ServerProcess(child, new URL(`ws://127.0.0.1:${port}${path}`));
  }

  /** Of the process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What it uses at present; Linux only. */
  async usage(): Promise<ProcessUsage> {
    // Deno gives /proc to nobody but those who may do anything.
    const command = new Deno.Command("cat", { args: [`/proc/${this.#child.pid}/stat`] });
    const { success, stdout } = await command.output();
    if (!success) throw new Error("Cannot read /proc: memory is measured on Linux only");
    // The name of the program is in parentheses, and may have spaces: proc(5) counts it as 2.
    const fields = new TextDecoder().decode(stdout).replace(/^.*\) /s, "").split(" ");
    const field = (number: number) => Number(fields[number - 3]);
    return {
      rss: field(24) * PAGE_BYTES,
      cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    // What the system still writes for it must not meet the removal of its folder.
    await delay(100);
  }
}
