import {
  assert,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { CallAudio } from "../lib/client/call_audio.ts";
import { type CallOutcome, placeCall, type PlaceCallOptions } from "../lib/client/place_call.ts";
import {
  assertSameBytes,
  CALL_WAV,
  eventually,
  filesBelow,
  hasStack,
  Program,
  TemporaryFolder,
  wavData,
} from "./helpers/program.ts";

const KEY = "test-key/of+main_test==";
const SECRET = "bWFpbi10ZXN0LXNlY3JldC1tYWluLXRlc3Qtc2VjcmV0";
const KEYS = JSON.stringify({ [KEY]: SECRET });

interface Credentials {
  readonly apiKey: string;
  readonly clientSecret: string;
}

/** A call in this process. */
async function call(
  url: URL,
  { apiKey, clientSecret }: Credentials,
  options: Partial<PlaceCallOptions> = {},
): Promise<CallOutcome & { sessionId: string }> {
  const sessionId = crypto.randomUUID();
  const organizationId = crypto.randomUUID();
  const audio = options.audio ?? CallAudio.fromWav(await Deno.readFile(CALL_WAV));
  const outcome = await placeCall({
    request: {
      url,
      organizationId,
      sessionId,
      correlationId: crypto.randomUUID(),
      apiKey,
      clientSecret: Uint8Array.fromBase64(clientSecret),
    },
    open: {
      organizationId,
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: audio.offers("PCMU").map((offer) => ({ ...offer, channels: [...offer.channels] })),
    },
    speed: 200,
    ...options,
    audio,
  });
  return { ...outcome, sessionId };
}

async function readCredentials(dataDir: string): Promise<Credentials> {
  return JSON.parse(await Deno.readTextFile(`${dataDir}/credentials.json`));
}

/** Path of a session's file below a data folder. */
async function recordingPath(dataDir: string, name: string): Promise<string> {
  const files = await filesBelow(`${dataDir}/recordings`);
  const found = files.find((path) => path.endsWith(`/${name}`));
  assertExists(found, `no ${name} among ${files}`);
  assertMatch(found, /^\d{4}-\d\d-\d\d\/[^/]+$/);
  return `${dataDir}/recordings/${found}`;
}

Deno.test("main: the first start makes credentials and prints them, the second uses them silently", async () => {
  await using folder = await TemporaryFolder.make();
  // Neither a key nor a folder is configured.
  let credentials: Credentials;
  {
    await using server = Program.server(folder.path);
    const url = await server.url();
    assertEquals(url.pathname, "/api/v1/audiohook/ws");
    assertEquals(url.hostname, "127.0.0.1");
    credentials = await readCredentials(folder.join("data"));
    const { mode } = await Deno.stat(folder.join("data", "credentials.json"));
    assertEquals((mode ?? 0) & 0o777, 0o600);
    assertGreater(Uint8Array.fromBase64(credentials.clientSecret).length, 15);
    const { code, output } = await server.stop();
    assertEquals(code, 0);
    assertStringIncludes(output, credentials.apiKey);
    assertStringIncludes(output, credentials.clientSecret);
    assertStringIncludes(output, url.href);
  }
  await using server = Program.server(folder.path);
  const outcome = await call(await server.url(), credentials);
  assertEquals(outcome.failure, undefined);
  const { code, output } = await server.stop();
  assertEquals(code, 0);
  assertFalse(output.includes(credentials.clientSecret), output);
  assertFalse(output.includes(credentials.apiKey), output);
  assertEquals(await readCredentials(folder.join("data")), credentials);
  const path = await recordingPath(folder.join("data"), `${outcome.sessionId}.wav`);
  assertSameBytes(await wavData(path), await wavData(CALL_WAV));
});

Deno.test("main: in the pretty form, the first start prints the credentials too", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, { LOG_FORMAT: "pretty" });
  const url = await server.url();
  const { apiKey, clientSecret } = await readCredentials(folder.join("data"));
  const { output } = await server.stop();
  for (const text of [url.href, apiKey, clientSecret]) assertStringIncludes(output, text);
});

Deno.test("main: credentials that no start could print are printed by the next one", async () => {
  await using folder = await TemporaryFolder.make();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using failing = Program.server(folder.path, { PORT: String(listener.addr.port) });
  const { code, output: firstOutput } = await failing.ended();
  assertEquals(code, 1);
  await using server = Program.server(folder.path);
  await server.url();
  const { clientSecret } = await readCredentials(folder.join("data"));
  const { output: secondOutput } = await server.stop();
  assertStringIncludes(firstOutput + secondOutput, clientSecret);
});

Deno.test("main: call finds the credentials that the server made, and the server by its settings", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, { AUDIOHOOK_PATH: "/elsewhere/hook" });
  const { port } = await server.url();
  await using client = Program.call(folder.path, ["--wav", CALL_WAV, "--speed", "200"], {
    PORT: port,
    AUDIOHOOK_PATH: "/elsewhere/hook",
  });
  const { code, output } = await client.ended();
  assertEquals(code, 0, output);
  assertEquals((await server.stop()).code, 0);
  const files = await filesBelow(folder.join("data", "recordings"));
  const wav = files.find((path) => path.endsWith(".wav"));
  assertSameBytes(
    await wavData(folder.join("data", "recordings", wav ?? "")),
    await wavData(CALL_WAV),
  );
});

Deno.test("main: AUDIOHOOK_KEYS says who may connect; an empty secret allows unsigned requests", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {
    AUDIOHOOK_KEYS: JSON.stringify({ [KEY]: SECRET, "unsigned": "" }),
    DATA_DIR: folder.join("kept"),
    AUTH_FAILURE_DELAY_MS: "0",
  });
  const url = await server.url();
  const signed = await call(url, { apiKey: KEY, clientSecret: SECRET });
  assertEquals(signed.failure, undefined);
  const unsigned = await call(url, { apiKey: "unsigned", clientSecret: "" });
  assertEquals(unsigned.failure, undefined);
  const without = await call(url, { apiKey: KEY, clientSecret: "" });
  assertExists(without.failure);
  const unknown = await call(url, { apiKey: "unknown", clientSecret: SECRET });
  assertExists(unknown.failure);
  const { code, output } = await server.stop();
  assertEquals(code, 0);
  assertFalse(output.includes(SECRET));
  assertEquals((await filesBelow(folder.path)).filter((path) => path.endsWith(".wav")).length, 2);
  assertEquals((await filesBelow(folder.path)).filter((path) => path.includes("credentials")), []);
  await recordingPath(folder.join("kept"), `${signed.sessionId}.json`);
  await recordingPath(folder.join("kept"), `${unsigned.sessionId}.jsonl`);
});

Deno.test("main: AUDIOHOOK_KEYS_FILE has the same in a file", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("keys.json"), KEYS);
  await using server = Program.server(folder.path, { AUDIOHOOK_KEYS_FILE: "keys.json" });
  const outcome = await call(await server.url(), { apiKey: KEY, clientSecret: SECRET });
  assertEquals(outcome.failure, undefined);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("main: .env in the working folder is read, and variables that are set win", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(
    folder.join(".env"),
    `# A comment
AUDIOHOOK_PATH=/from/file
AUDIOHOOK_KEYS='${KEYS}'
DATA_DIR="from file"
PORT=1
LOG_FORMAT=nonsense
`,
  );
  await using server = Program.server(folder.path, {
    DATA_DIR: folder.join("from environment"),
    LOG_FORMAT: "json",
  });
  const url = await server.url();
  assertEquals(url.pathname, "/from/file");
  const outcome = await call(url, { apiKey: KEY, clientSecret: SECRET });
  assertEquals(outcome.failure, undefined);
  assertEquals((await server.stop()).code, 0);
  await recordingPath(folder.join("from environment"), `${outcome.sessionId}.wav`);
  assertEquals((await filesBelow(folder.join("from file"))).length, 0);
});

const BAD_SETTINGS: readonly (readonly [name: string, value: string, says?: RegExp])[] = [
  ["HOST", "not a host!", /expected/i],
  ["HOST", "http://127.0.0.1", /expected/i],
  ["HOST", "203.0.113.7"],
  ["HOST", "no-such-host.invalid"],
  ["PORT", "http", /0 to 65535/],
  ["PORT", "65536", /0 to 65535/],
  ["PORT", "-1", /0 to 65535/],
  ["PORT", "80.5", /0 to 65535/],
  ["AUDIOHOOK_PATH", "api/v1", /expected a path/],
  ["AUDIOHOOK_PATH", "/healthz", /expected a path/],
  ["AUDIOHOOK_KEYS", "{", /JSON object/],
  ["AUDIOHOOK_KEYS", "[]", /JSON object/],
  ["AUDIOHOOK_KEYS", "{}", /expected/],
  ["AUDIOHOOK_KEYS", '{"key":"not base64!"}', /base64/],
  ["AUDIOHOOK_KEYS", '{"a bad key":""}', /expected/],
  ["AUDIOHOOK_KEYS_FILE", "no/such/file.json", /not found/],
  ["PUBLIC_AUTHORITY", "https://example.com/", /expected host/],
  ["DATA_DIR", "a-file"],
  ["LOG_LEVEL", "loud", /trace.*fatal/],
  ["LOG_FORMAT", "xml", /pretty, json/],
  ["AUTH_FAILURE_DELAY_MS", "soon", /whole number/],
];

Deno.test("main: each bad setting ends the start with 1, a message that names it, and no stack", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("a-file"), "");
  const complaints: string[] = [];
  // Several at once: most of it is waiting.
  const rest = [...BAD_SETTINGS];
  await Promise.all([0, 1, 2].map(async () => {
    for (let bad = rest.shift(); bad !== undefined; bad = rest.shift()) {
      const [name, value, says] = bad;
      await using server = Program.server(folder.path, { DATA_DIR: "data", [name]: value });
      const { code, stderr, output } = await server.ended();
      const what = `${name}=${value}`;
      if (code !== 1) complaints.push(`${what}: exit code ${code}`);
      if (!stderr.includes(name)) complaints.push(`${what}: stderr does not name it: ${output}`);
      if (says !== undefined && !says.test(stderr)) {
        complaints.push(`${what}: does not say ${says}: ${output}`);
      }
      if (hasStack(output) || output.includes("\\n    at ")) {
        complaints.push(`${what}: prints a stack: ${output}`);
      }
    }
  }));
  assertEquals(complaints, []);
});

Deno.test("main: a bad DATA_DIR is an error at the start, with configured keys too", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("a-file"), "");
  await using server = Program.server(folder.path, { DATA_DIR: "a-file", AUDIOHOOK_KEYS: KEYS });
  const started = await Promise.race([
    server.ended().catch(() => undefined),
    server.url().then(() => "it listens", () => undefined),
  ]);
  if (started === "it listens") server.kill("SIGKILL");
  const { code, output } = await server.ended();
  assertEquals(started === "it listens" ? started : code, 1, output);
  assertStringIncludes(output, "DATA_DIR");
  assertFalse(hasStack(output));
});

Deno.test("main: all bad settings are named at once, and no secret is", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {
    PORT: "x",
    LOG_LEVEL: "y",
    AUDIOHOOK_KEYS: `{"key": "${SECRET}", "other": "not base64 ${SECRET}"}`,
  });
  const { code, stderr, output } = await server.ended();
  assertEquals(code, 1);
  for (const name of ["PORT", "LOG_LEVEL", "AUDIOHOOK_KEYS"]) assertStringIncludes(stderr, name);
  assertFalse(output.includes(SECRET));
  assertFalse(hasStack(output));
});

Deno.test("main: a port in use is said, with what to do, and without a stack", async () => {
  await using folder = await TemporaryFolder.make();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await using server = Program.server(folder.path, { PORT: String(port), AUDIOHOOK_KEYS: KEYS });
  const { code, stderr, output } = await server.ended();
  assertEquals(code, 1);
  assertMatch(stderr, /in use/i);
  assertStringIncludes(stderr, "PORT");
  assertFalse(hasStack(output), output);
});

Deno.test("main: a broken credentials.json is said, without a stack, and left alone", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.mkdir(folder.join("data"));
  const path = folder.join("data", "credentials.json");
  await Deno.writeTextFile(path, `{"apiKey": "${KEY}", "clientSecret": `);
  await using server = Program.server(folder.path);
  const { code, stderr, output } = await server.ended();
  assertEquals(code, 1);
  assertStringIncludes(stderr, "credentials.json");
  assertFalse(hasStack(output), output);
  assertFalse(output.includes(KEY));
  assertStringIncludes(await Deno.readTextFile(path), KEY);
});

Deno.test("main: /healthz answers 200 while the process lives, and SIGINT ends it with 0", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, { AUDIOHOOK_KEYS: KEYS });
  const { host } = await server.url();
  const response = await fetch(`http://${host}/healthz`);
  await response.body?.cancel();
  assertEquals(response.status, 200);
  const { code } = await server.stop("SIGINT");
  assertEquals(code, 0);
});

// Ctrl-C comes twice to a program that `deno task` or `npx` started.
for (const [first, second] of [["SIGTERM", undefined], ["SIGINT", "SIGINT"]] as const) {
  Deno.test(`main: ${second === undefined ? first : `${first}, and again,`} asks the client of a call to end, and finishes its recording`, async () => {
    await using folder = await TemporaryFolder.make();
    await using server = Program.server(folder.path, { AUDIOHOOK_KEYS: KEYS });
    const events: string[] = [];
    let isStopping = false;
    const outcome = await call(await server.url(), { apiKey: KEY, clientSecret: SECRET }, {
      speed: 4,
      onEvent(event) {
        events.push(event.type);
        if (event.type === "disconnect" && second !== undefined) server.kill(second);
      },
      onProgress(positionSamples) {
        if (isStopping || positionSamples < 16_000) return;
        isStopping = true;
        server.kill(first);
      },
    });
    const { code, output } = await server.ended();
    assertEquals(code, 0, output);
    assertMatch(outcome.failure ?? "", /^The server ended .*"disconnect" with "error"$/);
    assert(events.includes("disconnect"), events.join());
    assertEquals(events.slice(-2), ["closed", "connection-ended"]);
    const said = await wavData(CALL_WAV);
    const path = await recordingPath(folder.join("data"), `${outcome.sessionId}.wav`);
    const recorded = await wavData(path);
    assertEquals(recorded.length, outcome.positionSamples * 2);
    assertLess(recorded.length, said.length);
    assertSameBytes(recorded, said.subarray(0, recorded.length));
    const metadata = JSON.parse(await Deno.readTextFile(path.replace(/wav$/, "json")));
    assertEquals(metadata.closeReason, "disconnect");
    assertEquals(metadata.isComplete, true);
    assertFalse((await filesBelow(folder.path)).some((name) => name.endsWith(".part")));
  });
}

Deno.test("main: SIGTERM does not wait for a client that is silent", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {
    AUDIOHOOK_KEYS: JSON.stringify({ unsigned: "" }),
  });
  // Connected, but never says `open`.
  const socket = new WebSocket(await server.url(), {
    headers: {
      "Audiohook-Organization-Id": crypto.randomUUID(),
      "Audiohook-Session-Id": crypto.randomUUID(),
      "Audiohook-Correlation-Id": crypto.randomUUID(),
      "X-API-KEY": "unsigned",
    },
  });
  const isClosed = new Promise((resolve) => socket.onclose = resolve);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  socket.onerror = () => {};
  server.kill("SIGTERM");
  const { code } = await server.ended(30_000);
  assertEquals(code, 0);
  await isClosed;
});

Deno.test("main: SIGKILL during a call leaves a .wav.part", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, { AUDIOHOOK_KEYS: KEYS });
  const controller = new AbortController();
  const ended = call(await server.url(), { apiKey: KEY, clientSecret: SECRET }, {
    speed: 4,
    signal: controller.signal,
  });
  try {
    const part = await eventually(async () => {
      const files = await filesBelow(folder.join("data", "recordings"));
      return files.find((path) => path.endsWith(".wav.part"));
    }, "a .wav.part during a call");
    server.kill("SIGKILL");
    const outcome = await ended;
    assertExists(outcome.failure);
    await server.ended();
    const files = await filesBelow(folder.join("data", "recordings"));
    assert(files.includes(part), files.join());
    assertFalse(files.some((path) => path.endsWith(".wav")), files.join());
  } finally {
    controller.abort();
    await ended;
  }
});

Deno.test("main: a refusal without a delay leaves nothing on standard error", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {
    AUDIOHOOK_KEYS: KEYS,
    ADMIN_TOKEN: "a-token-of-at-least-32-characters",
    AUTH_FAILURE_DELAY_MS: "0",
  });
  const refused = await call(await server.url(), { apiKey: KEY, clientSecret: "AAAA" });
  assertExists(refused.failure);
  assertEquals((await server.stop()).stderr, "");
});

Deno.test("main: without a terminal, every line of standard output is JSON from the first start on", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path);
  await server.url();
  const { stdout } = await server.stop();
  for (const line of stdout.trimEnd().split("\n")) JSON.parse(line);
});

Deno.test("main: an unknown argument ends it with 2 and the usage", async () => {
  await using folder = await TemporaryFolder.make();
  for (const args of [["--nonsense"], ["nonsense"], ["demo", "more"]]) {
    await using server = Program.server(folder.path, {}, args);
    const { code, stderr } = await server.ended();
    assertEquals(code, 2, args.join());
    assertMatch(stderr, /usage/i);
    assertFalse(hasStack(stderr));
  }
  assertEquals(await filesBelow(folder.path), []);
});

Deno.test("main: --help prints the usage and ends with 0", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {}, ["--help"]);
  const { code, stdout } = await server.ended();
  assertEquals(code, 0);
  assertMatch(stdout, /usage/i);
});
