import { assertEquals } from "@std/assert";
import {
  clientMessage,
  openParameters,
  ORGANIZATION_ID,
  OTHER_UUID,
  SESSION_ID,
  type WireClient,
  type WireMessage,
} from "../helpers/protocol_wire.ts";
import { assertCloses, assertRefused, connect, open } from "../helpers/server_session.ts";

// --- Sections 3 and 4: identity, envelope, counting ------------------------------------------

Deno.test("session: another organizationId is refused as unauthorized, once", () => {
  const client = connect();
  client.send("open", openParameters({ organizationId: OTHER_UUID }));
  assertEquals(client.eventTypes(), ["violation"]);
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.parameters.reason, "unauthorized");
  assertEquals(JSON.stringify(disconnect).includes(OTHER_UUID), false);
  assertCloses(client);
});

Deno.test("session: UUIDs are compared without regard to case", () => {
  const client = connect();
  client.send("open", openParameters({ organizationId: ORGANIZATION_ID.toUpperCase() }), {
    id: SESSION_ID.toUpperCase(),
  });
  assertEquals(client.eventTypes(), ["open"]);
});

Deno.test("session: another id is refused as error", () => {
  const client = connect();
  client.send("open", openParameters(), { id: OTHER_UUID });
  assertRefused(client);
  assertCloses(client);
  const later = open();
  later.send("ping", {}, { id: OTHER_UUID });
  assertRefused(later);
  assertCloses(later);
});

interface Fault {
  readonly what: string;
  /** Sends the faulty frame, as the client's next message. */
  readonly commit: (client: WireClient) => void;
}

/** A frame whose `seq` can't be read uses a number all the same: it is the next text message. */
function raw(text: string): (client: WireClient) => void {
  return (client) => {
    client.seq++;
    client.session.receiveText(text, client.nowMs);
  };
}

const FAULTS: readonly Fault[] = [
  {
    what: "a seq that leaves one out",
    commit: (client) => client.send("ping", {}, { seq: client.seq + 2 }),
  },
  {
    what: "a seq that is far too high",
    commit: (client) => client.send("ping", {}, { seq: 1_000_000 }),
  },
  {
    what: "a serverseq above what we have sent",
    commit: (client) => client.send("ping", {}, { serverseq: client.serverseq + 1 }),
  },
  { what: "another id", commit: (client) => client.send("ping", {}, { id: OTHER_UUID }) },
  { what: "another version", commit: (client) => client.send("ping", {}, { version: "3" }) },
  {
    what: "a bad parameter",
    commit: (client) => client.send("update", { language: 1 }),
  },
  {
    what: "a missing parameter",
    commit: (client) => client.send("resumed", { start: "PT0S" }),
  },
  {
    what: "a bad position",
    commit: (client) => client.send("ping", {}, { position: "PT9e-7S" }),
  },
  {
    what: "no parameters",
    commit: (client) => {
      const { parameters: _, ...message } = clientMessage("ping", {}, {
        seq: ++client.seq,
        serverseq: client.serverseq,
      });
      client.session.receiveText(JSON.stringify(message), client.nowMs);
    },
  },
  {
    what: "a message that the state does not allow",
    commit: (client) => client.send("open", openParameters()),
  },
  { what: "malformed JSON", commit: raw('{"version":"2",') },
  { what: "text that is no object", commit: raw("[]") },
  { what: "an empty text", commit: raw("") },
  {
    what: "a message without seq",
    commit: raw(JSON.stringify({ version: "2", id: SESSION_ID, type: "ping", parameters: {} })),
  },
  { what: "a text of more than 65,535 bytes", commit: raw(`"${"x".repeat(70_000)}"`) },
  { what: "a text that is nested too deep", commit: raw("[".repeat(10_000)) },
];

for (const { what, commit } of FAULTS) {
  Deno.test(`session: ${what} is answered by one disconnect with error`, () => {
    const client = open();
    client.send("ping");
    client.receiveOne("pong");
    commit(client);
    assertRefused(client);
    assertEquals(client.session.state, "disconnecting");
    commit(client);
    assertEquals(client.receive(), []);
  });

  Deno.test(`session: after ${what} the client's close is still answered by closed`, () => {
    const client = open();
    client.send("ping");
    client.receiveOne("pong");
    commit(client);
    client.receiveOne("disconnect");
    assertCloses(client);
  });

  Deno.test(`session: after ${what} a ping in flight is still answered by its pong`, () => {
    const client = open();
    commit(client);
    client.receiveOne("disconnect");
    client.send("ping");
    assertEquals(client.receiveOne("pong").clientseq, client.seq);
    assertCloses(client);
  });
}

Deno.test("session: a seq that is repeated is refused, and clientseq stays the highest", () => {
  const client = open();
  client.send("ping");
  client.send("ping");
  client.receive();
  client.send("ping", {}, { seq: 2 });
  const disconnect = client.receiveOne("disconnect");
  assertEquals(disconnect.clientseq, 3);
});

Deno.test("session: the first message must have seq 1 and serverseq 0", () => {
  for (const envelope of [{ seq: 2 }, { serverseq: 1 }] as Partial<WireMessage>[]) {
    const client = connect();
    client.send("open", openParameters(), envelope);
    assertRefused(client);
  }
});

Deno.test("session: a serverseq below what we have sent is fine", () => {
  const client = open();
  client.session.pause(0);
  client.session.pause(0);
  client.send("ping", {}, { serverseq: 0 });
  assertEquals(client.eventTypes(), []);
  assertEquals(client.receiveTypes(), ["pause", "pause", "pong"]);
});

Deno.test("session: an unknown type is counted, reported and otherwise ignored", () => {
  const client = connect();
  client.send("hello", { any: 1 });
  assertEquals(client.events(), [{ type: "unknown", messageType: "hello" }]);
  client.send("open", openParameters());
  assertEquals(client.eventTypes(), ["open"]);
  client.session.opened({}, 0);
  assertEquals(client.receiveOne("opened").clientseq, 2);
  client.send("hello");
  client.send("ping");
  assertEquals(client.receiveOne("pong").clientseq, 4);
});

Deno.test("session: unknown fields of known messages are ignored", () => {
  const client = open();
  client.session.receiveText(
    JSON.stringify({
      ...clientMessage("ping", { rtt: "PT0.01S", added: {} }, { seq: 2, serverseq: 1 }),
      added: [1],
    }),
    0,
  );
  client.seq = 2;
  assertEquals(client.receiveOne("pong").clientseq, 2);
  assertEquals(client.eventTypes(), []);
});

Deno.test("session: info names the fault without repeating a value", () => {
  const marker = "ZqMarkerQz";
  const client = open();
  client.send("update", { language: `${marker} ${marker}` });
  const { info } = client.receiveOne("disconnect").parameters;
  assertEquals(String(info).includes(marker), false);
  assertEquals(String(info).includes("language"), true);
});
