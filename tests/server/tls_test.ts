/**
 * A server that speaks TLS: calls over `wss:`, and clients that can't, won't, or never finish a
 * handshake.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { CertificateAuthority, type Issued } from "../helpers/certificates.ts";
import { until, within } from "../helpers/deadline.ts";
import { watchDefects } from "../helpers/defects.ts";
import { RawSocket } from "../helpers/raw_socket.ts";
import { TestServer } from "../helpers/test_server.ts";
import { assertWav, noise } from "../helpers/wav_check.ts";
import { ENDPOINT, WireClient } from "../helpers/wire_client.ts";

const root = await CertificateAuthority.create();
const intermediate = await root.authority();
const leaf = await intermediate.issue();
const tls: Issued = { cert: leaf.cert + intermediate.cert, key: leaf.key };

/** A client that knows the authority. */
function trusting(): Deno.HttpClient {
  return Deno.createHttpClient({ caCerts: [root.cert] });
}

/** A whole call, and what was recorded of it. */
async function assertCall(server: TestServer, tlsClient: Deno.HttpClient): Promise<void> {
  await using client = await server.connect({ tlsClient });
  await client.open();
  const audio = noise(16_000);
  client.sendAudio(audio.slice(0, 7000));
  client.sendAudio(audio.slice(7000));
  await client.close();
  await client.hangUp();
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: audio });
  assertEquals(metadata.isComplete, true);
}

Deno.test("TLS: a call over wss is recorded exactly", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start({ tls });
  using client = trusting();
  await assertCall(server, client);
});

Deno.test("TLS: with an RSA certificate too", async () => {
  const { cert, key } = await intermediate.issue({ kind: "RSA" });
  await using server = await TestServer.start({ tls: { cert: cert + intermediate.cert, key } });
  using client = trusting();
  await assertCall(server, client);
});

Deno.test("TLS: a request whose signature is wrong is refused as without TLS", async () => {
  await using server = await TestServer.start({ tls });
  using tlsClient = trusting();
  const authority = `127.0.0.1:${server.addr.port + 1}`;
  await assertRejects(() => server.connect({ tlsClient, authority }), Error, "refused");
  const response = await fetch(`https://${server.authority}/healthz`, { client: tlsClient });
  assertEquals([response.status, await response.text()], [200, "ok\n"]);
});

Deno.test("TLS: a client that does not trust the certificate gets no connection, others do", async () => {
  using _defects = watchDefects();
  const expired = await intermediate.issue({ fromMs: -2000, toMs: -1000 });
  using knowing = trusting();
  using unknowing = Deno.createHttpClient({});
  await using good = await TestServer.start({ tls });
  await assertRejects(() => good.connect({ tlsClient: unknowing }), Error, "refused");
  await assertCall(good, knowing);
  await using late = await TestServer.start({
    tls: { cert: expired.cert + intermediate.cert, key: expired.key },
  });
  await assertRejects(() => late.connect({ tlsClient: knowing }), Error, "refused");
  await using chainless = await TestServer.start({ tls: leaf });
  await assertRejects(() => chainless.connect({ tlsClient: knowing }), Error, "refused");
});

Deno.test("TLS: plain HTTP and plain ws get no connection, and harm nobody", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start({ tls });
  await using socket = await RawSocket.connect(server.addr.port);
  await socket.request(ENDPOINT, { Host: server.authority });
  await socket.end();
  await assertRejects(() => WireClient.connect(server), Error, "refused");
  using client = trusting();
  await assertCall(server, client);
});

/** The first message of a handshake, for a version of TLS before 1.3. */
function clientHello(minorVersion: number): Uint8Array<ArrayBuffer> {
  const sized = (bytes: number[], size: 1 | 2 | 3) => {
    const length = [bytes.length >> 16, bytes.length >> 8 & 0xFF, bytes.length & 0xFF];
    return [...length.slice(3 - size), ...bytes];
  };
  const extension = (type: number, content: number[]) => [0, type, ...sized(content, 2)];
  const extensions = [
    ...extension(10, sized([0, 0x17, 0, 0x18], 2)), // P-256, P-384
    ...extension(11, sized([0], 1)),
    ...extension(13, sized([4, 3, 4, 1], 2)), // ECDSA, RSA with SHA-256
    ...extension(23, []),
  ];
  // ECDHE with AES-GCM, and what the older versions had.
  const suites = [0xC0, 0x2B, 0xC0, 0x2F, 0xC0, 0x09, 0xC0, 0x13, 0, 0x2F];
  const hello = [
    3,
    minorVersion,
    ...crypto.getRandomValues(new Uint8Array(32)),
    0,
    ...sized(suites, 2),
    1,
    0,
    ...sized(extensions, 2),
  ];
  return new Uint8Array([22, 3, 1, ...sized([1, ...sized(hello, 3)], 2)]);
}

const ALERT = 21;
const HANDSHAKE = 22;

Deno.test("TLS: versions 1.0 and 1.1 are refused, 1.2 is not", async () => {
  await using server = await TestServer.start({ tls });
  for (const [minorVersion, answer] of [[1, ALERT], [2, ALERT], [3, HANDSHAKE]] as const) {
    const { hostname, port } = server.addr;
    using connection = await Deno.connect({ hostname, port });
    await connection.write(clientHello(minorVersion));
    const record = new Uint8Array(1);
    await within(connection.read(record), `answer to version 3.${minorVersion}`);
    assertEquals(record[0], answer, `answer to version 3.${minorVersion}`);
  }
});

Deno.test("TLS: clients that abort the handshake at any point harm nobody", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start({ tls });
  const hello = clientHello(3);
  for (const sent of [0, 1, 5, 6, 40, hello.length - 1, hello.length]) {
    await using socket = await RawSocket.connect(server.addr.port);
    await socket.write(hello.slice(0, sent));
    socket.drop();
  }
  for (const junk of [noise(5000), new Uint8Array([22, 3, 1, 0xFF, 0xFF, ...noise(100)])]) {
    await using socket = await RawSocket.connect(server.addr.port);
    await socket.write(junk).catch(() => {});
    socket.drop();
  }
  using client = trusting();
  await assertCall(server, client);
  assertEquals(server.server.connectionCount, 0);
});

Deno.test("TLS: clients that stall in the handshake hold up neither others nor the stop", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start({ tls });
  const hello = clientHello(3);
  const stalled: RawSocket[] = [];
  try {
    for (const sent of [0, 3, 40, hello.length]) {
      const socket = await RawSocket.connect(server.addr.port);
      stalled.push(socket);
      await socket.write(hello.slice(0, sent));
    }
    using client = trusting();
    await assertCall(server, client);
    await within(server.stop(3_600_000), "shutdown");
    await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port: server.addr.port }));
  } finally {
    for (const socket of stalled) socket.drop();
  }
});

Deno.test("TLS: the stop asks the clients of sessions to go elsewhere, and waits for them", async () => {
  await using server = await TestServer.start({ tls });
  using tlsClient = trusting();
  await using client = await server.connect({ tlsClient });
  await client.open();
  const stopping = server.stop(20_000);
  assertEquals((await client.expect("disconnect")).parameters.reason, "error");
  client.sendAudio(noise(800));
  await client.close("disconnect");
  await within(stopping, "shutdown");
  const { wav, metadata } = await server.recording(client.id);
  assertWav(wav, { format: "PCMU", channels: 2, data: noise(800) });
  assertEquals(metadata.isComplete, true);
});

Deno.test("TLS: HTTP/2 is for plain requests; who offers HTTP/1.1 alone, or nothing, has it", async () => {
  using _defects = watchDefects();
  await using server = await TestServer.start({ tls });
  const { hostname, port } = server.addr;
  for (
    const [offer, choice] of [
      [["h2", "http/1.1"], "h2"],
      [["http/1.1"], "http/1.1"],
      [undefined, null],
    ] as const
  ) {
    using connection = await Deno.connectTls({
      hostname,
      port,
      caCerts: [root.cert],
      ...(offer === undefined ? {} : { alpnProtocols: [...offer] }),
    });
    const { alpnProtocol } = await within(connection.handshake(), "handshake");
    assertEquals(alpnProtocol, choice);
  }
  using h2 = Deno.createHttpClient({ caCerts: [root.cert], http1: false });
  for (const [path, status] of [["/healthz", 200], [ENDPOINT, 426], ["/elsewhere", 404]] as const) {
    const response = await fetch(`https://${server.authority}${path}`, { client: h2 });
    await response.body?.cancel();
    assertEquals(response.status, status, path);
  }
  // Deno has no WebSocket over HTTP/2 (RFC 8441).
  await assertRejects(() => server.connect({ tlsClient: h2 }), Error, "refused");
});

Deno.test("TLS: a certificate and a key that do not fit are an error of the start", async () => {
  const { key } = await intermediate.issue();
  await assertRejects(() => TestServer.start({ tls: { cert: tls.cert, key } }), Error);
  await assertRejects(() => TestServer.start({ tls: { cert: "", key: "" } }), Error);
});

Deno.test("TLS: many calls at once", async () => {
  await using server = await TestServer.start({ tls });
  using tlsClient = trusting();
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => server.connect({ tlsClient })),
  );
  await Promise.all(clients.map(async (client, index) => {
    await client.open();
    client.sendAudio(noise(4000 + 2 * index));
    await client.close();
    await client.hangUp();
  }));
  await until(() => server.server.connectionCount === 0, "end of all connections");
  for (const [index, client] of clients.entries()) {
    const { wav } = await server.recording(client.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: noise(4000 + 2 * index) });
  }
});
