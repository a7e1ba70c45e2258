import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type CallKey, keysIn } from "../../lib/client/call_keys.ts";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CALL_WAV, ROOT, taskFlags, TemporaryFolder } from "../helpers/program.ts";
import { WavOnDisk } from "./call_program.ts";
import { RecordingServer, UNSIGNED_KEY } from "./recording_server.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { someMulaw, wavFile } from "./wav_files.ts";

Deno.test("call keys: what each key asks for", () => {
  const dtmf = (digit: string): CallKey => ({ does: "dtmf", digit });
  const cases: [typed: string, keys: CallKey[]][] = [
    ["p", [{ does: "pause" }]],
    ["R", [{ does: "resume" }]],
    ["q", [{ does: "close" }]],
    ["?", [{ does: "help" }]],
    ["\x03", [{ does: "interrupt" }]],
    ["12*#", [dtmf("1"), dtmf("2"), dtmf("*"), dtmf("#")]],
    ["x \r\n\x04ü", []],
    ["\x1b[A", []],
    ["\x1b[15~", []],
    ["constructor"[0] ?? "", []],
    ["", []],
  ];
  for (const [typed, keys] of cases) assertEquals(keysIn(typed), keys, JSON.stringify(typed));
});

/** Whether there is util-linux, whose `script` runs a command on a pseudo-terminal. */
const hasScript = await new Deno.Command("script", { args: ["--version"] }).output()
  .then(({ code, stdout }) => code === 0 && new TextDecoder().decode(stdout).includes("util-linux"))
  .catch(() => false);

if (!hasScript) {
  // deno-lint-ignore no-console -- who reads the test's output should know
  console.log("skipped: the keys on a terminal, because there is no `script` of util-linux");
}

/** The command on a terminal, and then what mode the terminal is in. */
class CallOnTerminal implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reading: Promise<void>;
  readonly #folder: TemporaryFolder;
  #onOutput = () => {};
  output = "";

  private constructor(folder: TemporaryFolder, words: string[]) {
    const command = [Deno.execPath(), ...words].map((word) => `'${word}'`).join(" ");
    this.#folder = folder;
    this.#child = new Deno.Command("script", {
      // The shell outlives a Ctrl-C, to tell how the command has ended.
      args: ["-qfec", `trap : INT QUIT; ${command}; echo "code $?"; stty -a`, "/dev/null"],
      cwd: folder.path,
      env: { NO_COLOR: "1", TERM: "dumb" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  static async start(args: string[]): Promise<CallOnTerminal> {
    const words = ["run", ...taskFlags("call"), join(ROOT, "lib/client/call_command.ts"), ...args];
    return new CallOnTerminal(await TemporaryFolder.make(), words);
  }

  /** A program in place of the command. */
  static async startProgram(source: string): Promise<CallOnTerminal> {
    const folder = await TemporaryFolder.make();
    await Deno.writeTextFile(folder.join("program.ts"), source);
    return new CallOnTerminal(folder, ["run", "--no-prompt", folder.join("program.ts")]);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stdout) {
      this.output += decoder.decode(bytes, { stream: true });
      this.#onOutput();
    }
    this.#onOutput = () => {};
  }

  /** Types, and waits until the terminal shows something new. */
  async type(keys: string, shows: RegExp): Promise<void> {
    const before = this.output.length;
    await this.#writer.write(new TextEncoder().encode(keys));
    await this.#until(() => shows.test(this.output.slice(before)), `${shows} after ${keys}`);
  }

  async waitFor(pattern: RegExp): Promise<void> {
    await this.#until(() => pattern.test(this.output), String(pattern));
  }

  async #until(isThere: () => boolean, what: string): Promise<void> {
    const found = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      found.reject(new Error(`Not within 15 s: ${what}\n${this.output}`));
    }, 15_000);
    this.#onOutput = () => isThere() && found.resolve();
    this.#onOutput();
    await found.promise.finally(() => clearTimeout(timer));
  }

  /** The exit code; the terminal must be as it was. */
  async ended(): Promise<number> {
    // The last that `stty` prints, after what is looked at.
    await this.waitFor(/code \d+[^]*echoctl/);
    assertMatch(this.output, /[^-]icanon/);
    assertMatch(this.output, /[^-]echo /);
    return Number(/code (\d+)/.exec(this.output)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    await this.#reading;
    await this.#folder[Symbol.asyncDispose]();
  }
}

function to(url: URL, ...more: string[]): string[] {
  return ["--url", url.href, "--key", UNSIGNED_KEY, "--retries", "0", ...more];
}

Deno.test(
  "call keys: pause, resume, digits, the keys, and the close",
  { ignore: !hasScript },
  async () => {
    await using server = await RecordingServer.start();
    const args = to(server.url, "--wav", CALL_WAV, "--channels", "external");
    await using call = await CallOnTerminal.start(args);
    await call.waitFor(/opened[^]*\[/);
    await call.type("p", /key: pause/);
    await call.type("r", /key: resume/);
    await call.type("1#", /key: dtmf 1[^]*key: dtmf #/);
    await call.type("?", /Keys: p pause/);
    await call.type("q", /code/);
    assertEquals(await call.ended(), 0, call.output);
    const { messages, metadata } = await server.recorded();
    const types = messages.map(({ type, parameters }) => type + (parameters.digit ?? ""));
    assertEquals(types.filter((type) => !/^p[io]ng$/.test(type)), [
      "open",
      "opened",
      "paused",
      "resumed",
      "dtmf1",
      "dtmf#",
      "close",
      "closed",
    ]);
    assertEquals(metadata.closeReason, "end");
  },
);

Deno.test("call keys: Ctrl-C closes the call, and the terminal is as before", {
  ignore: !hasScript,
}, async () => {
  await using server = await RecordingServer.start();
  await using call = await CallOnTerminal.start(to(server.url, "--wav", CALL_WAV));
  await call.waitFor(/opened[^]*\[/);
  await call.type("\x03", /code/);
  assertEquals(await call.ended(), 0, call.output);
  assertEquals((await server.recorded()).metadata.closeReason, "end");
});

Deno.test("call keys: a second Ctrl-C ends it at once, and the terminal is as before", {
  ignore: !hasScript,
}, async () => {
  // Answers no `close`.
  await using server = new ScriptedServer((peer, message) => {
    if (message.type !== "close") peer.answer(message);
  });
  await using wav = await WavOnDisk.write(wavFile("PCMU", 1, someMulaw(80_000)));
  await using call = await CallOnTerminal.start(to(server.url, "--wav", wav.path));
  await call.waitFor(/opened[^]*\[/);
  await call.type("\x03", /Closing the call/);
  // Within a second, it could be the same Ctrl-C, passed on by `deno task`.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await call.type("\x03", /code/);
  assertEquals(await call.ended(), 130, call.output);
});

Deno.test(
  "call keys: before the call is open, a digit is not possible",
  { ignore: !hasScript },
  async () => {
    await using server = new ScriptedServer((peer, message) => {
      if (message.type === "close") peer.answer(message);
    });
    await using call = await CallOnTerminal.start(to(server.url, "--wav", CALL_WAV));
    await call.waitFor(/Calling/);
    await call.type("5", /dtmf 5, which is not possible now: only a voice bot/);
    await call.type("q", /code/);
    await call.ended();
    assertStringIncludes(call.output, "Keys: p pause");
  },
);

Deno.test(
  "call keys: SIGQUIT ends it, and the terminal is as before",
  { ignore: !hasScript },
  async () => {
    await using server = await RecordingServer.start();
    await using call = await CallOnTerminal.start(to(server.url, "--wav", CALL_WAV));
    await call.waitFor(/opened[^]*\[/);
    // The shell would end by it, too.
    await call.type("\x1c", /code/);
    assertEquals(await call.ended(), 131, call.output);
  },
);

Deno.test("call keys: an exception that nobody catches leaves the terminal as before", {
  ignore: !hasScript,
}, async () => {
  const module = pathToFileURL(join(ROOT, "lib/client/call_keys.ts")).href;
  await using call = await CallOnTerminal.startProgram(`
    import { CallKeys } from ${JSON.stringify(module)};
    const keys = CallKeys.listen(() => { throw new Error("thrown by a key"); });
    setTimeout(() => keys[Symbol.dispose](), 10_000);
    Deno.stdout.writeSync(new TextEncoder().encode("ready"));
  `);
  await call.waitFor(/ready/);
  await call.type("p", /thrown by a key/);
  assertEquals(await call.ended(), 1, call.output);
});
