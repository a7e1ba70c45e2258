/**
 * What the recorder tells of recordings: to those who index them, in its status, and in the first
 * lines of the message log; and what it does when it may not record.
 */
import { assert, assertEquals, assertGreaterOrEqual, assertLess } from "@std/assert";
import type { RecorderOptions } from "../../lib/app/recorder.ts";
import {
  entryOf,
  type IndexedRecording,
  placeOf,
  type RecordingMetadata,
} from "../../lib/storage/mod.ts";
import { until, within } from "../helpers/deadline.ts";
import { watchDefects } from "../helpers/defects.ts";
import { FaultyStore } from "../helpers/faulty_store.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { TestServer, type TestServerOptions } from "../helpers/test_server.ts";
import { assertWav, concat, noise, silence } from "../helpers/wav_check.ts";
import { duration, EXTERNAL, openParameters, type WireClient } from "../helpers/wire_client.ts";

/** Audio lost on the client's side. */
function discard(client: WireClient, samples: number): void {
  client.send("discarded", { start: duration(client.samples), discarded: duration(samples) });
  client.samples += samples;
}

/** A server whose recorder has these options. */
function serverWith(
  recorderOptions: RecorderOptions,
  options: TestServerOptions = {},
): Promise<TestServer> {
  return TestServer.start({ recorderOptions, ...options });
}

// ——— the message log ———

Deno.test("message log: the first line says what the call is, and a gap is a line", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL], language: "en-us" });
  client.sendAudio(noise(8000));
  discard(client, 12);
  client.sendAudio(noise(100));
  await client.close();
  const { log, metadata } = await server.recording(client.id);
  const { version, sessionId, organizationId, conversationId, correlationId } = metadata;
  const { participant, language, media, startedAt, gaps } = metadata;
  const [first] = log;
  assertEquals(first, {
    time: startedAt,
    position: "PT0S",
    call: {
      ...{ version, sessionId, organizationId, conversationId, correlationId },
      ...{ participant, language, media, startedAt },
    },
  });
  const found = log.filter(({ gap }) => gap !== undefined);
  assertEquals(found.map(({ gap }) => gap), gaps);
  assertEquals(found.map(({ position }) => position), ["PT1.0015S"]);
  assertEquals(log.length, 1 + 1 + client.transcript.length);
});

Deno.test("message log: also of a call without audio", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [] });
  await client.close();
  const { log } = await server.recording(client.id);
  assertEquals(log[0]?.call?.media, null);
  assertEquals(log[0]?.call?.sessionId, client.id);
});

Deno.test("message log: what the call is comes to the file without any more messages", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open({ media: [EXTERNAL] });
  const read = async (extension: string) => {
    const name = (await server.data.files()).find((file) => file.endsWith(extension));
    return name && await Deno.readFile(`${server.data.path}/${name}`);
  };
  await until(async () => {
    const messages = new TextDecoder().decode(await read(".jsonl") || undefined);
    return messages.includes('"call"') && (await read(".wav.part"))?.length === 58;
  }, "the beginnings of the files");
  await client.close();
});

// ——— who is told ———

Deno.test("events: a recording begins when its files are there, and ends when it is finished", async () => {
  const begun: IndexedRecording[] = [];
  const ended: [id: string, metadata: RecordingMetadata][] = [];
  await using server = await serverWith({
    onBegun: (recording) => begun.push(recording),
    onEnded: (id, metadata) => ended.push([id, metadata]),
  });
  const id = crypto.randomUUID();
  for (const index of [0, 1]) {
    await using client = await server.connect({ id });
    await client.open({ media: [EXTERNAL], language: "en-us" });
    await until(() => begun.length > index, "the beginning");
    const files = await server.files();
    assert(files.includes(index === 0 ? `${id}.jsonl` : `${id}.2.jsonl`), files.join());
    assertEquals(ended.length, index);
    client.sendAudio(noise(800));
    await client.close();
    await until(() => ended.length > index, "the end");
    await server.idle();
  }
  const names = [id, `${id}.2`];
  for (const [index, name] of names.entries()) {
    const { metadata } = await server.recording(name);
    const recording = begun[index];
    assertEquals(ended[index]?.[0], recording?.id);
    assertEquals(placeOf(recording?.id ?? "")?.name, name);
    assertEquals(JSON.parse(JSON.stringify(ended[index]?.[1])), metadata);
    assertEquals(recording, {
      ...entryOf(recording?.id ?? "", metadata),
      ...{ state: "recording", endedAt: null, duration: null, closeReason: null, isComplete: null },
    });
  }
  assertEquals([begun.length, ended.length], [2, 2]);
});

for (
  const [how, fail] of [
    ["throws", () => {
      throw new Error("no index");
    }],
    ["rejects", () => Promise.reject(new Error("no index"))],
  ] as const
) {
  Deno.test(`events: one who is told and ${how} harms no recording, and is logged`, async () => {
    using _defects = watchDefects();
    await using logs = await LogRecords.watch();
    await using server = await serverWith({ onBegun: fail, onEnded: fail });
    await using client = await server.connect();
    await client.open({ media: [EXTERNAL] });
    client.sendAudio(noise(800));
    await client.close();
    const { wav } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 1, data: noise(800) });
    const records = logs.of("{what} failed for the recording of");
    assertEquals(records.map(({ properties }) => properties.what), ["onBegun", "onEnded"]);
  });
}

Deno.test("events: of a call that is not opened, nothing is told", async () => {
  const told: unknown[] = [];
  await using server = await serverWith({
    onBegun: (recording) => told.push(recording),
    onEnded: (id) => told.push(id),
  });
  {
    await using client = await server.connect();
    client.send("open", openParameters({ media: [EXTERNAL] }));
    client.hangUp();
  }
  await server.idle();
  await within(server.recorder.finished(), "the end of all recordings");
  const files = await server.data.files();
  // It may have been opened before the client was gone.
  assertEquals(told.length, files.filter((name) => /\.jsonl?$/.test(name)).length);
});

// ——— may it begin? ———

Deno.test("no room: calls go on unrecorded, which is counted, and logged once", async () => {
  await using logs = await LogRecords.watch();
  let mayBegin = true;
  await using server = await serverWith({ mayBegin: () => mayBegin });
  const place = async () => {
    await using client = await server.connect();
    await client.open({ media: [EXTERNAL] });
    client.sendAudio(noise(800));
    await client.ping();
    await client.close();
    await client.hangUp();
    return client.id;
  };
  await using running = await server.connect();
  await running.open({ media: [EXTERNAL] });
  mayBegin = false;
  await place();
  await place();
  running.sendAudio(noise(400));
  await running.close();
  assertEquals(server.recorder.status.notRecorded, 2);
  assertEquals(logs.of("Calls are not recorded from now on").length, 1);
  assertEquals(logs.of("Calls are recorded again").length, 0);
  mayBegin = true;
  const recorded = await place();
  assertEquals(logs.of("Calls are recorded again").length, 1);
  assertEquals(server.recorder.status.notRecorded, 2);
  for (const [id, bytes] of [[running.id, 400], [recorded, 800]] as const) {
    assertWav((await server.recording(id)).wav, {
      format: "PCMU",
      channels: 1,
      data: noise(bytes),
    });
  }
  assertEquals((await server.data.files()).length, 6, "two recordings");
});

// ——— status ———

Deno.test("status: recordings, and those that the storage fails for", async () => {
  using _defects = watchDefects();
  let store: FaultyStore | undefined;
  await using server = await TestServer.start({
    store: (files) => store = new FaultyStore(files),
  });
  const { recorder } = server;
  const none = { givenUp: 0, notRecorded: 0 };
  const well = { failing: 0, lastFailureAt: undefined, lastFailureCode: undefined };
  assertEquals(recorder.status, { recordings: 0, ...well, ...none });
  await using one = await server.connect();
  await one.open();
  await using two = await server.connect();
  await two.open();
  assertEquals(recorder.status, { recordings: 2, ...well, ...none });
  await until(async () => (await server.data.files()).length === 4, "the files");
  const before = Date.now();
  store?.become("is full");
  one.sendAudio(noise(16_000));
  two.sendAudio(noise(16_000));
  await until(() => recorder.status.failing === 2, "a failure of both");
  const { lastFailureAt, ...failing } = recorder.status;
  assertEquals(failing, { recordings: 2, failing: 2, lastFailureCode: "ENOSPC", ...none });
  assert(lastFailureAt !== undefined);
  assertGreaterOrEqual(lastFailureAt.getTime(), before);
  assertLess(lastFailureAt.getTime(), Date.now() + 1);
  store?.become("works");
  await until(() => recorder.status.failing === 0, "the end of the failure");
  assertEquals(recorder.status.lastFailureAt, lastFailureAt);
  await one.close();
  await two.close();
  await server.idle();
  await within(recorder.finished(), "the end of all recordings");
  assertEquals(recorder.status.recordings, 0);
});

Deno.test("log: storage that fails for several calls is one error, and one line when it works again", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  let store: FaultyStore | undefined;
  await using server = await TestServer.start({
    store: (files) => store = new FaultyStore(files, "is full"),
  });
  const clients = [await server.connect(), await server.connect(), await server.connect()];
  for (const client of clients) await client.open({ media: [EXTERNAL] });
  await until(() => server.recorder.status.failing === 3, "a failure of all");
  store?.become("works");
  await until(() => server.recorder.status.failing === 0, "the end of the failure");
  for (const client of clients) {
    client.sendAudio(noise(800));
    await client.close();
    await client.hangUp();
  }
  for (const { id } of clients) {
    assertWav((await server.recording(id)).wav, { format: "PCMU", channels: 1, data: noise(800) });
  }
  const [error, ...more] = logs.of("Cannot write recordings; trying again");
  assertEquals([error?.level, more.length], ["error", 0]);
  assertEquals(logs.of("Recordings are written again").map(({ level }) => level), ["info"]);
  const own = [...logs.of("Cannot write the rec"), ...logs.of("The recording of {sessionId} is")];
  assertEquals(own.map(({ level }) => level), Array(6).fill("debug"));
});

// ——— a clock that is set ———

for (
  const [name, byMs] of [["back", -50 * 365 * 24 * 3_600_000], [
    "forward",
    30 * 24 * 3_600_000,
  ]] as const
) {
  Deno.test(`times: a clock that is set ${name} during a call changes none of its times`, async () => {
    await using server = await TestServer.start();
    await using client = await server.connect();
    await client.open({ media: [EXTERNAL] });
    client.sendAudio(noise(8000));
    await client.ping();
    const { now } = Date;
    try {
      Date.now = () => now() + byMs;
      discard(client, 12);
      client.sendAudio(noise(100));
      await client.ping();
      await client.close();
      await server.idle();
      await within(server.recorder.finished(), "the end of the recording");
    } finally {
      Date.now = now;
    }
    const { log, metadata } = await server.recording(client.id);
    const startedMs = Date.parse(metadata.startedAt);
    const endedMs = Date.parse(metadata.endedAt);
    assertGreaterOrEqual(endedMs, startedMs);
    assertLess(endedMs, now() + 1000);
    // What came before it was open follows the first line.
    const times = log.slice(1).map(({ time }) => Date.parse(time));
    for (const [index, time] of times.entries()) {
      assert(Math.abs(time - startedMs) < 60_000, String(time));
      // Messages and gaps are timed apart, to the millisecond.
      assertGreaterOrEqual(time, (times[index - 1] ?? 0) - 2);
    }
    assertEquals(log.filter(({ gap }) => gap !== undefined).length, 1);
  });
}

// ——— the thread ———

Deno.test("storage: a thread that ends in the middle of calls is begun anew, and nothing is lost", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  await using server = await TestServer.start();
  const clients = [await server.connect(), await server.connect(), await server.connect()];
  const parts = [noise(30_000, 1), noise(30_000, 2), noise(3, 3)] as const;
  for (const client of clients) {
    await client.open({ media: [EXTERNAL] });
    client.sendAudio(parts[0]);
    await client.ping();
  }
  await until(async () => {
    const names = (await server.data.files()).filter((name) => name.endsWith(".wav.part"));
    const sizes = await Promise.all(
      names.map(async (name) => (await Deno.stat(`${server.data.path}/${name}`)).size),
    );
    return sizes.length === 3 && sizes.every((size) => size > 58);
  }, "the first audio in the files");
  await server.fileStore[Symbol.asyncDispose]();
  for (const client of clients) {
    client.sendAudio(parts[1]);
    discard(client, 77);
    await client.ping();
  }
  // Again, with writes under way.
  await server.fileStore[Symbol.asyncDispose]();
  for (const client of clients) {
    client.sendAudio(parts[2]);
    await client.close();
    await client.hangUp();
  }
  const data = concat(parts[0], parts[1], silence(77), parts[2]);
  for (const { id, transcript } of clients) {
    const { wav, metadata, lines } = await server.recording(id);
    assertWav(wav, { format: "PCMU", channels: 1, data });
    assertEquals(metadata.isComplete, true);
    assertEquals(
      lines.map(({ message }) => message),
      transcript.map(({ text }) => JSON.parse(text)),
    );
  }
  assertEquals((await server.data.files()).length, 9);
  const failures = logs.of("Cannot write the recording of {sessionId}");
  const recoveries = logs.of("The recording of {sessionId} is written again");
  assertEquals(failures.length, recoveries.length);
});
