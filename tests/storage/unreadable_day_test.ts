/**
 * A day whose folder cannot be read, or not be entered: all other days are listed, indexed, and
 * removed for their age as ever, and nothing of that day is lost.
 */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { Program, ROOT, taskFlags } from "../helpers/program.ts";
import { RecordedFiles } from "../helpers/recorded_files.ts";
import { noise } from "../helpers/wav_check.ts";
import { withoutOverride } from "../helpers/without_override.ts";
import { metadataTextOf } from "./recording_archive_suite.ts";

const CLOSED = "2026-01-02";
const DAYS = ["2026-01-01", CLOSED, "2026-01-03", "2026-06-15"];
/** More than are tried of a day of which none can be removed. */
const RECORDINGS_OF_DAY = 12;
const idOf = (day: string, n = 0) =>
  `${day}.30b0e395-84d3-4570-ac13-9a62d8f5${String(n).padStart(4, "0")}`;

async function put(recordings: RecordedFiles, id: string): Promise<void> {
  const endedAt = `${id.slice(0, 10)}T10:00:00.000Z`;
  await recordings.put(id, {
    ".wav": noise(10),
    ".jsonl": "{}\n",
    ".json": metadataTextOf(id, endedAt),
  });
  for (const extension of [".wav", ".jsonl"]) {
    await Deno.utime(recordings.path(id, extension), new Date(endedAt), new Date(endedAt));
  }
}

const command = await withoutOverride();

for (const [how, mode] of [["read", 0o000], ["entered", 0o444]] as const) {
  Deno.test({
    name: `unreadable day: one that cannot be ${how} keeps no other, and loses nothing`,
    ignore: command === undefined,
    fn: async () => {
      if (command === undefined) return;
      await using recordings = await RecordedFiles.create();
      await using second = await RecordedFiles.create();
      for (const day of DAYS) await put(recordings, idOf(day));
      // Elsewhere, that day can be read: of each of its recordings, a part may be in either place.
      for (let n = 1; n <= RECORDINGS_OF_DAY; n++) await put(second, idOf(CLOSED, n));
      const closed = join(recordings.folder, CLOSED);
      await Deno.chmod(closed, mode);
      await using program = new Program({
        executable: command.executable,
        args: [
          ...command.args,
          ...["run", "-q", "--no-lock", "--unstable-kv", "--allow-read", "--allow-write"],
          "--allow-env",
          join(ROOT, "tests/storage/unreadable_day_program.ts"),
          ...[recordings.dir.path, "2026-06-15T12:00:00Z", second.folder],
        ],
        cwd: recordings.dir.path,
      });
      const { code, stdout, output } = await program.ended();
      await Deno.chmod(closed, 0o755);
      assertEquals(code, 0, output);
      const { before, newestDay, removed } = JSON.parse(stdout);
      const [first = "", , third = "", newest = ""] = DAYS;
      assertEquals(
        before.files.listed,
        [first, `not ${CLOSED}`, third, newest].map(
          (what) => what.startsWith("not") ? what : idOf(what),
        ),
      );
      const counts = { recordings: 3, written: 3, removed: 1, beingMade: 0, unreadable: 0 };
      // The entry of the closed day is there; that of a day that has no recording is not.
      const indexed = { counts: { ...counts, unreadableDays: 1 }, days: DAYS };
      assertEquals(before.files.indexed, indexed);
      assertEquals(before.both.indexed, indexed);
      assertEquals(before.both.listed.length, 4 + RECORDINGS_OF_DAY);
      assertEquals(newestDay, newest);
      assertEquals(removed.files, { removed: 2, onHold: 0, failed: 0 });
      assertEquals(removed.both, { removed: 0, onHold: 0, failed: 0 });
      const left = [idOf(CLOSED), idOf(newest)].flatMap((id) =>
        [".json", ".jsonl", ".wav"].map((extension) =>
          `${id.slice(0, 10)}/${id.slice(11)}${extension}`
        )
      );
      assertEquals(await recordings.names(), left);
      assertEquals((await second.names()).length, 3 * RECORDINGS_OF_DAY);
    },
  });
}

Deno.test({
  name: "unreadable day: reindex says so, and its code is 1, until it can be read",
  ignore: command === undefined,
  fn: async () => {
    if (command === undefined) return;
    await using recordings = await RecordedFiles.create();
    for (const day of DAYS) await put(recordings, idOf(day));
    const closed = join(recordings.folder, CLOSED);
    const reindex = async () => {
      await using program = new Program({
        executable: command.executable,
        args: [...command.args, "run", ...taskFlags("reindex"), `${ROOT}/main.ts`, "reindex"],
        cwd: recordings.dir.path,
        env: { DATA_DIR: recordings.dir.path },
      });
      const { code, output } = await program.ended();
      return { code, isTold: /^Folders of days that cannot be read: 1,/m.test(output), output };
    };
    const all = await reindex();
    assertEquals([all.code, all.isTold], [0, false], all.output);
    await Deno.chmod(closed, 0o000);
    const some = await reindex();
    await Deno.chmod(closed, 0o755);
    assertEquals([some.code, some.isTold], [1, true], some.output);
    assertEquals(
      /The index has 3 recordings: 0 entries written, 0 removed/.test(some.output),
      true,
    );
    assertEquals(
      some.output.includes(`recordings of ${CLOSED} are not indexed`),
      true,
      some.output,
    );
    const again = await reindex();
    assertEquals([again.code, again.isTold], [0, false], again.output);
    assertEquals(/has 4 recordings: 0 entries written, 0 removed/.test(again.output), true);
  },
});
