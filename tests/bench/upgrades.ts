/**
 * Many signed calls a second, each of them connected, opened and closed: how long `opened` takes,
 * against a bare WebSocket server in the same run, alternating.
 *
 * The calls come by chance (a Poisson process) and wait for no other: where the server falls
 * behind, they pile up and show it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { TemporaryFolder } from "../helpers/program.ts";
import { DISTRIBUTION_HEAD, distributionCells, percentile } from "./distribution.ts";
import { SERVER_CORE } from "./cores.ts";
import { Probe } from "./probe.ts";
import { ServerProcess } from "./server_process.ts";
import { printLine, printTable } from "./table.ts";

const CALLS_PER_SECOND = 200;
const WARM_UP_SECONDS = 3;
const ROUND_SECONDS = 20;
const ROUNDS = 2;

class Load {
  /** From the beginning of the TCP connection to the WebSocket. */
  readonly connectedMs: number[] = [];
  /** From `open` to `opened`. */
  readonly openedMs: number[] = [];
  /** From the beginning of the TCP connection to `opened`. */
  readonly totalMs: number[] = [];
  /** How much later than it should this client began to connect, its signature included. */
  readonly lateMs: number[] = [];
  readonly failures: unknown[] = [];
  mostAtOnce = 0;
  seconds = 0;
  #running = 0;

  /** Begins calls for some time, and waits until all of them have ended. */
  async run(url: URL, seconds: number): Promise<void> {
    const calls: Promise<void>[] = [];
    const startMs = performance.now();
    let dueMs = startMs;
    while (dueMs < startMs + seconds * 1000) {
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await delay(waitMs);
      calls.push(this.#call(url, dueMs));
      dueMs += -Math.log(1 - Math.random()) * 1000 / CALLS_PER_SECOND;
    }
    this.seconds += (performance.now() - startMs) / 1000;
    await Promise.all(calls);
  }

  /** Rows of the table. */
  rows(name: string, first: string): string[][] {
    return [
      [`${name}, connection to WebSocket`, ...distributionCells(this.connectedMs)],
      [`${name}, ${first}`, ...distributionCells(this.openedMs)],
      [`${name}, both`, ...distributionCells(this.totalMs)],
    ];
  }

  /** What the table does not have. */
  note(name: string): string {
    const rate = (this.openedMs.length / this.seconds).toFixed(0);
    const late = percentile(this.lateMs, 0.99).toFixed(2);
    return `${name}: ${rate} calls a second, at most ${this.mostAtOnce} at once, ` +
      `${this.failures.length} failed; the client began them up to ${late} ms late (p99)`;
  }

  async #call(url: URL, dueMs: number): Promise<void> {
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#running);
    try {
      const probe = await Probe.connect(url);
      const connectedMs = performance.now() - probe.startedMs;
      const openedMs = await probe.open();
      this.totalMs.push(performance.now() - probe.startedMs);
      this.lateMs.push(probe.startedMs - dueMs);
      this.connectedMs.push(connectedMs);
      this.openedMs.push(openedMs);
      await probe.close();
    } catch (error) {
      this.failures.push(error);
    }
    this.#running--;
  }
}

await using folder = await TemporaryFolder.make();
const options = { folder: folder.path, core: SERVER_CORE };
await using ours = await ServerProcess.ours(options);
await using bare = await ServerProcess.bare(options);
const oursLoad = new Load();
const bareLoad = new Load();
await new Load().run(ours.url, WARM_UP_SECONDS);
await new Load().run(bare.url, WARM_UP_SECONDS);
const { cpuSeconds: oursBefore } = await ours.usage();
const { cpuSeconds: bareBefore } = await bare.usage();
for (let round = 0; round < ROUNDS; round++) {
  await oursLoad.run(ours.url, ROUND_SECONDS);
  await bareLoad.run(bare.url, ROUND_SECONDS);
}
const perCall = (seconds: number, { openedMs }: Load) =>
  `${(seconds * 1000 / openedMs.length).toFixed(2)} ms of the server's CPU time a call`;
const oursCpu = perCall((await ours.usage()).cpuSeconds - oursBefore, oursLoad);
const bareCpu = perCall((await bare.usage()).cpuSeconds - bareBefore, bareLoad);
printTable(
  `${CALLS_PER_SECOND} calls a second for ${ROUND_SECONDS} s, ${ROUNDS} times, milliseconds`,
  ["what", ...DISTRIBUTION_HEAD],
  [
    ...oursLoad.rows("server", "`open` to `opened`"),
    ...bareLoad.rows("bare server", "first text to its answer"),
  ],
);
printLine();
printLine(`- ${oursLoad.note("server")}; ${oursCpu}`);
printLine(`- ${bareLoad.note("bare server")}; ${bareCpu}`);
const [failure] = [...oursLoad.failures, ...bareLoad.failures];
if (failure !== undefined) throw failure;
