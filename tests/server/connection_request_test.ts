/**
 * Who may connect, over real sockets (protocol sections 2 and 3, and the routes of the issue).
 */
import { assert, assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { knock, knockWith } from "../helpers/knock.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { HANDSHAKE, rawRequest, type RawResponse, RawSocket } from "../helpers/raw_socket.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer } from "../helpers/test_server.ts";
import {
  API_KEY,
  type ConnectOptions,
  CORRELATION_ID,
  ENDPOINT,
  newNonce,
  ORGANIZATION_ID,
  requestHeaders,
  SECRET,
  UNSIGNED_KEY,
} from "../helpers/wire_client.ts";

const NOBODY = new Uint8Array();
const now = () => Math.floor(Date.now() / 1000);

/** Everything of a response that may not tell one refusal from another. */
function face({ status, headers, body }: RawResponse): unknown {
  return { status, body, headers: [...headers].filter(([name]) => name !== "date") };
}

Deno.test("connection request: a signed one is accepted", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect();
  await client.open();
  assertEquals(server.server.connectionCount, 1);
  await client.close();
  await server.idle();
});

Deno.test("connection request: the upgrade answers the handshake", async () => {
  await using server = await TestServer.start();
  const response = await knockWith(server);
  assertEquals(response.status, 101);
  assertEquals(response.headers.get("upgrade")?.toLowerCase(), "websocket");
  // RFC 6455, section 1.3: the answer to this very key.
  assertEquals(response.headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});

Deno.test("connection request: header names count without regard to case", async () => {
  await using server = await TestServer.start();
  const headers = await requestHeaders(server.authority);
  const shouted = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]),
  );
  const whispered = Object.fromEntries(
    Object.entries(await requestHeaders(server.authority))
      .map(([name, value]) => [name.toLowerCase(), value]),
  );
  assertEquals((await knock(server, shouted)).status, 101);
  assertEquals((await knock(server, whispered)).status, 101);
});

Deno.test("connection request: Audiohook-Retry-Attempt may be absent or more", async () => {
  await using server = await TestServer.start();
  for (const attempt of [undefined, "0", "5"]) {
    const headers = { "Audiohook-Retry-Attempt": attempt };
    assertEquals((await knockWith(server, { headers })).status, 101);
  }
});

Deno.test("connection request: a signature may cover more, in any order", async () => {
  await using server = await TestServer.start();
  const components = [
    "audiohook-retry-attempt",
    "x-api-key",
    "@authority",
    "audiohook-correlation-id",
    "audiohook-session-id",
    "audiohook-organization-id",
    "@request-target",
  ];
  assertEquals((await knockWith(server, { components })).status, 101);
});

Deno.test("connection request: the clocks may differ by 3 s, and a signature lives for 10", async () => {
  await using server = await TestServer.start();
  const accepted = [
    { created: now() + 2 },
    { created: now() - 9, expires: null },
    // Within the skew: the limit is 13 s, and this test takes less than one.
    { created: now() - 11, expires: null },
    { created: now() - 5, expires: now() - 1 },
  ];
  for (const options of accepted) {
    assertEquals((await knockWith(server, options)).status, 101, JSON.stringify(options));
  }
});

interface Refusal {
  readonly options?: ConnectOptions;
  readonly spoil?: (headers: Record<string, string>) => void;
}

const sixRequired = [
  "@request-target",
  "@authority",
  "audiohook-organization-id",
  "audiohook-session-id",
  "audiohook-correlation-id",
  "x-api-key",
];

/** Replaces in the Signature-Input, which breaks the signature too; the outcome is all that shows. */
const rewrite = (from: string | RegExp, to: string) => (headers: Record<string, string>) => {
  const before = headers["Signature-Input"] ?? "";
  const after = before.replace(from, to);
  assert(after !== before, "the test spoils something");
  headers["Signature-Input"] = after;
};

const REFUSALS: Readonly<Record<string, () => Refusal>> = {
  "no signature where the key has a secret": () => ({ options: { secret: NOBODY } }),
  "no Signature": () => ({ spoil: (headers) => delete headers["Signature"] }),
  "no Signature-Input": () => ({ spoil: (headers) => delete headers["Signature-Input"] }),
  "no API key": () => ({ spoil: (headers) => delete headers["X-API-KEY"] }),
  "no API key, unsigned": () => ({
    options: { secret: NOBODY, headers: { "X-API-KEY": undefined } },
  }),
  "an API key with forbidden characters": () => ({
    options: { secret: NOBODY, headers: { "X-API-KEY": "key with spaces" } },
  }),
  "an unknown key, signed": () => ({
    options: { apiKey: "dW5rbm93bg==", secret: new Uint8Array(SECRET.length).fill(7) },
  }),
  "an unknown key, unsigned": () => ({ options: { apiKey: "dW5rbm93bg==", secret: NOBODY } }),
  "another secret": () => ({ options: { secret: new Uint8Array(32).fill(1) } }),
  "a keyid that is not the key": () => ({
    spoil: (headers) => headers["X-API-KEY"] = UNSIGNED_KEY.slice(0, -1),
  }),
  "another keyid in the signature": () => ({ spoil: rewrite(/keyid="[^"]*"/, 'keyid="other"') }),
  "a short nonce": () => ({ options: { nonce: "c2hvcnQ=" } }),
  "no nonce": () => ({ spoil: rewrite(/;nonce="[^"]*"/, "") }),
  "another nonce than signed": () => ({ spoil: rewrite(/nonce="[^"]*"/, `nonce="${newNonce()}"`) }),
  "another algorithm": () => ({ spoil: rewrite("hmac-sha256", "rsa-v1_5-sha256") }),
  "the algorithm none": () => ({ spoil: rewrite("hmac-sha256", "none") }),
  "created in the future": () => ({ options: { created: now() + 30, expires: now() + 40 } }),
  "created too long ago": () => ({ options: { created: now() - 20, expires: null } }),
  "created too long ago, expiring late": () => ({
    options: { created: now() - 20, expires: now() + 3600 },
  }),
  "expired": () => ({ options: { created: now() - 8, expires: now() - 6 } }),
  "no created": () => ({ spoil: rewrite(/;created=\d+/, "") }),
  "an unknown parameter": () => ({ spoil: rewrite(";alg=", ";tag=1;alg=") }),
  "an unknown component": () => ({ spoil: rewrite('"@authority"', '"@authority" "@method"') }),
  "a duplicate component": () => ({ spoil: rewrite('"@authority"', '"@authority" "@authority"') }),
  "two signatures": () => ({
    spoil(headers) {
      const input = headers["Signature-Input"] ?? "";
      headers["Signature-Input"] = `${input}, ${input.replace("sig1", "sig2")}`;
      const signature = headers["Signature"] ?? "";
      headers["Signature"] = `${signature}, ${signature.replace("sig1", "sig2")}`;
    },
  }),
  "a signature of another label": () => ({
    spoil: (headers) => headers["Signature"] = (headers["Signature"] ?? "").replace("sig1", "sig2"),
  }),
  "a signature of one byte": () => ({ spoil: (headers) => headers["Signature"] = "sig1=:AA==:" }),
  "an empty signature": () => ({ spoil: (headers) => headers["Signature"] = "sig1=::" }),
  "a long signature": () => ({
    spoil: (headers) => headers["Signature"] = `sig1=:${new Uint8Array(1000).toBase64()}:`,
  }),
  "a signature of the right length": () => ({
    spoil: (headers) => headers["Signature"] = `sig1=:${new Uint8Array(32).toBase64()}:`,
  }),
  "a signature that is no structured field": () => ({
    spoil: (headers) => headers["Signature"] = "%%%",
  }),
  "a signature input that is no structured field": () => ({
    spoil: (headers) => headers["Signature-Input"] = '(("',
  }),
  "another organization than signed": () => ({
    spoil: (headers) => headers["Audiohook-Organization-Id"] = CORRELATION_ID,
  }),
  "another session than signed": () => ({
    spoil: (headers) => headers["Audiohook-Session-Id"] = crypto.randomUUID(),
  }),
  "another correlation than signed": () => ({
    spoil: (headers) => headers["Audiohook-Correlation-Id"] = crypto.randomUUID(),
  }),
  "a covered header that is gone": () => ({
    spoil: (headers) => delete headers["Audiohook-Correlation-Id"],
  }),
  "a query that was not signed": () => ({
    spoil: (headers) => headers["Audiohook-Session-Id"] += " ,",
  }),
  "another authority": () => ({ options: { authority: "audiohook.example.com" } }),
  "an organization that is no UUID": () => ({
    options: { headers: { "Audiohook-Organization-Id": "../../etc" } },
  }),
  "a session that is no UUID": () => ({
    options: { headers: { "Audiohook-Session-Id": "../../../escaped" } },
  }),
  "a session that is nearly a UUID": () => ({
    options: { headers: { "Audiohook-Session-Id": `${ORGANIZATION_ID}/..` } },
  }),
  "no session, unsigned": () => ({
    options: {
      apiKey: UNSIGNED_KEY,
      secret: NOBODY,
      headers: { "Audiohook-Session-Id": undefined },
    },
  }),
  "no organization, unsigned": () => ({
    options: {
      apiKey: UNSIGNED_KEY,
      secret: NOBODY,
      headers: { "Audiohook-Organization-Id": undefined },
    },
  }),
  "a session that is no UUID, unsigned": () => ({
    options: {
      apiKey: UNSIGNED_KEY,
      secret: NOBODY,
      headers: { "Audiohook-Session-Id": "..%2f..%2fescaped" },
    },
  }),
  "an organization that is no UUID, unsigned": () => ({
    options: {
      apiKey: UNSIGNED_KEY,
      secret: NOBODY,
      headers: { "Audiohook-Organization-Id": "0" },
    },
  }),
  ...Object.fromEntries(sixRequired.map((name) => [
    `a signature that leaves out ${name}`,
    () => ({ options: { components: sixRequired.filter((component) => component !== name) } }),
  ])),
};

Deno.test("connection request: all refusals are 401, slow, silent, and look alike", async (t) => {
  const delayMs = 60;
  await using server = await TestServer.start({ authFailureDelayMs: delayMs });
  const faces = new Map<string, string[]>();
  for (const [name, make] of Object.entries(REFUSALS)) {
    await t.step(name, async () => {
      const { options, spoil } = make();
      const headers = await requestHeaders(server.authority, options);
      spoil?.(headers);
      const startMs = performance.now();
      const response = await knock(server, headers);
      assertEquals(response.status, 401);
      assertEquals(response.body, "");
      assertEquals(response.headers.get("content-length") ?? "0", "0");
      assertEquals(response.headers.get("transfer-encoding"), undefined);
      // A timer may be early by a fraction of a millisecond.
      assertGreaterOrEqual(performance.now() - startMs, delayMs - 1);
      const look = JSON.stringify(face(response));
      faces.set(look, [...faces.get(look) ?? [], name]);
    });
  }
  assertEquals(faces.size, 1, `refusals differ: ${JSON.stringify([...faces], null, 1)}`);
  assertEquals(await server.data.files(), []);
  assertEquals(server.server.connectionCount, 0);
});

Deno.test("connection request: a refusal takes 500 ms unless configured", async () => {
  await using server = await TestServer.start({ authFailureDelayMs: undefined });
  const startMs = performance.now();
  assertEquals((await knockWith(server, { secret: NOBODY })).status, 401);
  assertGreaterOrEqual(performance.now() - startMs, 499);
});

Deno.test("connection request: a request for another query or path than signed is refused", async () => {
  await using server = await TestServer.start();
  const signed = await requestHeaders(server.authority, { target: `${ENDPOINT}/a?x=1` });
  assertEquals((await knock(server, signed, `${ENDPOINT}/a?x=2`)).status, 401);
  assertEquals((await knock(server, signed, `${ENDPOINT}/b?x=1`)).status, 401);
  assertEquals((await knock(server, signed, `${ENDPOINT}/a`)).status, 401);
  assertEquals((await knock(server, signed, `${ENDPOINT}/%61?x=1`)).status, 401);
  assertEquals((await knock(server, signed, `${ENDPOINT}/a?x=1`)).status, 101);
});

Deno.test("connection request: the client of a refused one gets no WebSocket", async () => {
  await using server = await TestServer.start();
  await assertRejects(
    () => server.connect({ secret: new Uint8Array(32).fill(9) }),
    Error,
    "The connection was refused",
  );
});

Deno.test("connection request: unsigned passes for an empty secret only", async () => {
  await using server = await TestServer.start();
  await using client = await server.connect({ apiKey: UNSIGNED_KEY, secret: NOBODY });
  await client.open();
  await client.close();
  assertEquals((await knockWith(server, { secret: NOBODY })).status, 401);
});

Deno.test("connection request: UUIDs of any version are taken, in either case", async () => {
  await using server = await TestServer.start();
  for (
    const id of [
      "00000000-0000-0000-0000-000000000000",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "12345678-1234-9234-1234-123456789abc",
      "ABCDEF01-2345-6789-ABCD-EF0123456789",
    ]
  ) {
    assertEquals((await knockWith(server, { id })).status, 101, id);
  }
});

Deno.test("connection request: a nonce is taken once", async () => {
  await using server = await TestServer.start();
  const headers = await requestHeaders(server.authority);
  assertEquals((await knock(server, headers)).status, 101);
  const replayed = await knock(server, headers);
  assertEquals(replayed.status, 401);
  const wrong = await knockWith(server, { secret: new Uint8Array(32).fill(1) });
  assertEquals(face(replayed), face(wrong));
});

Deno.test("connection request: a nonce counts for another session too", async () => {
  await using server = await TestServer.start();
  const nonce = newNonce();
  assertEquals((await knockWith(server, { nonce })).status, 101);
  assertEquals((await knockWith(server, { nonce })).status, 401);
});

Deno.test("connection request: a refused request does not use its nonce up", async () => {
  await using server = await TestServer.start();
  const nonce = newNonce();
  const secret = new Uint8Array(32).fill(1);
  assertEquals((await knockWith(server, { nonce, secret })).status, 401);
  assertEquals((await knockWith(server, { nonce })).status, 101);
});

Deno.test("connection request: of requests that race with one nonce, exactly one wins", async () => {
  await using server = await TestServer.start();
  for (let round = 0; round < 10; round++) {
    const headers = await requestHeaders(server.authority);
    const responses = await Promise.all(
      Array.from({ length: round === 0 ? 2 : 8 }, () => knock(server, headers)),
    );
    const statuses = responses.map(({ status }) => status).sort();
    assertEquals(statuses[0], 101);
    assert(statuses.slice(1).every((status) => status === 401), String(statuses));
  }
});

Deno.test("connection request: the signature is verified before the upgrade", async () => {
  await using server = await TestServer.start();
  await using socket = await RawSocket.connect(server.addr.port);
  const headers = await requestHeaders(server.authority, { secret: new Uint8Array(32).fill(1) });
  await socket.request(ENDPOINT, { Host: server.authority, ...HANDSHAKE, ...headers });
  // The client does not wait: none of it may be taken for a WebSocket's frame.
  const { status, headers: answer } = await socket.response();
  assertEquals(status, 401);
  assertEquals(answer.get("sec-websocket-accept"), undefined);
  assertEquals(server.server.connectionCount, 0);
});

Deno.test("connection request: the signature counts before a bad handshake does", async () => {
  await using server = await TestServer.start();
  const { "Sec-WebSocket-Key": _, ...incomplete } = HANDSHAKE;
  const host = { Host: server.authority };
  const unsigned = await rawRequest(server.addr.port, ENDPOINT, { ...host, ...incomplete });
  assertEquals(unsigned.status, 401);
});

Deno.test("connection request: the endpoint answers below its path, for what was sent", async (t) => {
  await using server = await TestServer.start();
  const targets = [
    ENDPOINT,
    `${ENDPOINT}?`,
    `${ENDPOINT}?x=y`,
    `${ENDPOINT}/`,
    `${ENDPOINT}/my-connector?x=y`,
    `${ENDPOINT}/my-connector/deeper?x=y&x=z`,
    `${ENDPOINT}/my%20connector?x=%20y+z`,
    `${ENDPOINT}/a%2fb%2Fc?q=%2F%2f`,
    `${ENDPOINT}/%7e~%41A%c3%a9%C3%A9`,
    `${ENDPOINT}//double//slashes//`,
    `${ENDPOINT}/./dots/../more`,
    `${ENDPOINT}/%2e%2e/%2e`,
    `${ENDPOINT}/odd%zz%?%%%=%u1234`,
    `${ENDPOINT}/?url=ws://other.example/path?x#y`.replace("#", "%23"),
    `${ENDPOINT}/semi;colon=1,comma:colon@at!$&'()*`,
    `${ENDPOINT}?http://elsewhere.example/${ENDPOINT}`,
  ];
  for (const target of targets) {
    await t.step(target, async () => {
      assertEquals((await knockWith(server, { target })).status, 101);
    });
  }
});

Deno.test("connection request: the app sees path and query as sent", async () => {
  const app = new TestApp();
  await using server = await TestServer.start({ apps: [app] });
  const target = `${ENDPOINT}/my-connector?x=%2fy`;
  await using client = await server.connect({ target });
  await client.open();
  const call = await app.nextCall();
  assertEquals(call.requestTarget, target);
  assertEquals(call.correlationId, CORRELATION_ID);
  assertEquals(call.organizationId, ORGANIZATION_ID);
  assertEquals(call.sessionId, client.id);
  await client.close();
});

Deno.test("routes: what is not the endpoint is 404", async () => {
  await using server = await TestServer.start();
  const targets = [
    "/",
    "/api/v1/audiohook",
    `${ENDPOINT}x`,
    `${ENDPOINT}x/y`,
    "/api/v1/audiohook/other/../ws",
    `/x${ENDPOINT}`,
    `/${ENDPOINT}`,
    "/api/v1/audiohook/w%73",
    "/API/V1/AUDIOHOOK/WS",
    `/?${ENDPOINT}`,
  ];
  for (const target of targets) {
    assertEquals((await knockWith(server, { target })).status, 404, target);
  }
  assertEquals(server.server.connectionCount, 0);
});

Deno.test("routes: another path is configured", async () => {
  await using server = await TestServer.start({ path: "/hook" });
  assertEquals((await knockWith(server, { target: "/hook" })).status, 101);
  assertEquals((await knockWith(server, { target: "/hook/bot?x" })).status, 101);
  assertEquals((await knockWith(server, { target: ENDPOINT })).status, 404);
});

Deno.test("routes: the endpoint takes GET only", async () => {
  await using server = await TestServer.start();
  const headers = await requestHeaders(server.authority);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    // Without a body: Deno refuses a request that has both a body and an upgrade by itself.
    const { status, headers: answer } = await rawRequest(
      server.addr.port,
      ENDPOINT,
      { Host: server.authority, ...HANDSHAKE, ...headers },
      method,
    );
    assertEquals(status, 405, method);
    assertEquals(answer.get("allow"), "GET");
  }
});

Deno.test("routes: GET of the endpoint without an upgrade is 426", async () => {
  await using server = await TestServer.start();
  const headers = await requestHeaders(server.authority);
  const { status } = await rawRequest(server.addr.port, ENDPOINT, {
    Host: server.authority,
    ...headers,
  });
  assertEquals(status, 426);
});

Deno.test("routes: a bad handshake is 400", async (t) => {
  await using server = await TestServer.start();
  const without = (name: string) =>
    Object.fromEntries(Object.entries(HANDSHAKE).filter(([other]) => other !== name));
  const handshakes: Record<string, Record<string, string>> = {
    "no key": without("Sec-WebSocket-Key"),
    "no version": without("Sec-WebSocket-Version"),
    "no Connection": without("Connection"),
    "a version of the past": { ...HANDSHAKE, "Sec-WebSocket-Version": "8" },
    "keep-alive in place of Upgrade": { ...HANDSHAKE, "Connection": "keep-alive" },
  };
  for (const [name, handshake] of Object.entries(handshakes)) {
    await t.step(name, async () => {
      const headers = await requestHeaders(server.authority);
      const { status } = await rawRequest(server.addr.port, ENDPOINT, {
        Host: server.authority,
        ...handshake,
        ...headers,
      });
      // RFC 6455, section 4.2.2, has 426 for a version that the server does not speak.
      assert(status === 400 || (name.includes("version") && status === 426), String(status));
    });
  }
  assertEquals(server.server.connectionCount, 0);
  await t.step("and the server lives on", async () => {
    assertEquals((await knockWith(server)).status, 101);
  });
});

Deno.test("routes: GET /healthz is 200", async () => {
  await using server = await TestServer.start();
  const response = await fetch(`http://${server.authority}/healthz`);
  assertEquals(response.status, 200);
  await response.body?.cancel();
});

Deno.test("authority: the Host is what was sent, with its port", async (t) => {
  await using server = await TestServer.start();
  const cases = [
    { host: "audiohook.example.com", signed: "audiohook.example.com", status: 101 },
    { host: "audiohook.example.com:8443", signed: "audiohook.example.com:8443", status: 101 },
    { host: "audiohook.example.com:8443", signed: "audiohook.example.com", status: 401 },
    { host: "audiohook.example.com", signed: "audiohook.example.com:8443", status: 401 },
    // Section 3: the default port (443 only, section 1) is omitted in what is signed.
    { host: "audiohook.example.com:443", signed: "audiohook.example.com", status: 101 },
    { host: "other.example.com", signed: "audiohook.example.com", status: 401 },
  ];
  for (const { host, signed, status } of cases) {
    await t.step(`${host}, signed ${signed}: ${status}`, async () => {
      const headers = await requestHeaders(signed);
      assertEquals((await knock(server, headers, ENDPOINT, host)).status, status);
    });
  }
});

Deno.test("authority: a Host with a slash cannot fake a path", async () => {
  await using server = await TestServer.start();
  for (const host of ["x/api/v1/audiohook/ws", `evil.example${ENDPOINT}?`, "http://x/"]) {
    const headers = await requestHeaders(host, { target: "/healthz" });
    const { status } = await knock(server, headers, "/nothing", host);
    // hyper may refuse such a Host by itself.
    assert(status === 404 || status === 400, `${host}: ${status}`);
  }
});

Deno.test("authority: the public one takes the place of the Host", async () => {
  await using server = await TestServer.start({ publicAuthority: "audiohook.example.com" });
  const right = await requestHeaders("audiohook.example.com");
  assertEquals((await knock(server, right, ENDPOINT, "internal:8000")).status, 101);
  const again = await requestHeaders("audiohook.example.com");
  assertEquals((await knock(server, again)).status, 101);
  const internal = await requestHeaders(server.authority);
  assertEquals((await knock(server, internal)).status, 401);
});

Deno.test("log: a refusal's reason goes to the log; keys, secrets and headers never do", async () => {
  await using logs = await LogRecords.watch();
  const sent: string[] = [API_KEY, SECRET.toBase64(), new TextDecoder().decode(SECRET)];
  {
    await using server = await TestServer.start();
    for (const make of Object.values(REFUSALS)) {
      const { options, spoil } = make();
      const headers = await requestHeaders(server.authority, options);
      spoil?.(headers);
      sent.push(headers["Signature"] ?? "", headers["Signature-Input"] ?? "");
      await knock(server, headers);
    }
    await using client = await server.connect();
    await client.open();
    await client.close();
    await server.idle();
  }
  const refusals = logs.records.filter(({ properties }) => typeof properties.reason === "string");
  assertGreaterOrEqual(refusals.length, Object.keys(REFUSALS).length);
  const { text } = logs;
  for (const secret of sent.filter((value) => value.length >= 8)) {
    assert(!text.includes(secret), `the log has ${secret}`);
  }
});

Deno.test("routes: what is not a WebSocket of AudioHook leaves no trace in the data", async () => {
  await using server = await TestServer.start();
  for (const target of ["/", ENDPOINT, `${ENDPOINT}/x`, "/healthz"]) {
    const response = await fetch(`http://${server.authority}${target}`);
    await response.body?.cancel();
  }
  assertEquals(await server.data.files(), []);
});
