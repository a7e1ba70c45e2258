import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import { recording, uuid } from "../helpers/index_entries.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { Program, ROOT } from "../helpers/program.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { allPages } from "./recording_index_suite.ts";

/** Runs index_program.ts. */
function start(cwd: string, what: string, path: string, first = 0): Program {
  const flags = ["--unstable-kv", "--no-prompt", "--no-lock", "--allow-read", "--allow-write"];
  const config = ["--allow-run=prlimit", "--config", join(ROOT, "deno.json")];
  const script = join(ROOT, "tests/storage/index_program.ts");
  const args = ["run", ...flags, ...config, script, what, path, String(first)];
  // What is too large for a file is an error then, and not the end.
  const command = ["-c", 'trap "" XFSZ; exec "$0" "$@"', Deno.execPath()];
  return new Program({ executable: "sh", args: [...command, ...args], cwd });
}

const KEY = new Uint8Array(32).fill(1);

Deno.test("index in a KV file: killed at any moment, it has what was put, nothing by halves", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  let first = 0;
  for (let round = 0; round < 3; round++) {
    let last = -1;
    {
      await using program = start(dir.path, "put always", path, first);
      await program.waitFor(new RegExp(`^${first + 30 + round}$`, "m"));
      program.kill("SIGKILL");
      const { stdout } = await program.ended();
      last = Number(stdout.slice(0, stdout.lastIndexOf("\n")).split("\n").at(-1));
    }
    using index = await openRecordingIndex({ place: { kind: "file", path }, key: KEY });
    for (let n = 0; n <= last; n++) {
      assertEquals((await index.get(recording(n).id))?.state, "finished");
      assertEquals((await index.find({ conversationId: uuid(n) }, 9)).entries.length, 1);
    }
    const all = await allPages(index, {}, 100);
    // The one that was under way may be there, in one of its states.
    assert(all.length === last + 1 || all.length === last + 2, `${all.length}, ${last}`);
    const begun = await allPages(index, { state: "recording" }, 100);
    assertEquals(begun, all.filter(({ state }) => state === "recording"));
    assertEquals(
      await Array.fromAsync(index.walk("", "~"), ({ id }) => id),
      all.map(({ id }) => id).sort(),
    );
    first = last + 1;
  }
  assertEquals(logs.records, []);
});

Deno.test({
  name: "index in a KV file: when the disk is full, it can be read, and all waits until it is not",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = await TempDir.create();
    await using program = start(dir.path, "fill disk", join(dir.path, "index.kv"));
    const { stdout, stderr, code } = await program.ended();
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout.trim().split("\n"), [
      "while it is full: 19 wait, 1 can be found",
      "afterwards: 20 can be found, nothing fails, 0 dropped",
    ]);
  },
});
