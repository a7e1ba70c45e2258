/**
 * Many recorded calls at a time, by `deno task load`: latencies, exactness of every recording, and
 * the server's CPU and memory over time; and what the same number of calls is to a bare WebSocket
 * server, which records nothing. Linux only.
 *
 * Arguments: other loads, each as `calls:seconds`.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { LoadResult } from "../../lib/client/load/load_result.ts";
import { ROOT, taskFlags, TemporaryFolder } from "../helpers/program.ts";
import { API_KEY, SECRET } from "../helpers/wire_client.ts";
import { CallsRunner } from "./calls_runner.ts";
import { CLIENT_CORE, onCore, SERVER_CORE } from "./cores.ts";
import { ServerProcess } from "./server_process.ts";
import { printLine, printTable } from "./table.ts";

const CALLS_PER_SECOND = 200;
const LOADS = ["1000:600", "2000:60", "3000:60", "4000:60"];
/** Of the readings of the server's memory; ten for a load. */
const READINGS = 10;
/** Of the calls to the bare server. */
const BARE_SECONDS = 20;
const BARE_SETTLE_SECONDS = 10;
const PING_MS = 5_000;

interface Run {
  readonly calls: number;
  readonly seconds: number;
  readonly result: LoadResult;
  /** The server's memory when a tenth, two tenths, … of the time was over, bytes. */
  readonly rss: readonly number[];
}

/** Runs a load on a core of its own, until it has ended. */
async function load(server: ServerProcess, options: readonly string[]): Promise<LoadResult> {
  const script = join(ROOT, "lib/client/load/load_command.ts");
  const command = [
    Deno.execPath(),
    "run",
    ...taskFlags("load"),
    script,
    "--json",
    ...options,
  ] as const;
  const [program, ...args] = await onCore(CLIENT_CORE, command);
  const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped", stderr: "null" });
  const { stdout } = await child.spawn().output();
  const text = new TextDecoder().decode(stdout);
  if (text === "") throw new Error(`The load on ${server.url} has no result`);
  return JSON.parse(text);
}

async function measure(calls: number, seconds: number): Promise<Run> {
  await using folder = await TemporaryFolder.make();
  await using server = await ServerProcess.ours({
    folder: folder.path,
    core: SERVER_CORE,
  });
  // Code is compiled, and what was needed for that is let go.
  const key = ["--url", server.url.href, "--key", API_KEY, "--secret", SECRET.toBase64()];
  await load(server, [...key, "--sessions", "200", "--rate", "100", "--duration", "10"]);
  await delay(1000);
  const options = [
    ...key,
    ...["--sessions", String(calls), "--rate", String(CALLS_PER_SECOND)],
    ...["--duration", String(seconds), "--pid", String(server.pid)],
    ...["--verify", folder.join("recordings")],
  ];
  const result = load(server, options);
  const rss: number[] = [];
  await delay(calls * 1000 / CALLS_PER_SECOND);
  for (let reading = 0; reading < READINGS; reading++) {
    await delay((seconds - calls / CALLS_PER_SECOND) * 1000 / READINGS);
    rss.push((await server.usage()).rss);
  }
  return { calls, seconds, result: await result, rss };
}

/** The row of the bare server. */
async function measureBare(calls: number): Promise<string[]> {
  await using folder = await TemporaryFolder.make();
  await using server = await ServerProcess.bare({ folder: folder.path, core: SERVER_CORE });
  await using runner = await CallsRunner.start(server.url, calls, PING_MS);
  await delay(BARE_SETTLE_SECONDS * 1000);
  await runner.report();
  const before = await server.usage();
  const startMs = performance.now();
  await delay(BARE_SECONDS * 1000);
  const after = await server.usage();
  const share = (after.cpuSeconds - before.cpuSeconds) * 1000 / (performance.now() - startMs);
  const { medianMs, p99Ms, maxMs, lateP99Ms } = await runner.report();
  return [
    String(calls),
    `${(share * 100).toFixed(0)} %`,
    ...[medianMs, p99Ms, maxMs, lateP99Ms].map((ms) => ms.toFixed(1)),
  ];
}

const runs: Run[] = [];
for (const load of Deno.args.length > 0 ? Deno.args : LOADS) {
  const [calls = NaN, seconds = NaN] = load.split(":").map(Number);
  runs.push(await measure(calls, seconds));
}
const ms = (value: number | null | undefined) => value?.toFixed(1) ?? "none";
printTable(
  `Calls that begin ${CALLS_PER_SECOND} a second, and are recorded`,
  ["what", ...runs.map(({ calls, seconds }) => `${calls} calls of ${seconds} s`)],
  [
    [
      "`opened`, median and p99, ms",
      ({ times: { opened } }: LoadResult) => `${ms(opened.p50Ms)}, ${ms(opened.p99Ms)}`,
    ] as const,
    [
      "`pong`, median and p99, ms",
      ({ times: { pong } }: LoadResult) => `${ms(pong.p50Ms)}, ${ms(pong.p99Ms)}`,
    ] as const,
    [
      "`closed`, median and p99, ms",
      ({ times: { closed } }: LoadResult) => `${ms(closed.p50Ms)}, ${ms(closed.p99Ms)}`,
    ] as const,
    [
      "the tool itself late, median and p99, ms",
      ({ times: { lateness } }: LoadResult) => `${ms(lateness.p50Ms)}, ${ms(lateness.p99Ms)}`,
    ] as const,
    [
      "sessions that ended well, failed",
      ({ sessions }: LoadResult) => `${sessions.well}, ${sessions.failed}`,
    ] as const,
    [
      "violations",
      ({ violations }: LoadResult) =>
        String(Object.values(violations).reduce((sum, { count }) => sum + count, 0)),
    ] as const,
    [
      "recordings exact, different, missing",
      ({ verify }: LoadResult) =>
        verify === null ? "" : `${verify.exact}, ${verify.different}, ${verify.missing}`,
    ] as const,
    [
      "frames sent, left out",
      ({ sent }: LoadResult) => `${sent.frames}, ${sent.framesThrottled + sent.framesSkipped}`,
    ] as const,
    [
      "server's CPU, ms a call-minute",
      ({ server }: LoadResult) => ms((server?.steadyCpuSecondsPerSessionMinute ?? NaN) * 1000),
    ] as const,
    [
      "the tool's CPU, ms a call-minute",
      ({ client }: LoadResult) => ms((client.steadyCpuSecondsPerSessionMinute ?? NaN) * 1000),
    ] as const,
    [
      "server's memory above idle, KB a call",
      ({ server }: LoadResult) => server?.kbPerSession?.toFixed(0) ?? "",
    ] as const,
  ].map(([what, show]) => [what, ...runs.map(({ result }) => show(result))]),
);
printLine();
for (const { calls, rss, result } of runs) {
  const readings = rss.map((bytes) => (bytes / 1e6).toFixed(0)).join(", ");
  const idle = ((result.server?.idleKb ?? NaN) * 1024 / 1e6).toFixed(0);
  printLine(`- ${calls} calls: MB of the server, idle ${idle}, then at each tenth: ${readings}`);
  for (const warning of result.warnings) printLine(`- ${calls} calls: ${warning}`);
}
const bareRows: string[][] = [];
for (const { calls } of runs) bareRows.push(await measureBare(calls));
printTable(
  `The bare server with as many calls, ${BARE_SECONDS} s after all were connected, milliseconds`,
  ["calls", "of its core", "text to answer, median", "p99", "max", "client late, p99"],
  bareRows,
);
