/**
 * What a recorded call costs: our server, recording to disk, against a bare WebSocket server that
 * does nothing with what it gets, and against one that only writes it. The same calls for all, in one
 * run, alternating. Linux only.
 *
 * With the argument `sync`: what syncing to the disk costs, which is on by default.
 */
import { setTimeout as delay } from "node:timers/promises";
import { TemporaryFolder } from "../helpers/program.ts";
import { CallsRunner } from "./calls_runner.ts";
import type { CallsReport } from "./calls_process.ts";
import { SERVER_CORE } from "./cores.ts";
import { median } from "./distribution.ts";
import { ServerProcess } from "./server_process.ts";
import { printLine, printTable } from "./table.ts";

const CALLS = 1_000;
const ROUND_SECONDS = 20;
const ROUNDS = 3;
/** Genesys Cloud's time between pings. */
const PING_MS = 5_000;
/** From the opening of the calls of a round. */
const SETTLE_SECONDS = 8;
/** So many pings as come in minutes of calls: until then V8 has not compiled all that they need. */
const WARM_UP = { calls: 300, pingMs: 100, seconds: 12 };

interface Round extends CallsReport {
  /** Seconds of CPU time of a minute of a call. */
  readonly cpuPerMinute: number;
  /** The same of the calls' process. */
  readonly clientCpuPerMinute: number;
  /** Memory of a call, bytes: above what the server had before the first round. */
  readonly bytesPerCall: number;
}

async function measure(server: ServerProcess, idleRss: number): Promise<Round> {
  await using calls = await CallsRunner.start(server.url, CALLS, PING_MS);
  await delay(SETTLE_SECONDS * 1000);
  await calls.report();
  const before = await server.usage();
  const startMs = performance.now();
  await delay(ROUND_SECONDS * 1000);
  const after = await server.usage();
  const minutes = CALLS * (performance.now() - startMs) / 60_000;
  const report = await calls.report();
  return {
    ...report,
    cpuPerMinute: (after.cpuSeconds - before.cpuSeconds) / minutes,
    clientCpuPerMinute: report.cpuSeconds / minutes,
    bytesPerCall: (after.rss - idleRss) / CALLS,
  };
}

async function warmUp(server: ServerProcess): Promise<void> {
  await using _calls = await CallsRunner.start(server.url, WARM_UP.calls, WARM_UP.pingMs);
  await delay(WARM_UP.seconds * 1000);
}

await using folder = await TemporaryFolder.make();
const options = { folder: folder.path, core: SERVER_CORE };
await using stack = new AsyncDisposableStack();

interface Server {
  readonly name: string;
  readonly process: ServerProcess;
}

/** Ours by its parts, after what they are compared with. */
async function parts(): Promise<readonly Server[]> {
  return await started([
    ["bare server", () => ServerProcess.bare(options)],
    [
      "bare server that writes over the same bytes",
      () => ServerProcess.writing("overwrite", options),
    ],
    ["bare server that writes files", () => ServerProcess.writing("append", options)],
    ["server: protocol, without an app", () => ServerProcess.partial("protocol", options)],
    ["server: and the recorder, writing nowhere", () => ServerProcess.partial("recorder", options)],
    ["server: and the disk", () => ServerProcess.ours(options)],
  ]);
}

async function syncing(): Promise<readonly Server[]> {
  const ours = (SYNC_SECONDS: string) => async () =>
    await ServerProcess.ours({
      ...options,
      folder: await Deno.makeTempDir({ dir: options.folder }),
      env: { SYNC_SECONDS },
    });
  return await started([
    ["recorder, synced at the end of a call", ours("0")],
    ["recorder, synced every 10 s", ours("10")],
  ]);
}

async function started(
  all: readonly (readonly [name: string, start: () => Promise<ServerProcess>])[],
): Promise<readonly Server[]> {
  const servers: Server[] = [];
  for (const [name, start] of all) servers.push({ name, process: stack.use(await start()) });
  return servers;
}

const servers = Deno.args[0] === "sync" ? await syncing() : await parts();
const rounds: { name: string; process: ServerProcess; idleRss: number; all: Round[] }[] = [];
for (const { name, process } of servers) {
  await warmUp(process);
  const { rss: idleRss } = await process.usage();
  rounds.push({ name, process, idleRss, all: [] });
}
for (let round = 0; round < ROUNDS; round++) {
  for (const { process, idleRss, all } of rounds) all.push(await measure(process, idleRss));
}
printTable(
  `${CALLS} stereo calls, 100 ms frames, ${ROUNDS} rounds of ${ROUND_SECONDS} s, in order`,
  [
    "what",
    "CPU ms a call-minute",
    "KB a call",
    "pings",
    "median ms",
    "p99 ms",
    "max ms",
    "client late, p99 ms",
    "client's CPU ms a call-minute",
  ],
  rounds.flatMap(({ name, all }) =>
    all.map((round) => [
      name,
      (round.cpuPerMinute * 1000).toFixed(2),
      (round.bytesPerCall / 1000).toFixed(0),
      String(round.pings),
      round.medianMs.toFixed(2),
      round.p99Ms.toFixed(2),
      round.maxMs.toFixed(2),
      round.lateP99Ms.toFixed(2),
      (round.clientCpuPerMinute * 1000).toFixed(2),
    ])
  ),
);
const [first] = servers;
const [firstCpu = NaN, ...others] = rounds.map(({ all }) =>
  median(all.map(({ cpuPerMinute }) => cpuPerMinute))
);
printLine();
for (const [index, cpu] of others.entries()) {
  const times = (cpu / firstCpu).toFixed(2);
  printLine(`- ${rounds[index + 1]?.name}: ${times} times the CPU of ${first?.name} (medians)`);
}
