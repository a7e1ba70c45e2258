/**
 * Removing recordings on a disk that is full, by what is kept back for that; and what is kept back.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { DiskReserve, type DiskReserveOptions } from "../../lib/storage/disk_reserve.ts";
import { FileAuditLog, RefusedChangeError } from "../../lib/storage/mod.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { Program, ROOT } from "../helpers/program.ts";
import { RecordedFiles } from "../helpers/recorded_files.ts";
import { type Fullness, SmallDisk } from "../helpers/small_disk.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { noise } from "../helpers/wav_check.ts";
import { metadataTextOf } from "./recording_archive_suite.ts";

const MIB = 1024 * 1024;
const PIECE = 16 * 1024;

/** What the system says when there is no room. */
function full(): Error {
  return Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
}

/** A data folder on a disk of its own. */
class Scene implements AsyncDisposable {
  private constructor(
    readonly tools: TempDir,
    readonly recordings: RecordedFiles,
    readonly disk: SmallDisk,
  ) {}

  /** `undefined` if there can be none here. */
  static async set(): Promise<Scene | undefined> {
    const tools = await TempDir.create();
    const recordings = await RecordedFiles.create();
    const disk = await SmallDisk.make(tools.path, recordings.dir.path);
    if (disk instanceof SmallDisk) return new Scene(tools, recordings, disk);
    // deno-lint-ignore no-console -- whoever runs the tests has to know
    console.log(`skipped: ${disk}`);
    await tools[Symbol.asyncDispose]();
    await recordings[Symbol.asyncDispose]();
    return undefined;
  }

  /** A server that has started while there was room. */
  async prepare(): Promise<void> {
    await new FileAuditLog(this.recordings.dir.path).prepare();
  }

  async put(count: number, audioBytes = 10): Promise<string[]> {
    const ids = Array.from(
      { length: count },
      (_, n) => `2026-01-${10 + n % 3}.${crypto.randomUUID()}`,
    );
    for (const id of ids) {
      const files = { ".wav": noise(audioBytes), ".jsonl": "{}\n", ".json": metadataTextOf(id) };
      await this.recordings.put(id, files);
    }
    return ids;
  }

  /** Removes all recordings. */
  program(): Program {
    const config = join(ROOT, "deno.json");
    const flags = ["--no-prompt", "--no-lock", "--allow-sys=statfs", "--config", config];
    const script = join(ROOT, "tests/storage/removal_program.ts");
    const { path } = this.recordings.dir;
    return new Program({
      args: ["run", ...flags, "--allow-read", "--allow-write", script, path],
      cwd: path,
      env: this.disk.env,
    });
  }

  /** Length of what is kept back. */
  async kept(): Promise<number> {
    return await sizeOf(join(this.recordings.dir.path, "audit.reserve"));
  }

  /** Identifiers of all lines. */
  async lines(): Promise<string[]> {
    const text = await Deno.readTextFile(join(this.recordings.dir.path, "audit.jsonl"));
    return text.trimEnd().split("\n").map((line) => JSON.parse(line).id).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tools[Symbol.asyncDispose]();
    await this.recordings[Symbol.asyncDispose]();
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path).catch(() => undefined))?.size ?? 0;
}

const KINDS: readonly (readonly [string, Fullness])[] = [
  ["that is full", {}],
  ["that has one block left", { freeBytes: 4096 }],
  ["whose quota is used up", { error: "EDQUOT" }],
  ["that takes no more files", { freeFiles: 0 }],
];
for (const [kind, fullness] of KINDS) {
  Deno.test(`full disk: on one ${kind}, all recordings are removed, with one line each`, async () => {
    await using scene = await Scene.set();
    if (scene === undefined) return;
    await scene.prepare();
    assertEquals(await scene.kept(), MIB);
    const ids = await scene.put(30);
    await scene.disk.fillUp(fullness);
    await using program = scene.program();
    const { code, output } = await program.ended(60_000);
    assertEquals(code, 0, output);
    assertEquals(await scene.recordings.names(), []);
    assertEquals(await scene.lines(), ids.toSorted());
    assertEquals(
      await scene.recordings.dir.files(),
      ["audit.jsonl", "audit.lock", "audit.reserve", "audit.spare"],
    );
    assertEquals(await scene.kept(), MIB, "it is filled up again");
  });
}

Deno.test("full disk: whoever takes all room that is freed does not keep recordings from going", async () => {
  await using scene = await Scene.set();
  if (scene === undefined) return;
  await scene.prepare();
  const ids = await scene.put(10, 100_000);
  await scene.disk.fillUp();
  await using hog = new Program({
    executable: "bash",
    args: ["-c", "echo begun; while :; do head -c 4096 /dev/zero >> hog; done 2> /dev/null"],
    cwd: scene.recordings.dir.path,
    env: scene.disk.env,
  });
  await hog.waitFor(/begun/);
  await using program = scene.program();
  const { code, output } = await program.ended(60_000);
  assertEquals(code, 0, output);
  assertEquals(await scene.recordings.names(), []);
  assertEquals(await scene.lines(), ids.toSorted());
  assert(await sizeOf(join(scene.recordings.dir.path, "hog")) > 0, "it took what it got");
});

Deno.test("full disk: killed at any moment, each recording has gone with one line", async () => {
  await using scene = await Scene.set();
  if (scene === undefined) return;
  await scene.prepare();
  const ids = await scene.put(40);
  await scene.disk.fillUp();
  for (const wanted of [1, 5, 9, Infinity]) {
    await using program = scene.program();
    if (wanted === Infinity) {
      const { code, output } = await program.ended(60_000);
      assertEquals(code, 0, output);
    } else {
      await program.waitFor(new RegExp(`^(?:.*\\n){${wanted}}`), 60_000);
      program.kill("SIGKILL");
      await program.ended();
    }
  }
  assertEquals(await scene.recordings.names(), []);
  assertEquals(await scene.lines(), ids.toSorted());
});

Deno.test("full disk: the spare file alone is enough where nobody else takes room", async () => {
  await using scene = await Scene.set();
  if (scene === undefined) return;
  await scene.prepare();
  const ids = await scene.put(5);
  await Deno.remove(join(scene.recordings.dir.path, "audit.reserve"));
  await scene.disk.fillUp();
  await using program = scene.program();
  const { code, output } = await program.ended(60_000);
  assertEquals(code, 0, output);
  assertEquals(await scene.recordings.names(), []);
  assertEquals(await scene.lines(), ids.toSorted());
});

Deno.test("full disk: with nothing kept back, nothing is removed", async () => {
  await using scene = await Scene.set();
  if (scene === undefined) return;
  await scene.put(1);
  const before = await scene.recordings.names();
  await scene.disk.fillUp();
  await using program = scene.program();
  const { code, output } = await program.ended(60_000);
  assertEquals(code, 1);
  assert(output.includes("The disk is full"), output);
  assertEquals(await scene.recordings.names(), before);
  assertEquals(await scene.recordings.dir.files(), before.map((name) => `recordings/${name}`));
  await scene.disk.empty();
  await using again = scene.program();
  assertEquals((await again.ended(60_000)).code, 0);
  assertEquals((await scene.lines()).length, 1);
});

async function reserve(
  dir: TempDir,
  options?: DiskReserveOptions,
): Promise<{ path: string; reserve: DiskReserve; size: () => Promise<number> }> {
  const path = join(dir.path, "reserve");
  const reserve = new DiskReserve(path, options);
  await reserve.fill();
  return { path, reserve, size: () => sizeOf(path) };
}

Deno.test("reserve: it is real, and there once", async () => {
  await using dir = await TempDir.create();
  const { path, reserve: first, size } = await reserve(dir);
  assertEquals(await size(), MIB);
  const info = await Deno.stat(path);
  assert((info.blocks ?? Infinity) * 512 >= MIB, `${info.blocks} blocks`);
  assertEquals((info.mode ?? 0) & 0o777, 0o640);
  const bytes = await Deno.readFile(path);
  assert(new Set(bytes).size === 256, "no file system stores it in less");
  await first.fill();
  assertEquals(await Deno.readFile(path), bytes);
});

Deno.test("reserve: each time that there is no room, a little of it is freed", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const { path, reserve: kept, size } = await reserve(dir);
  for (const tries of [1, 2, 7]) {
    const before = await size();
    let n = 0;
    const result = await kept.spendOn(async () => {
      assertEquals(await size(), before - (n <= 4 ? n : 4 + (n - 4) * 2) * PIECE);
      if (n++ < tries) throw full();
      return "done";
    });
    assertEquals([result, n], ["done", tries + 1]);
  }
  assertEquals(logs.of("The disk is full").length, 1);
  await kept.fill();
  assertEquals(await size(), MIB);
  // As if it was another disk, or another reason.
  let tries = 0;
  const error = await assertRejects(
    () =>
      kept.spendOn(() => {
        tries++;
        return Promise.reject(full());
      }),
    RefusedChangeError,
    "The disk is full",
  );
  assertEquals((error.cause as { code?: unknown }).code, "ENOSPC");
  assertEquals(tries, 18);
  await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  await kept.fill();
  assertEquals(await size(), MIB);
});

Deno.test("reserve: what fails for another reason is not tried again", async () => {
  await using dir = await TempDir.create();
  const { reserve: kept, size } = await reserve(dir);
  const errors = [new Error("broken"), new RangeError("x"), new Deno.errors.NotFound("y"), "text"];
  for (const error of errors) {
    let tries = 0;
    const thrown = await kept.spendOn(() => {
      tries++;
      return Promise.reject(error);
    }).catch((error) => error);
    assertEquals([thrown, tries], [error, 1]);
  }
  assertEquals(await size(), MIB);
  assertEquals(await dir.files(), ["reserve"]);
});

Deno.test("reserve: the last room is left to others, but for what was spent", async () => {
  await using dir = await TempDir.create();
  const { reserve: kept, size } = await reserve(dir, { minFreeBytes: Number.MAX_SAFE_INTEGER });
  assertEquals(await size(), 0);
  const { reserve: other } = await reserve(dir);
  assertEquals(await size(), MIB);
  let n = 0;
  await kept.spendOn(() => n++ < 3 ? Promise.reject(full()) : Promise.resolve());
  assertEquals(await size(), MIB - 3 * PIECE);
  await kept.fill();
  assertEquals(await size(), MIB);
  n = 0;
  await other.spendOn(() => n++ < 2 ? Promise.reject(full()) : Promise.resolve());
  // Another one's, of which nobody knows any more.
  await kept.fill();
  assertEquals(await size(), MIB - 2 * PIECE);
});

Deno.test("reserve: a folder or a link in its place is somebody else's", async () => {
  for (const inTheWay of ["folder", "link"] as const) {
    await using dir = await TempDir.create();
    const path = join(dir.path, "reserve");
    const target = join(dir.path, "target");
    await Deno.writeTextFile(target, "mine");
    if (inTheWay === "folder") await Deno.mkdir(path);
    else await Deno.symlink(target, path);
    const { reserve: kept } = await reserve(dir);
    await assertRejects(() => kept.spendOn(() => Promise.reject(full())), RefusedChangeError);
    assertEquals(await Deno.readTextFile(target), "mine");
    const info = await Deno.lstat(path);
    assertEquals([info.isDirectory, info.isSymlink], [inTheWay === "folder", inTheWay === "link"]);
  }
  // Nor does it fail where nothing can be made.
  await new DiskReserve("/nowhere/at/all/reserve").fill();
});

Deno.test("full disk: a log that cannot be prepared is said, and nothing fails", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  await Deno.writeTextFile(join(dir.path, "audit-pending"), "in the way");
  await new FileAuditLog(dir.path).prepare();
  assertEquals(logs.of("Cannot prepare for removing").length, 1);
});
