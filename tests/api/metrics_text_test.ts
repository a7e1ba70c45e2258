/**
 * Metrics as Prometheus reads them.
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Metric, METRICS_CONTENT_TYPE, metricsText } from "../../lib/api/mod.ts";

const metric = (changes: Partial<Metric> = {}): Metric => ({
  name: "audiohook_sessions",
  help: "Sessions now.",
  type: "gauge",
  value: 3,
  ...changes,
});

Deno.test("metrics: each has its help, its type and its value, in order", () => {
  const text = metricsText([
    metric(),
    metric({ name: "audiohook_refusals_total", help: "Refused.", type: "counter", value: 0 }),
    metric({ name: "audiohook_free_bytes", help: "Free.", value: 1.5e21 }),
  ]);
  assertEquals(
    text,
    `# HELP audiohook_sessions Sessions now.
# TYPE audiohook_sessions gauge
audiohook_sessions 3
# HELP audiohook_refusals_total Refused.
# TYPE audiohook_refusals_total counter
audiohook_refusals_total 0
# HELP audiohook_free_bytes Free.
# TYPE audiohook_free_bytes gauge
audiohook_free_bytes 1.5e+21
`,
  );
  assertEquals(metricsText([]), "");
  assertEquals(METRICS_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
});

Deno.test("metrics: what is not known is left out", () => {
  const others = [metric(), metric({ name: "audiohook_a" })];
  const unknown = metric({ name: "audiohook_free_bytes", value: undefined });
  assertEquals(metricsText([unknown, ...others]), metricsText(others));
});

Deno.test("metrics: numbers as Go reads them", () => {
  const cases = [[Infinity, "+Inf"], [-Infinity, "-Inf"], [NaN, "NaN"], [-0.5, "-0.5"]] as const;
  for (const [value, written] of cases) {
    assertEquals(metricsText([metric({ value })]).split("\n")[2], `audiohook_sessions ${written}`);
  }
});

Deno.test("metrics: names that are not as they must be are refused", () => {
  for (
    const name of [
      "sessions",
      "audiohook_",
      "audiohook_Sessions",
      "audiohook_a b",
      "audiohook_a{b}",
      "audiohook_a_",
      "audiohook_a\n",
      "audiohook_sessions_total",
      "",
    ]
  ) {
    assertThrows(() => metricsText([metric({ name })]), TypeError, name);
  }
  assertThrows(() => metricsText([metric({ type: "counter" })]), TypeError, "_total");
  assertThrows(() => metricsText([metric(), metric()]), TypeError, "twice");
});

Deno.test("metrics: whatever the help and the value, each metric is three lines", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.double(), (help, value) => {
      const lines = metricsText([metric({ help, value })]).split("\n");
      assertEquals(lines.length, 4);
      assertEquals(lines[0]?.slice("# HELP audiohook_sessions ".length), escaped(help));
      assertMatch(lines[2] ?? "", /^audiohook_sessions (NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]\d+)?)$/);
    }),
  );
});

function escaped(help: string): string {
  return [...help].map((char) => char === "\\" ? "\\\\" : char === "\n" ? "\\n" : char).join("");
}
