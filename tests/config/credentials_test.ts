import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  type Credentials,
  CredentialsError,
  loadOrCreateCredentials,
  readCredentials,
} from "../../lib/config/credentials.ts";

const MODULE = new URL("../../lib/config/credentials.ts", import.meta.url).href;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

async function inTemporaryFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}

Deno.test("credentials: the first start makes them, the second reads the same", () =>
  inTemporaryFolder(async (folder) => {
    const dataDir = `${folder}/not/there/yet`;
    const first = await loadOrCreateCredentials(dataDir);
    assertEquals(first.created, true);
    assertMatch(first.apiKey, /^[0-9a-f]{32}$/);
    assertEquals(Uint8Array.fromBase64(first.clientSecret).length, 32);

    const { apiKey, clientSecret } = first;
    assertEquals(await loadOrCreateCredentials(dataDir), { apiKey, clientSecret, created: false });
    assertEquals(await readCredentials(dataDir), { apiKey, clientSecret });
  }));

Deno.test("credentials: two folders get different ones", () =>
  inTemporaryFolder(async (folder) => {
    const one = await loadOrCreateCredentials(`${folder}/one`);
    const other = await loadOrCreateCredentials(`${folder}/other`);
    assertNotEquals(one.apiKey, other.apiKey);
    assertNotEquals(one.clientSecret, other.clientSecret);
  }));

Deno.test({
  name: "credentials: only the owner may read the file, and no other file is left",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTemporaryFolder(async (folder) => {
      await loadOrCreateCredentials(folder);
      assertEquals(namesIn(folder), ["credentials.json"]);
      const { mode } = await Deno.stat(`${folder}/credentials.json`);
      assertEquals((mode ?? 0) & 0o777, 0o600);
    }),
});

Deno.test("credentials: reading makes nothing", () =>
  inTemporaryFolder(async (folder) => {
    assertEquals(await readCredentials(folder), undefined);
    assertEquals(await readCredentials(`${folder}/missing`), undefined);
    assertEquals(namesIn(folder), []);
  }));

Deno.test("credentials: of many creators at once, one makes them and all have the same", () =>
  inTemporaryFolder(async (folder) => {
    for (let round = 0; round < 20; round++) {
      const dataDir = `${folder}/${round}`;
      const all = await Promise.all(
        Array.from({ length: 10 }, () => loadOrCreateCredentials(dataDir)),
      );
      assertEquals(all.filter(({ created }) => created).length, 1);
      assertEquals(new Set(all.map(({ apiKey }) => apiKey)).size, 1);
      assertEquals(new Set(all.map(({ clientSecret }) => clientSecret)).size, 1);
      assertEquals(namesIn(dataDir), ["credentials.json"]);
    }
  }));

Deno.test("credentials: of several processes that start at once, all have the same, with permission for the folder only", () =>
  inTemporaryFolder(async (folder) => {
    const script = `${folder}/main.ts`;
    const dataDir = `${folder}/data`;
    await Deno.writeTextFile(
      script,
      `import { loadOrCreateCredentials } from ${JSON.stringify(MODULE)};
       console.log(JSON.stringify(await loadOrCreateCredentials(${JSON.stringify(dataDir)})));`,
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
    const outputs = await Promise.all(Array.from({ length: 4 }, () => command.output()));
    const all = outputs.map(({ stdout, stderr }) => {
      assertEquals(new TextDecoder().decode(stderr), "");
      return JSON.parse(new TextDecoder().decode(stdout)) as Credentials & { created: boolean };
    });
    assertEquals(all.filter(({ created }) => created).length, 1);
    assertEquals(new Set(all.map(({ clientSecret }) => clientSecret)).size, 1);
    assertEquals(namesIn(dataDir), ["credentials.json"]);
  }));

Deno.test("credentials: a broken file is named with what to do, is not repeated and is left alone", () =>
  inTemporaryFolder(async (folder) => {
    const path = `${folder}/credentials.json`;
    const secret = "c2VjcmV0LXRoYXQtbXVzdC1ub3QtbGVhaw==";
    for (
      const text of [
        "",
        "null",
        "[]",
        `{"apiKey":"key","clientSecret":"${secret}"`,
        `{"apiKey":"key"}`,
        `{"clientSecret":"${secret}"}`,
        `{"apiKey":"a key","clientSecret":"${secret}"}`,
        `{"apiKey":"key","clientSecret":"${secret}!"}`,
        `{"apiKey":"key","clientSecret":""}`,
        `{"apiKey":"key","clientSecret":5}`,
      ]
    ) {
      await Deno.writeTextFile(path, text);
      for (const load of [loadOrCreateCredentials, readCredentials]) {
        const error = await assertRejects(() => load(folder), CredentialsError);
        assertEquals(
          error.message,
          `Cannot parse ${path}: expected a JSON object with "apiKey" and "clientSecret" ` +
            "(base64). Restore the file, or delete it to have new credentials made " +
            "(and enter those in Genesys Cloud)",
        );
        assertEquals(Deno.inspect(error).includes(secret), false);
      }
      assertEquals(await Deno.readTextFile(path), text);
    }
  }));

Deno.test("credentials: a file that was written by hand is taken, with more fields and any base64", () =>
  inTemporaryFolder(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/credentials.json`,
      '{"apiKey":"my-key==","clientSecret":"-_-_-w","note":"for the lab"}',
    );
    assertEquals(await readCredentials(folder), { apiKey: "my-key==", clientSecret: "+/+/+w==" });
  }));

Deno.test("credentials: a data folder that is a file is an error that says what to do", () =>
  inTemporaryFolder(async (folder) => {
    const dataDir = `${folder}/data`;
    await Deno.writeTextFile(dataDir, "");
    const error = await assertRejects(() => loadOrCreateCredentials(dataDir), CredentialsError);
    assertStringIncludes(error.message, `Cannot read ${dataDir}/credentials.json`);
    assertStringIncludes(error.message, "AUDIOHOOK_KEYS");
  }));

Deno.test("credentials: a folder that cannot be made is an error that says what to do", () =>
  inTemporaryFolder(async (folder) => {
    // A link that leads nowhere: not even root can make a folder in its place.
    const dataDir = `${folder}/data`;
    await Deno.symlink(`${folder}/missing/data`, dataDir);
    const error = await assertRejects(() => loadOrCreateCredentials(dataDir), CredentialsError);
    assertStringIncludes(error.message, `Cannot write ${dataDir}/credentials.json`);
    assertStringIncludes(error.message, "Make DATA_DIR a writable folder, or set AUDIOHOOK_KEYS");
    assert(!error.message.includes("\n"));
  }));
