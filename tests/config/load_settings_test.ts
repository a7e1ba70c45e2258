import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { loadSettings } from "../../lib/config/load_settings.ts";
import { SETTING_NAMES, SettingsError } from "../../lib/config/settings.ts";

const SECRET = "c2VjcmV0LXRoYXQtbXVzdC1ub3QtbGVhaw==";

async function inTemporaryFolder(
  test: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function variables(values: Record<string, string>): (name: string) => string | undefined {
  return (name) => values[name];
}

Deno.test("load settings: without .env and variables, all defaults", () =>
  inTemporaryFolder(async (path) => {
    const settings = await loadSettings({ envFile: path(".env"), variables: variables({}) });
    assertEquals(settings.port, 8000);
    assertEquals(settings.audiohookKeys.size, 0);
  }));

Deno.test("load settings: .env fills in what is not set or is empty; a set variable wins", () =>
  inTemporaryFolder(async (path) => {
    await Deno.writeTextFile(
      path(".env"),
      [
        "# comment",
        "PORT=1",
        "HOST=from-file",
        'DATA_DIR="/a folder" # comment',
        `AUDIOHOOK_KEYS='{"key": "${SECRET}"}'`,
        "SOMETHING_ELSE=x",
      ].join("\n"),
    );
    const settings = await loadSettings({
      envFile: path(".env"),
      variables: variables({ PORT: "2", HOST: "" }),
    });
    assertEquals(settings.port, 2);
    assertEquals(settings.host, "from-file");
    assertEquals(settings.dataDir, "/a folder");
    assertEquals(settings.audiohookKeys, new Map([["key", SECRET]]));
  }));

Deno.test("load settings: a byte order mark and CRLF in .env and in the keys file do no harm", () =>
  inTemporaryFolder(async (path) => {
    await Deno.writeTextFile(
      path(".env"),
      `\uFEFFPORT=1\r\nAUDIOHOOK_KEYS_FILE=${path("keys.json")}\r\n`,
    );
    await Deno.writeTextFile(path("keys.json"), `\uFEFF{"key":"${SECRET}"}\r\n`);
    const settings = await loadSettings({ envFile: path(".env"), variables: variables({}) });
    assertEquals(settings.port, 1);
    assertEquals(settings.audiohookKeys, new Map([["key", SECRET]]));
  }));

Deno.test("load settings: a .env that is there but cannot be read is an error that names it", () =>
  inTemporaryFolder(async (path) => {
    await Deno.mkdir(path(".env"));
    const error = await assertRejects(
      () => loadSettings({ envFile: path(".env"), variables: variables({}) }),
      SettingsError,
    );
    assertEquals(error.message, `Cannot read ${path(".env")}: is a folder`);
  }));

Deno.test("load settings: a bad value in .env is reported like one in the environment", () =>
  inTemporaryFolder(async (path) => {
    await Deno.writeTextFile(path(".env"), "PORT=x\nLOG_LEVEL=loud\n");
    const error = await assertRejects(
      () => loadSettings({ envFile: path(".env"), variables: variables({}) }),
      SettingsError,
    );
    assertEquals(error.problems.length, 2);
  }));

Deno.test("load settings: a missing keys file is an error that names it", () =>
  inTemporaryFolder(async (path) => {
    const error = await assertRejects(
      () =>
        loadSettings({
          envFile: path(".env"),
          variables: variables({ AUDIOHOOK_KEYS_FILE: path("keys.json") }),
        }),
      SettingsError,
    );
    assertStringIncludes(error.message, `got "${path("keys.json")}" (not found)`);
  }));

Deno.test("load settings: the real environment and working folder, with permission for the names only", () =>
  inTemporaryFolder(async (path) => {
    await Deno.writeTextFile(path(".env"), "PORT=1\nHOST=from-file\n");
    const config = new URL("../../deno.json", import.meta.url);
    const module = new URL("../../lib/config/load_settings.ts", import.meta.url);
    await Deno.writeTextFile(
      path("main.ts"),
      `import { loadSettings } from ${JSON.stringify(module.href)};
       const { port, host, logFormat } = await loadSettings();
       console.log(JSON.stringify({ port, host, logFormat }));`,
    );
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--no-lock",
        `--config=${config.pathname}`,
        `--allow-env=${[...SETTING_NAMES, "DENO_DEPLOYMENT_ID"].join(",")}`,
        "--allow-read=.env",
        path("main.ts"),
      ],
      cwd: path("."),
      env: { PORT: "2", HOST: "", LOG_FORMAT: "" },
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    assertEquals(success, true);
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), {
      port: 2,
      host: "from-file",
      logFormat: "json",
    });
  }));
