/**
 * Runs the benchmarks, or those that are named, one after the other, each in a process of its own,
 * and prints what they measured. BENCHMARKS.md has results.
 */
import { join } from "node:path";
import { ROOT, taskFlags } from "../helpers/program.ts";
import { canPin, CLIENT_CORE, type CommandLine, onCore, SERVER_CORE } from "./cores.ts";
import { printLine } from "./table.ts";

/** One process of a part. */
interface Run {
  readonly script: string;
  /** The core that it is bound to, if it is bound to one. */
  readonly core?: number;
  readonly args?: readonly string[];
}

/** The parts by their names, in their order. */
const PARTS: Readonly<Record<string, readonly Run[]>> = {
  machine: [{ script: "machine.ts" }],
  micro: [{ script: "micro.ts", core: SERVER_CORE }],
  latency: [{ script: "latency.ts" }],
  verification: [
    { script: "verification.ts", core: SERVER_CORE },
    { script: "verification.ts" },
  ],
  upgrades: [{ script: "upgrades.ts", core: CLIENT_CORE }],
  flood: [{ script: "flood.ts", core: CLIENT_CORE }],
  cost: [{ script: "cost.ts", core: CLIENT_CORE }],
  sync: [{ script: "cost.ts", core: CLIENT_CORE, args: ["sync"] }],
  stall: [{ script: "stall.ts", core: CLIENT_CORE }],
  capacity: [{ script: "capacity.ts", core: CLIENT_CORE }],
  index: [{ script: "index.ts", core: SERVER_CORE }],
  recovery: [{ script: "recovery.ts", core: SERVER_CORE }],
};

async function runScript({ script, core, args: more = [] }: Run): Promise<boolean> {
  const path = join(ROOT, "tests/bench", script);
  const command: CommandLine = [Deno.execPath(), "run", ...taskFlags("bench"), path, ...more];
  const [program, ...args] = core === undefined ? command : await onCore(core, command);
  return (await new Deno.Command(program, { args }).spawn().status).success;
}

async function main(names: readonly string[]): Promise<number> {
  const parts = names.length === 0 ? Object.keys(PARTS) : names;
  if (parts.some((name) => !Object.hasOwn(PARTS, name))) {
    // deno-lint-ignore no-console -- the usage is for who calls it, not part of the result
    console.error(`Usage: deno task bench [part…]\n\nParts: ${Object.keys(PARTS).join(", ")}`);
    return 2;
  }
  const pinning = await canPin() ? "are bound to cores" : "cannot be bound to cores here";
  printLine(
    `Deno ${Deno.version.deno}, ${Deno.build.target}, ${navigator.hardwareConcurrency} cores; ` +
      `processes ${pinning}`,
  );
  let code = 0;
  for (const name of parts) {
    printLine(`\n### ${name}`);
    for (const run of PARTS[name] ?? []) if (!await runScript(run)) code = 1;
  }
  return code;
}

Deno.exit(await main(Deno.args));
