/**
 * What a server that is killed, or whose disk is broken for a while, has on the disk.
 */
import { assert, assertEquals, assertGreaterOrEqual, assertMatch } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { callLogLine } from "../lib/app/message_log.ts";
import { logLineSchema } from "../lib/storage/recording_log.ts";
import { until } from "./helpers/deadline.ts";
import {
  assertSameBytes,
  filesBelow,
  Program,
  TemporaryFolder,
  wavData,
} from "./helpers/program.ts";
import { type DiskCall, StalledDisk } from "./helpers/stalled_disk.ts";
import { noise } from "./helpers/wav_check.ts";
import { API_KEY, EXTERNAL, SECRET, WireClient } from "./helpers/wire_client.ts";

const ENV = { PORT: "0", AUDIOHOOK_KEYS: JSON.stringify({ [API_KEY]: SECRET.toBase64() }) };
const WAV_HEADER_BYTES = 58;

async function addrOf(server: Program): Promise<{ addr: Deno.NetAddr }> {
  const { port } = await server.url();
  return { addr: { transport: "tcp", hostname: "127.0.0.1", port: Number(port) } };
}

async function fileOf(folder: TemporaryFolder, extension: string): Promise<Uint8Array | undefined> {
  const path = (await filesBelow(folder.path)).find((path) => path.endsWith(extension));
  return path === undefined ? undefined : await Deno.readFile(folder.join(path));
}

Deno.test("main: a server that is killed has lost no more than the last second", async () => {
  await using folder = await TemporaryFolder.make();
  await using server = Program.server(folder.path, ENV);
  await using client = await WireClient.connect(await addrOf(server));
  await client.open({ media: [EXTERNAL] });
  const audio = noise(8000 * 4);
  // As a caller speaks: 100 ms of audio each 100 ms.
  for (let at = 0; at < audio.length; at += 800) {
    client.sendAudio(audio.subarray(at, at + 800));
    if (at === 8000) await client.ping();
    await delay(100);
  }
  server.kill("SIGKILL");
  await server.ended();
  const part = await fileOf(folder, ".wav.part");
  assert(part !== undefined);
  const bytes = part.length - WAV_HEADER_BYTES;
  assertSameBytes(part.subarray(WAV_HEADER_BYTES), audio.subarray(0, bytes));
  // Twice what is promised, because the machine may be busy; by pieces, because it may stand still.
  assertGreaterOrEqual(bytes, audio.length - 20 * 800);
  const log = new TextDecoder().decode(await fileOf(folder, ".jsonl"));
  const lines = log.trimEnd().split("\n").map((line) => logLineSchema.parse(JSON.parse(line)));
  assertEquals(lines[0]?.call?.sessionId, client.id);
  assert(lines[0]?.call !== undefined);
  assertEquals(callLogLine(lines[0].call), log.slice(0, log.indexOf("\n") + 1));
  const types = lines.slice(1).map(({ message }) => (message as { type: string }).type);
  assertEquals(types, ["open", "opened", "ping", "pong"]);
});

const FAULTS: readonly (readonly [DiskCall, "EIO" | "ENOSPC"])[] = [
  ["write", "ENOSPC"],
  ["fdatasync", "EIO"],
];
for (const [call, error] of FAULTS) {
  Deno.test(`main: while ${call} fails by ${error}, calls go on, and nothing is lost`, async () => {
    await using folder = await TemporaryFolder.make();
    const disk = await StalledDisk.make(folder.path);
    if (typeof disk === "string") return;
    await using server = Program.server(folder.path, { ...ENV, ...disk.env });
    const at = await addrOf(server);
    await using running = await WireClient.connect(at);
    await running.open({ media: [EXTERNAL] });
    const audio = noise(40_000);
    running.sendAudio(audio.subarray(0, 10_000));
    await until(async () => (await fileOf(folder, ".wav.part"))?.length === 10_058, "audio");
    await disk.fail(call, error);
    running.sendAudio(audio.subarray(10_000, 20_000));
    await using ending = await WireClient.connect(at);
    await ending.open({ media: [EXTERNAL] });
    ending.sendAudio(audio.subarray(0, 30_000));
    await ending.close();
    await ending.hangUp();
    await server.waitFor(/Cannot write recordings;/);
    await running.ping();
    await disk.goOn();
    running.sendAudio(audio.subarray(20_000));
    await running.close();
    await running.hangUp();
    const { code, output } = await server.stop();
    assertEquals(code, 0, output);
    assertMatch(output, /Recordings are written again/);
    for (const [id, bytes] of [[running.id, 40_000], [ending.id, 30_000]] as const) {
      const path = (await filesBelow(folder.path)).find((path) => path.endsWith(`${id}.wav`));
      assertSameBytes(await wavData(folder.join(path ?? "no recording")), audio.subarray(0, bytes));
    }
    const parts = (await filesBelow(folder.path)).filter((path) => path.endsWith(".part"));
    assertEquals(parts, []);
  });
}
