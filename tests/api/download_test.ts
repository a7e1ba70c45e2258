/**
 * Clients that do not take what they asked for, and storage that fails while it is sent.
 */
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { ADMIN_TOKEN, ApiServer } from "../helpers/api_server.ts";
import { watchDefects } from "../helpers/defects.ts";
import { until } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { RawSocket } from "../helpers/raw_socket.ts";
import { type MadeAudio, wavFile } from "../helpers/recordings.ts";

/** More than what the system and the server keep for a client that does not read. */
const MANY_BYTES = 100 * 1024 * 1024;

const STEREO: MadeAudio = {
  format: "PCMU",
  channels: ["external", "internal"],
  data: new Uint8Array(1000),
};

/** A recording of an hour and more, most of it a hole in the file. */
async function recordMuch(api: ApiServer): Promise<string> {
  const { id, path } = await api.record({ audio: STEREO, file: wavFile(STEREO, MANY_BYTES) });
  await Deno.truncate(`${path}.wav`, 58 + MANY_BYTES);
  return `/api/recordings/${id}/audio`;
}

function authorized(api: ApiServer) {
  return { Host: `127.0.0.1:${api.server.addr.port}`, Authorization: `Bearer ${ADMIN_TOKEN}` };
}

Deno.test("download: a client that goes in the middle leaves no file open", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  await using api = await ApiServer.start();
  const path = await recordMuch(api);
  for (const query of ["", "?format=pcm16", "?channel=internal&format=pcm16"]) {
    const controller = new AbortController();
    const response = await api.fetch(path + query, { signal: controller.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    assertEquals(api.archive.openCount, 1);
    controller.abort();
    await assertRejects(async () => {
      while (true) await reader?.read();
    });
    await api.closed();

    await using socket = await RawSocket.connect(api.server.addr.port);
    await socket.request(path + query, authorized(api));
    await socket.answer();
    socket.reset();
    await api.closed();
  }
  assertLess(api.archive.readBytes, MANY_BYTES);
  assertEquals(logs.text, "", "it is no error of ours");
});

Deno.test("download: a client that stops reading is not read for, and is cut off", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  await using api = await ApiServer.start({ limits: { stallTimeoutMs: 300 } });
  const path = await recordMuch(api);
  await using socket = await RawSocket.connect(api.server.addr.port);
  await socket.request(path, authorized(api));
  await socket.answer();
  await api.closed();
  const { readBytes } = api.archive;
  assertLess(readBytes, MANY_BYTES / 2);
  // What was read for it is all that it gets, should it go on.
  await socket.end();
  assertLess(socket.heard.length, readBytes + 1000);
  assertEquals(logs.text, "", "it is no error of ours");
});

Deno.test("download: as many files are open as may be, and the next is told to come again", async () => {
  await using api = await ApiServer.start({ limits: { maxOpenFiles: 2 } });
  const path = await recordMuch(api);
  const one = await api.fetch(path);
  const two = await api.fetch(path);
  const three = await api.fetch(path);
  assertEquals(three.status, 503);
  assertEquals(three.headers.get("retry-after"), "5");
  assertEquals((await three.json()).error.code, "busy");
  await one.body?.cancel();
  const four = await until(async () => {
    const response = await api.fetch(path);
    if (response.status === 200) return response;
    await response.body?.cancel();
  }, "room for one more");
  await two.body?.cancel();
  await four.body?.cancel();
  await api.closed();
});

Deno.test("download: so many may be cut off and unread, and the next is told to come again", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  await using api = await ApiServer.start({
    limits: { stallTimeoutMs: 300, maxUnfinishedAnswers: 2 },
  });
  const path = await recordMuch(api);
  const { id } = await api.record({ audio: STEREO });
  // Answers that are read leave their places.
  const read = () => api.fetch(`/api/recordings/${id}/audio`).then(statusOf);
  for (let n = 0; n < 5; n++) {
    await until(async () => await read() === 200, "room for what is read");
  }
  logs.records.length = 0;
  await using one = await RawSocket.connect(api.server.addr.port);
  await using two = await RawSocket.connect(api.server.addr.port);
  for (const socket of [one, two]) {
    await socket.request(path, authorized(api));
    await socket.answer();
  }
  // Both are cut off, but the client has not noticed.
  await api.closed();
  for (const target of [path, `/api/recordings/${id}/audio`, `/api/recordings/${id}/messages`]) {
    const response = await api.fetch(target);
    assertEquals([response.status, response.headers.get("retry-after")], [503, "5"]);
    assertEquals((await response.json()).error.code, "busy");
  }
  await api.closed();
  for (const target of ["", `/${id}`, `/${id}/peaks`]) {
    assertEquals(await api.fetch(`/api/recordings${target}`).then(statusOf), 200, target);
  }
  assertEquals(await api.fetch(path, { method: "HEAD" }).then(statusOf), 200);
  assertEquals(logs.records.map(({ level, properties }) => [level, properties]), [
    ["warning", { count: 2 }],
  ]);
  // One that goes makes room, and so does one that reads what there is.
  one.drop();
  await until(async () => await read() === 200, "room of one that went");
  await two.end();
  await until(async () => {
    const both = await Promise.all([api.fetch(path), api.fetch(path)]);
    const statuses = both.map(({ status }) => status);
    for (const { body } of both) await body?.cancel();
    return statuses.every((status) => status === 200);
  }, "room of both");
  await api.closed();
});

async function statusOf(response: Response): Promise<number> {
  await response.body?.cancel();
  return response.status;
}

Deno.test("download: storage that fails in the middle ends it, is logged once, and leaves no file open", async () => {
  using _defects = watchDefects();
  await using logs = await LogRecords.watch();
  await using api = await ApiServer.start();
  const { id, path } = await api.record({ audio: STEREO, file: wavFile(STEREO, MANY_BYTES) });
  await Deno.truncate(`${path}.wav`, 58 + MANY_BYTES);
  const response = await api.fetch(`/api/recordings/${id}/audio`);
  const reader = response.body?.getReader();
  await reader?.read();
  // All at once, there is no more of it.
  await Deno.truncate(`${path}.wav`, 58 + MANY_BYTES / 2);
  await assertRejects(async () => {
    while (!(await reader?.read())?.done);
  });
  await api.closed();
  const broken = logs.of("Sending");
  assertEquals(broken.length, 1);
  assertEquals(broken[0]?.properties.id, id);
  assertEquals(logs.records.length, 1);
});
