/**
 * What a flood of bad connection requests does to calls that run: the time of their pings, and the
 * memory of the server, in turns without and with the flood; with the limit of failures for an
 * address as it is by default, and without it. Linux only.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ROOT, TemporaryFolder } from "../helpers/program.ts";
import { CLIENT_CORE, onCore, SERVER_CORE } from "./cores.ts";
import { percentile } from "./distribution.ts";
import type { FloodResult } from "./flood_process.ts";
import { RunningCalls } from "./running_calls.ts";
import { ServerProcess } from "./server_process.ts";
import { printLine, printTable } from "./table.ts";

const CALLS = 100;
const REQUESTS_PER_SECOND = 2_000;
const QUIET_SECONDS = 8;
const FLOOD_SECONDS = 15;
const ROUNDS = 4;
const SAMPLE_MS = 1_000;

const MODES: readonly { title: string; env: Record<string, string> }[] = [
  { title: "With the default limit of failures", env: {} },
  { title: "Without a limit of failures", env: { MAX_AUTH_FAILURES_PER_MINUTE: "0" } },
];

/** Begins to flood a server, from a process of its own; its result comes when all is answered. */
async function beginFlood(url: URL): Promise<{ readonly result: Promise<FloodResult> }> {
  const script = join(ROOT, "tests/bench/flood_process.ts");
  const flags = ["--no-prompt", "--allow-net=127.0.0.1", "--allow-env"];
  const options = [url.host, String(REQUESTS_PER_SECOND), String(FLOOD_SECONDS)];
  const command = [Deno.execPath(), "run", ...flags, script, ...options] as const;
  const [program, ...args] = await onCore(CLIENT_CORE, command);
  const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped" }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { done } = await reader.read();
  if (done) throw new Error("The flood did not begin");
  const readResult = async () => {
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    return JSON.parse(text) as FloodResult;
  };
  return { result: readResult() };
}

interface Phase {
  readonly name: string;
  readonly pingMs: readonly number[];
  readonly lateMs: readonly number[];
  /** Bytes, once a second. */
  readonly rss: readonly number[];
  /** The part of one core that the server took. */
  readonly load: number;
  readonly flood: FloodResult | undefined;
}

/** Watches the calls and the server until the work is done. */
async function watch(
  name: string,
  server: ServerProcess,
  calls: RunningCalls,
  work: Promise<FloodResult | undefined>,
): Promise<Phase> {
  calls.take();
  let isOver = false;
  const done = work.finally(() => isOver = true);
  const before = await server.usage();
  const rss = [before.rss];
  const startMs = performance.now();
  while (!isOver) {
    await Promise.race([done, delay(SAMPLE_MS)]);
    rss.push((await server.usage()).rss);
  }
  const seconds = (performance.now() - startMs) / 1000;
  const load = ((await server.usage()).cpuSeconds - before.cpuSeconds) / seconds;
  return { name, ...calls.take(), rss, load, flood: await done };
}

function row({ name, pingMs, lateMs, rss, load }: Phase): string[] {
  const times = [0.5, 0.99, 1].map((fraction) => percentile(pingMs, fraction).toFixed(2));
  const late = percentile(lateMs, 0.99).toFixed(1);
  const memory = [rss[0] ?? 0, Math.max(...rss), rss.at(-1) ?? 0];
  const megabytes = memory.map((bytes) => (bytes / 1e6).toFixed(0));
  return [
    name,
    String(pingMs.length),
    ...times,
    late,
    `${(load * 100).toFixed(0)} %`,
    ...megabytes,
  ];
}

const HEAD = [
  "phase",
  "pings",
  "median",
  "p99",
  "max",
  "client late, p99",
  "server's CPU",
  "MB, first",
  "highest",
  "last",
];

function printFloods(phases: readonly Phase[]): void {
  printLine();
  for (const { name, flood } of phases) {
    if (flood === undefined) continue;
    const { sent, seconds, answers, medianMs, p99Ms } = flood;
    const counts = Object.entries(answers).map(([answer, count]) => `${count} × ${answer}`);
    printLine(
      `- ${name}: ${(sent / seconds).toFixed(0)} bad requests a second; ${counts.join(", ")}; ` +
        `answered after ${medianMs.toFixed(0)} ms (median), ${p99Ms.toFixed(0)} ms (p99)`,
    );
  }
}

/** All phases of a kind as one; its memory is the first and last of all. */
function together(name: string, phases: readonly Phase[]): Phase {
  return {
    name,
    pingMs: phases.flatMap(({ pingMs }) => pingMs),
    lateMs: phases.flatMap(({ lateMs }) => lateMs),
    rss: phases.flatMap(({ rss }) => rss),
    load: phases.reduce((sum, { load }) => sum + load, 0) / phases.length,
    flood: undefined,
  };
}

async function measure(title: string, env: Record<string, string>): Promise<void> {
  await using folder = await TemporaryFolder.make();
  await using server = await ServerProcess.ours({ folder: folder.path, core: SERVER_CORE, env });
  const calls = await RunningCalls.start(server.url, CALLS);
  const quiet = () => delay(QUIET_SECONDS * 1000).then(() => undefined);
  // Code is compiled, and the first recordings are begun.
  await quiet();
  const phases: Phase[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    phases.push(await watch(`quiet ${round}`, server, calls, quiet()));
    phases.push(
      await watch(`flood ${round}`, server, calls, (await beginFlood(server.url)).result),
    );
  }
  phases.push(await watch(`quiet ${ROUNDS + 1}`, server, calls, quiet()));
  await calls.stop();
  const all = [
    together("all quiet", phases.filter(({ flood }) => flood === undefined)),
    together("all floods", phases.filter(({ flood }) => flood !== undefined)),
  ];
  printTable(
    `${title}: pings of ${CALLS} calls, milliseconds, and the server's memory`,
    HEAD,
    [...phases, ...all].map(row),
  );
  printFloods(phases);
}

for (const { title, env } of MODES) await measure(title, env);
