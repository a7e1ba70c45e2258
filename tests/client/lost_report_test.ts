// A report that cannot be written is told, and is no success.
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { type Ended, Program, ROOT, taskFlags, TemporaryFolder } from "../helpers/program.ts";
import { RecordingServer } from "./recording_server.ts";
import { SIGNED } from "./call_program.ts";

const SCRIPTS = {
  call: "lib/client/call_command.ts",
  check: "lib/client/check/check_command.ts",
  load: "lib/client/load/load_command.ts",
} as const;

/** A device that is always full. */
const hasFullDevice = Deno.build.os === "linux";

/** Runs a command by a line of `sh`, which has it as `"$@"`. */
async function runInShell(
  line: string,
  command: keyof typeof SCRIPTS,
  args: readonly string[],
): Promise<Ended> {
  await using folder = await TemporaryFolder.make();
  const words = ["run", ...taskFlags(command), join(ROOT, SCRIPTS[command]), ...args];
  await using program = new Program({
    executable: "sh",
    args: ["-c", line, "sh", Deno.execPath(), ...words],
    cwd: folder.path,
  });
  return await program.ended(40_000);
}

const REPORTS: Readonly<Record<string, readonly [keyof typeof SCRIPTS, ...string[]]>> = {
  "a call": ["call", "--tone", "--duration", "0.2"],
  "a call for a program": ["call", "--tone", "--duration", "0.2", "--json"],
  "a check": ["check", "--only", "close.answered"],
  "a check for a program": ["check", "--only", "close.answered", "--json"],
  "a load": ["load", "--sessions", "1", "--duration", "0.2"],
  "a load for a program": ["load", "--sessions", "1", "--duration", "0.2", "--json"],
};

for (const [what, [command, ...args]] of Object.entries(REPORTS)) {
  Deno.test({
    name: `lost report: that of ${what} on a full disk ends with 1, and is told`,
    ignore: !hasFullDevice,
    async fn() {
      await using server = await RecordingServer.start();
      const all = ["--url", server.url.href, ...SIGNED, ...args];
      const lost = await runInShell('exec "$@" >/dev/full', command, all);
      assertEquals(lost.code, 1, lost.output);
      assertMatch(lost.stderr, /^Cannot write all of the report to .*\(No space left on device\)/m);
      const kept = await runInShell('exec "$@" >/dev/null', command, all);
      assertEquals(kept.code, 0, kept.output);
    },
  });
}

for (const command of ["call", "check", "load"] as const) {
  Deno.test({
    name: `lost report: who reads no more of ${command} has seen enough`,
    ignore: Deno.build.os === "windows",
    async fn() {
      const { stderr } = await runInShell('{ "$@"; echo "code $?" >&2; } | true', command, ["-h"]);
      assertEquals(stderr, "code 0\n");
    },
  });
}
