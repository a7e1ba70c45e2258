/**
 * Bad requests over HTTP: those of the table, and those that take more than a request.
 */
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { API_ERRORS, type ErrorCode } from "../../lib/api/api_error.ts";
import { ADMIN_TOKEN, ApiServer } from "../helpers/api_server.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { RawSocket, requestHead } from "../helpers/raw_socket.ts";
import type { MadeAudio } from "../helpers/recordings.ts";
import { noise } from "../helpers/wav_check.ts";
import { ABSENT, type Row, ROWS } from "./bad_request_rows.ts";

const STEREO: MadeAudio = { format: "PCMU", channels: ["external", "internal"], data: noise(1000) };
const MONO: MadeAudio = { format: "L16", channels: ["internal"], data: noise(1000) };

/** A request as it is, which `fetch` would tidy up. */
async function ask(
  api: ApiServer,
  { request, headers = {}, body }: Row,
  ids: Readonly<Record<string, string>>,
) {
  const filled = request.replace(/\{(\w+)\}/g, (place, name) => ids[name] ?? place);
  const [target = "", verb = "GET"] = filled.split(" ").reverse();
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  await using socket = await RawSocket.connect(api.server.addr.port);
  const head = requestHead(target, {
    "host": `127.0.0.1:${api.server.addr.port}`,
    "authorization": `Bearer ${ADMIN_TOKEN}`,
    ...(bytes && { "content-length": String(bytes.length) }),
    ...headers,
  }, verb);
  await socket.write(head);
  if (bytes !== undefined) await socket.write(bytes);
  return verb === "HEAD" ? await headOf(socket) : await socket.response();
}

/** The answer to HEAD, whose length is that of a body that does not come. */
async function headOf(socket: RawSocket) {
  socket.finish();
  await socket.end();
  const [head = "", body] = socket.heard.split("\r\n\r\n");
  assertEquals(body, "", "HEAD has a body");
  const headers = new Map(
    head.split("\r\n").slice(1).map((line) => line.split(": ") as [string, string]),
  );
  return { status: Number(head.split(" ")[1]), headers, body: undefined };
}

Deno.test("bad requests: each is answered what is right", async () => {
  await using api = await ApiServer.start();
  const recordings = {
    id: await api.record({ audio: STEREO }),
    mono: await api.record({ audio: MONO }),
    running: await api.record({ audio: STEREO, isBeingMade: true }),
    begun: await api.record({ audio: STEREO, file: new Uint8Array(), isBeingMade: true }),
    silent: await api.record({ audio: null }),
    broken: await api.record({ audio: STEREO, file: noise(5000) }),
  };
  const ids = Object.fromEntries(Object.entries(recordings).map(([name, { id }]) => [name, id]));
  for (const row of ROWS) {
    const what = `${row.request.slice(0, 100)} ${JSON.stringify(row.headers ?? "").slice(0, 100)}`;
    const { status, headers, body } = await ask(api, row, ids);
    const { status: expected } = API_ERRORS[row.code];
    assertEquals(status, expected, `${what}: ${body}`);
    assertEquals(headers.get("content-type"), "application/json; charset=utf-8", what);
    assertEquals(headers.get("x-content-type-options"), "nosniff", what);
    for (const [name, value] of Object.entries(row.answer ?? {})) {
      assertEquals(headers.get(name), value, what);
    }
    if (body === undefined) continue;
    assertLess(body.length, 500, what);
    const { error, ...rest } = JSON.parse(body);
    assertEquals([rest, error.code], [{}, row.code], what);
    if (typeof row.message === "string") assertEquals(error.message, row.message, what);
    else assert(row.message.test(error.message), `${what}: ${error.message}`);
    assertEquals(Object.keys(error), ["code", "message"]);
  }
  await api.closed();
});

Deno.test("bad requests: the table has each error that a request alone can bring about", () => {
  const covered = new Set(ROWS.map(({ code }) => code));
  const elsewhere: readonly ErrorCode[] = [
    "damaged_metadata",
    "body_timeout",
    "on_hold",
    "too_many_failures",
    "no_messages",
    "internal_error",
    "busy",
    "unavailable",
    "storage_timeout",
  ];
  const missing = (Object.keys(API_ERRORS) as ErrorCode[]).filter((code) => !covered.has(code));
  assertEquals(missing.sort(), [...elsewhere].sort());
});

Deno.test("bad requests: who knows no token is told nothing of what there is", async () => {
  await using api = await ApiServer.start();
  const { id } = await api.record({ audio: STEREO });
  const answers = new Set<string>();
  for (
    const target of [`/api/recordings/${id}`, `/api/recordings/${ABSENT}`, "/api/recordings/x"]
  ) {
    const response = await fetch(`http://127.0.0.1:${api.server.addr.port}${target}`);
    answers.add(`${response.status} ${await response.text()}`);
  }
  assertEquals(answers.size, 1);
  assertEquals(api.archive.openedCount, 0);
});

Deno.test("bad requests: the scheme of the token may be written in any case", async () => {
  await using api = await ApiServer.start();
  for (const scheme of ["bearer", "BEARER"]) {
    const response = await api.fetch("/api/recordings", {
      headers: { authorization: `${scheme} ${ADMIN_TOKEN}` },
    });
    await response.body?.cancel();
    assertEquals(response.status, 200);
  }
});

Deno.test("bad requests: guesses of the token are counted, and lock out nobody who has it", async () => {
  await using api = await ApiServer.start({ maxFailuresPerMinute: 3 });
  const ask = async (authorization?: string) => {
    const headers = authorization === undefined ? undefined : { authorization };
    const url = `http://127.0.0.1:${api.server.addr.port}/api/recordings`;
    const response = await fetch(url, { headers });
    await response.body?.cancel();
    return response;
  };
  // Who says no token guesses none.
  for (let i = 0; i < 5; i++) assertEquals((await ask()).status, 401);
  for (let i = 0; i < 3; i++) assertEquals((await ask(`Bearer ${i}`)).status, 401);
  for (const guess of ["wrong", "another"]) {
    const response = await ask(`Bearer ${guess}`);
    assertEquals(response.status, 429);
    assertEquals(response.headers.get("retry-after"), "20");
  }
  // The address may be a proxy's.
  assertEquals((await ask(`Bearer ${ADMIN_TOKEN}`)).status, 200);
  assertEquals((await ask()).status, 401);
});

Deno.test("bad requests: guesses of the token are logged once, with the address and no guess", async () => {
  await using logs = await LogRecords.watch();
  await using api = await ApiServer.start({ maxFailuresPerMinute: 3 });
  const statuses: Record<number, number> = {};
  for (let i = 0; i < 40; i++) {
    const headers = { authorization: `Bearer guess-${i}` };
    const response = await api.fetch(i % 2 === 0 ? "/api/recordings" : "/api/recordings/x", {
      headers,
    });
    await response.body?.cancel();
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
  }
  assertEquals(statuses, { 401: 3, 429: 37 });
  assertEquals(logs.records.length, 1);
  const [record] = logs.of("Too many wrong admin tokens");
  assertEquals([record?.level, record?.properties], ["warning", { address: "127.0.0.1" }]);
  assertEquals(logs.text.includes("guess-"), false);
});

Deno.test("bad requests: a body that does not come is not waited for without end", async () => {
  await using api = await ApiServer.start({ limits: { bodyTimeoutMs: 100 } });
  const { id } = await api.record({ audio: STEREO });
  await using socket = await RawSocket.connect(api.server.addr.port);
  await socket.request(`/api/recordings/${id}/hold`, {
    "host": "127.0.0.1",
    "authorization": `Bearer ${ADMIN_TOKEN}`,
    "content-type": "application/json",
    "content-length": "1000",
  }, "PUT");
  await socket.write('{"reason":');
  const { status, body } = await socket.response();
  assertEquals(status, 408);
  assertStringIncludes(body, "Expected the whole body within 0.1 s");
});

Deno.test("bad requests: a body without a length is bounded as well", async () => {
  await using api = await ApiServer.start();
  const { id } = await api.record({ audio: STEREO });
  await using socket = await RawSocket.connect(api.server.addr.port);
  await socket.request(`/api/recordings/${id}/hold`, {
    "host": "127.0.0.1",
    "authorization": `Bearer ${ADMIN_TOKEN}`,
    "content-type": "application/json",
    "transfer-encoding": "chunked",
  }, "PUT");
  for (let i = 0; i < 17; i++) await socket.write(`400\r\n${"x".repeat(1024)}\r\n`);
  const { status } = await socket.response();
  assertEquals(status, 413);
});

Deno.test("bad requests: a host that is none changes nothing", async () => {
  await using api = await ApiServer.start();
  for (const host of ["a/b", "[", "%", "x y"]) {
    await using socket = await RawSocket.connect(api.server.addr.port);
    await socket.request("/api/recordings?limit=1", {
      host,
      authorization: `Bearer ${ADMIN_TOKEN}`,
    });
    const { status } = await socket.response();
    // Some of them, the HTTP server itself refuses.
    assert(status === 200 || status === 400, `${host}: ${status}`);
  }
});
