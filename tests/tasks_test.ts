import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { dirname } from "node:path";
import { SETTING_NAMES } from "../lib/config/settings.ts";
import {
  assertSameBytes,
  CALL_WAV,
  type Ended,
  filesBelow,
  hasStack,
  Program,
  ROOT,
  taskCommand,
  taskFlags,
  TemporaryFolder,
  wavData,
} from "./helpers/program.ts";
import { ScriptedServer } from "./client/scripted_server.ts";

/** What the package `ws` asks the environment for when it is loaded. */
const READ_BY_PACKAGES = ["WS_NO_BUFFER_UTIL", "WS_NO_UTF_8_VALIDATE"];
/** What says that the program runs on Deno Deploy. */
const HOST_VARIABLES = ["DENO_DEPLOYMENT_ID"];
/** What Deno asks it for when a KV is opened that has an address. */
const READ_BY_DENO = ["DENO_KV_ACCESS_TOKEN"];

/** The tasks that open recordings: they may ask how much room is left on the disk. */
const SERVERS = ["start", "compile", "demo", "reindex"];
/** All that run the program, or a part of it. */
const PROGRAMS = [...SERVERS, "call", "check", "load"];

/** The flags that give permissions. */
function permissionFlags(task: string): string[] {
  return taskFlags(task).filter((flag) => /^(--allow|--deny|-[A-Z])/.test(flag)).sort();
}

/** The value of a flag such as `--allow-env=A,B`. */
function flagValue(task: string, flag: string): string {
  const found = taskFlags(task).find((text) => text.startsWith(`${flag}=`));
  assertExists(found, `${task} has no ${flag}=…`);
  return found.slice(flag.length + 1);
}

async function assertHealthy(server: Program): Promise<void> {
  const { host } = await server.url();
  const response = await fetch(`http://${host}/healthz`);
  await response.body?.cancel();
  assertEquals(response.status, 200);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
}

Deno.test("tasks: all that the README names are there", async () => {
  const readme = await Deno.readTextFile(`${ROOT}/README.md`);
  const names = new Set(readme.matchAll(/deno task (\w+)/g).map(([, name = ""]) => name));
  for (const name of ["start", "call", "check", "load"]) {
    assert(names.has(name), `the README does not name ${name}`);
  }
  for (const name of names) assertNotEquals(taskCommand(name), "", name);
});

Deno.test("tasks: none that runs the program has all permissions, or asks for more", () => {
  for (const name of PROGRAMS) {
    const flags = taskFlags(name);
    for (const flag of flags) {
      // What a process uses is in /proc, which Deno gives to nobody else.
      if (name === "load" && flag === "--allow-run=cat") continue;
      if (SERVERS.includes(name) && flag === "--allow-sys=statfs") continue;
      assertFalse(/^(-A|--allow-all|--allow-run|--allow-ffi|--allow-sys|-P)/.test(flag), name);
    }
    assert(flags.includes("--no-prompt"), `${name} may stop and ask`);
  }
});

Deno.test("tasks: start and compile have the same permissions, and the same script", () => {
  assertEquals(permissionFlags("compile"), permissionFlags("start"));
  assertMatch(taskCommand("start"), / main\.ts$/);
  assertMatch(taskCommand("compile"), / main\.ts$/);
});

Deno.test("tasks: the environment that they may read is the settings, and what packages ask for", () => {
  for (const name of PROGRAMS) {
    const readByDeno = SERVERS.includes(name) ? READ_BY_DENO : [];
    const names = [...SETTING_NAMES, ...READ_BY_PACKAGES, ...HOST_VARIABLES, ...readByDeno];
    assertEquals(flagValue(name, "--allow-env").split(","), names, name);
  }
});

Deno.test("tasks: load writes no files", () => {
  assertEquals(taskFlags("load").filter((flag) => flag.startsWith("--allow-write")), []);
});

Deno.test("tasks: call writes only the file that --save-audio names, if it is new, and has audio", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("mine.wav"), "mine");
  const nobody = ["--url", "ws://127.0.0.1:9/"];
  const call = async (...args: string[]) => {
    const url = args.includes("--url") ? [] : nobody;
    const all = [...url, "--key", "nobody", "--retries", "0", "--tone", ...args];
    await using program = Program.call(folder.path, all);
    return (await program.ended(30_000)).code;
  };
  assertEquals(await call(), 1);
  assertEquals(await call("--save-audio", "mine.wav"), 2);
  assertEquals(await filesBelow(folder.path), ["mine.wav"]);
  assertEquals(await Deno.readTextFile(folder.join("mine.wav")), "mine");
  assertEquals(await call("--save-audio", "new.wav"), 1);
  assertEquals(await filesBelow(folder.path), ["mine.wav"]);
  await using server = new ScriptedServer((peer, message) => {
    peer.answer(message);
    if (message.type === "open") peer.raw(new Uint8Array(800));
  });
  const bot = ["--url", server.url.href, "--channels", "external", "--duration", "1"];
  assertEquals(await call(...bot, "--save-audio", "new.wav"), 0);
  assertEquals(await filesBelow(folder.path), ["mine.wav", "new.wav"]);
});

Deno.test("tasks: ok checks format, lint, types, tests and the examples in the documentation", () => {
  assertEquals(taskCommand("code"), "deno fmt --check && deno lint && deno check");
  assertMatch(taskCommand("test"), /^deno test .* tests\/$/);
  assertMatch(taskCommand("examples"), /^deno test .* --doc lib\/ README\.md$/);
  assertEquals(taskCommand("ok"), "deno task code && deno task test && deno task examples");
});

Deno.test("tasks: the program runs under exactly the flags of compile", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = new Program({
    args: ["run", ...taskFlags("compile"), `${ROOT}/main.ts`],
    cwd: folder.path,
    env: { PORT: "0" },
  });
  await assertHealthy(server);
});

/** Whether `deno compile` failed because its runtime can't be had, and nothing else. */
function isDownloadFailure({ code, stderr }: Ended): boolean {
  return code !== 0 && stderr.includes("https://dl.deno.land/") && !stderr.includes("TS");
}

function skipped(why: string): void {
  // deno-lint-ignore no-console -- who reads the test's output should know
  console.log(`skipped: the runtime for deno compile ${why}`);
}

/** Runs the task `compile`, but for where its binary goes. */
function compile(binary: string, env: Record<string, string> = {}): Program {
  const words = taskCommand("compile").split(" ").slice(1);
  words[words.indexOf("--output") + 1] = binary;
  return new Program({ args: words, cwd: ROOT, env: { ...env, NO_COLOR: "1" } });
}

Deno.test("tasks: compile puts into the binary what the program needs, and no more", async () => {
  await using folder = await TemporaryFolder.make();
  // In place of the runtime, which may be out of reach: what it is given is the same.
  await using compiler = compile(folder.join("binary"), { DENORT_BIN: Deno.execPath() });
  const { code, output } = await compiler.ended(60_000);
  assertEquals(code, 0, output);
  for (const name of ["recording_thread_worker.ts", "index_file_check_worker.ts", "call.wav"]) {
    assertStringIncludes(output, name);
  }
  const packages = [...output.matchAll(/── (\S+)\/\d[^/\s]*\/\*/g)].map(([, name = ""]) => name);
  assert(packages.includes("zod"), output);
  for (const name of ["fast-check", "puppeteer-core"]) assertFalse(packages.includes(name), output);
});

Deno.test("tasks: compile makes a binary that runs", async () => {
  await using folder = await TemporaryFolder.make();
  const binary = folder.join("audiohook-server");
  await using compiler = compile(binary);
  const compiled = await compiler.ended(60_000).catch((error: unknown) => error as Error);
  if (compiled instanceof Error) {
    if (!compiler.stderr.includes("https://dl.deno.land/")) throw compiled;
    return skipped("did not come from dl.deno.land in time");
  }
  if (isDownloadFailure(compiled)) {
    return skipped("cannot be had from dl.deno.land");
  }
  assertEquals(compiled.code, 0, compiled.output);
  await using server = new Program({
    executable: binary,
    args: [],
    cwd: folder.path,
    env: { PORT: "0" },
  });
  await assertHealthy(server);
  await using demo = new Program({
    executable: binary,
    args: ["demo"],
    cwd: folder.path,
    env: { PORT: "0" },
  });
  const { code, output } = await demo.ended(30_000);
  assertEquals(code, 0, output);
});

/** The path that a demo printed. */
function recordingIn(stdout: string): string {
  const [path] = stdout.match(/\S+\.wav\b(?=\s*$)/m) ?? [];
  assertExists(path, stdout);
  return path;
}

Deno.test("tasks: demo places the call, and prints where a recording is that has all of it", async () => {
  await using folder = await TemporaryFolder.make();
  await using demo = new Program({
    args: ["task", "demo"],
    cwd: ROOT,
    env: { DATA_DIR: folder.path },
  });
  const { code, stdout, output } = await demo.ended(60_000);
  assertEquals(code, 0, output);
  assertFalse(hasStack(output), output);
  const path = recordingIn(stdout);
  assert(path.startsWith(folder.path), output);
  const said = await wavData(CALL_WAV);
  assertSameBytes(await wavData(path), said);
  const files = await filesBelow(folder.join("recordings"));
  assertEquals(files.map((file) => file.replace(/^.*?\./, "")), ["json", "jsonl", "wav"]);
  const { apiKey, clientSecret } = JSON.parse(
    await Deno.readTextFile(folder.join("credentials.json")),
  );
  assertEquals([typeof apiKey, typeof clientSecret], ["string", "string"]);
  assertFalse(output.includes(clientSecret));
});

Deno.test("tasks: demo works beside a server, with configured keys and a relative DATA_DIR", async () => {
  await using folder = await TemporaryFolder.make();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using demo = new Program({
    args: ["run", ...taskFlags("demo"), `${ROOT}/main.ts`, "demo"],
    cwd: folder.path,
    env: {
      DATA_DIR: "kept",
      PORT: String(listener.addr.port),
      HOST: "0.0.0.0",
      PUBLIC_AUTHORITY: "audiohook.example.com",
      AUDIOHOOK_KEYS: JSON.stringify({ "demo-key": "ZGVtby1zZWNyZXQ=" }),
    },
  });
  const { code, stdout, output } = await demo.ended(60_000);
  assertEquals(code, 0, output);
  assertSameBytes(await wavData(folder.join(recordingIn(stdout))), await wavData(CALL_WAV));
  assertFalse((await filesBelow(folder.path)).includes("kept/credentials.json"));
  assertFalse(output.includes("ZGVtby1zZWNyZXQ="));
});

Deno.test("tasks: a demo that cannot find its call says so, without a stack, and fails", async () => {
  // As a compiled binary would, which has nothing of tests/.
  await using folder = await TemporaryFolder.make();
  const sources = (await filesBelow(`${ROOT}/lib`)).map(inLib);
  for (const path of ["main.ts", "deno.json", "deno.lock", ...sources]) {
    await Deno.mkdir(dirname(folder.join(path)), { recursive: true });
    await Deno.copyFile(`${ROOT}/${path}`, folder.join(path));
  }
  await using demo = new Program({
    args: ["run", ...taskFlags("demo"), "main.ts", "demo"],
    cwd: folder.path,
  });
  const { code, output } = await demo.ended(10_000);
  assertNotEquals(code, 0, output);
  assertFalse(hasStack(output) || output.includes("\\n    at "), output);
});

function inLib(path: string): string {
  return `lib/${path}`;
}
