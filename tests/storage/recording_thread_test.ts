/**
 * The thread that writes recordings: a real one, with real files and real failures.
 */
import {
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { join } from "node:path";
import { packEnding } from "../../lib/storage/packed_ending.ts";
import { RecordingThread } from "../../lib/storage/recording_thread.ts";
import { within } from "../helpers/deadline.ts";
import { type Ended, Program, ROOT, taskFlags, TemporaryFolder } from "../helpers/program.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { assertSameBytes, concat, noise } from "../helpers/wav_check.ts";
import { endingOf } from "./ending_of.ts";

const DAY = "2026-01-31";

/** A thread, and a folder for what it writes. */
class ThreadUnderTest implements AsyncDisposable {
  readonly thread = new RecordingThread();
  readonly dir: TempDir;
  #lastId = 0;

  private constructor(dir: TempDir) {
    this.dir = dir;
  }

  static async make(): Promise<ThreadUnderTest> {
    return new ThreadUnderTest(await TempDir.create());
  }

  /** Makes a recording; `folder` is below the test's. */
  async create(folder = "."): Promise<{ id: number; location: string }> {
    const id = ++this.#lastId;
    const sessionId = crypto.randomUUID();
    const path = join(this.dir.path, folder);
    const location = await within(
      this.thread.do({ what: "create", id, folder: path, day: DAY, sessionId }, true),
      "a recording",
    );
    return { id, location };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.thread.close();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("recording thread: all is done in the order in which it was asked for, in any sizes", async () => {
  await using test = await ThreadUnderTest.make();
  const { thread } = test;
  const { id, location } = await test.create();
  // Nothing; many to a batch; as much as a batch; more than one; and again a little.
  const sizes = [0, 1, 16_000, 300_000, 900_000, 1024 * 1024, 3_000_001, 0, 200, 131_073, 7];
  const parts = sizes.map((size, index) => noise(size, index + 1));
  let offset = 0;
  const writes = parts.map((part, index) => {
    const written = thread.write("audio", id, offset, part, index % 3 === 2);
    offset += part.length;
    // They are copied.
    const copy = part.slice();
    part.fill(0xEE);
    parts[index] = copy;
    return written;
  });
  const ending = packEnding(endingOf({ header: new Uint8Array() }));
  const finished = thread.do({ what: "finish", id, ending }, true);
  const answers = await within(Promise.all([finished, ...writes]), "the end of the recording");
  assertEquals(answers[0], location);
  assertEquals(await within(thread.do({ what: "close", id }, false), "the close"), location);
  assertSameBytes(await Deno.readFile(`${location}.wav`), concat(...parts));
  assertEquals(await Deno.readTextFile(`${location}.json`), "{}");
});

Deno.test("recording thread: a write that fails harms none of those that travel with it", async () => {
  await using test = await ThreadUnderTest.make();
  const { thread } = test;
  const [one, other, third] = [await test.create(), await test.create(), await test.create()];
  const inTheWay = `${other.location}.wav.part`;
  await Deno.mkdir(inTheWay);
  const all = [one, other, third].map(({ id }) =>
    thread.write("audio", id, 0, noise(9, id), false)
  );
  thread.flush();
  const [first, failed, last] = await within(Promise.allSettled(all), "the writes");
  assertEquals([first?.status, failed?.status, last?.status], [
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  if (failed?.status === "rejected") {
    assertInstanceOf(failed.reason, Deno.errors.AlreadyExists);
    assertEquals((failed.reason as { code?: string }).code, "EEXIST");
  }
  await Deno.remove(inTheWay);
  await thread.write("audio", other.id, 0, noise(9, other.id), true);
  for (const { id, location } of [one, other, third]) {
    const ending = packEnding(endingOf({ header: new Uint8Array() }));
    await thread.do({ what: "finish", id, ending }, true);
    assertSameBytes(await Deno.readFile(`${location}.wav`), noise(9, id));
    await thread.do({ what: "close", id }, true);
  }
});

Deno.test("recording thread: an error keeps its kind, its code and its words", async () => {
  await using test = await ThreadUnderTest.make();
  await Deno.writeTextFile(join(test.dir.path, "file"), "");
  const error = await assertRejects(() => test.create("file"));
  assertInstanceOf(error, Deno.errors.NotADirectory);
  assertEquals((error as { code?: string }).code, "ENOTDIR");
  assertMatch(error.message, /os error/);
  const none = await assertRejects(() =>
    test.thread.do({ what: "reopen", id: 77, location: join(test.dir.path, "none") }, true)
  );
  assertInstanceOf(none, Deno.errors.NotFound);
  assertEquals((none as { code?: string }).code, "ENOENT");
});

Deno.test("recording thread: what waits when it is closed fails, and what comes later is done", async () => {
  await using test = await ThreadUnderTest.make();
  for (let round = 0; round < 20; round++) {
    const { id } = await test.create();
    const waiting = [
      test.thread.write("audio", id, 0, noise(2_000_000), true),
      test.thread.write("messages", id, 0, noise(100), false),
    ];
    const closed = test.thread.close();
    // Begins another thread, which must not get the answers of the first.
    const next = test.create(`${round}`);
    for (const write of waiting) {
      assertMatch((await assertRejects(() => write) as Error).message, /was ended/);
    }
    await within(closed, "the end of the thread");
    const { location } = await next;
    assertEquals(location.startsWith(join(test.dir.path, `${round}`)), true, location);
  }
});

Deno.test("recording thread: what cannot be sent to it fails, and the next is done", async () => {
  await using test = await ThreadUnderTest.make();
  const { id } = await test.create();
  // It waits for others, and goes by the timer or with the next.
  const write = test.thread.write("audio", id, 0, noise(3), false);
  const failing = assertRejects(() => write);
  const metadata = (() => {}) as unknown as string;
  const ending = packEnding(endingOf({ metadata }));
  await assertRejects(() => test.thread.do({ what: "finish", id, ending }, true));
  await failing;
  await test.create();
});

Deno.test("recording thread: what is asked for while it is busy travels together, in order, each with its answer", async () => {
  await using test = await ThreadUnderTest.make();
  const { thread } = test;
  const { id, location } = await test.create();
  // It takes a while; all that follows is urgent, and waits all the same.
  const large = thread.write("audio", id, 0, noise(8_000_000), true);
  const day = join(test.dir.path, "other");
  await Deno.writeTextFile(day, "in the way");
  const order: string[] = [];
  const note = (what: string) => () => void order.push(what);
  const create = { what: "create", folder: test.dir.path, day: DAY, sessionId: "one" } as const;
  await within(
    Promise.all([
      large.then(note("large")),
      thread.do({ ...create, id: 101 }, true).then(note("first")),
      thread.do({ ...create, id: 102, folder: day }, true).catch(note("second failed")),
      thread.write("messages", 101, 0, noise(10), true).then(note("write")),
      thread.write("messages", 999, 0, noise(10), true).catch(note("write failed")),
      thread.do({ ...create, id: 103 }, true).then(note("third")),
      thread.do({ what: "close", id: 101 }, true).then(note("close")),
      assertRejects(() => thread.write("messages", 101, 10, noise(10), true)),
    ]),
    "all of it",
  );
  assertEquals(order[0], "large");
  assertEquals(order.toSorted(), [
    ...["close", "first", "large", "second failed", "third", "write", "write failed"],
  ]);
  assertEquals((await Deno.stat(join(test.dir.path, DAY, "one.jsonl"))).size, 10);
  assertEquals((await Deno.stat(join(test.dir.path, DAY, "one.2.jsonl"))).size, 0);
  assertEquals((await Deno.stat(`${location}.wav.part`)).size, 8_000_000);
});

Deno.test("recording thread: each thread has a number of its own", async () => {
  await using test = await ThreadUnderTest.make();
  const { generation } = test.thread;
  await test.create();
  assertEquals(test.thread.generation, generation);
  await test.thread.close();
  assertNotEquals(test.thread.generation, generation);
});

/** Runs the program beside, which is told what to do. */
async function run(what: string, folder: string, flags: readonly string[]): Promise<Ended> {
  const script = join(ROOT, "tests/storage/recording_program.ts");
  await using program = new Program({
    executable: "bash",
    // A file that has its largest size then gives an error, as a full disk does, not a signal.
    args: ["-c", 'trap "" XFSZ; exec "$0" "$@"', Deno.execPath(), ...flags, script, what, folder],
    cwd: folder,
  });
  return await program.ended();
}

const FLAGS = ["run", "--no-prompt", "--allow-read", "--allow-write"];

Deno.test("recording thread: a program ends after its last write, and not much later", async () => {
  for (const what of ["forgets", "waits"]) {
    await using folder = await TemporaryFolder.make();
    const { code, stdout, output } = await run(what, folder.path, FLAGS);
    assertEquals([code, stdout], [0, "written\n"], output);
    const location = folder.join("recordings", DAY, "session");
    assertEquals((await Deno.stat(`${location}.wav.part`)).size, 32 * 1024 * 1024);
  }
});

Deno.test("recording thread: a program with the permissions of the server needs no others", async () => {
  await using folder = await TemporaryFolder.make();
  const flags = ["run", ...taskFlags("start")];
  const { code, stdout, output } = await run("waits", folder.path, flags);
  assertEquals([code, stdout], [0, "written\n"], output);
});

Deno.test("recording thread: a program that may not read its module is told so, and does not hang", async () => {
  await using folder = await TemporaryFolder.make();
  const permissions = [`--allow-read=${folder.path}`, `--allow-write=${folder.path}`];
  const { code, stderr } = await run("waits", folder.path, ["run", "--no-prompt", ...permissions]);
  assertEquals(code, 1, stderr);
  assertMatch(stderr, /Requires read access to ".*recording_thread_worker\.ts"/);
});

Deno.test("recording thread: what is half written when the disk is full is written again", async () => {
  if (Deno.build.os !== "linux") return;
  await using folder = await TemporaryFolder.make();
  const { code, stdout, output } = await run("full", folder.path, [...FLAGS, "--allow-run"]);
  assertEquals(code, 0, output);
  assertEquals(stdout, "fulfilled, File too large (os error 27), fulfilled; 4096 bytes\n", output);
  for (const [index, size] of [3000, 9000, 100].entries()) {
    const path = folder.join("recordings", DAY, `session${index}.wav`);
    assertSameBytes(await Deno.readFile(path), noise(size, index));
  }
});
