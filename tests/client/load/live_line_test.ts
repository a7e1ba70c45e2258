import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { join } from "node:path";
import { progressLine } from "../../../lib/client/load/live_line.ts";
import type { LoadProgress } from "../../../lib/client/load/load_result.ts";
import { ROOT, taskFlags, TemporaryFolder } from "../../helpers/program.ts";
import { ScriptedServer } from "../scripted_server.ts";
import { KEY } from "./load_process.ts";

const TIMES = { count: 1, p50Ms: 12.34, p90Ms: 100, p99Ms: 1234, maxMs: 2000 };
const PROGRESS: LoadProgress = {
  elapsedSeconds: 86_400,
  opening: 10_000,
  open: 50_000,
  closing: 10_000,
  ended: 50_000,
  failed: 50_000,
  violations: 50_000,
  framesPerSecond: 500_000,
  pong: TIMES,
  lateness: TIMES,
};
const SMALL = { ...PROGRESS, elapsedSeconds: 12, open: 90, failed: 1, violations: 0 };

Deno.test("live line: all of it where there is room", () => {
  const line =
    "12 s | 10000 opening, 90 open, 10000 closing, 50000 ended | 500000 frames/s, late p99 1234 ms" +
    " | RTT p50 12.3 ms p99 1234 ms | 1 failed, 0 violations";
  assertEquals(progressLine(SMALL, Infinity), line);
  assertEquals(progressLine(SMALL, line.length), line);
});

Deno.test("live line: what matters most where there is less, and no half of a number", () => {
  const cases: readonly [LoadProgress, maxCharacters: number, line: string][] = [
    [
      PROGRESS,
      79,
      "86400 s | 50000 open, 50000 failed | RTT p50 12.3 ms p99 1234 ms",
    ],
    [
      SMALL,
      79,
      "12 s | 90 open, 1 failed | RTT p50 12.3 ms p99 1234 ms | 0 violations",
    ],
    [
      SMALL,
      99,
      "12 s | 90 open, 1 failed | RTT p50 12.3 ms p99 1234 ms | 0 violations | late p99 1234 ms",
    ],
    [SMALL, 30, "12 s | 90 open, 1 failed"],
    [SMALL, 10, "12 s | 90 "],
  ];
  for (const [progress, maxCharacters, line] of cases) {
    assertEquals(progressLine(progress, maxCharacters), line);
  }
});

/** Whether there is util-linux, whose `script` runs a command on a pseudo-terminal. */
const hasScript = await new Deno.Command("script", { args: ["--version"] }).output()
  .then(({ code, stdout }) => code === 0 && new TextDecoder().decode(stdout).includes("util-linux"))
  .catch(() => false);

Deno.test({
  name: "live line: a terminal of 80 columns shows round trips and failures",
  ignore: !hasScript,
  async fn() {
    await using server = new ScriptedServer();
    await using folder = await TemporaryFolder.make();
    const words = [
      ...[
        Deno.execPath(),
        "run",
        ...taskFlags("load"),
        join(ROOT, "lib/client/load/load_command.ts"),
      ],
      ...["--url", server.url.href, "--key", KEY, "--sessions", "2", "--duration", "3"],
    ];
    const command = words.map((word) => `'${word}'`).join(" ");
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qfec", `stty cols 80 rows 24; ${command}`, "/dev/null"],
      cwd: folder.path,
      env: { NO_COLOR: "1", TERM: "dumb" },
      stdin: "null",
      stderr: "null",
    }).output();
    const output = new TextDecoder().decode(stdout);
    assertEquals(code, 0, output);
    const shown = output.split("\r\x1b[K").slice(1).map((line) => line.split(/[\r\n]/)[0] ?? "");
    for (const line of shown) assertLess(line.length, 80, line);
    const last = shown.at(-1) ?? "";
    assertMatch(last, /^\d s \| \d open, 0 failed \| RTT p50 \d[^|]* p99 \d[^|]* \| 0 viol/);
  },
});
