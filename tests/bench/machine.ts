/**
 * How often the machine itself is late: a loop that does nothing but read the clock, on each of two
 * cores at once. What it misses, every time that is measured on this machine may have on top.
 *
 * Run with a core as its argument, it is that loop.
 */
import { join } from "node:path";
import { ROOT } from "../helpers/program.ts";
import { CLIENT_CORE, onCore, SERVER_CORE } from "./cores.ts";
import { printLine, printTable } from "./table.ts";

const SECONDS = 20;
const LATE_MS = [1, 3, 5, 10];

interface Gaps {
  /** How often it was later than each of {@link LATE_MS}. */
  readonly counts: readonly number[];
  readonly worstMs: number;
  /** Sum of what was later than the first of them, milliseconds. */
  readonly lateMs: number;
}

function watchClock(): Gaps {
  const counts = LATE_MS.map(() => 0);
  let worstMs = 0;
  let lateMs = 0;
  const startMs = performance.now();
  for (let lastMs = startMs, nowMs = startMs; nowMs < startMs + SECONDS * 1000; lastMs = nowMs) {
    nowMs = performance.now();
    const gapMs = nowMs - lastMs;
    worstMs = Math.max(worstMs, gapMs);
    if (gapMs > (LATE_MS[0] ?? 0)) lateMs += gapMs;
    for (const [index, limitMs] of LATE_MS.entries()) {
      if (gapMs > limitMs) counts[index] = (counts[index] ?? 0) + 1;
    }
  }
  return { counts, worstMs, lateMs };
}

async function watchOn(core: number): Promise<Gaps> {
  const script = join(ROOT, "tests/bench/machine.ts");
  const command = [Deno.execPath(), "run", "--no-prompt", script, "watch"] as const;
  const [program, ...args] = await onCore(core, command);
  const { stdout } = await new Deno.Command(program, { args, stdout: "piped" }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (Deno.args[0] === "watch") {
  printLine(JSON.stringify(watchClock()));
} else {
  const cores = [SERVER_CORE, CLIENT_CORE];
  const all = await Promise.all(cores.map(watchOn));
  printTable(
    `A loop that only reads the clock, ${SECONDS} s`,
    ["core", ...LATE_MS.map((ms) => `later than ${ms} ms`), "share of time", "worst, ms"],
    all.map(({ counts, worstMs, lateMs }, index) => [
      String(cores[index]),
      ...counts.map(String),
      `${(lateMs / SECONDS / 10).toFixed(2)} %`,
      worstMs.toFixed(1),
    ]),
  );
}
