/**
 * The settings that bound what clients may do, on the program as a user starts it: each has to reach
 * the place that heeds it.
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { within } from "./helpers/deadline.ts";
import { knockWith, type Target } from "./helpers/knock.ts";
import { Program, TemporaryFolder } from "./helpers/program.ts";
import { API_KEY, SECRET, WireClient } from "./helpers/wire_client.ts";

const KEYS = JSON.stringify({ [API_KEY]: SECRET.toBase64() });
const WRONG_SECRET = new Uint8Array(32).fill(1);

function start(folder: TemporaryFolder, settings: Readonly<Record<string, string>>): Program {
  return Program.server(folder.path, {
    AUDIOHOOK_KEYS: KEYS,
    AUTH_FAILURE_DELAY_MS: "0",
    ...settings,
  });
}

async function targetOf(server: Program): Promise<Target> {
  const { host, port } = await server.url();
  const addr = { transport: "tcp", hostname: "127.0.0.1", port: Number(port) } as const;
  return { addr, authority: host };
}

Deno.test("main: with MAX_SESSIONS=1, a second connection is answered 503 while the first lasts", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = start(folder, { MAX_SESSIONS: "1", MAX_BUFFERED_BYTES: "65536" });
  const target = await targetOf(server);
  await using client = await WireClient.connect(target);
  await client.open();
  assertEquals((await knockWith(target)).status, 503);
  await client.ping();
  await client.close();
  assertEquals((await server.stop()).code, 0);
});

Deno.test("main: MAX_AUTH_FAILURES_PER_MINUTE counts by the address in CLIENT_ADDRESS_HEADER", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = start(folder, {
    MAX_AUTH_FAILURES_PER_MINUTE: "1",
    CLIENT_ADDRESS_HEADER: "X-Forwarded-For",
  });
  const target = await targetOf(server);
  const statusFor = async (address: string) => {
    const headers = { "X-Forwarded-For": address };
    return (await knockWith(target, { secret: WRONG_SECRET, headers })).status;
  };
  assertEquals(await statusFor("192.0.2.1"), 401);
  assertEquals(await statusFor("192.0.2.1"), 429);
  assertEquals(await statusFor("192.0.2.2"), 401);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("main: after OPEN_TIMEOUT_MS without an open, the client is asked to go, and told of it", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = start(folder, { OPEN_TIMEOUT_MS: "100" });
  await using client = await WireClient.connect(await targetOf(server));
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters.reason, "error");
  assertStringIncludes(parameters.info, '"open"');
  assertStringIncludes(parameters.info, "100 ms");
  await client.close("disconnect");
  assertEquals((await server.stop()).code, 0);
});

Deno.test("main: a text over MAX_TEXT_BYTES ends the session, and the client is told how many they are", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = start(folder, { MAX_TEXT_BYTES: "2000" });
  await using client = await WireClient.connect(await targetOf(server));
  await client.open();
  const ping = (bytes: number) => {
    const message = {
      version: "2",
      id: client.id,
      type: "ping",
      seq: client.seq + 1,
      serverseq: client.serverseq,
      position: "PT0S",
      parameters: {},
      padding: "",
    };
    const { length } = JSON.stringify(message);
    client.sendText(JSON.stringify({ ...message, padding: "x".repeat(bytes - length) }));
    client.seq++;
  };
  ping(2000);
  await client.expect("pong");
  ping(2001);
  const { parameters } = await client.expect("disconnect");
  assertEquals(parameters.reason, "error");
  assertStringIncludes(parameters.info, "2000 bytes");
  await within(client.hangUp(), "end of the connection");
  assertEquals((await server.stop()).code, 0);
});
