/**
 * Real processes: the program and the commands, started with exactly the flags of a task of
 * deno.json, with an environment of their own, watched by their output, and always ended.
 *
 * Must not import: anything of lib. What is tested here is what a user sees.
 */
import { AssertionError } from "@std/assert";
import { join } from "node:path";

/** The folder of the repository. */
export const ROOT = join(import.meta.dirname ?? ".", "..", "..");

/** How long a process may take for anything that a test waits for, unless the test says more. */
const DEADLINE_MS = 20_000;

/** What Deno itself needs to find its cache and the network; nothing that the program reads. */
const PASSED_ON = [
  "PATH",
  "HOME",
  "DENO_DIR",
  "XDG_CACHE_HOME",
  "TMPDIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "NPM_CONFIG_REGISTRY",
];

interface TaskFile {
  readonly tasks: Readonly<Record<string, { readonly command: string }>>;
}

/** The command of a task of deno.json. */
export function taskCommand(name: string): string {
  const { tasks } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json"))) as TaskFile;
  const task = tasks[name];
  if (task === undefined) throw new Error(`deno.json has no task ${name}`);
  return task.command;
}

/** The flags of a task that `deno run` takes, too: not those that say what is compiled, to where. */
export function taskFlags(name: string): string[] {
  const [deno, , ...words] = taskCommand(name).split(" ");
  if (deno !== "deno") throw new Error(`The task ${name} does not run deno`);
  const flags: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (!word.startsWith("-")) break;
    if (word === "--exclude-unused-npm") continue;
    if (/^--(output|include|exclude|icon|target)$/.test(word)) i++;
    else if (!/^--(output|include|exclude|icon|target)=/.test(word)) flags.push(word);
  }
  return flags;
}

/** How a process is started. */
export interface ProgramOptions {
  /** What runs; Deno unless given. */
  readonly executable?: string;
  readonly args: readonly string[];
  /** Working folder. */
  readonly cwd: string;
  /** All of the environment but what Deno needs. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both. */
  readonly output: string;
  readonly tookMs: number;
}

/** A process that runs. Use with `await using`: it is killed, if need be. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #readers: Promise<void>[];
  readonly #startedMs = performance.now();
  #stdout = "";
  #stderr = "";
  #openStreams = 2;
  #onOutput: () => void = () => {};
  #hasEnded = false;
  readonly #status: Promise<Deno.CommandStatus>;

  constructor({ executable = Deno.execPath(), args, cwd, env = {} }: ProgramOptions) {
    const passedOn = PASSED_ON.map((name) => [name, Deno.env.get(name)])
      .filter(([, value]) => value !== undefined);
    this.#child = new Deno.Command(executable, {
      args: [...args],
      cwd,
      clearEnv: true,
      env: { ...Object.fromEntries(passedOn), NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#status = this.#child.status.then((status) => {
      this.#hasEnded = true;
      return status;
    });
    this.#readers = [
      this.#read(this.#child.stdout, (text) => this.#stdout += text),
      this.#read(this.#child.stderr, (text) => this.#stderr += text),
    ];
  }

  /** The server, by the flags of the task `start`. */
  static server(cwd: string, env: Record<string, string> = {}, args: string[] = []): Program {
    return new Program({
      args: ["run", ...taskFlags("start"), join(ROOT, "main.ts"), ...args],
      cwd,
      env: { PORT: "0", ...env },
    });
  }

  /** The command that places calls, by the flags of the task `call`. */
  static call(cwd: string, args: string[], env: Record<string, string> = {}): Program {
    return new Program({
      args: ["run", ...taskFlags("call"), join(ROOT, "lib/client/call_command.ts"), ...args],
      cwd,
      env,
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get output(): string {
    return this.#stdout + this.#stderr;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until the output has it; fails with the output if it ends, or takes too long, first. */
  async waitFor(pattern: RegExp, deadlineMs = DEADLINE_MS): Promise<RegExpExecArray> {
    const found = Promise.withResolvers<RegExpExecArray>();
    const look = () => {
      const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
      if (match !== null) found.resolve(match);
      else if (this.#openStreams === 0) {
        found.reject(new Error(`It ended without ${pattern}:\n${this.output}`));
      }
    };
    this.#onOutput = look;
    const timer = setTimeout(() => {
      found.reject(new Error(`No ${pattern} within ${deadlineMs} ms:\n${this.output}`));
    }, deadlineMs);
    try {
      look();
      return await found.promise;
    } finally {
      clearTimeout(timer);
      this.#onOutput = () => {};
    }
  }

  /** Where the server listens, as its log says. */
  async url(): Promise<URL> {
    const [, url = ""] = await this.waitFor(/Listening for AudioHook on "?(wss?:\/\/[^\s";]+)/);
    return new URL(url);
  }

  /** Waits until it ends by itself; kills it and fails if it does not. */
  async ended(deadlineMs = DEADLINE_MS): Promise<Ended> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#child.kill("SIGKILL");
    }, deadlineMs);
    const { code, signal } = await this.#status;
    clearTimeout(timer);
    const tookMs = performance.now() - this.#startedMs;
    await Promise.all(this.#readers);
    if (isLate) throw new Error(`It did not end within ${deadlineMs} ms:\n${this.output}`);
    return {
      code,
      signal,
      stdout: this.#stdout,
      stderr: this.#stderr,
      output: this.output,
      tookMs,
    };
  }

  /** Asks it to end, and waits. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Ended> {
    this.kill(signal);
    return await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) {
      try {
        this.#child.kill("SIGKILL");
      } catch {
        // It ended at this very moment.
      }
    }
    await this.#status;
    await Promise.all(this.#readers);
  }

  async #read(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      add(decoder.decode(bytes, { stream: true }));
      this.#onOutput();
    }
    this.#openStreams--;
    this.#onOutput();
  }
}

/** A folder that is gone when the test is over. */
export class TemporaryFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<TemporaryFolder> {
    // The real path: programs print it.
    return new TemporaryFolder(await Deno.realPath(await Deno.makeTempDir()));
  }

  join(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Whether a text, which a user sees, has a stack trace. */
export function hasStack(text: string): boolean {
  return /^\s+at .*(:\d+:\d+|<anonymous>|native|async )/m.test(text) || text.includes("    at ");
}

/** All files below a folder, by their paths relative to it, sorted; none if there is no folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  async function walk(relative: string): Promise<void> {
    let entries: Deno.DirEntry[];
    try {
      entries = await Array.fromAsync(Deno.readDir(join(folder, relative)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    for (const entry of entries) {
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory) await walk(path);
      else found.push(path);
    }
  }
  await walk("");
  return found.sort();
}

/** Asks again and again until there is an answer, or the deadline has passed. */
export async function eventually<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const startedMs = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() - startedMs > deadlineMs) {
      throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The chunks of a WAV file, read here without lib's help: the first of each name. */
export function wavChunks(file: Uint8Array): Map<string, Uint8Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const name = (offset: number) => String.fromCharCode(...file.subarray(offset, offset + 4));
  if (name(0) !== "RIFF" || name(8) !== "WAVE") throw new Error("Not a WAV file");
  if (view.getUint32(4, true) + 8 !== file.length) throw new Error("RIFF has not the file's size");
  const chunks = new Map<string, Uint8Array>();
  for (let offset = 12; offset < file.length;) {
    const size = view.getUint32(offset + 4, true);
    if (offset + 8 + size > file.length) throw new Error(`${name(offset)} is beyond the end`);
    chunks.set(name(offset), file.subarray(offset + 8, offset + 8 + size));
    offset += 8 + size + (size % 2);
  }
  return chunks;
}

/** The audio of a WAV file on disk. */
export async function wavData(path: string): Promise<Uint8Array> {
  const data = wavChunks(await Deno.readFile(path)).get("data");
  if (data === undefined) throw new Error(`${path} has no data chunk`);
  return data;
}

/** Path of the real call. */
export const CALL_WAV = join(ROOT, "tests/testdata/call.wav");

/** Like `assertEquals`, which takes minutes to tell the difference of two long arrays. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what = "bytes"): void {
  const length = Math.min(actual.length, expected.length);
  for (let i = 0; i < length; i++) {
    if (actual[i] === expected[i]) continue;
    throw new AssertionError(`${what}: at ${i}, expected ${expected[i]}, got ${actual[i]}`);
  }
  if (actual.length !== expected.length) {
    throw new AssertionError(`${what}: expected ${expected.length}, got ${actual.length}`);
  }
}
