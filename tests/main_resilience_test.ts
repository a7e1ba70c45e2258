/**
 * What the program survives that would end, or stop, other servers of its kind: no descriptors
 * left, clients that vanish in the moment of the upgrade.
 */
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { join } from "node:path";
import { Program, ROOT, taskFlags, TemporaryFolder } from "./helpers/program.ts";
import { until } from "./helpers/deadline.ts";
import { HANDSHAKE, RawSocket } from "./helpers/raw_socket.ts";
import { API_KEY, ENDPOINT, requestHeaders, SECRET, WireClient } from "./helpers/wire_client.ts";

const ENV = { PORT: "0", AUDIOHOOK_KEYS: JSON.stringify({ [API_KEY]: SECRET.toBase64() }) };

async function addrOf(server: Program): Promise<{ addr: Deno.NetAddr }> {
  const { port } = await server.url();
  return { addr: { transport: "tcp", hostname: "127.0.0.1", port: Number(port) } };
}

Deno.test("main: without descriptors for more connections, calls go on, and new ones come in later", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = new Program({
    executable: "bash",
    args: [
      "-c",
      'ulimit -n 64; exec "$0" "$@"',
      Deno.execPath(),
      "run",
      ...taskFlags("start"),
      join(ROOT, "main.ts"),
    ],
    cwd: folder.path,
    env: ENV,
  });
  const at = await addrOf(server);
  await using call = await WireClient.connect(at);
  await call.open();
  const crowd: RawSocket[] = [];
  try {
    // Each keeps a descriptor of the server, and says nothing.
    await until(async () => {
      try {
        crowd.push(await RawSocket.connect(at.addr.port));
      } catch (error) {
        if (!String(error).includes("ECONNREFUSED")) throw error;
      }
      return server.output.includes("No new connections can be accepted");
    }, "the end of the descriptors");
    await call.ping();
  } finally {
    for (const socket of crowd) socket.drop();
  }
  await call.ping();
  const later = await until(
    () => WireClient.connect(at).catch(() => undefined),
    "a connection after all",
  );
  await later.open();
  await later.close();
  await call.close();
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  assertNotMatch(output, /Defect|fatal/i);
  assertEquals(output.match(/No new connections/g)?.length, 1, output);
});

Deno.test("main: clients that vanish in the moment of the upgrade do not keep it from stopping", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, ENV);
  const at = await addrOf(server);
  const vanish = async () => {
    const socket = await RawSocket.connect(at.addr.port);
    const headers = await requestHeaders(`127.0.0.1:${at.addr.port}`);
    await socket.request(ENDPOINT, { Host: `127.0.0.1:${at.addr.port}`, ...HANDSHAKE, ...headers });
    socket.reset();
  };
  for (let i = 0; i < 50; i++) await vanish();
  await using call = await WireClient.connect(at);
  await call.open();
  await call.ping();
  await call.close();
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  assertMatch(output, /Stopped/);
  assert(!/Defect|fatal/i.test(output), output);
});
