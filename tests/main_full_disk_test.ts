/**
 * A server whose disk is full: recordings are removed over HTTP all the same, while calls that are
 * being recorded take whatever room there is.
 */
import { assertEquals } from "@std/assert";
import {
  assertSameBytes,
  eventually,
  filesBelow,
  Program,
  TemporaryFolder,
  wavData,
} from "./helpers/program.ts";
import { SmallDisk } from "./helpers/small_disk.ts";
import { noise } from "./helpers/wav_check.ts";
import { API_KEY, CONVERSATION_ID, EXTERNAL, SECRET, WireClient } from "./helpers/wire_client.ts";

const TOKEN = "a-token-of-at-least-32-characters";
const ENV = {
  PORT: "0",
  AUDIOHOOK_KEYS: JSON.stringify({ [API_KEY]: SECRET.toBase64() }),
  ADMIN_TOKEN: TOKEN,
};
const AUDIO = noise(60_000);

async function call(server: Program): Promise<WireClient> {
  const { port } = await server.url();
  const addr = { transport: "tcp", hostname: "127.0.0.1", port: Number(port) } as const;
  const client = await WireClient.connect({ addr });
  await client.open({ media: [EXTERNAL] });
  return client;
}

async function ask(server: Program, path: string, init: RequestInit = {}): Promise<Response> {
  const { host } = await server.url();
  const headers = { authorization: `Bearer ${TOKEN}`, ...init.headers };
  return await fetch(`http://${host}/api/recordings${path}`, { ...init, headers });
}

/** Identifiers of recordings that have ended, when there are so many. */
async function ended(server: Program, count: number): Promise<string[]> {
  return await eventually(async () => {
    const path = `?conversationId=${CONVERSATION_ID}&state=finished`;
    const { recordings } = await (await ask(server, path)).json();
    if (recordings?.length !== count) return undefined;
    return recordings.map(({ id }: { readonly id: string }) => id);
  }, `${count} recordings in the index`);
}

/** Removes a recording; the status, and what the error says. */
async function remove(server: Program, id: string): Promise<readonly [number, string]> {
  const response = await ask(server, `/${id}`, { method: "DELETE" });
  const text = await response.text();
  return [response.status, text === "" ? "" : JSON.parse(text).error.message];
}

Deno.test("main: on a full disk, recordings are removed, each with one line, while calls go on", async () => {
  await using tools = await TemporaryFolder.make();
  await using folder = await TemporaryFolder.make();
  const disk = await SmallDisk.make(tools.path, folder.path);
  if (typeof disk === "string") {
    // deno-lint-ignore no-console -- whoever runs the tests has to know
    console.log(`skipped: ${disk}`);
    return;
  }
  await using server = Program.server(folder.path, { ...ENV, ...disk.env });
  for (let n = 0; n < 4; n++) {
    await using client = await call(server);
    client.sendAudio(AUDIO);
    await client.close("end");
  }
  const [last = "", ...ids] = await ended(server, 4);
  await using one = await call(server);
  await using other = await call(server);
  await disk.fillUp();
  const calls = [one, other];
  for (const client of calls) client.sendAudio(AUDIO.subarray(0, 30_000));
  await server.waitFor(/Cannot write recordings;/);

  for (const id of ids) assertEquals(await remove(server, id), [204, ""]);
  const lines = async () =>
    (await Deno.readTextFile(folder.join("data", "audit.jsonl"))).trimEnd().split("\n")
      .map((line) => JSON.parse(line).id);
  assertEquals(await lines(), ids);
  const left = await filesBelow(folder.join("data", "recordings"));
  for (const id of ids) assertEquals(left.filter((path) => path.includes(id.slice(11))), []);

  // What has to stay can be held, and let go.
  const body = JSON.stringify({ reason: "Case 4711" });
  const headers = { "content-type": "application/json" };
  const held = await ask(server, `/${last}/hold`, { method: "PUT", body, headers });
  assertEquals([held.status, (await held.json()).reason], [200, "Case 4711"]);
  assertEquals((await remove(server, last))[0], 409);
  const lifted = await ask(server, `/${last}/hold`, { method: "DELETE" });
  assertEquals([lifted.status, await lifted.text()], [204, ""]);

  // As if it had been full before anything was kept back.
  for (const name of ["audit.reserve", "audit.spare"]) await Deno.remove(folder.join("data", name));
  await disk.fillUp();
  assertEquals(await remove(server, last), [
    503,
    "The disk is full, and nothing can be put down of what is done: free some room on it, a " +
    "megabyte is enough, and try again",
  ]);
  await disk.empty();
  assertEquals(await remove(server, last), [204, ""]);
  assertEquals(await lines(), [...ids, last, last, last]);

  for (const client of calls) {
    client.sendAudio(AUDIO.subarray(30_000));
    await client.close();
    await client.hangUp();
  }
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  for (const client of calls) {
    const files = await filesBelow(folder.path);
    const path = files.find((path) => path.endsWith(`${client.id}.wav`)) ?? "no recording";
    assertSameBytes(await wavData(folder.join(path)), AUDIO);
  }
});
