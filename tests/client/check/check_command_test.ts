/**
 * The command as it is typed, over real processes.
 */
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { ALL_CASES } from "../../../lib/client/check/all_cases.ts";
import {
  type Ended,
  filesBelow,
  hasStack,
  Program,
  ROOT,
  taskFlags,
  TemporaryFolder,
} from "../../helpers/program.ts";
import { RecordingServer, SECRET, SIGNED_KEY } from "../recording_server.ts";

const SIGNED = ["--key", SIGNED_KEY, "--secret", SECRET];

function start(folder: TemporaryFolder, args: string[], env: Record<string, string> = {}): Program {
  const command = join(ROOT, "lib/client/check/check_command.ts");
  return new Program({
    args: ["run", ...taskFlags("check"), command, ...args],
    cwd: folder.path,
    env,
  });
}

/** Runs the command to its end, in an empty folder. */
async function run(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  await using folder = await TemporaryFolder.make();
  await using program = start(folder, args, env);
  const ended = await program.ended(60_000);
  assertFalse(hasStack(ended.output), ended.output);
  assertFalse(ended.output.includes(SECRET), ended.output);
  assertEquals(await filesBelow(folder.path), []);
  return ended;
}

Deno.test("check command: prints a report in the protocol's order, and ends with 0", async () => {
  await using server = await RecordingServer.start();
  const only = "open.probe,auth.wrong,pause.client-pause-outlives,ping.answered";
  const { code, stdout, stderr } = await run([server.url.href, ...SIGNED, "--only", only]);
  assertEquals(code, 0, stderr);
  assertEquals(stderr, "");
  assertMatch(stdout, /^3\. Authentication\n {2}ok {6}auth\.wrong-signature\n +HTTP 401 after/);
  assertMatch(stdout, /6\. Open transaction\n {2}ok {6}open\.probe\n/);
  assertMatch(
    stdout,
    / {2}skip {4}pause\.client-pause-outlives-server-resume\n +The server did not/,
  );
  assertMatch(stdout, /: 3 ok, 0 failed, 0 with advice, 1 skipped \(\d+\.\d s\)\n$/);
});

Deno.test("check command: finds the server on this machine, and its key, by itself", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path);
  const { port } = await server.url();
  await using program = start(folder, ["--only", "auth.unsigned,close.answered"], { PORT: port });
  const { code, output } = await program.ended(30_000);
  assertEquals(code, 0, output);
  assertStringIncludes(output, "2 ok, 0 failed");
});

Deno.test("check command: --json is one document, with the transcript of each case", async () => {
  await using server = await RecordingServer.start();
  const args = ["--url", server.url.href, ...SIGNED, "--json", "--only", "close.*open"];
  const { code, stdout } = await run(args);
  assertEquals(code, 0, stdout);
  const report = JSON.parse(stdout);
  assertEquals(report.url, server.url.href);
  assertEquals(report.summary, { pass: 2, fail: 0, advice: 0, skip: 0, defect: 0 });
  const [{ name, verdict, sections, transcript }] = report.results;
  assertEquals([name, verdict, sections], ["close.while-opening", "pass", [13]]);
  const texts: string[] = transcript.map(({ text }: { text: string }) => text);
  assert(texts.some((text) => text.includes('"type":"closed"')), stdout);
  assertFalse(stdout.includes(SIGNED_KEY));
});

Deno.test("check command: a server that does it wrong fails, and --html shows what was said", async () => {
  await using folder = await TemporaryFolder.make();
  // What it says tries to be markup, and to steer the terminal.
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onmessage = () => {
        socket.send(`<script>alert("x")</script>\x1b[2J`);
        socket.close();
      };
      return response;
    },
  );
  const url = `ws://127.0.0.1:${server.addr.port}/`;
  await using program = start(folder, [url, ...SIGNED, "--html", "r.html", "--only", "open.probe"]);
  const { code, stdout, stderr } = await program.ended(60_000);
  assertEquals(code, 1, stderr);
  assertMatch(stdout, /FAIL {4}open\.probe\n.*\n +The server sent a text frame that is no JSON/);
  assertMatch(stdout, /0 ok, 1 failed/);
  const html = await Deno.readTextFile(folder.join("r.html"));
  assertMatch(html, /^<!doctype html>/);
  assertFalse(html.includes("<script"));
  assertStringIncludes(html, "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;\\u001b[2J");
  assertFalse(html.includes(SIGNED_KEY));
});

Deno.test("check command: a server that is not there is one line, and ends with 1", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { code, stdout } = await run([`ws://127.0.0.1:${port}/`, ...SIGNED]);
  assertEquals(code, 1);
  assertMatch(stdout, /^Cannot check ws:.*nobody listens.*\n$/);
});

Deno.test("check command: --list names every case, and those of --only", async () => {
  const { code, stdout } = await run(["--list"]);
  assertEquals(code, 0);
  for (const { name, title } of ALL_CASES) {
    assertStringIncludes(stdout, `\n  ${name}\n      ${title} (section `);
  }
  const { stdout: some } = await run(["--list", "--only", "ping"]);
  assertEquals(some.match(/^ {2}\S+$/gm)?.every((line) => line.startsWith("  ping.")), true, some);
});

Deno.test("check command: --help tells all options", async () => {
  const { code, stdout } = await run(["--help"]);
  assertEquals(code, 0);
  for (const name of ["url", "key", "secret", "org", "only", "list", "json", "html", "parallel"]) {
    assertStringIncludes(stdout, `--${name} `);
  }
  assertStringIncludes(stdout, "--timeout-scale");
  assertEquals((await run(["-h"])).stdout, stdout);
  for (const line of stdout.split("\n")) assert(line.length <= 100, line);
});

const ADDRESS = "ws://127.0.0.1:9/";
const WRONG: readonly [args: readonly string[], message: RegExp][] = [
  [["--nonsense"], /--nonsense.*--help/],
  [[ADDRESS, "ws://127.0.0.1:8/", ...SIGNED], /one address/],
  [[ADDRESS, "--url", ADDRESS, ...SIGNED], /one address/],
  [["http://127.0.0.1/", ...SIGNED], /such as ws:/],
  [[ADDRESS, "--secret", SECRET], /--key together/],
  [[ADDRESS, "--key", "k", "--secret", "?"], /base64/],
  [[ADDRESS], /No API key/],
  [[ADDRESS, ...SIGNED, "--org", "ours"], /UUID such as .* after --org/],
  [[ADDRESS, ...SIGNED, "--only", "nothing"], /No case is called nothing.*--list/],
  [[ADDRESS, ...SIGNED, "--only", ","], /No case is called/],
  [
    [ADDRESS, ...SIGNED, "--only", "ping", "--only", "auth.unsigned"],
    /^Expected --only once, with commas between its values; see --help\n$/,
  ],
  [[ADDRESS, ...SIGNED, "--json", "--json"], /^Expected --json once; see --help\n$/],
  [[ADDRESS, ...SIGNED, "--parallel", "0"], /whole number from 1 to 64/],
  [[ADDRESS, ...SIGNED, "--parallel", "1.5"], /whole number from 1 to 64/],
  [[ADDRESS, ...SIGNED, "--timeout-scale", "1e9"], /number from 1 to 100/],
  [[ADDRESS, ...SIGNED, "--html", "no/such/folder.html"], /file after --html.*folder\.html/],
];

for (const [args, message] of WRONG) {
  Deno.test(`check command: ${args.join(" ").replaceAll(SECRET, "…")} ends with 2`, async () => {
    const { code, stdout, stderr } = await run([...args]);
    assertEquals(code, 2, stderr);
    assertEquals(stdout, "");
    assertMatch(stderr, message);
    assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
  });
}

Deno.test({
  name: "check command: Ctrl-C ends it with a report",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using folder = await TemporaryFolder.make();
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => {
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.onmessage = () => opened.resolve();
        return response;
      },
    );
    const opened = Promise.withResolvers<void>();
    const url = `ws://127.0.0.1:${server.addr.port}/`;
    await using program = start(folder, [url, ...SIGNED, "--only", "ping,close"]);
    await opened.promise;
    program.kill("SIGINT");
    const { code, stdout } = await program.ended(30_000);
    // The first call was under way, which is no case: nothing was checked, and nothing failed.
    assertEquals(code, 1, stdout);
    assertMatch(stdout, /The run was ended/);
    assertMatch(stdout, /: 0 ok, 0 failed/);
  },
});
