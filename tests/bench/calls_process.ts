/**
 * Calls that run in real time, as a process of its own: the address, how many, and the time between
 * a call's pings in milliseconds are its arguments. Writes a line when the calls are open; then, for
 * each line that it reads, a {@link CallsReport} of the time since the line before; and ends the
 * calls when its input ends.
 */
import process from "node:process";
import { percentile } from "./distribution.ts";
import { RunningCalls } from "./running_calls.ts";
import { printLine } from "./table.ts";

/** How calls went for a while. */
export interface CallsReport {
  readonly pings: number;
  /** Round trips, milliseconds. */
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** By how much this process itself was late, which is part of these times. */
  readonly lateP99Ms: number;
  /** CPU time that it took, seconds. */
  readonly cpuSeconds: number;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const [url = "", count = "", pingIntervalMs = ""] = Deno.args;
const calls = await RunningCalls.start(new URL(url), Number(count), Number(pingIntervalMs));
printLine();
let cpuBefore = cpuSeconds();
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
for await (const _ of lines) {
  const { pingMs, lateMs } = calls.take();
  const cpuNow = cpuSeconds();
  const report: CallsReport = {
    pings: pingMs.length,
    medianMs: percentile(pingMs, 0.5),
    p99Ms: percentile(pingMs, 0.99),
    maxMs: percentile(pingMs, 1),
    lateP99Ms: percentile(lateMs, 0.99),
    cpuSeconds: cpuNow - cpuBefore,
  };
  cpuBefore = cpuNow;
  printLine(JSON.stringify(report));
}
await calls.stop();
