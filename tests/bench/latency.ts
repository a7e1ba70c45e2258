/**
 * How long `opened` and `pong` take, against a bare WebSocket server in the same run, alternating;
 * idle, and while other calls are recorded.
 */
import { TemporaryFolder } from "../helpers/program.ts";
import { DISTRIBUTION_HEAD, distributionCells } from "./distribution.ts";
import { Probe } from "./probe.ts";
import { RunningCalls } from "./running_calls.ts";
import { ServerProcess } from "./server_process.ts";
import { printTable } from "./table.ts";

const ROUNDS = 5;
const SESSIONS_PER_ROUND = 40;
const PINGS_PER_ROUND = 40;
const BACKGROUND_CALLS = 100;

interface Times {
  readonly opened: number[];
  readonly pong: number[];
}

async function measure(url: URL, times: Times): Promise<void> {
  for (let i = 0; i < SESSIONS_PER_ROUND; i++) {
    const probe = await Probe.connect(url);
    times.opened.push(await probe.open());
    await probe.close();
  }
  const probe = await Probe.connect(url);
  await probe.open();
  for (let i = 0; i < PINGS_PER_ROUND; i++) {
    probe.sendFrame();
    times.pong.push(await probe.ping());
  }
  await probe.close();
}

async function compare(ours: URL, bare: URL, title: string): Promise<void> {
  const oursTimes: Times = { opened: [], pong: [] };
  const bareTimes: Times = { opened: [], pong: [] };
  await measure(ours, { opened: [], pong: [] });
  await measure(bare, { opened: [], pong: [] });
  for (let round = 0; round < ROUNDS; round++) {
    await measure(ours, oursTimes);
    await measure(bare, bareTimes);
  }
  printTable(`${title}, milliseconds`, ["what", ...DISTRIBUTION_HEAD], [
    ["`open` to `opened`", ...distributionCells(oursTimes.opened)],
    ["bare server, first text to its answer", ...distributionCells(bareTimes.opened)],
    ["`ping` to `pong`", ...distributionCells(oursTimes.pong)],
    ["bare server, later text to its answer", ...distributionCells(bareTimes.pong)],
  ]);
}

await using folder = await TemporaryFolder.make();
await using ours = await ServerProcess.ours({ folder: folder.path });
await using bare = await ServerProcess.bare({ folder: folder.path });
await compare(ours.url, bare.url, "Idle");
const calls = await RunningCalls.start(ours.url, BACKGROUND_CALLS);
await compare(ours.url, bare.url, `While ${BACKGROUND_CALLS} other calls are recorded`);
await calls.stop();
