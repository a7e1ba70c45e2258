import { assertEquals, assertInstanceOf, assertNotEquals, assertRejects } from "@std/assert";
import { hkdfSync } from "node:crypto";
import { join } from "node:path";
import {
  deriveIndexKey,
  IndexKeyError,
  loadOrCreateIndexKey,
} from "../../lib/storage/index_key.ts";
import { ROOT } from "../helpers/program.ts";
import { TempDir } from "../helpers/temp_dir.ts";

Deno.test("index key: made once, for its owner only, and then the same", async () => {
  await using dir = await TempDir.create();
  const dataDir = join(dir.path, "a", "data");
  const key = await loadOrCreateIndexKey(dataDir);
  assertEquals(key.length, 32);
  assertNotEquals(key, new Uint8Array(32));
  assertEquals(await loadOrCreateIndexKey(dataDir), key);
  assertEquals(await dir.files(), ["a/data/index.key"]);
  const { mode } = await Deno.stat(join(dataDir, "index.key"));
  if (Deno.build.os !== "windows") assertEquals((mode ?? 0) & 0o777, 0o600);
  await using other = await TempDir.create();
  assertNotEquals(await loadOrCreateIndexKey(other.path), key);
});

Deno.test("index key: many at once, in processes of their own, get the same", async () => {
  await using dir = await TempDir.create();
  const module = JSON.stringify(join(ROOT, "lib/storage/index_key.ts"));
  const code = `import { loadOrCreateIndexKey } from ${module};
    const keys = await Promise.all([1, 2, 3].map(() => loadOrCreateIndexKey(Deno.args[0])));
    console.log(keys.map((key) => key.toHex()).join(" "));`;
  const script = join(dir.path, "script.ts");
  await Deno.writeTextFile(script, code);
  const dataDir = join(dir.path, "data");
  const outputs = await Promise.all([1, 2, 3].map(async () => {
    const flags = ["--no-prompt", "--allow-read", "--allow-write", "--no-config", "--no-lock"];
    const args = ["run", ...flags, script, dataDir];
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    const text = new TextDecoder().decode(stdout).trim();
    return text === "" ? new TextDecoder().decode(stderr) : text;
  }));
  const keys = new Set(outputs.flatMap((output) => output.split(" ")));
  assertEquals([...keys], [(await loadOrCreateIndexKey(dataDir)).toHex()]);
  assertEquals(await Array.fromAsync(Deno.readDir(dataDir), ({ name }) => name), ["index.key"]);
});

Deno.test("index key: one of another length is not used, and said what to do about", async () => {
  await using dir = await TempDir.create();
  for (const length of [0, 31, 33]) {
    await Deno.writeFile(join(dir.path, "index.key"), new Uint8Array(length));
    const error = await assertRejects(() => loadOrCreateIndexKey(dir.path), IndexKeyError);
    assertEquals(error.message.includes(`expected 32 bytes, got ${length}`), true);
  }
});

Deno.test("index key: a folder that can't be used", async () => {
  await using dir = await TempDir.create();
  const file = join(dir.path, "file");
  await Deno.writeTextFile(file, "");
  const error = await assertRejects(() => loadOrCreateIndexKey(file), IndexKeyError);
  assertInstanceOf(error.cause, Error);
});

Deno.test("index key: of a secret, it is the same everywhere, and another one of another secret", async () => {
  const info = "audiohook: index of recordings, version 1";
  for (const secret of ["a", "0123456789abcdef", "ü💥".repeat(1000)]) {
    const key = await deriveIndexKey(secret);
    assertEquals(key, new Uint8Array(hkdfSync("sha256", secret, "", info, 32)));
    assertEquals(await deriveIndexKey(secret), key);
    assertNotEquals(await deriveIndexKey(`${secret} `), key);
  }
  await assertRejects(() => deriveIndexKey(""), IndexKeyError, "expected a secret");
});
