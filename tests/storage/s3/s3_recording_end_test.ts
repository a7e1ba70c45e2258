/**
 * How recordings end in a real S3 server: killed at any request, many at once, and with storage that
 * removes nothing or says nothing.
 */
import {
  assertEquals,
  assertExists,
  assertGreater,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { createWavHeader } from "../../../lib/audio/mod.ts";
import { placeOf, type RecordingFiles } from "../../../lib/storage/mod.ts";
import {
  S3Client,
  S3RecordingArchive,
  S3RecordingStore,
  type S3RecordingStoreOptions,
} from "../../../lib/storage/s3/mod.ts";
import { RecordingKeys } from "../../../lib/storage/s3/recording_keys.ts";
import { S3Error } from "../../../lib/storage/s3/s3_error.ts";
import { removeSegments } from "../../../lib/storage/s3/s3_recording_files.ts";
import { until, within } from "../../helpers/deadline.ts";
import { Program, ROOT } from "../../helpers/program.ts";
import { assertWav, concat, noise } from "../../helpers/wav_check.ts";
import { atEachRequest } from "./each_request.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { requestFor } from "./left_scene.ts";
import { BUCKET, CREDENTIALS, ObjectServer } from "./object_server.ts";
import { DAY, endingOf, FIRST_LINE, FORMAT, SESSION } from "./some_recording.ts";

const NONE = { recovered: [], impossible: [] };
const bytes = (text: string) => new TextEncoder().encode(text);

function clientOf({ url }: { readonly url: string }, timeoutMs = 60_000, attempts = 1): S3Client {
  const patience = { attempts, firstPauseMs: 1, timeoutMs };
  return new S3Client({ endpoint: url, bucket: BUCKET }, CREDENTIALS, patience);
}

/** Who looks while others write: then, the server may have to be asked again. */
function watcherOf(server: ObjectServer): S3Client {
  return clientOf(server, undefined, 5);
}

function storeOf(
  client: S3Client,
  options: Partial<S3RecordingStoreOptions> = {},
): S3RecordingStore {
  return new S3RecordingStore({ client, prefix: "calls", segmentMs: 60_000, ...options });
}

/** Writes as it is done: a header that is not final; then audio and what the call is, at once. */
async function write(files: RecordingFiles, audio: Uint8Array): Promise<void> {
  const header = createWavHeader(FORMAT, Infinity);
  await files.writeAudio(0, header);
  await Promise.all([
    files.writeAudio(header.length, audio),
    files.writeMessages(0, FIRST_LINE),
  ]);
}

function baseOf(id: string): string {
  return `calls/${DAY}/${placeOf(id)?.name}`;
}

/** What there is, by what follows the name. */
async function stored(client: S3Client, id: string): Promise<string[]> {
  const found = await Array.fromAsync(client.list(baseOf(id)));
  return found.map(({ key }) => key.slice(baseOf(id).length));
}

async function assertExact(
  client: S3Client,
  id: string,
  audio: Uint8Array,
  messages: Uint8Array = concat(FIRST_LINE, bytes("{}\n")),
): Promise<void> {
  const wav = await client.get(`${baseOf(id)}.wav`, 1_000_000_000);
  assertWav(wav && new Uint8Array(wav), { format: "PCMU", channels: 2, data: audio });
  assertEquals(await client.get(`${baseOf(id)}.jsonl`, 1_000_000), new Uint8Array(messages));
}

Deno.test("S3RecordingStore: a short call whose instance is killed between its audio and its metadata", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const isStored = requestFor("HEAD", ".wav");
  proxy.before(isStored, () => Promise.resolve(proxy.become({ kind: "hangs" })));
  await using program = new Program({
    args: [
      ...["run", "--quiet", "--no-prompt", "--config", `${ROOT}/deno.json`],
      ...["--allow-net=127.0.0.1", "--allow-read", "--allow-env"],
      `${ROOT}/tests/storage/s3/finishing_program.ts`,
      proxy.url,
    ],
    cwd: ROOT,
  });
  const [, id = ""] = await program.waitFor(/begun (\S+)/, 60_000);
  await until(() => proxy.faults > 0, "audio is stored, and it waits", 60_000);
  program.kill("SIGKILL");
  await program.ended();

  const client = watcherOf(server);
  const left = await stored(client, id);
  assertEquals([left.includes(".wav"), left.includes(".json")], [true, false]);
  const { recovered } = await storeOf(client).recoverSegments({ staleMs: -60_000 });
  assertEquals(recovered, [id]);
  const metadata = await new S3RecordingArchive(client, "calls").metadata(id);
  assertExists(metadata);
  const { conversationId, recordedSamples } = metadata;
  assertEquals([conversationId, recordedSamples], [SESSION, 32_000]);
  await assertExact(client, id, noise(64_000));
});

Deno.test("S3RecordingStore: after any request of its end that was the last, a short call has its conversation", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = watcherOf(server);
  const archive = new S3RecordingArchive(client, "calls");
  const audio = noise(20_000);
  let withAudio = 0;
  await atEachRequest(8, async (request) => {
    const files = await storeOf(clientOf(proxy)).create(DAY, SESSION);
    await write(files, audio);
    // It does not wait for the rest of a segment.
    const first = ".part/messages-0000000000000";
    await until(async () => (await stored(client, files.id)).includes(first), "what the call is");
    const isDone = await request.fail(proxy, async () => {
      const isFinished = await files.finish(endingOf(audio)).then(() => true, () => false);
      await files.close();
      return isFinished;
    });
    const isEnded = (await stored(client, files.id)).includes(".json");
    const { recovered } = await storeOf(client).recoverSegments({ staleMs: -60_000 });
    assertEquals(recovered, isEnded ? [] : [files.id], request.what);
    if (isDone) await assertExact(client, files.id, audio);
    if (isEnded) return;
    const metadata = await archive.metadata(files.id);
    assertEquals(metadata?.conversationId, SESSION);
    if (metadata?.recordedSamples === 0) return;
    withAudio++;
    const wav = await client.get(`${baseOf(files.id)}.wav`, 1_000_000);
    assertWav(wav && new Uint8Array(wav), { format: "PCMU", channels: 2, data: audio });
  });
  assertGreater(withAudio, 4);
});

Deno.test("S3RecordingStore: no audio is stored before what the call is", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const reports: unknown[] = [];
  const store = storeOf(clientOf(proxy), { segmentMs: 5 });
  const files = await store.create(DAY, SESSION, (error) => reports.push(error));
  const failing = { kind: "answers", status: 503, code: "SlowDown" } as const;
  proxy.become(failing, 10);
  await write(files, noise(5_000));
  await until(() => reports.at(-1) === undefined && reports.length > 0, "it is stored");
  await until(
    async () => (await stored(watcherOf(server), files.id)).some((key) => key.includes("audio")),
    "so is the audio",
  );
  const puts = proxy.heads.map((head) => /^PUT \S+\.part\/([a-z]+)/.exec(head)?.[1]);
  assertEquals(puts[0], "begin");
  assertEquals(puts.slice(1, 12), Array.from({ length: 11 }, () => "messages"));
  assertEquals(puts[12], "audio");
  await files.close();
});

/** The most objects that were put together at a time, by requests as they came. */
function mostComposed(heads: readonly string[], path: RegExp): number {
  const underWay = new Set<string>();
  let most = 0;
  for (const head of heads) {
    // From when the first segment is read back until what was stored is looked at.
    const [, method, name = ""] = path.exec(head) ?? [];
    if (method === "GET" || method === "PUT") underWay.add(name);
    if (method === "HEAD") underWay.delete(name);
    most = Math.max(most, underWay.size);
  }
  return most;
}

Deno.test("S3RecordingStore: of recordings that end at once, few are put together at a time", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const store = storeOf(clientOf(proxy));
  const all = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
    const audio = noise(1_500_000, index);
    const files = await store.create(DAY, SESSION);
    await write(files, audio);
    return { files, audio };
  }));
  await Promise.all(all.map(async ({ files, audio }) => {
    await files.finish(endingOf(audio));
    await files.close();
  }));
  const names = all.map(({ files }) => files.id);
  assertEquals(new Set(names).size, 20);
  const path = /^(GET|PUT|HEAD) \S+\/([\da-f.-]+)(?:\.part\/audio-\d+|\.wav) /;
  const heads = proxy.heads.filter((head) => !/^PUT \S+\.part\//.test(head));
  assertEquals(mostComposed(heads, path), 4);
  const small = /^(GET|PUT|HEAD) \S+\/([\da-f.-]+)(?:\.part\/messages-\d+|\.jsonl) /;
  assertLessOrEqual(mostComposed(heads, small), 16);
  for (const { files, audio } of all) await assertExact(watcherOf(server), files.id, audio);
  const keys = await Array.fromAsync(watcherOf(server).list("calls/"));
  assertEquals(keys.length, 60, "no segments are left");
});

Deno.test("S3RecordingStore: a recording is finished before its segments go, and also if they stay", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = watcherOf(server);
  const refused = { kind: "answers", status: 403, code: "AccessDenied" } as const;
  for (const fault of [refused, { kind: "hangs" } as const]) {
    const audio = noise(30_000);
    const store = storeOf(clientOf(proxy, 5_000));
    const files = await store.create(DAY, SESSION);
    await write(files, audio);
    await files.finish(endingOf(audio));
    assertEquals(proxy.heads.filter((head) => head.startsWith("DELETE")), []);
    proxy.become(fault);
    // Neither fails nor hangs.
    await within(files.close(), "closed");
    proxy.become({ kind: "none" });
    await assertExact(client, files.id, audio);
    assertGreater((await stored(client, files.id)).length, 5);
    const old = { staleMs: -60_000, keptMs: -60_000 };
    assertEquals(await storeOf(client).recoverSegments({ staleMs: -60_000 }), NONE);
    assertGreater((await stored(client, files.id)).length, 5, "they stay for a while");
    assertEquals(await storeOf(client).recoverSegments(old), NONE);
    assertEquals((await stored(client, files.id)).sort(), [".json", ".jsonl", ".wav"]);
    await assertExact(client, files.id, audio);
  }
});

Deno.test("S3RecordingStore: messages that come when it is finished are in it, and its segments go", async () => {
  await using server = await ObjectServer.start();
  const client = watcherOf(server);
  const audio = noise(30_000);
  const files = await storeOf(client).create(DAY, SESSION);
  await write(files, audio);
  await files.finish(endingOf(audio));
  const late = bytes('{"late":true}\n');
  await files.writeMessages(FIRST_LINE.length + 3, late);
  await files.close();
  await assertExact(client, files.id, audio, concat(FIRST_LINE, bytes("{}\n"), late));
  assertEquals((await stored(client, files.id)).sort(), [".json", ".jsonl", ".wav"]);
});

for (const method of ["HEAD", "GET", "PUT"]) {
  Deno.test(`S3RecordingStore: late messages bring back nothing that is removed at their ${method}`, async () => {
    await using server = await ObjectServer.start();
    await using proxy = FaultProxy.to(server.port);
    const client = watcherOf(server);
    const audio = noise(30_000);
    const files = await storeOf(clientOf(proxy)).create(DAY, SESSION);
    await write(files, audio);
    await files.finish(endingOf(audio));
    await files.writeMessages(FIRST_LINE.length + 3, bytes('{"late":true}\n'));
    let removed = "";
    proxy.before(requestFor(method, ".jsonl"), async () => {
      removed = await new S3RecordingArchive(client, "calls").remove(files.id);
    });
    await files.close();
    assertEquals(removed, "removed");
    assertEquals(await stored(client, files.id), []);
  });
}

Deno.test("S3RecordingStore: segments go several at a time, and what could not be removed can later", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = watcherOf(server);
  const keys = new RecordingKeys("calls");
  const place = { day: DAY, name: SESSION };
  for (let n = 0; n < 30; n++) await client.put(`${keys.base(place)}.part/audio-${n}`, noise(1));
  const failing = clientOf(proxy);
  await removeSegments(failing, keys, { day: DAY, name: `${SESSION}.2` });
  proxy.failAfter(12);
  await assertRejects(() => removeSegments(failing, keys, place), S3Error);
  assertEquals((await Array.fromAsync(client.list("calls/"))).length, 30 - 11);
  proxy.failAfter(Infinity);
  await removeSegments(failing, keys, place);
  assertEquals(await Array.fromAsync(client.list("calls/")), []);
});

/** Waits until it is told that a request waits, and for how long: it is given up now and then. */
async function untilWaiting(store: S3RecordingStore): Promise<void> {
  await until(async () => {
    const { busySeconds } = store.status;
    await delay(20);
    return busySeconds > 0 && store.status.busySeconds > busySeconds;
  }, "it waits ever longer");
}

Deno.test("S3RecordingStore: the status tells how long storage has not answered", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const store = storeOf(clientOf(proxy, 5_000, 2), { segmentMs: 5 });
  assertEquals(store.status, { busySeconds: 0 });
  const files = await store.create(DAY, SESSION);
  assertEquals(store.status, { busySeconds: 0 });
  proxy.become({ kind: "hangs" });
  const audio = noise(5_000);
  await write(files, audio);
  await untilWaiting(store);
  proxy.become({ kind: "none" });
  await until(
    async () => (await stored(watcherOf(server), files.id)).some((key) => key.includes("audio")),
    "all is stored",
  );
  await until(() => store.status.busySeconds === 0, "nothing waits");
  await files.finish(endingOf(audio));
  await files.close();
  assertEquals(store.status, { busySeconds: 0 });
});

Deno.test("S3RecordingStore: a sign of life that is not answered is in the status, one that is refused is not", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const store = storeOf(clientOf(proxy, 5_000), { signOfLifeMs: 20 });
  const files = await store.create(DAY, SESSION);
  proxy.become({ kind: "hangs" });
  await untilWaiting(store);
  // One at a time, however long it takes.
  const begun = proxy.heads.length;
  proxy.become({ kind: "answers", status: 403, code: "AccessDenied" });
  await until(() => proxy.heads.length > begun + 2, "the next ones are refused");
  await files.close();
  assertEquals(store.status, { busySeconds: 0 });
});
