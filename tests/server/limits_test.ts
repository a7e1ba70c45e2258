/**
 * Who is refused for what an address did before, and for want of room, over real sockets.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { until } from "../helpers/deadline.ts";
import { knock, knockWith } from "../helpers/knock.ts";
import { LogRecords } from "../helpers/log_records.ts";
import type { RawResponse } from "../helpers/raw_socket.ts";
import { TestServer } from "../helpers/test_server.ts";
import {
  type ConnectOptions,
  openParameters,
  requestHeaders,
  UNSIGNED_KEY,
} from "../helpers/wire_client.ts";

const NOBODY = new Uint8Array();
const STRANGER: ConnectOptions = { apiKey: "a-stranger", secret: NOBODY };
const UNSIGNED: ConnectOptions = { apiKey: UNSIGNED_KEY, secret: NOBODY };
const PROXY = "X-Forwarded-For";

/** A request that a proxy passes on, which says this of where it is from. */
function from(address: string | undefined, options = STRANGER): ConnectOptions {
  return { ...options, headers: { [PROXY]: address } };
}

async function statuses(
  server: TestServer,
  ...requests: readonly ConnectOptions[]
): Promise<number[]> {
  const found: number[] = [];
  for (const request of requests) found.push((await knockWith(server, request)).status);
  return found;
}

function assertTooMany({ status, headers, body }: RawResponse, seconds: number): void {
  assertEquals(status, 429);
  assertEquals(headers.get("retry-after"), String(seconds));
  assertEquals(body, "Too many failed requests\n");
}

// ——— too many failures ———

Deno.test("limits: an address beyond its failures gets 429, with the time of its next try", async () => {
  await using server = await TestServer.start({ maxAuthFailuresPerMinute: 3 });
  assertEquals(await statuses(server, STRANGER, STRANGER, STRANGER), [401, 401, 401]);
  assertTooMany(await knockWith(server, STRANGER), 20);
});

Deno.test("limits: beyond the failures, the answer is the same whatever the cause", async () => {
  await using server = await TestServer.start({ maxAuthFailuresPerMinute: 1 });
  const replayed = await requestHeaders(server.authority);
  assertEquals((await knock(server, replayed)).status, 101);
  assertEquals(await statuses(server, STRANGER), [401]);
  assertTooMany(await knock(server, replayed), 60);
  for (
    const options of [
      STRANGER,
      UNSIGNED,
      { secret: NOBODY },
      { secret: new Uint8Array(32) },
      { headers: { "Audiohook-Session-Id": "none" } },
      { created: 1 },
    ]
  ) {
    assertTooMany(await knockWith(server, options), 60);
  }
});

Deno.test("limits: 30 failures a minute are allowed unless configured", async () => {
  await using server = await TestServer.start({ maxAuthFailuresPerMinute: undefined });
  const responses = await Promise.all(
    Array.from({ length: 40 }, () => knockWith(server, STRANGER)),
  );
  const tooMany = responses.filter(({ status }) => status !== 401);
  assertEquals(tooMany.length, 10);
  for (const response of tooMany) assertTooMany(response, 2);
});

Deno.test("limits: a valid signature gets in all the same, a key that signs nothing does not", async () => {
  await using server = await TestServer.start({ maxAuthFailuresPerMinute: 1 });
  assertEquals(await statuses(server, UNSIGNED, STRANGER, STRANGER), [101, 401, 429]);
  assertEquals(await statuses(server, {}, UNSIGNED, {}), [101, 429, 101]);
  await using client = await server.connect();
  await client.open();
  await client.close();
});

Deno.test("limits: requests that are no connection requests are no failures", async () => {
  await using server = await TestServer.start({ maxAuthFailuresPerMinute: 1 });
  for (let i = 0; i < 5; i++) {
    const response = await fetch(`http://${server.authority}/nothing`);
    await response.body?.cancel();
  }
  assertEquals(await statuses(server, STRANGER, STRANGER), [401, 429]);
});

Deno.test("limits: behind a proxy, the address that it says counts, the last one of a list", async () => {
  await using server = await TestServer.start({
    maxAuthFailuresPerMinute: 1,
    clientAddressHeader: PROXY,
  });
  const requests = ["203.0.113.1", "203.0.113.2", "203.0.113.1", "198.51.100.1, 203.0.113.2"];
  assertEquals(
    await statuses(server, ...requests.map((address) => from(address))),
    [401, 401, 429, 429],
  );
  // The client may say what it likes before that: it is not listened to.
  assertEquals(await statuses(server, from("203.0.113.2, 203.0.113.3")), [401]);
  assertEquals(await statuses(server, from("203.0.113.4", UNSIGNED)), [101]);
  assertEquals(await statuses(server, from("203.0.113.3", UNSIGNED)), [429]);
});

Deno.test("limits: behind a proxy, IPv6 counts by /64, and garbage is the proxy's own address", async () => {
  await using server = await TestServer.start({
    maxAuthFailuresPerMinute: 1,
    clientAddressHeader: PROXY,
  });
  assertEquals(
    await statuses(server, from("2001:db8::1"), from("2001:db8::ffff:1"), from("2001:db8:0:1::1")),
    [401, 429, 401],
  );
  assertEquals(
    await statuses(server, from("unknown"), from(undefined), from("203.0.113.1:")),
    [401, 429, 429],
  );
  assertEquals(await statuses(server, from("127.0.0.1")), [429], "the peer of all of them");
});

Deno.test("limits: without a configured proxy, nobody can say where it is from", async () => {
  await using server = await TestServer.start({ maxAuthFailuresPerMinute: 2 });
  assertEquals(
    await statuses(server, from("203.0.113.1"), from("203.0.113.2"), from("203.0.113.3")),
    [401, 401, 429],
  );
});

Deno.test("limits: refusals are logged with their cause, the limit with the address, once", async () => {
  await using logs = await LogRecords.watch();
  await using server = await TestServer.start({
    maxAuthFailuresPerMinute: 2,
    clientAddressHeader: PROXY,
  });
  for (let i = 0; i < 6; i++) await knockWith(server, from("203.0.113.1"));
  await knockWith(server, from("203.0.113.1", UNSIGNED));
  const lines = logs.of("Refused").map(({ rawMessage, properties: { reason, address } }) => [
    String(rawMessage).split(":")[0],
    address,
    typeof reason,
  ]);
  assertEquals(lines, [
    ["Refused a connection", undefined, "string"],
    ["Refused a connection", undefined, "string"],
    ["Refused too many connections from {address}", "203.0.113.1", "string"],
    ["Refused a connection", undefined, "string"],
  ]);
  assertEquals(logs.records.at(-1)?.properties.reason, "too_many_failures");
  assert(!logs.text.includes(UNSIGNED_KEY) && !logs.text.includes("a-stranger"));
});

// ——— no room ———

function assertNoRoom({ status, headers, body }: RawResponse): void {
  assertEquals(status, 503);
  assertMatch(headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  assertEquals(body, "There are as many connections as the server takes\n");
}

Deno.test("limits: beyond the sessions there is 503, and those that run go on", async () => {
  await using logs = await LogRecords.watch();
  await using server = await TestServer.start({ maxSessions: 2 });
  await using first = await server.connect();
  await using second = await server.connect();
  assertNoRoom(await knockWith(server));
  assertNoRoom(await knockWith(server, UNSIGNED));
  await first.open();
  await second.open();
  assertEquals(server.server.connectionCount, 2);
  await first.ping();
  const refused = logs.of("Refused {sessionId}: there are {socketCount} connections");
  assertEquals(refused.map(({ level }) => level), ["error", "error"]);
});

Deno.test("limits: a stranger is not told that there is no room", async () => {
  await using server = await TestServer.start({ maxSessions: 1, maxAuthFailuresPerMinute: 1 });
  await using client = await server.connect();
  assertEquals(await statuses(server, STRANGER, STRANGER), [401, 429]);
  await client.open();
});

Deno.test("limits: there is room again when a call has ended, however it did", async () => {
  await using server = await TestServer.start({ maxSessions: 1 });
  for (let i = 0; i < 3; i++) {
    await using client = await server.connect();
    await client.open();
    assertNoRoom(await knockWith(server));
    if (i === 0) await client.close();
    else await client.hangUp();
    await until(() => server.server.socketCount === 0, "end of the socket");
  }
  await using raw = await server.connectRaw(crypto.randomUUID());
  assertNoRoom(await knockWith(server));
  raw.drop();
  await until(() => server.server.socketCount === 0, "end of the socket");
  await using client = await server.connect();
  await client.open();
});

Deno.test("limits: of requests that race for the last room, as many get in as there is room for", async () => {
  await using server = await TestServer.start({ maxSessions: 3 });
  const raw = await Promise.allSettled(
    Array.from({ length: 20 }, () => server.connectRaw(crypto.randomUUID())),
  );
  const sockets = raw.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
  assertEquals(sockets.length, 3);
  assertEquals(server.server.socketCount, 3);
  for (const socket of sockets) socket.drop();
  await until(() => server.server.socketCount === 0, "end of all sockets");
});

Deno.test("limits: a socket that we ended, and the client has not, takes room until it is closed", async () => {
  await using server = await TestServer.start({
    maxSessions: 1,
    sessionLimits: { hangupTimeoutMs: 100 },
  });
  const id = crypto.randomUUID();
  await using socket = await server.connectRaw(id);
  const message = { version: "2", id, position: "PT0S" };
  await socket.sendText(JSON.stringify({
    ...message,
    type: "open",
    seq: 1,
    serverseq: 0,
    parameters: openParameters(),
  }));
  await socket.message("opened");
  await socket.sendText(JSON.stringify({
    ...message,
    type: "close",
    seq: 2,
    serverseq: 1,
    parameters: { reason: "end" },
  }));
  await socket.message("closed");
  // It gets the WebSocket's goodbye, and says nothing to it.
  await server.idle();
  assertEquals(server.server.socketCount, 1);
  assertNoRoom(await knockWith(server));
  socket.drop();
  await until(() => server.server.socketCount === 0, "end of the socket");
  await using client = await server.connect();
  await client.open();
});
