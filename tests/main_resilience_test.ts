/**
 * What the program survives that would end, or stop, other servers of its kind: no descriptors
 * left, clients that vanish in the moment of the upgrade, a disk that stalls.
 */
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  assertSameBytes,
  eventually,
  filesBelow,
  Program,
  ROOT,
  taskFlags,
  TemporaryFolder,
  wavData,
} from "./helpers/program.ts";
import { until } from "./helpers/deadline.ts";
import { HANDSHAKE, RawSocket } from "./helpers/raw_socket.ts";
import { StalledDisk } from "./helpers/stalled_disk.ts";
import { noise } from "./helpers/wav_check.ts";
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

Deno.test("main: a disk that stalls holds up no call, and nothing is lost", async () => {
  await using folder = await TemporaryFolder.make();
  const disk = await StalledDisk.make(folder.path);
  if (typeof disk === "string") {
    // deno-lint-ignore no-console -- whoever runs the tests has to know
    console.log(`skipped: no disk can be made to stall, because ${disk}`);
    return;
  }
  await using server = Program.server(folder.path, { ...ENV, ...disk.env });
  const at = await addrOf(server);
  await using before = await WireClient.connect(at);
  await before.open();
  const audio = noise(8000 * 2 * 5);
  before.sendAudio(audio.subarray(0, 16_000));
  await disk.stall();
  // Seconds of audio, which the disk does not take; all of what follows is answered meanwhile.
  for (let second = 1; second < 5; second++) {
    before.sendAudio(audio.subarray(second * 16_000, (second + 1) * 16_000));
    await delay(600);
    await before.ping();
  }
  await using during = await WireClient.connect(at);
  await during.open();
  for (let at = 0; at < audio.length; at += 16_000) {
    during.sendAudio(audio.subarray(at, at + 16_000));
  }
  await during.ping();
  await before.close();
  await before.hangUp();
  await during.close();
  await during.hangUp();
  assertEquals(
    (await filesBelow(folder.path)).filter((path) => path.endsWith(".wav")),
    [],
    "the disk has not stalled",
  );
  await disk.goOn();
  const { code, output } = await server.stop();
  assertEquals(code, 0, output);
  for (const { id } of [before, during]) {
    const path = (await filesBelow(folder.path)).find((path) => path.endsWith(`${id}.wav`));
    assertSameBytes(await wavData(folder.join(path ?? "no recording")), audio);
  }
});

Deno.test("main: a disk that never answers keeps it neither from stopping nor from saying so", async () => {
  await using folder = await TemporaryFolder.make();
  const disk = await StalledDisk.make(folder.path);
  if (typeof disk === "string") return;
  await using server = Program.server(folder.path, { ...ENV, ...disk.env });
  const at = await addrOf(server);
  await using call = await WireClient.connect(at);
  await call.open();
  await disk.stall();
  call.sendAudio(noise(16_000));
  await call.ping();
  const { host } = await server.url();
  await eventually(async () => {
    const health = await (await fetch(`http://${host}/healthz`)).text();
    return health.includes("the disk has stalled") || undefined;
  }, "the disk in the health");
  server.kill("SIGTERM");
  await call.expect("disconnect");
  await call.close();
  await call.hangUp();
  const { code, output } = await server.ended(40_000);
  assertEquals(code, 0, output);
  assertMatch(output, /1 recordings were not written within 15 s: they stay as they are/);
});

Deno.test("main: where the file system knows no syncs, calls are recorded, held and removed all the same", async () => {
  await using folder = await TemporaryFolder.make();
  const disk = await StalledDisk.make(folder.path);
  if (typeof disk === "string") return;
  await disk.fail("fsync", "EINVAL");
  const token = "a-token-of-at-least-32-characters";
  await using server = Program.server(folder.path, { ...ENV, ...disk.env, ADMIN_TOKEN: token });
  await using call = await WireClient.connect(await addrOf(server));
  await call.open();
  call.sendAudio(noise(16_000));
  await call.close();
  await call.hangUp();
  const api = `http://${(await server.url()).host}/api/recordings`;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const id: string = await eventually(async () => {
    const { recordings } = await (await fetch(`${api}?state=finished`, { headers })).json();
    return recordings?.[0]?.id;
  }, "a recording");
  const statuses: number[] = [];
  for (const [method, path] of [["PUT", "/hold"], ["DELETE", "/hold"], ["DELETE", ""]]) {
    const body = method === "PUT" ? JSON.stringify({ reason: "Case 4711" }) : undefined;
    const response = await fetch(`${api}/${id}${path}`, { method, headers, body });
    await response.body?.cancel();
    statuses.push(response.status);
  }
  assertEquals(statuses, [200, 204, 204]);
  assertEquals((await server.stop()).code, 0);
});
