/**
 * Recordings as the program as a whole keeps them: found, heard, held and removed over HTTP, by the
 * token that the first start prints; and what becomes of them where there is no room, or no wish.
 */
import { assert, assertEquals, assertExists, assertMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { decodeMulaw } from "../lib/audio/mod.ts";
import {
  assertSameBytes,
  eventually,
  filesBelow,
  Program,
  ROOT,
  taskFlags,
  TemporaryFolder,
  wavChunks,
} from "./helpers/program.ts";
import { noise } from "./helpers/wav_check.ts";
import { API_KEY, CONVERSATION_ID, EXTERNAL, SECRET, WireClient } from "./helpers/wire_client.ts";

const ENV = { PORT: "0", AUDIOHOOK_KEYS: JSON.stringify({ [API_KEY]: SECRET.toBase64() }) };
const TOKEN = "a-token-of-at-least-32-characters";
const AUDIO = noise(4321);

async function placeCall(server: Program): Promise<string> {
  const { port } = await server.url();
  const addr = { transport: "tcp", hostname: "127.0.0.1", port: Number(port) } as const;
  await using client = await WireClient.connect({ addr });
  await client.open({ media: [EXTERNAL] });
  client.sendAudio(AUDIO);
  await client.close("end");
  return client.id;
}

/** Asks the program for something. */
async function ask(
  server: Program,
  path: string,
  { token = TOKEN, ...init }: RequestInit & { readonly token?: string } = {},
): Promise<Response> {
  const { host } = await server.url();
  const headers = { authorization: `Bearer ${token}`, ...init.headers };
  return await fetch(`http://${host}${path}`, { ...init, headers });
}

/** Waits until so many recordings of a conversation have ended; the newest first. */
async function found(
  server: Program,
  count: number,
  token = TOKEN,
): Promise<readonly { readonly id: string; readonly sessionId: string }[]> {
  return await eventually(async () => {
    const path = `/api/recordings?conversationId=${CONVERSATION_ID}&state=finished`;
    const response = await ask(server, path, { token });
    const { recordings } = await response.json();
    return recordings?.length === count ? recordings : undefined;
  }, `${count} recordings in the index`);
}

Deno.test("main: a recording is found, heard, held and removed by the token that the first start prints", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, ENV);
  const sessionId = await placeCall(server);
  const token = await eventually(
    () => Promise.resolve(/Bearer (\S+)/.exec(server.stdout + server.stderr)?.[1]),
    "an admin token",
  );
  assertEquals((await found(server, 1, token)).map((recording) => recording.sessionId), [
    sessionId,
  ]);
  const [{ id } = { id: "" }] = await found(server, 1, token);
  const path = `/api/recordings/${id}`;

  const metadata = await (await ask(server, path, { token })).json();
  assertEquals([metadata.durationSamples, metadata.state], [AUDIO.length, "finished"]);
  const wav = await (await ask(server, `${path}/audio`, { token })).bytes();
  assertSameBytes(wavChunks(wav).get("data") ?? new Uint8Array(), AUDIO);
  const pcm = await (await ask(server, `${path}/audio?format=pcm16`, { token })).bytes();
  assertSameBytes(
    wavChunks(pcm).get("data") ?? new Uint8Array(),
    new Uint8Array(decodeMulaw(AUDIO).buffer),
  );
  const messages = await (await ask(server, `${path}/messages`, { token })).text();
  assertEquals(JSON.parse(messages.split("\n", 1)[0] ?? "").call.sessionId, sessionId);
  const peaks = await (await ask(server, `${path}/peaks?pixels=10`, { token })).json();
  assertEquals(peaks.channels.length, 1);

  const body = JSON.stringify({ reason: "Case 4711" });
  const headers = { "content-type": "application/json" };
  const held = await ask(server, `${path}/hold`, { method: "PUT", body, headers, token });
  assertEquals([held.status, (await held.json()).reason], [200, "Case 4711"]);
  const kept = await ask(server, path, { method: "DELETE", token });
  assertEquals([kept.status, (await kept.json()).error.code], [409, "on_hold"]);
  const lifted = await ask(server, `${path}/hold`, { method: "DELETE", token });
  assertEquals([lifted.status, await lifted.text()], [204, ""]);
  const removed = await ask(server, path, { method: "DELETE", token });
  assertEquals([removed.status, await removed.text()], [204, ""]);
  await found(server, 0, token);

  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  const left = await filesBelow(folder.join("data"));
  assertEquals(left.filter((file) => file.includes(sessionId)), []);
  const audit = (await Deno.readTextFile(folder.join("data", "audit.jsonl"))).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  assertEquals(
    audit.map(({ action, by }) => [action, by]),
    [["hold_set", "api"], ["hold_lifted", "api"], ["removed", "api"]],
  );
});

Deno.test("main: an index that is lost is built anew, by the next start or by reindex", async () => {
  await using folder = await TemporaryFolder.make();
  const env = { ...ENV, ADMIN_TOKEN: TOKEN };
  const loseIndex = async () => {
    for (const file of await filesBelow(folder.join("data"))) {
      if (file.startsWith("index.kv")) await Deno.remove(folder.join("data", file));
    }
  };
  const sessionIds: string[] = [];
  await using first = Program.server(folder.path, env);
  for (let i = 0; i < 3; i++) sessionIds.unshift(await placeCall(first));
  await found(first, 3);
  await first.stop();

  await loseIndex();
  await using second = Program.server(folder.path, env);
  assertEquals((await found(second, 3)).map(({ sessionId }) => sessionId), sessionIds);
  await second.stop();

  await loseIndex();
  await using reindex = new Program({
    args: ["run", ...taskFlags("reindex"), `${ROOT}/main.ts`, "reindex"],
    cwd: folder.path,
    env,
  });
  const { code, stdout, output } = await reindex.ended();
  assertEquals(code, 0, output);
  assertMatch(stdout, /^The index has 3 recordings: 3 entries written, 0 removed\. /);
});

Deno.test("main: reindex tells damaged metadata from calls that go on, and fails", async () => {
  await using folder = await TemporaryFolder.make();
  const env = { ...ENV, ADMIN_TOKEN: TOKEN };
  await using server = Program.server(folder.path, env);
  for (let i = 0; i < 2; i++) await placeCall(server);
  const [damaged] = await found(server, 2);
  assertExists(damaged);
  const file = `${damaged.id.replace(".", "/")}.json`;
  await Deno.writeTextFile(folder.join("data", "recordings", file), "{");
  await using reindex = new Program({
    args: ["run", ...taskFlags("reindex"), `${ROOT}/main.ts`, "reindex"],
    cwd: folder.path,
    env,
  });
  const { code, stdout, output } = await reindex.ended();
  assertEquals(code, 1, output);
  assertMatch(stdout, /0 recordings have not ended; the metadata of 1 cannot be read\.\n$/);
  assertMatch(output, new RegExp(`The \\.json file of recording ${damaged.id} cannot be used`));
  await found(server, 2);
  await server.stop();
});

Deno.test("main: a database of another kind in the place of the index ends no server", async () => {
  await using folder = await TemporaryFolder.make();
  const env = { ...ENV, ADMIN_TOKEN: TOKEN };
  await using first = Program.server(folder.path, env);
  await placeCall(first);
  await found(first, 1);
  await first.stop();
  // Intact, and enough of Deno KV's for it to be opened.
  {
    using database = new DatabaseSync(folder.join("data", "index.kv"));
    database.exec("DROP TABLE queue_running");
  }
  await using second = Program.server(folder.path, env);
  await found(second, 1);
  await placeCall(second);
  await found(second, 2);
  const { code, output } = await second.stop();
  assertEquals(code, 0, output);
  assertMatch(output, /The index of recordings is broken: it is built anew/);
});

Deno.test("main: an index at an address where there is none, or that is silent, holds up nothing, and is told of", async () => {
  await using folder = await TemporaryFolder.make();
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of silent) accepted.push(connection);
  })();
  const kv = (port: number) => ({
    ...ENV,
    ...{ ADMIN_TOKEN: TOKEN, DENO_KV_ACCESS_TOKEN: "none", KV_URL: `http://127.0.0.1:${port}` },
  });
  const reindexArgs = ["run", ...taskFlags("reindex"), `${ROOT}/main.ts`, "reindex"];
  const nowhere = kv(1);
  {
    await using server = Program.server(folder.path, nowhere);
    await placeCall(server);
    await eventually(async () => {
      const health = await (await ask(server, "/healthz")).text();
      return health.includes("recordings cannot be indexed") || undefined;
    }, "the index in the health");
    assertEquals((await server.stop()).code, 0);
  }
  {
    // Also where no call has to be indexed.
    await using server = Program.server(folder.path, nowhere);
    await eventually(async () => {
      const health = await (await ask(server, "/healthz")).text();
      return health.includes("recordings cannot be indexed") || undefined;
    }, "the index in the health");
    assertEquals((await server.stop()).code, 0);
  }
  await using refused = new Program({ args: reindexArgs, cwd: folder.path, env: nowhere });
  const { code, stderr } = await refused.ended();
  assertEquals(code, 1);
  assertMatch(stderr, /^Cannot build the index anew .* expected a Deno KV at KV_URL/);
  assert(!stderr.includes("\n    at "), stderr);

  const { port } = silent.addr as Deno.NetAddr;
  await using waiting = new Program({ args: reindexArgs, cwd: folder.path, env: kv(port) });
  await eventually(() => Promise.resolve(accepted.length > 0 || undefined), "a connection");
  const stopped = await waiting.stop();
  assertEquals(stopped.code, 1);
  assertMatch(stopped.stderr, /^Stopped: the index is not complete/);

  silent.close();
  await accepting;
  for (const connection of accepted) connection.close();
});

Deno.test("main: with RECORDINGS=off, calls work, and nothing is recorded", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, {
    ...ENV,
    ADMIN_TOKEN: TOKEN,
    RECORDINGS: "off",
  });
  const sessionId = await placeCall(server);
  await found(server, 0);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  assert(!(await filesBelow(folder.path)).some((file) => file.includes(sessionId)));
  assertMatch(output, /no call is recorded \(RECORDINGS=off\)/);
});

Deno.test("main: without room on the disk, calls work, are not recorded, and health and metrics say so", async () => {
  await using folder = await TemporaryFolder.make();
  // More than any disk has.
  const env = { ...ENV, ADMIN_TOKEN: TOKEN, MIN_FREE_MB: "1000000000" };
  await using server = Program.server(folder.path, env);
  const sessionId = await placeCall(server);
  const health = await ask(server, "/healthz", { headers: { accept: "application/json" } });
  const { status, problems } = await health.json();
  assertEquals([health.status, status, problems.length], [200, "degraded", 1]);
  const metrics = await (await ask(server, "/metrics")).text();
  assertMatch(metrics, /^audiohook_calls_not_recorded_total 1$/m);
  assertMatch(metrics, /^audiohook_disk_free_bytes \d+$/m);
  assertMatch(metrics, /^audiohook_disk_busy_seconds \d/m);
  assert(!metrics.includes("audiohook_object_storage_"), metrics);
  assertExists(problems[0]);
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  assert(!(await filesBelow(folder.path)).some((file) => file.includes(sessionId)));
});

Deno.test("main: without the token, nothing is told of any call", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, { ...ENV, ADMIN_TOKEN: TOKEN });
  await placeCall(server);
  const [{ id } = { id: "" }] = await found(server, 1);
  for (
    const path of [
      "/metrics",
      "/api/recordings",
      `/api/recordings/${id}`,
      `/api/recordings/${id}/audio`,
      `/api/recordings/${id}/messages`,
    ]
  ) {
    const response = await ask(server, path, { token: "another-token-of-32-characters-or-so" });
    assertEquals(response.status, 401, path);
    assert(!(await response.text()).includes(CONVERSATION_ID), path);
  }
  const { output } = await server.stop();
  assert(!output.includes(TOKEN));
});
