/** The server as a process of its own, and the load on it as another one. */
import { assertEquals, assertFalse } from "@std/assert";
import { join } from "node:path";
import type { LoadResult } from "../../../lib/client/load/load_result.ts";
import {
  type Ended,
  hasStack,
  Program,
  ROOT,
  taskFlags,
  TemporaryFolder,
} from "../../helpers/program.ts";

export const KEY = "load-test-key";
export const SECRET = "bG9hZC10ZXN0LXNlY3JldC1sb2FkLXRlc3Qtc2VjcmV0";

/**
 * The command, by the flags of the task `load`.
 *
 * @param inShell Arguments of `sh`, which runs it by what follows them.
 */
export function startLoad(cwd: string, args: string[], inShell?: string[]): Program {
  const script = join(ROOT, "lib/client/load/load_command.ts");
  const command = ["run", ...taskFlags("load"), script, ...args];
  if (inShell === undefined) return new Program({ args: command, cwd });
  return new Program({ executable: "sh", args: [...inShell, Deno.execPath(), ...command], cwd });
}

/** Runs the command to its end, in an empty folder. */
export async function load(args: string[], inShell?: string[]): Promise<Ended> {
  await using folder = await TemporaryFolder.make();
  await using program = startLoad(folder.path, args, inShell);
  return checked(await program.ended(40_000));
}

/** Whatever happens, there is neither a stack nor a secret in the output. */
export function checked(ended: Ended): Ended {
  assertFalse(hasStack(ended.output), ended.output);
  assertFalse(ended.output.includes(SECRET), ended.output);
  return ended;
}

/** The result of `--json`; its sums are checked. */
export function resultOf({ stdout }: Ended): LoadResult {
  const result = JSON.parse(stdout) as LoadResult;
  const { sessions, failures, faults, sent, times } = result;
  const { well, faulted, cancelled, failed } = sessions;
  assertEquals(well + faulted + cancelled + failed, sessions.started, stdout);
  const counts = Object.values(failures).map(({ count }) => count);
  assertEquals(counts.reduce((sum, count) => sum + count, 0), failed, stdout);
  assertEquals(faults.drop + faults.stall + faults.reset, faulted, stdout);
  assertEquals(times.opened.count, sessions.opened, stdout);
  for (const { p50Ms, p90Ms, p99Ms, maxMs } of Object.values(times)) {
    const sorted = [p50Ms, p90Ms, p99Ms, maxMs].toSorted((one, other) => (one ?? 0) - (other ?? 0));
    assertEquals([p50Ms, p90Ms, p99Ms, maxMs], sorted, stdout);
  }
  const frames = times.lateness.count;
  assertEquals(sent.frames + sent.framesThrottled + sent.framesNotWanted <= frames, true, stdout);
  return result;
}

/** A server that runs, with its folder. */
export class LoadedServer implements AsyncDisposable {
  readonly program: Program;
  readonly url: URL;
  /** The number of its process. */
  readonly pid: number;
  readonly #folder: TemporaryFolder;

  private constructor(program: Program, url: URL, pid: number, folder: TemporaryFolder) {
    this.program = program;
    this.url = url;
    this.pid = pid;
    this.#folder = folder;
  }

  static async start(env: Record<string, string> = {}): Promise<LoadedServer> {
    const folder = await TemporaryFolder.make();
    const server = [Deno.execPath(), "run", ...taskFlags("start"), join(ROOT, "main.ts")];
    const program = new Program({
      executable: "sh",
      // The server takes the place of the shell, and its number.
      args: ["-c", 'echo "pid $$"; exec "$@"', "sh", ...server],
      cwd: folder.path,
      env: { PORT: "0", AUDIOHOOK_KEYS: JSON.stringify({ [KEY]: SECRET }), ...env },
    });
    const [, pid] = await program.waitFor(/^pid (\d+)/m);
    return new LoadedServer(program, await program.url(), Number(pid), folder);
  }

  /** Where it keeps recordings. */
  get recordings(): string {
    return this.#folder.join("data", "recordings");
  }

  /** The options that name it. */
  get options(): string[] {
    return ["--url", this.url.href, "--key", KEY, "--secret", SECRET];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}
