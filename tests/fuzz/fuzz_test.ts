/**
 * The fuzzers, for a moment each: they find nothing, they get far enough to find something, and
 * what they find they report so that it can be seen again.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Program, ROOT, taskFlags } from "../helpers/program.ts";
import { fuzzCommand, type FuzzCommandParts, TARGETS } from "./fuzz.ts";
import { describeDefect, fuzzBatch } from "./fuzz_batch.ts";
import { codecTarget } from "./codec_target.ts";
import { type FuzzTarget, Tally } from "./fuzz_target.ts";

/** The same each time: other inputs are for `deno task fuzz`. */
const SEED = 20_251_122;
const BATCHES: Readonly<Record<string, number>> = {
  codec: 8,
  "server session": 16,
  "client session": 16,
  signature: 10,
  upgrade: 5,
};

for (const target of TARGETS) {
  Deno.test(`fuzz: ${target.name}: finds nothing, and reaches all that it has to`, async () => {
    const tally = new Tally();
    await using running = new AsyncDisposableStack();
    if (target.start !== undefined) running.use(await target.start());
    for (let batch = 0; batch < (BATCHES[target.name] ?? 1); batch++) {
      const defect = await fuzzBatch(target, SEED + batch, tally);
      if (defect !== undefined) throw new Error(describeDefect(defect), { cause: defect.error });
    }
    assert(tally.inputs > 500, `${tally.inputs} inputs`);
    assertEquals(tally.missed(target.mustReach), []);
  });
}

/** The codec, if it could not stand a certain number in a valid message. */
const faulty: FuzzTarget<unknown> = {
  ...codecTarget as FuzzTarget<unknown>,
  run(value, tally) {
    void codecTarget.run(value as Parameters<typeof codecTarget.run>[0], tally);
    if (codecTarget.describe(value as never).includes('\\"seq\\":0')) {
      throw new Error("This defect is planted");
    }
  },
};

/** Runs the command within this process. */
async function command(
  args: readonly string[],
  parts: FuzzCommandParts = {},
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await fuzzCommand(args, {
    print: (text) => out += text,
    printError: (text) => err += text,
    ...parts,
  });
  return { code, out, err };
}

Deno.test("fuzz: a planted defect is found, and its seed finds the same again at once", async () => {
  const first = await command(["--seconds", "20", "--seed", "1"], { targets: [faulty] });
  assertEquals(first.code, 1, first.out);
  assertStringIncludes(first.out, "This defect is planted");
  assertMatch(first.out, /at .*fuzz_test\.ts/);
  const [, seed = ""] = /--target "codec" --seed (\d+)/.exec(first.out) ?? [];
  const report = first.out.slice(0, first.out.indexOf("Error:"));
  const again = await command(["--seconds", "0.001", "--seed", seed, "--target", "codec"], {
    targets: [faulty],
  });
  assertEquals(again.code, 1);
  assertStringIncludes(again.out, report);
  // Shrunk: nothing but what it takes is changed in the message.
  assertMatch(report, /"seq\\":0/);
  assert(report.length < 1500, report);
});

Deno.test("fuzz: a fuzzer that reaches nothing is noticed", () => {
  const tally = new Tally();
  for (let i = 0; i < 1000; i++) tally.tried(1);
  tally.reached("message");
  assertEquals(tally.missed({ message: 0.001, unknown: 0.001 }), [
    "unknown: 0, expected at least 0.001",
  ]);
});

Deno.test("fuzz: the command tells what was tried, by target", async () => {
  const targets = TARGETS.filter(({ start }) => start === undefined);
  const { code, out } = await command(["--seconds", "0.01", "--seed", "7"], { targets });
  assertEquals(code, 0, out);
  for (const { name, batch } of targets) {
    assertMatch(out, new RegExp(`^${name} +${batch.toLocaleString("en")} .* 0$`, "m"));
  }
  assertMatch(out, /^Seed: 7$/m);
});

Deno.test("fuzz: the command stops when it is told to, and prints what was done", async () => {
  const { code, out } = await command(["--seconds", "1000", "--target", "codec"], {
    signal: AbortSignal.timeout(100),
  });
  assertEquals(code, 0);
  assertMatch(out, /^codec +[1-9]/m);
});

Deno.test("fuzz: wrong options are told, and end with 2", async () => {
  for (
    const args of [["--fast"], ["--seconds", "x"], ["--seconds", "-1"], ["--target", "nothing"], [
      "--seed",
      "1.5",
    ], ["stray"]]
  ) {
    const { code, out, err } = await command(args);
    assertEquals([code, out], [2, ""], String(args));
    assertStringIncludes(err, "Usage: deno task fuzz");
  }
  assertMatch((await command(["--help"])).out, /--target NAME/);
});

Deno.test("fuzz: the task runs with the permissions that it has", async () => {
  await using program = new Program({
    args: ["run", ...taskFlags("fuzz"), `${ROOT}/tests/fuzz/fuzz.ts`, "--seconds", "0.1"],
    cwd: ROOT,
  });
  const { code, output } = await program.ended(60_000);
  assertEquals(code, 0, output);
  assertMatch(output, /^upgrade +[1-9]/m);
});
