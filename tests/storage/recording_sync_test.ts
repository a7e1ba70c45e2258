/**
 * How recordings are synced, and what becomes of them when the disk is broken, full or slow: seen
 * from between a real program and the system.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { Program, ROOT, TemporaryFolder } from "../helpers/program.ts";
import { type DiskCall, StalledDisk } from "../helpers/stalled_disk.ts";
import { assertSameBytes, noise } from "../helpers/wav_check.ts";

const DAY = "2026-01-31";

/** A program that records to a disk of which a test decides. */
interface Scene {
  readonly disk: StalledDisk;
  readonly folder: TemporaryFolder;
  /** Starts the program beside, which is told what to do. */
  start(what: string): Program;
}

function testDisk(name: string, run: (scene: Scene) => Promise<void>): void {
  Deno.test(`recording sync: ${name}`, async () => {
    await using folder = await TemporaryFolder.make();
    const disk = await StalledDisk.make(folder.path);
    if (typeof disk === "string") {
      // deno-lint-ignore no-console -- whoever runs the tests has to know
      console.log(`skipped: no disk can be made to fail, because ${disk}`);
      return;
    }
    const script = join(ROOT, "tests/storage/recording_program.ts");
    const start = (what: string) =>
      new Program({
        args: ["run", "--no-prompt", "--allow-read", "--allow-write", script, what, folder.path],
        cwd: folder.path,
        env: disk.notingEnv,
      });
    await run({ disk, folder, start });
  });
}

testDisk("a recording is finished in an order that leaves no half of one", async (scene) => {
  await using program = scene.start("finishes");
  const { code, output } = await program.ended();
  assertEquals(code, 0, output);
  const calls = (await scene.disk.calls()).filter((call) => !call.startsWith("open "));
  const begun = ["write session.wav.part"];
  assertEquals(calls.slice(0, 1), begun, "its audio");
  assertEquals(
    calls.slice(1, 4),
    ["write session.wav.part", "write session.wav.part", "write session.jsonl"],
    "its rest, the header, and the messages",
  );
  assertEquals(
    calls.slice(4, 6).sort(),
    ["fdatasync session.jsonl", "fdatasync session.wav.part"],
    "both at once",
  );
  assertEquals(calls.slice(6), [
    "write session.json.part",
    "fdatasync session.json.part",
    "rename session.wav",
    "rename session.json",
    `fsync ${DAY}`,
  ]);
});

const FAULTS: readonly (readonly [DiskCall, "EIO" | "ENOSPC"])[] = [
  ["open", "ENOSPC"],
  ["write", "ENOSPC"],
  ["fdatasync", "EIO"],
  ["rename", "EIO"],
  ["fsync", "EIO"],
];
for (const [call, error] of FAULTS) {
  testDisk(`a recording is finished after all when ${call} fails by ${error}`, async (scene) => {
    const { disk, folder } = scene;
    const location = folder.join("recordings", DAY, "session");
    await disk.fail(call, error);
    await using program = scene.start("finishes at last");
    if (call === "open") {
      // Not even begun.
      const { code, output } = await program.ended();
      assertEquals(code, 1);
      assertMatch(output, /No space left on device/);
      await disk.goOn();
      await using another = scene.start("finishes at last");
      assertEquals((await another.ended()).code, 0);
    } else {
      await program.waitFor(new RegExp(`failed: ${error}[^]*failed: ${error}`));
      await disk.goOn();
      const { code, output } = await program.ended();
      assertEquals(code, 0, output);
    }
    assertSameBytes(
      await Deno.readFile(`${location}.wav`),
      new Uint8Array([...noise(44), ...noise(1000)]),
    );
    assertEquals(await Deno.readTextFile(`${location}.jsonl`), "{}\n");
    assertEquals(await Deno.readTextFile(`${location}.json`), "{}");
    const names = await Array.fromAsync(Deno.readDir(folder.join("recordings", DAY)));
    assertEquals(names.length, 3);
  });
}

for (const call of ["fdatasync", "fsync"] as const) {
  testDisk(`where there is no ${call}, recordings are made without`, async ({ disk, start }) => {
    await disk.fail(call, "EINVAL");
    await using program = start("finishes at last");
    const { code, output } = await program.ended();
    assertEquals([code, output], [0, "finished\n"]);
    assert((await disk.calls()).some((line) => line.startsWith(`${call} `)), "it was tried");
  });
}

testDisk("what could not be synced is told, written again, and synced", async (scene) => {
  const { disk, folder } = scene;
  await disk.fail("fdatasync", "EIO");
  await using program = scene.start("syncs");
  await program.waitFor(
    /EIO: Cannot sync .*session\.wav\.part, .* was written again \(3000 bytes\)/,
  );
  await disk.goOn();
  const { code, output } = await program.ended();
  assertEquals(code, 0, output);
  assertEquals(output.match(/EIO/g)?.length, 1, "it is told once");
  assertMatch(output, /synced after all/);
  const calls = (await disk.calls()).filter((call) => /^(write|fdatasync) session.wav/.test(call));
  assertEquals(calls.slice(0, 3), [
    "write session.wav.part",
    "fdatasync session.wav.part",
    "write session.wav.part",
  ]);
  assert(calls.slice(3).includes("fdatasync session.wav.part"), "and synced");
  assertSameBytes(
    await Deno.readFile(folder.join("recordings", DAY, "session.wav")),
    noise(3000),
  );
});

testDisk(
  "a disk that can't keep up with syncs holds up no writes, and is told of",
  async (scene) => {
    const { disk, folder } = scene;
    await disk.stall("fdatasync");
    await using program = scene.start("falls behind");
    await program.waitFor(/^10 files$/m);
    const syncs = (await disk.calls()).filter((call) => call.startsWith("fdatasync"));
    assert(syncs.length <= 4, `few at once, however many wait: ${syncs.length}`);
    await disk.goOn();
    const { code, output, stdout } = await program.ended();
    assertEquals(code, 0, output);
    const bytes = Number(/(\d+) bytes/.exec(stdout)?.[1]);
    for (let index = 0; index < 10; index++) {
      const path = folder.join("recordings", DAY, `session${index}.wav`);
      assertEquals((await Deno.stat(path)).size, bytes);
    }
  },
);
