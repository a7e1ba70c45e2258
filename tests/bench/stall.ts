/**
 * What a disk that stalls does to calls that run: the time of their pings before, meanwhile and
 * afterwards, and the server's memory. Linux only.
 */
import { setTimeout as delay } from "node:timers/promises";
import { TemporaryFolder } from "../helpers/program.ts";
import { StalledDisk } from "../helpers/stalled_disk.ts";
import { CallsRunner } from "./calls_runner.ts";
import { SERVER_CORE } from "./cores.ts";
import { ServerProcess } from "./server_process.ts";
import { printLine, printTable } from "./table.ts";

const CALLS = 1_000;
const PING_MS = 1_000;
const WARM_UP_SECONDS = 10;
const PHASE_SECONDS = 20;

await using folder = await TemporaryFolder.make();
const disk = await StalledDisk.make(folder.path);
if (typeof disk === "string") {
  printLine(`\nNo disk can be made to stall here: ${disk}`);
  Deno.exit(0);
}
await using server = await ServerProcess.ours({
  folder: folder.path,
  core: SERVER_CORE,
  env: disk.env,
});
await using calls = await CallsRunner.start(server.url, CALLS, PING_MS);
await delay(WARM_UP_SECONDS * 1000);
await calls.report();
const rows: string[][] = [];
for (const phase of ["before", "the disk stalls", "afterwards"]) {
  if (phase === "the disk stalls") await disk.stall();
  if (phase === "afterwards") await disk.goOn();
  await delay(PHASE_SECONDS * 1000);
  const { pings, medianMs, p99Ms, maxMs, lateP99Ms } = await calls.report();
  const times = [medianMs, p99Ms, maxMs, lateP99Ms].map((ms) => ms.toFixed(2));
  rows.push([phase, String(pings), ...times, ((await server.usage()).rss / 1e6).toFixed(0)]);
}
printTable(
  `Pings of ${CALLS} calls that are recorded, each phase ${PHASE_SECONDS} s, milliseconds`,
  ["phase", "pings", "median", "p99", "max", "client late, p99", "server's MB at the end"],
  rows,
);
