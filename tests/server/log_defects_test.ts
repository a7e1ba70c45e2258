/**
 * A process that logs its defects and lives on: a real one, as those of tests fail the test.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Program, ROOT, TemporaryFolder } from "../helpers/program.ts";

const urlOf = (path: string) => JSON.stringify(pathToFileURL(join(ROOT, path)).href);

/** Fails in two ways that nobody handles, and ends by itself when both are long past. */
const SCRIPT = `
import { configureLogging } from ${urlOf("lib/config/logging.ts")};
import { logDefects } from ${urlOf("lib/server/log_defects.ts")};

configureLogging({ level: "trace", format: "json" });
logDefects();
logDefects();
void Promise.reject(new Error("the rejection", { cause: new Error("cause of the rejection") }));
setTimeout(() => {
  setTimeout(() => console.log("lives on"), 0);
  throw new Error("the error", { cause: new Error("cause of the error") });
}, 0);
`;

Deno.test("log defects: each is logged once with its cause, and the process lives on", async () => {
  await using folder = await TemporaryFolder.make();
  const script = folder.join("script.ts");
  await Deno.writeTextFile(script, SCRIPT);
  const config = join(ROOT, "deno.json");
  await using program = new Program({
    args: ["run", "--no-lock", "--no-prompt", "--config", config, "--allow-read", script],
    cwd: folder.path,
  });
  const { code, stdout, output } = await program.ended();
  assertEquals(code, 0, output);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.filter((line) => line === "lives on").length, 1, output);
  const records = lines.filter((line) => line !== "lives on").map((line) => JSON.parse(line));
  assertEquals(records.map(({ level }) => level), ["FATAL", "FATAL"], output);
  for (const what of ["rejection", "error"]) {
    // In any order.
    const { message, properties } = records.find(({ properties }) =>
      properties.error.message === `the ${what}`
    ) ?? {};
    assertEquals(message, `Defect: ${what === "error" ? "an" : "a"} ${what} that nobody handled`);
    assertStringIncludes(JSON.stringify(properties.error), `cause of the ${what}`);
  }
});
