// When a call is tried again (protocol section 14), and when it is not.
import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertMatch,
  assertRejects,
} from "@std/assert";
import { backoffMs } from "../../lib/client/retry_rule.ts";
import { CertificateAuthority } from "../helpers/certificates.ts";
import { API_KEY, SECRET } from "../helpers/wire_client.ts";
import { TestServer } from "../helpers/test_server.ts";
import { type RawPeer, RawServer } from "./raw_server.ts";
import { ScriptedServer } from "./scripted_server.ts";
import { eventsOf, type SomeCallOptions, startCall } from "./some_call.ts";

/** Answers all connections from one on as they should be. */
const healthyFrom =
  (index: number, before: (peer: RawPeer) => Promise<void>) =>
  async (peer: RawPeer, count: number): Promise<void> => {
    if (count < index) return await before(peer);
    await peer.openSession();
    await peer.serve();
  };

const refuse = (head: string) => async (peer: RawPeer) => {
  await peer.readHead();
  await peer.write(`HTTP/1.1 ${head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
};

/** What section 14 has the client retry. */
const RETRIED: Readonly<Record<string, (peer: RawPeer) => Promise<void>>> = {
  "a connection that ends before the handshake": async (peer) => void await peer.readHead(),
  "a handshake that never comes": async (peer) => void await peer.drain(),
  "a connection that is lost before open": (peer) => peer.upgrade(),
  "a connection that is lost while open is answered": async (peer) => {
    await peer.upgrade();
    await peer.until("open");
  },
  "an opened that is late": async (peer) => {
    await peer.upgrade();
    await peer.drain();
  },
  "a connection that is lost in mid-call": (peer) => peer.openSession(),
  "a pong that never comes": async (peer) => {
    await peer.openSession();
    await peer.drain();
  },
  "disconnect with error in place of opened": async (peer) => {
    await peer.upgrade();
    await peer.until("open");
    await peer.say("disconnect", { reason: "error" });
    await peer.serve();
  },
  "disconnect with error, and the end of the connection": async (peer) => {
    await peer.openSession();
    await peer.say("disconnect", { reason: "error", info: "x" });
  },
  "503 with Retry-After": refuse("503 Service Unavailable\r\nRetry-After: 0"),
};

/** Where the client waits in vain, it does so for less time than otherwise. */
const IMPATIENT: Readonly<Record<string, Pick<SomeCallOptions, "connectTimeoutMs" | "limits">>> = {
  "a handshake that never comes": { connectTimeoutMs: 2000 },
  "an opened that is late": { limits: { openTimeoutMs: 2000 } },
  "a pong that never comes": { limits: { pongTimeoutMs: 2000 } },
};

for (const [name, fail] of Object.entries(RETRIED)) {
  Deno.test(`retry: ${name} is tried again`, async () => {
    const impatient = IMPATIENT[name];
    await using server = new RawServer(healthyFrom(2, fail));
    const call = startCall(server.url, {
      // Longer than all waits, or it would end by itself.
      seconds: 60,
      speed: 2,
      maxRetries: 5,
      ...impatient,
      limits: { firstPingMs: 20, ...impatient?.limits },
      onEvent: (event) => {
        if (event.type === "opened" && server.count === 3) {
          queueMicrotask(() => call.control.close());
        }
      },
    });
    const outcome = await call.outcome;
    assertEquals(outcome.failure, undefined);
    assertEquals(outcome.attempts, 3);
    assertEquals(eventsOf(call, "retry").map(({ attempt, delayMs }) => [attempt, delayMs]), [
      [1, 5],
      [2, 5],
    ]);
    for (const { why } of eventsOf(call, "retry")) assert(why.length > 5);
    assertEquals(eventsOf(call, "connection-ended").map(({ attempt }) => attempt), [0, 1, 2]);
  });
}

const goodbye = async (peer: RawPeer) => {
  await peer.openSession();
  await peer.write(new Uint8Array([0x88, 2, 3, 0xe9]));
  await peer.drain();
};
const disconnect = (reason: string) => async (peer: RawPeer) => {
  await peer.openSession();
  await peer.say("disconnect", { reason });
  await peer.serve();
};

/** What is not retried, and how it ends. */
const NOT_RETRIED: Readonly<
  Record<string, { readonly fail: (peer: RawPeer) => Promise<void>; readonly failure?: RegExp }>
> = {
  "a refusal by 401": { fail: refuse("401 Unauthorized"), failure: /401/ },
  "a refusal by 404": { fail: refuse("404 Not Found"), failure: /404/ },
  "a refusal by 429": {
    fail: refuse("429 Too Many Requests\r\nRetry-After: 0"),
    failure: /429.*again in 0 s/,
  },
  "a refusal by 503 without a time": { fail: refuse("503 Busy"), failure: /503/ },
  "a refusal by 503 for an hour": {
    fail: refuse("503 Busy\r\nRetry-After: 3600"),
    failure: /503.*3600 s/,
  },
  "a redirect": { fail: refuse("302 Found\r\nLocation: /x"), failure: /302/ },
  "an answer of another protocol": {
    fail: (peer) => peer.write("SSH-2.0-OpenSSH_9.6\r\n"),
    failure: /Cannot connect.*no HTTP/,
  },
  "an upgrade with a wrong key": {
    async fail(peer) {
      await peer.readHead();
      await peer.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Accept: bm9ib2R5\r\n\r\n",
      );
      await peer.drain();
    },
    failure: /Cannot connect.*Sec-WebSocket-Accept/,
  },
  "an upgrade to something else": {
    fail: refuse("101 Switching Protocols\r\nUpgrade: h2c"),
    failure: /Cannot connect/,
  },
  "a refusal by 503 for an hour, by a date": {
    fail: (peer) =>
      refuse(`503 Busy\r\nRetry-After: ${new Date(Date.now() + 3_600_000).toUTCString()}`)(peer),
    failure: /503.*again in 3(600|59\d) s/,
  },
  "a violation": {
    async fail(peer) {
      await peer.openSession();
      await peer.say("closed");
      await peer.serve();
    },
    failure: /section 13/,
  },
  "a violation, and the end of the connection": {
    async fail(peer) {
      await peer.openSession();
      await peer.say("closed");
    },
    failure: /section 13/,
  },
  "media that was not offered": {
    async fail(peer) {
      await peer.upgrade();
      await peer.until("open");
      await peer.say("opened", { media: [{ type: "video" }] });
      await peer.until("close");
    },
    failure: /section 6\.3/,
  },
  "a WebSocket that the server ends": { fail: goodbye, failure: /section 1\): .*1001/ },
  "disconnect with completed": { fail: disconnect("completed") },
  "disconnect with unauthorized": {
    fail: disconnect("unauthorized"),
    failure: /^The server ended the session by "disconnect" with "unauthorized"$/,
  },
  "disconnect with rejected": { fail: disconnect("rejected"), failure: /with "rejected"$/ },
  "a closed that never comes": {
    async fail(peer) {
      await peer.openSession();
      await peer.drain();
    },
    failure: /"closed"/,
  },
  "a connection that is lost after close": {
    async fail(peer) {
      await peer.openSession();
      await peer.until("close");
    },
    failure: /before the session was closed/,
  },
};

for (const [name, { fail, failure }] of Object.entries(NOT_RETRIED)) {
  Deno.test(`retry: ${name} is not tried again`, async () => {
    await using server = new RawServer(fail);
    const call = startCall(server.url, {
      maxRetries: 5,
      speed: 10,
      limits: { closeTimeoutMs: 1500 },
    });
    const outcome = await call.outcome;
    assertEquals(outcome.attempts, 1);
    assertEquals(server.count, 1);
    assertEquals(eventsOf(call, "retry"), []);
    if (failure === undefined) assertEquals(outcome.failure, undefined);
    else assertMatch(outcome.failure ?? "", failure);
  });
}

Deno.test("retry: a certificate of nobody we know is not tried again, and the hint is about it", async () => {
  const { cert, key } = await (await CertificateAuthority.create()).issue();
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const handshake = (async () => {
    using tls = await listener.accept();
    await assertRejects(() => tls.handshake());
  })();
  const call = startCall(new URL(`wss://127.0.0.1:${listener.addr.port}/`), { maxRetries: 5 });
  const outcome = await call.outcome;
  assertMatch(outcome.failure ?? "", /Cannot connect.*certificate.*DENO_CERT/);
  assertEquals(outcome.attempts, 1);
  await handshake;
});

Deno.test("retry: a port with TLS for ws:, and one without for wss:, are not tried again", async () => {
  const { cert, key } = await (await CertificateAuthority.create()).issue();
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const handshake = (async () => {
    using tls = await listener.accept();
    await assertRejects(() => tls.handshake());
  })();
  await using server = new RawServer((peer) => peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const plain = new URL(server.url);
  plain.protocol = "wss:";
  const urls: [url: URL, failure: RegExp][] = [
    [new URL(`ws://127.0.0.1:${listener.addr.port}/`), /Cannot connect.*wants wss:/],
    [plain, /Cannot connect.*wants ws:/],
  ];
  for (const [url, failure] of urls) {
    const outcome = await startCall(url, { maxRetries: 5 }).outcome;
    assertMatch(outcome.failure ?? "", failure);
    assertEquals(outcome.attempts, 1);
  }
  await handshake;
});

Deno.test("retry: a date of Retry-After that has passed is now", async () => {
  const past = "Sun, 06 Nov 1994 08:49:37 GMT";
  await using server = new RawServer(healthyFrom(1, refuse(`503 Busy\r\nRetry-After: ${past}`)));
  const call = startCall(server.url, { maxRetries: 1 });
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(eventsOf(call, "retry").map(({ delayMs }) => delayMs), [5]);
});

Deno.test("retry: without maxRetries, nothing is tried again", async () => {
  await using server = new RawServer((peer) => peer.openSession());
  const outcome = await startCall(server.url, { seconds: 60 }).outcome;
  assertMatch(outcome.failure ?? "", /before the session was closed/);
  assertEquals([outcome.attempts, server.count], [1, 1]);
});

Deno.test("retry: five times at most, and the last failure is the outcome", async () => {
  await using server = new RawServer(async (peer) => void await peer.readHead());
  const call = startCall(server.url, { maxRetries: 99 });
  const outcome = await call.outcome;
  assertMatch(outcome.failure ?? "", /Cannot connect/);
  assertEquals([outcome.attempts, server.count], [6, 6]);
  assertEquals(eventsOf(call, "retry").map(({ attempt }) => attempt), [1, 2, 3, 4, 5]);
});

Deno.test("retry: if each ends by disconnect with error, and closed, that is the failure", async () => {
  await using server = new RawServer(disconnect("error"));
  for (const maxRetries of [0, 2]) {
    const outcome = await startCall(server.url, { seconds: 60, speed: 1, maxRetries }).outcome;
    assertMatch(outcome.failure ?? "", /^The server ended .*"disconnect" with "error"$/);
    assertEquals([outcome.attempts, outcome.violations], [maxRetries + 1, []]);
  }
});

Deno.test("retry: a late answer is told of, even if a retry made good for it", async () => {
  await using server = new RawServer(healthyFrom(1, async (peer) => {
    await peer.upgrade();
    await peer.drain();
  }));
  const outcome = await startCall(server.url, { maxRetries: 1, limits: { openTimeoutMs: 1000 } })
    .outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(outcome.violations.map(({ section }) => section), ["6.1"]);
});

Deno.test("retry: the server's Retry-After is kept to", async () => {
  await using server = new RawServer(
    healthyFrom(1, refuse("503 Service Unavailable\r\nRetry-After: 1")),
  );
  const call = startCall(server.url, { maxRetries: 1 });
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(eventsOf(call, "retry").map(({ delayMs }) => delayMs), [1000]);
});

Deno.test("retry: session and conversation are the same; the signature, seq and attempt are not", async () => {
  const nonces: string[] = [];
  await using server = new ScriptedServer((peer, message) => {
    if (server.peers.length < 3 && message.type === "open") {
      peer.say("disconnect", { reason: "error" });
    } else peer.answer(message);
  });
  const call = startCall(server.url, { maxRetries: 5, apiKey: API_KEY, clientSecret: SECRET });
  assertEquals((await call.outcome).failure, undefined);
  assertEquals(server.peers.length, 3);
  const header = (name: string) => server.requests.map((headers) => headers.get(name));
  assertEquals(header("audiohook-retry-attempt"), ["0", "1", "2"]);
  assertEquals(new Set(header("audiohook-session-id")).size, 1);
  assertEquals(new Set(header("audiohook-correlation-id")).size, 1);
  for (const input of header("signature-input")) {
    nonces.push(/nonce="([^"]+)"/.exec(input ?? "")?.[1] ?? "");
  }
  assertEquals(new Set(nonces).size, 3);
  assertEquals(new Set(header("signature")).size, 3);
  const opens = server.peers.map(({ received }) => received[0]);
  for (const open of opens) {
    assertEquals([open?.type, open?.seq, open?.position], ["open", 1, "PT0S"]);
    assertEquals(open?.id, opens[0]?.id);
    assertEquals(open?.parameters, opens[0]?.parameters);
  }
  for (const { faults } of server.peers) assertEquals(faults, []);
});

Deno.test("retry: our own server takes each of them, with its signature, as a new session", async () => {
  await using server = await TestServer.start();
  const call = startCall(new URL(`ws://${server.authority}/api/v1/audiohook/ws`), {
    seconds: 20,
    speed: 10,
    maxRetries: 3,
    apiKey: API_KEY,
    clientSecret: SECRET,
    onProgress: () => {
      if (eventsOf(call, "connected").length < 3) call.control[drops++ % 2 ? "drop" : "reset"]();
    },
  });
  let drops = 0;
  const outcome = await call.outcome;
  assertEquals(outcome.failure, undefined);
  assertEquals(outcome.attempts, 3);
  assertEquals(outcome.positionSamples, 160_000);
  await server.idle();
});

Deno.test("retry: a call that is closed while it waits for a retry is not tried again", async () => {
  await using server = new RawServer(async (peer) => void await peer.readHead());
  const call = startCall(server.url, {
    maxRetries: 5,
    backoffMs: () => 60_000,
    onEvent: (event) => {
      if (event.type === "retry") setTimeout(() => assertEquals(call.control.close(), true));
    },
  });
  const outcome = await call.outcome;
  assertMatch(outcome.failure ?? "", /Cannot connect/);
  assertEquals(outcome.attempts, 1);
});

Deno.test("retry: delays double, and differ by chance", () => {
  for (let attempt = 1; attempt <= 5; attempt++) {
    const delays = Array.from({ length: 50 }, () => backoffMs(attempt));
    assertLessOrEqual(Math.max(...delays), 1000 * 2 ** (attempt - 1));
    assertLessOrEqual(500 * 2 ** (attempt - 1), Math.min(...delays));
    assertGreater(new Set(delays).size, 1);
  }
});
