/**
 * Calls in a process of their own, bound to the core of what measures.
 */
import { join } from "node:path";
import { ROOT } from "../helpers/program.ts";
import type { CallsReport } from "./calls_process.ts";
import { CLIENT_CORE, onCore } from "./cores.ts";

/** Calls that run until they are disposed of. */
export class CallsRunner implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#input = child.stdin.getWriter();
  }

  /** Begins so many calls, and waits until they are open. */
  static async start(url: URL, count: number, pingIntervalMs: number): Promise<CallsRunner> {
    const script = join(ROOT, "tests/bench/calls_process.ts");
    const flags = ["--no-prompt", "--allow-net=127.0.0.1", "--allow-env"];
    const options = [url.href, String(count), String(pingIntervalMs)];
    const command = [Deno.execPath(), "run", ...flags, script, ...options] as const;
    const [program, ...args] = await onCore(CLIENT_CORE, command);
    const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped" }).spawn();
    const runner = new CallsRunner(child);
    const { done } = await runner.#lines.read();
    if (done) throw new Error("The calls did not begin");
    return runner;
  }

  /** How they went since this was last asked, or since they were open. */
  async report(): Promise<CallsReport> {
    await this.#input.write(new TextEncoder().encode("\n"));
    const { value } = await this.#lines.read();
    if (value === undefined) throw new Error("The calls have ended");
    return JSON.parse(value);
  }

  /** Ends the calls, and waits for their end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#lines.cancel();
    const { success } = await this.#child.status;
    if (!success) throw new Error("The calls did not end well");
  }
}
