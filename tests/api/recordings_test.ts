/**
 * Finding, describing, holding and removing recordings over HTTP.
 */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { ADMIN_TOKEN, ApiServer } from "../helpers/api_server.ts";
import { until } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { rawRequest } from "../helpers/raw_socket.ts";
import type { MadeAudio } from "../helpers/recordings.ts";
import { noise } from "../helpers/wav_check.ts";

const AUDIO: MadeAudio = {
  format: "PCMU",
  channels: ["external", "internal"],
  data: noise(1000),
};

const ABSENT = "2026-11-22.00000000-0000-4000-8000-000000000000";

/** The ids of a page, and its cursor. */
async function list(api: ApiServer, query: string): Promise<{ ids: string[]; cursor: string }> {
  const response = await api.fetch(`/api/recordings${query}`);
  const body = await response.json();
  assertEquals(response.status, 200, JSON.stringify(body));
  return { ids: body.recordings.map(({ id }: { id: string }) => id), cursor: body.cursor };
}

Deno.test("recordings: are listed as the index has them, the newest first, page by page", async () => {
  await using api = await ApiServer.start();
  const made = [];
  for (let day = 10; day < 17; day++) {
    const startedAt = `2026-11-${day}T12:00:00.000Z`;
    made.push(await api.record({ audio: AUDIO, startedAt }));
  }
  const ids = made.map(({ id }) => id).reverse();
  const response = await api.fetch("/api/recordings");
  assertEquals(response.headers.get("content-type"), "application/json; charset=utf-8");
  assertEquals(response.headers.get("cache-control"), "private, no-store");
  assertEquals(await response.json(), {
    recordings: made.map(({ entry }) => entry).reverse(),
    cursor: null,
  });

  const found: string[] = [];
  for (let cursor = ""; cursor !== null; cursor = await page(cursor));
  async function page(cursor: string) {
    const next = await list(api, `?limit=3${cursor && `&cursor=${cursor}`}`);
    assertLessOrEqual(next.ids.length, 3);
    found.push(...next.ids);
    return next.cursor;
  }
  assertEquals(found, ids);
});

Deno.test("recordings: are found by all that a query says", async () => {
  await using api = await ApiServer.start();
  const conversationId = crypto.randomUUID();
  const early = await api.record({ audio: AUDIO, startedAt: "2026-11-20T23:59:59.999Z" });
  const late = await api.record({
    audio: AUDIO,
    startedAt: "2026-11-21T00:00:00.000Z",
    conversationId,
    ani: "tel:+49 30 &?#",
    recovered: true,
  });
  const running = await api.record({
    audio: AUDIO,
    startedAt: "2026-11-22T09:30:00.000Z",
    isBeingMade: true,
    conversationId,
  });
  const rows: readonly [query: Record<string, string>, found: { readonly id: string }[]][] = [
    [{}, [running, late, early]],
    [{ from: "2026-11-21" }, [running, late]],
    [{ to: "2026-11-21" }, [early]],
    [{ from: "2026-11-21T00:00:00.001Z" }, [running]],
    [{ from: "2026-11-21T01:00:00+01:00", to: "2026-11-22T04:30:00-05:00" }, [late]],
    [{ conversationId }, [running, late]],
    [{ conversationId, state: "recording" }, [running]],
    [{ state: "finished" }, [early]],
    [{ state: "recovered" }, [late]],
    [{ participant: "tel:+49 30 &?#" }, [late]],
    [{ organizationId: late.entry.organizationId, limit: "500" }, [running, late, early]],
    [{ organizationId: conversationId }, []],
  ];
  for (const [query, found] of rows) {
    const { ids } = await list(api, `?${new URLSearchParams(query)}`);
    assertEquals(ids, found.map(({ id }) => id), JSON.stringify(query));
  }
});

Deno.test("recordings: one that has ended is described by its metadata", async () => {
  await using api = await ApiServer.start();
  for (const recovered of [false, true]) {
    const { id, metadata, wav, messages } = await api.record({ audio: AUDIO, recovered });
    const response = await api.fetch(`/api/recordings/${id}`);
    assertEquals(response.status, 200);
    assertEquals(await response.json(), {
      ...metadata,
      id,
      state: recovered ? "recovered" : "finished",
      legalHold: null,
      audioBytes: wav?.length,
      messagesBytes: messages.length,
    });
  }
  const { id } = await api.record({ audio: null });
  const { audioBytes, media } = await (await api.fetch(`/api/recordings/${id}`)).json();
  assertEquals({ audioBytes, media }, { audioBytes: null, media: null });
  await api.closed();
});

Deno.test("recordings: one that is being made is described by the index", async () => {
  await using api = await ApiServer.start();
  const { id, entry, wav, messages } = await api.record({ audio: AUDIO, isBeingMade: true });
  const path = `/api/recordings/${id}`;
  assertEquals(await (await api.fetch(path)).json(), {
    ...entry,
    legalHold: null,
    audioBytes: wav?.length,
    messagesBytes: messages.length,
  });
  await api.index.remove(id);
  const unknown = await api.fetch(path);
  assertEquals(unknown.status, 503);
  assertEquals((await unknown.json()).error.code, "unavailable");
  assertEquals(unknown.headers.get("retry-after"), "5");
});

Deno.test("recordings: what the index has and the archive has not, is not there", async () => {
  await using api = await ApiServer.start();
  const { id } = await api.record({ audio: AUDIO });
  await api.archive.remove(id);
  const response = await api.fetch(`/api/recordings/${id}`);
  assertEquals(response.status, 404);
  assertEquals((await response.json()).error.code, "not_found");
});

Deno.test("recordings: one whose metadata are lost is told apart from one that is not indexed", async () => {
  await using api = await ApiServer.start();
  const { id, path } = await api.record({ audio: AUDIO });
  await Deno.remove(`${path}.json`);
  const response = await api.fetch(`/api/recordings/${id}`);
  assertEquals(response.status, 500);
  assertEquals((await response.json()).error.code, "damaged_metadata");
  assertEquals((await api.bytes(`/api/recordings/${id}/audio`)).length > 1000, true);
});

Deno.test("recordings: messages are sent as they were logged, of half a line nothing", async () => {
  await using api = await ApiServer.start();
  const messages = Array.from({ length: 5000 }, (_, i) => `{"text":"Grüße ${i}"}\n`).join("");
  const { id } = await api.record({ audio: AUDIO, messages });
  const response = await api.fetch(`/api/recordings/${id}/messages`);
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  assertEquals(
    response.headers.get("content-disposition"),
    `attachment; filename="${id}.jsonl"`,
  );
  assertEquals(await response.text(), messages);

  for (const rest of ["", '{"text":', "x".repeat(200_000)]) {
    const running = await api.record({
      audio: AUDIO,
      messages: messages + rest,
      isBeingMade: true,
    });
    const answer = await api.fetch(`/api/recordings/${running.id}/messages`);
    assertEquals(await answer.text(), messages);
  }
  const short = await api.record({ audio: AUDIO, messages: "half a line", isBeingMade: true });
  assertEquals(await (await api.fetch(`/api/recordings/${short.id}/messages`)).text(), "");
  await api.closed();
});

Deno.test("recordings: a hold is set, changed and lifted, and keeps from removal", async () => {
  await using api = await ApiServer.start();
  const { id } = await api.record({ audio: AUDIO });
  const path = `/api/recordings/${id}`;
  const put = async (reason: string) => {
    const response = await api.fetch(`${path}/hold`, {
      method: "PUT",
      headers: { "content-type": "application/json; charset=utf-8" },
      body: JSON.stringify({ reason }),
    });
    assertEquals(response.status, 200);
    return await response.json();
  };
  const beforeMs = Date.now();
  const { since, ...rest } = await put("Case 4711");
  assertEquals(rest, { reason: "Case 4711" });
  assert(Date.parse(since) >= beforeMs && Date.parse(since) <= Date.now());
  assertEquals(await put("Case 4712"), { since, reason: "Case 4712" });
  const { legalHold } = await (await api.fetch(path)).json();
  assertEquals(legalHold, { since, reason: "Case 4712" });
  assertEquals(await api.archive.hold(id), { since, reason: "Case 4712" });

  const refused = await api.fetch(path, { method: "DELETE" });
  assertEquals(refused.status, 409);
  assertEquals((await refused.json()).error.code, "on_hold");

  for (let i = 0; i < 2; i++) {
    const lifted = await api.fetch(`${path}/hold`, { method: "DELETE" });
    assertEquals([lifted.status, await lifted.text()], [204, ""]);
  }
  assertEquals(await api.archive.hold(id), undefined);

  const removed = await api.fetch(path, { method: "DELETE" });
  assertEquals([removed.status, await removed.text()], [204, ""]);
  assertEquals((await (await api.fetch(path)).json()).error.code, "not_found");
  assertEquals((await list(api, "")).ids, []);
});

Deno.test("recordings: HEAD is answered wherever GET is, without a body", async () => {
  await using api = await ApiServer.start();
  const { id } = await api.record({ audio: AUDIO });
  for (
    const path of [
      "/api/openapi.json",
      "/api/recordings",
      "/api/recordings?limit=0",
      `/api/recordings/${id}`,
      `/api/recordings/${ABSENT}`,
      `/api/recordings/${id}/messages`,
      `/api/recordings/${id}/peaks`,
    ]
  ) {
    const get = await api.fetch(path);
    const body = await get.arrayBuffer();
    // By hand: fetch would not see a body that must not be there.
    const head = await rawRequest(api.server.addr.port, path, {
      Host: `127.0.0.1:${api.server.addr.port}`,
      Authorization: `Bearer ${ADMIN_TOKEN}`,
      Connection: "close",
    }, "HEAD").catch((error: Error) => error);
    assert(head instanceof Error, "there is a body");
    const response = await api.fetch(path, { method: "HEAD" });
    assertEquals([response.status, await response.text()], [get.status, ""], path);
    assertEquals(response.headers.get("content-length"), String(body.byteLength), path);
    assertEquals(response.headers.get("content-type"), get.headers.get("content-type"), path);
  }
  await api.closed();
});

Deno.test("recordings: storage that fails is answered 503 without a word of it, and logged once", async () => {
  await using logs = await LogRecords.watch();
  const secret = "no such bucket: my-bucket";
  const fail = () => Promise.reject(new Error(secret));
  await using api = await ApiServer.start({
    archive: () => ({
      list: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
      metadata: fail,
      isUnderWay: fail,
      open: fail,
      hold: fail,
      setHold: fail,
      remove: fail,
    }),
    index: () => ({ put: fail, remove: fail, get: fail, find: fail }),
  });
  const json = { "content-type": "application/json" };
  const requests: readonly [method: string, path: string, init?: RequestInit][] = [
    ["GET", "/api/recordings"],
    ["GET", `/api/recordings/${ABSENT}`],
    ["GET", `/api/recordings/${ABSENT}/audio`],
    ["GET", `/api/recordings/${ABSENT}/messages`],
    ["GET", `/api/recordings/${ABSENT}/peaks`],
    ["PUT", `/api/recordings/${ABSENT}/hold`, { headers: json, body: '{"reason":""}' }],
    ["DELETE", `/api/recordings/${ABSENT}/hold`],
  ];
  for (const [method, path, init] of requests) {
    logs.records.length = 0;
    const response = await api.fetch(path, { method, ...init });
    const text = await response.text();
    assertEquals(response.status, 503, path);
    assertEquals(JSON.parse(text).error.code, "unavailable");
    assertEquals(text.includes("bucket"), false);
    assertEquals(logs.records.length, 1, path);
    assertEquals(logs.records[0]?.level, "error");
    assertEquals(logs.records[0]?.properties.id, path.includes(ABSENT) ? ABSENT : "");
    assert(logs.text.includes(secret), "the log says what it was");
  }
});

Deno.test("recordings: however long each of its parts may take, an answer begins in time", async () => {
  await using logs = await LogRecords.watch();
  const late = Promise.withResolvers<undefined>();
  await using api = await ApiServer.start({
    limits: { answerTimeoutMs: 50 },
    index: (index) => ({
      put: (entry) => index.put(entry),
      remove: (id) => index.remove(id),
      get: () => late.promise,
      find: () => late.promise.then(() => ({ entries: [], cursor: undefined })),
    }),
  });
  const response = await api.fetch("/api/recordings");
  assertEquals(response.status, 503);
  assertEquals((await response.json()).error.code, "storage_timeout");
  assertEquals(logs.of("Cannot answer").length, 1);
  late.resolve(undefined);
});

Deno.test("recordings: a late answer lets go of its file", async () => {
  await using _logs = await LogRecords.watch();
  const gate = Promise.withResolvers<void>();
  await using api = await ApiServer.start({
    limits: { answerTimeoutMs: 50 },
    archive: (archive) => ({
      list: () => archive.list(),
      metadata: (id) => archive.metadata(id),
      isUnderWay: (id) => archive.isUnderWay(id),
      hold: (id) => archive.hold(id),
      setHold: (id, hold) => archive.setHold(id, hold),
      remove: (id) => archive.remove(id),
      async open(id, part) {
        await gate.promise;
        return await archive.open(id, part);
      },
    }),
  });
  const { id } = await api.record({ audio: AUDIO });
  assertEquals(
    (await (await api.fetch(`/api/recordings/${id}/audio`)).json()).error.code,
    "storage_timeout",
  );
  gate.resolve();
  await until(() => api.archive.openedCount > 0, "what was asked for");
  await api.closed();
});

Deno.test("recordings: one that ends while it is asked for is described as one that has ended", async () => {
  let asked = 0;
  await using api = await ApiServer.start({
    archive: (archive) => ({
      list: () => archive.list(),
      metadata: async (id) => asked++ === 0 ? undefined : await archive.metadata(id),
      isUnderWay: (id) => archive.isUnderWay(id),
      hold: (id) => archive.hold(id),
      setHold: (id, hold) => archive.setHold(id, hold),
      remove: (id) => archive.remove(id),
      open: (id, part) => archive.open(id, part),
    }),
  });
  const { id } = await api.record({ audio: AUDIO });
  const { state, version } = await (await api.fetch(`/api/recordings/${id}`)).json();
  assertEquals([asked, state, version], [2, "finished", 1]);
});

Deno.test("recordings: a defect is answered 500 without a word of it, and logged", async () => {
  await using logs = await LogRecords.watch();
  await using api = await ApiServer.start({
    index: (index) => ({
      put: (entry) => index.put(entry),
      remove: (id) => index.remove(id),
      get: (id) => index.get(id),
      // No page at all.
      find: () => Promise.resolve({ entries: 5 as unknown as [], cursor: undefined }),
    }),
  });
  const response = await api.fetch("/api/recordings");
  assertEquals(response.status, 500);
  assertEquals(await response.json(), {
    error: { code: "internal_error", message: "A defect of the server: its log says more" },
  });
  assertEquals(logs.records.map(({ level }) => level), ["fatal"]);
});

Deno.test("recordings: a part of the messages is sent to who asks for a part", async () => {
  await using api = await ApiServer.start();
  const messages = `{"text":"${"x".repeat(1000)}"}\n`;
  const { id } = await api.record({ audio: AUDIO, messages });
  const headers = { range: "bytes=-100" };
  const response = await api.fetch(`/api/recordings/${id}/messages`, { headers });
  assertEquals([response.status, await response.text()], [206, messages.slice(-100)]);
  const { length } = messages;
  assertEquals(
    response.headers.get("content-range"),
    `bytes ${length - 100}-${length - 1}/${length}`,
  );
});
