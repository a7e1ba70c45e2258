/**
 * What the fuzzers found, one test each.
 */
import { assertEquals } from "@std/assert";
import { ClientSession, type OpenParameters } from "../../lib/protocol/mod.ts";
import { until } from "../helpers/deadline.ts";
import { INTERNAL, openParameters, SESSION_ID, WireServer } from "../helpers/protocol_wire.ts";
import { HANDSHAKE, RawSocket } from "../helpers/raw_socket.ts";
import { TestServer } from "../helpers/test_server.ts";
import { ENDPOINT, requestHeaders } from "../helpers/wire_client.ts";

/** The upgrade is begun, and nobody is there any more when it is done. */
async function askAndLeave(server: TestServer): Promise<void> {
  await using socket = await RawSocket.connect(server.addr.port);
  const headers = await requestHeaders(server.authority);
  await socket.request(ENDPOINT, { Host: server.authority, ...HANDSHAKE, ...headers });
}

Deno.test({
  name: "found: a server stops although a client left during the upgrade",
  // Deno never ends the upgrade of such a client; main_resilience_test.ts has the whole program.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const server = await TestServer.start({
      sessionLimits: { openTimeoutMs: 500, closeTimeoutMs: 200 },
    });
    try {
      // Whether the request was taken before the end of the connection was seen is a matter of luck.
      for (let i = 0; i < 10; i++) await askAndLeave(server);
      await until(() => server.server.connectionCount === 0, "end of all connections");
    } finally {
      await server.stop();
    }
    assertEquals(server.server.connectionCount, 0);
    assertEquals(server.server.socketCount, 0);
  },
});

// Audio goes to the caller only in a session of the external channel (protocol section 15).
Deno.test("found: a client takes no audio in a session of the internal channel", () => {
  const server = new WireServer(new ClientSession({ id: SESSION_ID }));
  server.session.open(openParameters({ media: [INTERNAL] }) as unknown as OpenParameters, 0);
  server.receive();
  server.send("opened", { media: [INTERNAL] });
  assertEquals(server.session.receiveAudio(new Uint8Array(160), 0), false);
  assertEquals(server.eventTypes(), ["opened", "violation"]);
});
