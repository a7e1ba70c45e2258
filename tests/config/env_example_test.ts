import { assert, assertEquals } from "@std/assert";
import { parseEnv } from "node:util";
import { parseSettings, SETTING_NAMES } from "../../lib/config/settings.ts";

const text = await Deno.readTextFile(new URL("../../.env.example", import.meta.url));
const assignment = /^# ([A-Z][A-Z0-9_]*)=(.*)$/;
const lines = text.split("\n");

Deno.test(".env.example: lists exactly the settings, in the same order", () => {
  const names = lines.map((line) => assignment.exec(line)?.[1]).filter((name) => name);
  assertEquals(names, [...SETTING_NAMES]);
});

Deno.test(".env.example: sets nothing as it is", () => {
  assertEquals({ ...parseEnv(text) }, {});
});

Deno.test(".env.example: each setting has a one-line explanation above it", () => {
  for (const [index, line] of lines.entries()) {
    if (!assignment.test(line)) continue;
    assert(/^# \S/.test(lines[index - 1] ?? ""), line);
    assertEquals(lines[index - 2], "", line);
  }
});

Deno.test(".env.example: uncommented, it gives the defaults", () => {
  const uncommented = parseEnv(lines.map((line) => line.replace(assignment, "$1=$2")).join("\n"));
  assertEquals(Object.keys(uncommented), [...SETTING_NAMES]);
  for (const stdoutIsTerminal of [true, false]) {
    const surroundings = { readTextFile: () => "", stdoutIsTerminal };
    assertEquals(
      parseSettings((name) => uncommented[name], surroundings),
      parseSettings(() => undefined, surroundings),
    );
  }
});

Deno.test(".env.example: a setting with a fixed default shows it", () => {
  const shown = lines.map((line) => assignment.exec(line)).filter((match) => match?.[2] === "");
  assertEquals(shown.map((match) => match?.[1]), [
    "AUDIOHOOK_KEYS",
    "AUDIOHOOK_KEYS_FILE",
    "PUBLIC_AUTHORITY",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
    "LOG_FORMAT",
    "CLIENT_ADDRESS_HEADER",
    "S3_ENDPOINT",
    "S3_REGION",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "KV_URL",
    "ADMIN_TOKEN",
  ]);
});
