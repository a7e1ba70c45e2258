/**
 * Recordings that are made in a real S3 server: the suite of all stores; servers that fail while a
 * call runs; and what a killed instance leaves.
 */
import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertLess,
  assertRejects,
} from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { createWavHeader } from "../../../lib/audio/mod.ts";
import { placeOf, recordingMetadataSchema } from "../../../lib/storage/mod.ts";
import {
  S3Client,
  S3RecordingArchive,
  S3RecordingStore,
  type S3RecordingStoreOptions,
} from "../../../lib/storage/s3/mod.ts";
import { S3RecordingFiles } from "../../../lib/storage/s3/s3_recording_files.ts";
import { until, within } from "../../helpers/deadline.ts";
import { Program, ROOT } from "../../helpers/program.ts";
import { assertSameBytes, assertWav, concat, noise } from "../../helpers/wav_check.ts";
import { type StoredRecording, testRecordingStore } from "../recording_store_suite.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { BUCKET, CREDENTIALS, ObjectServer } from "./object_server.ts";
import { DAY, endingOf, FIRST_LINE, FORMAT, SESSION } from "./some_recording.ts";

const MIB = 1024 * 1024;
const bytes = (text: string) => new TextEncoder().encode(text);

function clientOf({ url }: { readonly url: string }): S3Client {
  const patience = { attempts: 2, firstPauseMs: 1, timeoutMs: 60_000 };
  return new S3Client({ endpoint: url, bucket: BUCKET }, CREDENTIALS, patience);
}

function storeOf(
  client: S3Client,
  options: Partial<S3RecordingStoreOptions> = {},
): S3RecordingStore {
  return new S3RecordingStore({ client, prefix: "calls", ...options });
}

/** What the keys of a recording begin with. */
function baseOf(location: string): string {
  return location.slice(`s3://${BUCKET}/`.length);
}

/** What is at a location, read around the store. */
async function stored(client: S3Client, location: string): Promise<StoredRecording> {
  const base = baseOf(location);
  const whole = async (key: string) => await client.get(key, 300 * MIB);
  const segments = async (what: string) => {
    const found = await Array.fromAsync(client.list(`${base}.part/${what}-`));
    const parts = await Promise.all(found.map(({ key }) => whole(key)));
    return parts.length === 0 ? undefined : concat(...parts.map((part) => part ?? noise(0)));
  };
  const metadata = await whole(`${base}.json`);
  return {
    unfinishedAudio: await segments("audio"),
    audio: await whole(`${base}.wav`),
    messages: await whole(`${base}.jsonl`) ?? await segments("messages"),
    metadata: metadata && new TextDecoder().decode(metadata),
  };
}

for (const segmentMs of [1, 60_000]) {
  testRecordingStore(`S3RecordingStore, segments of ${segmentMs} ms`, async () => {
    const server = await ObjectServer.start();
    const client = clientOf(server);
    return {
      store: storeOf(client, { segmentMs }),
      names: "unique",
      async read(files) {
        if (files instanceof S3RecordingFiles) await files.flush();
        return await stored(client, files.location);
      },
      async count() {
        return (await Array.fromAsync(new S3RecordingArchive(client, "calls").list())).length;
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });
}

/** Writes a header that is not final, and audio. */
async function write(files: S3RecordingFiles, audio: Uint8Array): Promise<void> {
  const header = createWavHeader(FORMAT, Infinity);
  await files.writeAudio(0, header);
  await files.writeMessages(0, FIRST_LINE);
  for (let at = 0; at < audio.length; at += 16_000) {
    await files.writeAudio(header.length + at, audio.subarray(at, at + 16_000));
  }
}

async function make(store: S3RecordingStore, onSync?: (error: unknown) => void) {
  const files = await store.create(DAY, SESSION, onSync);
  assert(files instanceof S3RecordingFiles);
  return files;
}

Deno.test("S3RecordingStore: instances that record one session never get in each other's way", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const audio = Array.from({ length: 6 }, (_, n) => noise(1000, n));
  // Each its own instance; three at the same time, three later.
  const record = async (data: Uint8Array) => {
    const files = await make(storeOf(clientOf(proxy)));
    await write(files, data);
    await files.finish(endingOf(data));
    await files.close();
    return files;
  };
  const all = await Promise.all(audio.slice(0, 3).map(record));
  for (const data of audio.slice(3)) all.push(await record(data));
  assertEquals(new Set(all.map(({ id }) => id)).size, 6);
  for (const [index, { location }] of all.entries()) {
    const { audio: file } = await stored(clientOf(server), location);
    const expected = { format: "PCMU", channels: 2, data: audio[index] ?? noise(0) } as const;
    assertWav(file && new Uint8Array(file), expected);
  }
  // To begin one takes a single request, however many there are.
  const before = proxy.heads.length;
  await (await make(storeOf(clientOf(proxy)))).close();
  assertEquals(proxy.heads.slice(before).map((head) => head.split(" ")[0]), ["PUT"]);
});

Deno.test("S3RecordingStore: only sessions have recordings", async () => {
  await using server = await ObjectServer.start();
  const store = storeOf(clientOf(server));
  for (const sessionId of ["", "one", SESSION.toUpperCase(), `${SESSION}.2`, `../${SESSION}`]) {
    await assertRejects(() => store.create(DAY, sessionId), RangeError, "UUID");
  }
  assertEquals(await Array.fromAsync(clientOf(server).list("")), []);
});

Deno.test("S3RecordingStore: a long recording is put together of its segments, and these go", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const files = await make(storeOf(client, { segmentMs: 5 }));
  const audio = noise(24 * MIB);
  await write(files, audio);
  await files.flush();
  assertGreater((await Array.fromAsync(client.list(`${baseOf(files.location)}.part/`))).length, 10);
  assertEquals(await new S3RecordingArchive(client, "calls").metadata(files.id), undefined);
  await files.finish(endingOf(audio));
  await files.close();
  assertWav(await client.get(`${baseOf(files.location)}.wav`, 30 * MIB), {
    format: "PCMU",
    channels: 2,
    data: audio,
  });
  const keys = (await Array.fromAsync(client.list(""))).map(({ key }) => key.split(".").at(-1));
  assertEquals(keys, ["json", "jsonl", "wav"]);
  assertEquals(await Array.fromAsync(client.listUploads("")), []);
});

Deno.test("S3RecordingStore: while storage fails, writing goes on until memory is full, and nothing is lost", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const store = storeOf(clientOf(proxy), { segmentMs: 5, maxWaitingBytes: 2 * MIB });
  const reports: unknown[] = [];
  const files = await make(store, (error) => reports.push(error));
  proxy.become({ kind: "answers", status: 503, code: "SlowDown" });
  const audio = noise(1_500_000);
  await within(write(files, audio), "writing waits for nothing");
  await until(() => reports.length > 0, "it is reported");
  // No room: it fails, and can be tried again.
  const more = noise(1_000_000, 2);
  const at = 58 + audio.length;
  assert(await files.writeAudio(at, more).then(() => false, () => true));
  assertEquals(reports.length, 1, "reported once");

  proxy.become({ kind: "none" });
  await files.writeAudio(at, more);
  await until(() => reports.length === 2, "that it works again is reported");
  assertEquals(reports[1], undefined);
  const all = concat(audio, more);
  await files.finish(endingOf(all));
  await files.close();
  const { audio: file } = await stored(clientOf(server), files.location);
  assertSameBytes(file?.subarray(58) ?? noise(0), all);
});

Deno.test("S3RecordingStore: memory is bounded for all recordings together", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = clientOf(proxy);
  const store = storeOf(client, { segmentMs: 60_000, maxWaitingBytesOfAll: 100_000 });
  const [one, two] = [await make(store), await make(store)];
  proxy.become({ kind: "answers", status: 503, code: "SlowDown" });
  await one.writeAudio(0, noise(80_000));
  assert(await two.writeAudio(0, noise(30_000)).then(() => false, () => true));
  proxy.become({ kind: "none" });
  await one.flush();
  await two.writeAudio(0, noise(30_000));
  await one.close();
  await two.close();
});

Deno.test("S3RecordingStore: an end that fails at any request can be tried again", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = clientOf(server);
  const audio = noise(50_000);
  for (let requests = 0;; requests += 2) {
    proxy.failAfter(Infinity);
    const patience = { attempts: 1, timeoutMs: 60_000 };
    const failing = new S3Client({ endpoint: proxy.url, bucket: BUCKET }, CREDENTIALS, patience);
    const files = await make(storeOf(failing, { segmentMs: 60_000 }));
    await write(files, audio);
    await files.flush();
    proxy.failAfter(requests);
    const ending = endingOf(audio);
    const isDone = await files.finish(ending).then(() => true, () => false);
    const archive = new S3RecordingArchive(client, "calls");
    const before = await stored(client, files.location);
    assertEquals(before.metadata !== undefined, isDone);
    await using opened = await archive.open(files.id, "audio");
    assertEquals(opened !== undefined, isDone);
    proxy.failAfter(Infinity);
    await files.finish(ending);
    await files.close();
    const { audio: file, metadata } = await stored(client, files.location);
    assertWav(file && new Uint8Array(file), { format: "PCMU", channels: 2, data: audio });
    assertEquals(metadata, "{}");
    if (isDone) {
      assert(requests > 4);
      break;
    }
  }
});

Deno.test("S3RecordingStore: what a killed instance left is completed, once it is old", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  // Another process: it is killed in the midst of it.
  await using program = new Program({
    args: [
      ...["run", "--quiet", "--no-prompt", "--config", `${ROOT}/deno.json`],
      ...["--allow-net=127.0.0.1", "--allow-read", "--allow-env"],
      `${ROOT}/tests/storage/s3/recording_program.ts`,
      server.url,
    ],
    cwd: ROOT,
  });
  const [, id = ""] = await program.waitFor(/written (\S+)/, 60_000);
  program.kill("SIGKILL");
  await program.ended();

  const store = storeOf(client);
  const base = `calls/${DAY}/${placeOf(id)?.name}`;
  assertEquals(await store.recoverSegments(), { recovered: [], impossible: [] }, "not yet old");
  assertEquals(await store.recoverSegments({ staleMs: -60_000 }), {
    recovered: [id],
    impossible: [],
  });

  const archive = new S3RecordingArchive(client, "calls");
  const metadata = await archive.metadata(id);
  assertExists(metadata);
  assertEquals(recordingMetadataSchema.parse(metadata), metadata);
  const { recovered, isComplete, recordedSamples, conversationId } = metadata;
  assertEquals([recovered, isComplete, conversationId], [true, false, SESSION]);
  const { audio, messages } = await stored(client, `s3://${BUCKET}/${base}`);
  assertWav(audio && new Uint8Array(audio), {
    format: "PCMU",
    channels: 2,
    data: noise(recordedSamples * 2),
  });
  assertGreater(recordedSamples, 1 * MIB);
  assertSameBytes(messages ?? noise(0), FIRST_LINE);
  // Nothing is done twice; and when it is old enough, nothing is left to do.
  const nothing = { recovered: [], impossible: [] };
  assertEquals(await store.recoverSegments({ staleMs: -60_000 }), nothing);
  assertEquals(await store.recoverSegments({ staleMs: -60_000, keptMs: -60_000 }), nothing);
  assertEquals(await Array.fromAsync(client.list(`${base}.part/`)), []);
});

Deno.test("S3RecordingStore: what is being made is not completed, nor what another one completes", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const store = storeOf(client);
  const files = await make(store);
  await write(files, noise(10_000));
  await files.flush();
  assertEquals((await store.recoverSegments({ staleMs: -60_000 })).recovered, []);
  // Two instances at the same moment: one of them may find what the other one is just doing.
  const others = [storeOf(clientOf(server)), storeOf(clientOf(server))];
  await Promise.allSettled(others.map((other) => other.recoverSegments({ staleMs: -60_000 })));
  await storeOf(client).recoverSegments({ staleMs: -60_000, keptMs: -60_000 });
  assertEquals(await Array.fromAsync(client.list(`${baseOf(files.location)}.part/`)), []);
  const { audio } = await stored(client, files.location);
  assertWav(audio && new Uint8Array(audio), { format: "PCMU", channels: 2, data: noise(10_000) });
  await files.close();
});

Deno.test("S3RecordingStore: one that was taken for gone, and goes on, loses nothing", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const files = await make(storeOf(client));
  const samples = async () => {
    const metadata = await new S3RecordingArchive(client, "calls").metadata(files.id);
    return [metadata?.recovered, metadata?.recordedSamples];
  };
  await write(files, noise(10_000));
  await files.flush();
  const other = storeOf(client);
  assertEquals((await other.recoverSegments({ staleMs: -60_000 })).recovered, [files.id]);
  assertEquals(await samples(), [true, 5_000]);
  // It has stored more, when it is found the second time. Times are told to the second there.
  await delay(1_100);
  await write(files, noise(30_000));
  await files.flush();
  assertEquals((await other.recoverSegments({ staleMs: -60_000 })).recovered, [files.id]);
  assertEquals(await samples(), [true, 15_000]);
  assertEquals((await other.recoverSegments({ staleMs: -60_000 })).recovered, []);
  // This one is not.
  await files.finish(endingOf(noise(30_000)));
  await files.close();
  const { audio } = await stored(client, files.location);
  assertWav(audio && new Uint8Array(audio), { format: "PCMU", channels: 2, data: noise(30_000) });
  assertEquals((await other.recoverSegments({ staleMs: -60_000 })).recovered, []);
});

Deno.test("S3RecordingStore: a recording of which nothing comes says that it is still made", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const files = await make(storeOf(client, { signOfLifeMs: 20 }));
  const key = `${baseOf(files.location)}.part/begin`;
  const first = (await client.head(key))?.modifiedAt.getTime() ?? 0;
  await until(
    async () => ((await client.head(key))?.modifiedAt.getTime() ?? 0) > first,
    "it is written again",
  );
  await files.close();
});

Deno.test("S3RecordingStore: an end that was broken off before segments were removed", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const files = await make(storeOf(client));
  await write(files, noise(10_000));
  await files.finish(endingOf(noise(10_000)));
  await files.close();
  await client.put(`${baseOf(files.location)}.part/audio-0000000000000`, bytes("left"));
  const before = await stored(client, files.location);
  const { recovered } = await storeOf(client).recoverSegments({ staleMs: -60_000 });
  assertEquals(recovered, []);
  await storeOf(client).recoverSegments({ staleMs: -60_000, keptMs: -60_000 });
  assertEquals(await stored(client, files.location), { ...before, unfinishedAudio: undefined });
});

Deno.test("S3RecordingStore: segments with a hole, and of nothing", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const base = `calls/${DAY}/${SESSION}.part/`;
  await client.put(`${base}audio-0000000000000`, noise(1000));
  await client.put(`${base}audio-0000000002000`, noise(1000));
  await client.put(`calls/${DAY}/${SESSION}.2.part/begin`, bytes("{}"));
  await client.put(`calls/${DAY}/${SESSION}.0badcafe.part/begin`, bytes("{}"));
  const result = await storeOf(client).recoverSegments({ staleMs: -60_000 });
  assertEquals(result, { recovered: [], impossible: [`${DAY}.${SESSION}`] });
  const keys = (await Array.fromAsync(client.list("calls/"))).map(({ key }) => key);
  assert(keys.every((key) => key.startsWith(base)), "of the other ones, nothing is left");
  assertLess(keys.length, 5);
});
