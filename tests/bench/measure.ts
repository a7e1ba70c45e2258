/**
 * Measures small operations against each other: rounds of all of a group take turns, so that what
 * else the machine does hits all of them alike, and each round's last result is checked.
 *
 * Must not import: anything of lib.
 */
import { median } from "./distribution.ts";
import { printTable } from "./table.ts";

const ROUNDS = 31;
/** How long a round should take: many turns of the clock, and no long wait for the next in turn. */
const ROUND_MS = 4;
/** Until V8 has made its best code of an operation. */
const WARM_UP_MS = 100;
const MOST_WARM_UP_ROUNDS = 50;
/** Rounds for the heap are short: a collection within one would hide what was taken. */
const HEAP_OPERATIONS = 200;

/** One operation that is measured. */
export interface Benchmark {
  /** What it is, for the table. A baseline begins with `baseline:`. */
  readonly what: string;
  /** Does it once; `index` counts from 0, without a gap. A promise is waited for. */
  run(index: number): unknown;
  /** Throws unless the result is right. */
  check(result: unknown, index: number): void;
  /** Makes what the next operations need; its time does not count. */
  prepare?(firstIndex: number, operations: number): void;
  /** Waits after a round for what it left to be done; its time does not count. */
  settle?(): Promise<void>;
  /** Largest round. */
  readonly mostOperations?: number;
}

/** Operations that are compared. */
export interface BenchmarkGroup {
  readonly title: string;
  readonly benchmarks: readonly Benchmark[];
  /** What goes into each operation, in bytes, where throughput matters. */
  readonly inputBytes?: number;
  /** Whether operations return promises. */
  readonly isAsync?: boolean;
  /** Ends what the operations used, and checks what they left. */
  finish?(): Promise<void>;
}

/** Makes a benchmark whose check takes what its operation returns. */
export function benchmark<T>(
  of: Omit<Benchmark, "run" | "check"> & {
    run(index: number): T;
    check(result: Awaited<T>, index: number): void;
  },
): Benchmark {
  return of as Benchmark;
}

/** Where results go: V8 must not leave out what nobody asks for. */
let kept: unknown;

/** A benchmark, what was measured of it, and how often it was run. */
class Measured {
  readonly ns: number[] = [];
  readonly heapBytes: number[] = [];
  readonly benchmark: Benchmark;
  readonly #isAsync: boolean;
  #index = 0;

  constructor(benchmark: Benchmark, isAsync: boolean) {
    this.benchmark = benchmark;
    this.#isAsync = isAsync;
  }

  /** Nanoseconds and bytes of the heap for one operation, of a round of so many. */
  async round(operations: number): Promise<{ ns: number; heapBytes: number }> {
    const { benchmark } = this;
    const end = this.#index + operations;
    benchmark.prepare?.(this.#index, operations);
    const heapBefore = Deno.memoryUsage().heapUsed;
    const startMs = performance.now();
    if (this.#isAsync) {
      for (let i = this.#index; i < end; i++) kept = await benchmark.run(i);
    } else {
      for (let i = this.#index; i < end; i++) kept = benchmark.run(i);
    }
    const ns = (performance.now() - startMs) * 1e6 / operations;
    const heapBytes = (Deno.memoryUsage().heapUsed - heapBefore) / operations;
    this.#index = end;
    benchmark.check(kept, end - 1);
    await benchmark.settle?.();
    return { ns, heapBytes };
  }

  /** Runs it until it is as fast as it gets; returns how many operations make a round. */
  async warmUp(): Promise<number> {
    const most = this.benchmark.mostOperations ?? Infinity;
    let operations = 1;
    let ns = 0;
    let restMs = WARM_UP_MS;
    for (let round = 0; restMs > 0 && round < MOST_WARM_UP_ROUNDS; round++) {
      ({ ns } = await this.round(operations));
      restMs -= ns * operations / 1e6;
      operations = Math.max(1, Math.min(operations * 2, ROUND_MS * 1e6 / ns, most) | 0);
    }
    return Math.max(1, Math.min(ROUND_MS * 1e6 / ns, most) | 0);
  }
}

/** Measures a group, and prints its table. */
export async function measure(group: BenchmarkGroup): Promise<void> {
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => await group.finish?.());
  const all = group.benchmarks.map((one) => new Measured(one, group.isAsync === true));
  const operations = new Map<Measured, number>();
  for (const one of all) operations.set(one, await one.warmUp());
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of all) {
      const count = operations.get(one) ?? 1;
      one.heapBytes.push((await one.round(Math.min(count, HEAP_OPERATIONS))).heapBytes);
      one.ns.push((await one.round(count)).ns);
    }
  }
  print(group, all);
}

/** Runs each operation a few times, and checks each result: quick, for tests. */
export async function tryOut(group: BenchmarkGroup, operations = 20): Promise<void> {
  await using stack = new AsyncDisposableStack();
  stack.defer(async () => await group.finish?.());
  for (const one of group.benchmarks) {
    one.prepare?.(0, operations);
    for (let i = 0; i < operations; i++) one.check(await one.run(i), i);
    await one.settle?.();
  }
}

function print({ title, inputBytes }: BenchmarkGroup, all: readonly Measured[]): void {
  const number = (value: number) => value.toFixed(value < 100 ? 1 : 0);
  const throughput = (ns: number) =>
    inputBytes === undefined ? [] : [number(inputBytes * 1e3 / ns)];
  printTable(
    `${title}, ${ROUNDS} rounds`,
    [
      "what",
      "ns, median",
      "lowest",
      ...(inputBytes === undefined ? [] : ["MB/s, median", "highest"]),
      "bytes of heap",
    ],
    all.map(({ benchmark, ns, heapBytes }) => [
      benchmark.what,
      number(median(ns)),
      number(Math.min(...ns)),
      ...throughput(median(ns)),
      ...throughput(Math.min(...ns)),
      median(heapBytes).toFixed(0),
    ]),
  );
}
