import { assertEquals, assertExists } from "@std/assert";
import { parseEnv } from "node:util";
import { SETTING_NAMES } from "../../lib/config/settings.ts";

const root = new URL("../../", import.meta.url);
const readme = await Deno.readTextFile(new URL("README.md", root));
const example = await Deno.readTextFile(new URL(".env.example", root));

/** The default that a row of README's tables shows, by the name of the setting. */
const shown = new Map(
  [...readme.matchAll(/^\| `([A-Z][A-Z0-9_]+)` +\| +(?:`([^`]*)`)? *\| \S.*\|$/gm)]
    .map(([, name = "", value = ""]) => [name, value]),
);

Deno.test("README: its tables have every setting, and no other", () => {
  assertEquals([...shown.keys()].toSorted(), [...SETTING_NAMES].toSorted());
});

Deno.test("README: its tables have the defaults of .env.example", () => {
  const defaults = parseEnv(example.replace(/^# ([A-Z][A-Z0-9_]*=)/gm, "$1"));
  for (const name of SETTING_NAMES) {
    assertExists(defaults[name]);
    assertEquals(shown.get(name), defaults[name], name);
  }
});
