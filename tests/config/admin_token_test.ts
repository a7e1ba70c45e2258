import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { adminTokenSchema, loadOrCreateAdminToken } from "../../lib/config/admin_token.ts";
import { CredentialsError } from "../../lib/config/credentials.ts";
import { TempDir } from "../helpers/temp_dir.ts";

const MODULE = new URL("../../lib/config/admin_token.ts", import.meta.url).href;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

Deno.test("admin token: the first start makes it, the second reads the same", async () => {
  await using folder = await TempDir.create();
  const dataDir = `${folder.path}/not/there/yet`;
  const first = await loadOrCreateAdminToken(dataDir);
  assertMatch(first.token, /^[A-Za-z0-9_-]{43}$/);
  assert(adminTokenSchema.safeParse(first.token).success);
  const path = `${dataDir}/admin_token.json`;
  assertEquals(first, { token: first.token, path, created: true });
  assertEquals(await loadOrCreateAdminToken(dataDir), { ...first, created: false });
  const other = await loadOrCreateAdminToken(`${folder.path}/other`);
  assertNotEquals(other.token, first.token);
});

Deno.test("admin token: a configured one wins, and none is made", async () => {
  await using folder = await TempDir.create();
  const configured = "configured-by-the-operator-0123456789";
  const expected = { token: configured, path: undefined, created: false };
  assertEquals(await loadOrCreateAdminToken(folder.path, configured), expected);
  assertEquals(await folder.files(), []);
  await loadOrCreateAdminToken(folder.path);
  assertEquals(await loadOrCreateAdminToken(folder.path, configured), expected);
});

Deno.test({
  name: "admin token: only the owner may read the file, and no other file is left",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using folder = await TempDir.create();
    await loadOrCreateAdminToken(folder.path);
    assertEquals(await folder.files(), ["admin_token.json"]);
    const { mode } = await Deno.stat(`${folder.path}/admin_token.json`);
    assertEquals((mode ?? 0) & 0o777, 0o600);
  },
});

Deno.test("admin token: of many creators at once, one makes it and all have the same", async () => {
  await using folder = await TempDir.create();
  for (let round = 0; round < 10; round++) {
    const dataDir = `${folder.path}/${round}`;
    const all = await Promise.all(
      Array.from({ length: 10 }, () => loadOrCreateAdminToken(dataDir)),
    );
    assertEquals(all.filter(({ created }) => created).length, 1);
    assertEquals(new Set(all.map(({ token }) => token)).size, 1);
  }
  assertEquals((await folder.files()).length, 10);
});

Deno.test("admin token: of several processes that start at once, all have the same, with permission for the folder only", async () => {
  await using folder = await TempDir.create();
  const script = `${folder.path}/main.ts`;
  const dataDir = `${folder.path}/data`;
  await Deno.writeTextFile(
    script,
    `import { loadOrCreateAdminToken } from ${JSON.stringify(MODULE)};
     console.log(JSON.stringify(await loadOrCreateAdminToken(${JSON.stringify(dataDir)})));`,
  );
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-lock",
      `--config=${CONFIG}`,
      `--allow-read=${dataDir}`,
      `--allow-write=${dataDir}`,
      script,
    ],
  });
  const outputs = await Promise.all(Array.from({ length: 3 }, () => command.output()));
  const all = outputs.map(({ stdout, stderr }) => {
    assertEquals(new TextDecoder().decode(stderr), "");
    return JSON.parse(new TextDecoder().decode(stdout));
  });
  assertEquals(all.filter(({ created }) => created).length, 1);
  assertEquals(new Set(all.map(({ token }) => token)).size, 1);
});

Deno.test("admin token: a broken file is named with what to do, is not repeated and is left alone", async () => {
  await using folder = await TempDir.create();
  const path = `${folder.path}/admin_token.json`;
  const secret = "a-token-that-must-not-leak-0123456789";
  for (
    const text of [
      "",
      "null",
      `{"adminToken":"${secret}"`,
      `{"adminToken":"${secret} "}`,
      `{"adminToken":"short"}`,
      `{"token":"${secret}"}`,
    ]
  ) {
    await Deno.writeTextFile(path, text);
    const error = await assertRejects(() => loadOrCreateAdminToken(folder.path), CredentialsError);
    assertEquals(
      error.message,
      `Cannot parse ${path}: expected a JSON object with "adminToken" (32 to 256 characters). ` +
        "Restore the file, or delete it to have a new token made",
    );
    assertEquals(Deno.inspect(error).includes(secret), false);
    assertEquals(await Deno.readTextFile(path), text);
  }
});

Deno.test("admin token: a folder that cannot be used is an error that says what to do", async () => {
  await using folder = await TempDir.create();
  const asFile = `${folder.path}/file`;
  await Deno.writeTextFile(asFile, "");
  const unreadable = await assertRejects(() => loadOrCreateAdminToken(asFile), CredentialsError);
  assertEquals(
    unreadable.message,
    `Cannot read ${asFile}/admin_token.json: a file is in the place of its folder. ` +
      "Make it readable, or set ADMIN_TOKEN",
  );
  // A link that leads nowhere: not even root can make a folder in its place.
  const asLink = `${folder.path}/link`;
  await Deno.symlink(`${folder.path}/missing/data`, asLink);
  const unmade = await assertRejects(() => loadOrCreateAdminToken(asLink), CredentialsError);
  assert(unmade.message.startsWith(`Cannot write ${asLink}/admin_token.json: `));
  assert(unmade.message.endsWith("Make DATA_DIR a writable folder, or set ADMIN_TOKEN"));
});

const TOKENS: readonly [token: string, isRight: boolean][] = [
  ["a".repeat(32), true],
  ["a".repeat(256), true],
  [`${"aZ09-._~+/".repeat(4)}==`, true],
  ["a".repeat(31), false],
  ["a".repeat(257), false],
  [`${"a".repeat(32)} `, false],
  [`${"a".repeat(32)}\n`, false],
  [`=${"a".repeat(32)}`, false],
  [`${"a".repeat(32)}é`, false],
  ["", false],
];

Deno.test("admin token: what it may be", () => {
  for (const [token, isRight] of TOKENS) {
    assertEquals(adminTokenSchema.safeParse(token).success, isRight, token);
  }
});
