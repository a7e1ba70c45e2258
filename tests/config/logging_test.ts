import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import { prettyFormatter } from "../../lib/config/log_formatters.ts";
import { configureLogging, LOG_CATEGORY, type LoggingOptions } from "../../lib/config/logging.ts";

const ESC = "\x1b";

function linesOf(options: LoggingOptions, log: () => void): string[] {
  const lines: string[] = [];
  configureLogging(options, (line) => lines.push(line));
  try {
    log();
    return lines;
  } finally {
    resetSync();
  }
}

function record(properties: Record<string, unknown> = {}): LogRecord {
  return {
    category: [LOG_CATEGORY, "server"],
    level: "info",
    message: ["Hello"],
    rawMessage: "Hello",
    timestamp: 0,
    properties,
  };
}

Deno.test("logging: json writes one parseable object a line, with message and properties", () => {
  const lines = linesOf({ level: "info", format: "json" }, () => {
    const logger = getLogger([LOG_CATEGORY, "server"]).with({ sessionId: "s1" });
    logger.info("Listening on {host}:{port}", { host: "localhost", port: 8000 });
    logger.warning("two\nlines {text}", { text: `a\nb${ESC}[2J\u009b` });
  });
  assertEquals(lines.length, 2);
  for (const line of lines) assertMatch(line, /^[^\n\p{Cc}]+\n$/u);
  const [first, second] = lines.map((line) => JSON.parse(line));
  assertMatch(first["@timestamp"], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assertEquals(first.level, "INFO");
  assertEquals(first.logger, "audiohook.server");
  assertEquals(first.message, "Listening on localhost:8000");
  assertEquals(first.properties, { sessionId: "s1", host: "localhost", port: 8000 });
  assertEquals(second.level, "WARN");
  assertEquals(second.properties.text, `a\nb${ESC}[2J\u009b`);
});

Deno.test("logging: json takes errors, bigints, cycles and bytes", () => {
  const cyclic: Record<string, unknown> = { name: "loop" };
  cyclic.self = cyclic;
  const error = new TypeError("no such thing", { cause: new Error("deeper") });
  const [line = ""] = linesOf({ level: "info", format: "json" }, () => {
    getLogger(LOG_CATEGORY).error("Failed: {error}", { error, big: 2n ** 70n, cyclic });
  });
  const { message, level, properties } = JSON.parse(line);
  assertEquals(level, "ERROR");
  assertEquals(message, "Failed: TypeError: no such thing");
  assertEquals(properties.error.name, "TypeError");
  assertEquals(properties.error.message, "no such thing");
  assertStringIncludes(properties.error.stack, "logging_test.ts");
  assertEquals(properties.error.cause.message, "deeper");
  assertEquals(properties.big, "1180591620717411303424");
  assertEquals(properties.cyclic.name, "loop");
});

Deno.test("logging: the level decides what is written", () => {
  const logAll = () => {
    const logger = getLogger([LOG_CATEGORY, "a", "b"]);
    logger.trace("trace");
    logger.debug("debug");
    logger.info("info");
    logger.warning("warning");
    logger.error("error");
    logger.fatal("fatal");
  };
  const levels = ["trace", "debug", "info", "warning", "error", "fatal"] as const;
  for (const [index, level] of levels.entries()) {
    const lines = linesOf({ level, format: "json" }, logAll);
    assertEquals(lines.map((line) => JSON.parse(line).message), levels.slice(index));
  }
});

Deno.test("logging: LogTape itself and other libraries are quiet at info", () => {
  const lines = linesOf({ level: "trace", format: "json" }, () => {
    getLogger(["logtape", "meta"]).info("LogTape is configured");
    getLogger("some-library").info("Hello");
  });
  assertEquals(lines, []);
});

Deno.test("logging: set up twice, the second set-up replaces the first", () => {
  const first: string[] = [];
  configureLogging({ level: "info", format: "json" }, (line) => first.push(line));
  const second = linesOf(
    { level: "info", format: "json" },
    () => getLogger(LOG_CATEGORY).info("Hello"),
  );
  assertEquals([first.length, second.length], [0, 1]);
});

Deno.test("logging: a writer that fails does not fail the call that logs", () => {
  let calls = 0;
  configureLogging({ level: "info", format: "json" }, () => {
    calls++;
    throw new Deno.errors.BrokenPipe("Broken pipe");
  });
  try {
    getLogger(LOG_CATEGORY).info("one");
    getLogger(LOG_CATEGORY).info("two");
    assert(calls >= 2);
  } finally {
    resetSync();
  }
});

Deno.test("logging: pretty has time, level, category, message, and the properties that are not in it", () => {
  const [line = ""] = linesOf({ level: "info", format: "pretty" }, () => {
    getLogger([LOG_CATEGORY, "server"]).info("Listening on {host}", {
      host: "localhost",
      port: 8000,
      path: "/a b",
      empty: "",
      media: { rate: 8000 },
    });
  });
  assertMatch(line, /^\d\d:\d\d:\d\d\.\d{3} \[?INF\]? audiohook\.server: Listening on localhost /);
  assertStringIncludes(line, ' port=8000 path="/a b" empty="" media={ rate: 8000 }\n');
});

Deno.test("logging: pretty puts the stack of an error on indented lines", () => {
  const [line = ""] = linesOf({ level: "info", format: "pretty" }, () => {
    getLogger(LOG_CATEGORY).error("Failed: {error}", { error: new RangeError("too far") });
  });
  const [head = "", ...rest] = line.trimEnd().split("\n");
  assertStringIncludes(head, "Failed: RangeError: too far");
  assert(rest.length >= 2);
  for (const stackLine of rest) assertMatch(stackLine, /^ {4}\S| {8}at /);
});

Deno.test("logging: a value can neither forge a line nor steer the terminal in pretty", () => {
  const evil = `x\n00:00:00.000 INF forged${ESC}[31m\u009b`;
  const lines = linesOf({ level: "info", format: "pretty" }, () => {
    const logger = getLogger(LOG_CATEGORY);
    logger.info("Got {evil}", { evil });
    logger.info(`Got ${evil}`);
    logger.info("Got it", { evil, [evil]: 1, nested: { evil: [evil] } });
    logger.info("Failed", { error: new Error(evil) });
  });
  assertEquals(lines.length, 4);
  for (const line of lines) {
    assertEquals(/\p{Cc}/u.test(line.replaceAll("\n", "")), false, line);
    for (const stackLine of line.split("\n").slice(1)) assertMatch(stackLine, /^$|^ {4}/);
  }
  for (const line of lines.slice(0, 3)) assertEquals(line.indexOf("\n"), line.length - 1);
});

Deno.test("logging: pretty uses colours only when asked to", () => {
  assertEquals(prettyFormatter(false)(record({ a: 1 })).includes(ESC), false);
  const coloured = prettyFormatter(true)(record({ a: 1 }));
  assertStringIncludes(coloured, `${ESC}[32mINF${ESC}[0m`);
  assertStringIncludes(coloured, "Hello a=1\n");
});

Deno.test("logging: when the reader of standard output goes away, the process goes on", async () => {
  const module = new URL("../../lib/config/logging.ts", import.meta.url).href;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      script,
      `import { getLogger } from "@logtape/logtape";
       import { configureLogging } from ${JSON.stringify(module)};
       configureLogging({ level: "info", format: "json" });
       for (let n = 0; n < 20_000; n++) getLogger("audiohook").info("line {n}", { n });
       await Deno.stderr.write(new TextEncoder().encode("still here"));`,
    );
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--no-lock", `--config=${config}`, script],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const reader = process.stdout.getReader();
    const { value } = await reader.read();
    const [line = ""] = new TextDecoder().decode(value).split("\n");
    assertEquals(JSON.parse(line).message, "line 0");
    await reader.cancel();
    assertEquals(await new Response(process.stderr).text(), "still here");
    assertEquals((await process.status).code, 0);
  } finally {
    await Deno.remove(script);
  }
});
