/**
 * Free space: when there is little, when there is enough again, and when nobody knows.
 */
import { assert, assertEquals } from "@std/assert";
import { FreeSpace, type FreeSpaceParts } from "../../lib/storage/mod.ts";
import { until, within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { Program, ROOT } from "../helpers/program.ts";
import { TempDir } from "../helpers/temp_dir.ts";

const MB = 1_000_000;

/** A file system that says what a test wants, and time that passes when a test wants it. */
class FakeDisk implements FreeSpaceParts {
  /** What is asked of it next; a promise that does not settle is a file system that hangs. */
  answer: () => Promise<number> = () => Promise.resolve(1000 * MB);
  asked = 0;
  #waiting = new Map<number, () => void>();
  #last = 0;

  readonly freeBytes = () => {
    this.asked++;
    return this.answer();
  };

  readonly delay = async (_ms: number, signal: AbortSignal) => {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const id = ++this.#last;
    this.#waiting.set(id, resolve);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    try {
      await promise;
    } finally {
      this.#waiting.delete(id);
    }
  };

  /** How many wait for time to pass. */
  get waiting(): number {
    return this.#waiting.size;
  }

  has(megabytes: number): void {
    this.answer = () => Promise.resolve(megabytes * MB);
  }

  /** All who wait have waited long enough. */
  pass(): void {
    for (const resolve of [...this.#waiting.values()]) resolve();
  }
}

function make(disk: FakeDisk, minFreeBytes = 500 * MB): FreeSpace {
  return new FreeSpace({ folder: "/recordings", minFreeBytes, parts: disk });
}

Deno.test("free space: below the least it is low, and a tenth more is enough again", async () => {
  await using logs = await LogRecords.watch();
  const disk = new FakeDisk();
  await using space = make(disk);
  assertEquals([space.isLow, space.freeBytes, space.problem], [false, undefined, undefined]);
  const steps: [megabytes: number, isLow: boolean][] = [
    [1000, false],
    [500, false],
    [499.999999, true],
    [0, true],
    [500, true],
    [549.9, true],
    [550, false],
    [500, false],
    [499, true],
    [1000, false],
  ];
  for (const [megabytes, isLow] of steps) {
    disk.has(megabytes);
    await space.look();
    assertEquals(space.isLow, isLow, `${megabytes} MB`);
    assertEquals(space.freeBytes, megabytes * MB);
    assertEquals(
      space.problem,
      isLow ? "less than 500 MB free: new calls are not recorded" : undefined,
    );
  }
  assertEquals(logs.records.map(({ level }) => level), ["error", "info", "error", "info"]);
  assert(logs.text.includes("Remove files, or enlarge"), logs.text);
});

Deno.test("free space: without a least, it is never low", async () => {
  const disk = new FakeDisk();
  await using space = make(disk, 0);
  disk.has(0);
  await space.look();
  assertEquals([space.isLow, space.freeBytes], [false, 0]);
});

Deno.test("free space: if it cannot be found out, there is enough, and the log says so once", async () => {
  await using logs = await LogRecords.watch();
  const disk = new FakeDisk();
  await using space = make(disk);
  disk.has(1);
  await space.look();
  assertEquals(space.isLow, true);
  disk.answer = () => Promise.reject(new Error("The disk says no"));
  for (let n = 0; n < 3; n++) await space.look();
  assertEquals([space.isLow, space.freeBytes], [false, undefined]);
  assertEquals(logs.of("Cannot find out how much space").length, 1);
  disk.has(1);
  await space.look();
  assertEquals([space.isLow, space.freeBytes], [true, MB]);
  assertEquals(logs.of("It is known again").length, 1);
});

Deno.test("free space: a file system that hangs is waited for once, and believed when it answers", async () => {
  await using logs = await LogRecords.watch();
  const disk = new FakeDisk();
  await using space = make(disk);
  const hanging = Promise.withResolvers<number>();
  disk.answer = () => hanging.promise;
  const looking = space.look();
  await until(() => disk.waiting === 1, "wait for the answer");
  disk.pass();
  await within(looking, "look");
  for (let n = 0; n < 3; n++) await within(space.look(), "look");
  assertEquals([disk.asked, disk.waiting], [1, 0]);
  assertEquals([space.isLow, space.freeBytes], [false, undefined]);
  assertEquals(logs.of("Cannot find out how much space").length, 1);
  hanging.resolve(1);
  disk.has(2);
  await until(async () => {
    await space.look();
    return space.freeBytes === 2 * MB;
  }, "an answer");
  assertEquals([space.isLow, disk.asked], [true, 2]);
});

Deno.test("free space: it looks at once, and again and again, until it is stopped", async () => {
  const disk = new FakeDisk();
  const space = make(disk);
  await within(space.start(), "start");
  assertEquals(space.freeBytes, 1000 * MB);
  for (const megabytes of [10, 20, 30]) {
    disk.has(megabytes);
    await until(() => disk.waiting === 1, "wait");
    disk.pass();
    await until(() => space.freeBytes === megabytes * MB, "look");
  }
  await until(() => disk.waiting === 1, "wait");
  await within(space[Symbol.asyncDispose](), "stop");
  assertEquals([disk.asked, disk.waiting], [4, 0]);
});

Deno.test("free space: stopped while the file system hangs, it does not wait for it", async () => {
  await using logs = await LogRecords.watch();
  const disk = new FakeDisk();
  const space = make(disk);
  await space.start();
  disk.answer = () => new Promise(() => {});
  await until(() => disk.waiting === 1, "wait");
  disk.pass();
  await until(() => disk.asked === 2 && disk.waiting === 1, "wait for the answer");
  await within(space[Symbol.asyncDispose](), "stop");
  assertEquals(logs.records, []);
});

Deno.test("free space: of a real folder, as df sees it", async () => {
  await using dir = await TempDir.create();
  await using space = new FreeSpace({ folder: dir.path, minFreeBytes: 1 });
  await space.start();
  const args = ["--output=avail", "-B1", dir.path];
  const { stdout } = await new Deno.Command("df", { args }).output();
  const seen = Number(new TextDecoder().decode(stdout).trim().split("\n")[1]);
  const { freeBytes = NaN } = space;
  // Others write meanwhile.
  assert(Math.abs(freeBytes - seen) < 1024 * MB, `${freeBytes}, ${seen}`);
  await using none = new FreeSpace({ folder: dir.path, minFreeBytes: Number.MAX_SAFE_INTEGER });
  await none.look();
  assertEquals(none.isLow, true);
});

Deno.test("free space: of a folder that is not there, nothing is known", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  await using space = new FreeSpace({ folder: `${dir.path}/none`, minFreeBytes: 1 });
  await space.look();
  assertEquals([space.isLow, space.freeBytes], [false, undefined]);
  assertEquals(logs.of("Cannot find out how much space").length, 1);
});

Deno.test("free space: the permissions that it needs, and what it does without", async () => {
  await using dir = await TempDir.create();
  const module = JSON.stringify(new URL("../../lib/storage/free_space.ts", import.meta.url).href);
  const program = `
    import { FreeSpace } from ${module};
    await using space = new FreeSpace({ folder: Deno.args[0], minFreeBytes: 1 });
    await space.start();
    console.log(space.freeBytes === undefined ? "unknown" : "known", space.isLow);
  `;
  await Deno.writeTextFile(`${dir.path}/program.ts`, program);
  for (
    const [flags, said] of [[["--allow-sys=statfs"], "known false"], [[], "unknown false"]] as const
  ) {
    await using running = new Program({
      args: [
        "run",
        "--no-prompt",
        "--no-lock",
        "--config",
        `${ROOT}/deno.json`,
        `--allow-read=${dir.path}`,
        ...flags,
        `${dir.path}/program.ts`,
        dir.path,
      ],
      cwd: dir.path,
    });
    const { stdout, output } = await running.ended(60_000);
    assertEquals(stdout.trim(), said, output);
  }
});
