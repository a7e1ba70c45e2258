import { assertEquals, assertThrows } from "@std/assert";
import {
  LocalProtocolError,
  type ServerSession,
  type SessionState,
} from "../../lib/protocol/mod.ts";
import { EXTERNAL, openParameters, type WireClient } from "../helpers/protocol_wire.ts";
import { BARGE_IN, connect, note, offer, open, openBot } from "../helpers/server_session.ts";

// --- Our own faults ----------------------------------------------------------------------------

const REACH: Readonly<Record<SessionState, () => WireClient>> = {
  idle: () => connect(),
  opening: () => {
    const client = connect();
    client.send("open", openParameters({ media: [EXTERNAL] }));
    return client;
  },
  open: () => openBot(),
  refusing: () => {
    const client = REACH.opening();
    client.session.disconnect("error", undefined, undefined, 0);
    return client;
  },
  disconnecting: () => {
    const client = openBot();
    client.send("update", { language: "es" });
    client.session.disconnect("completed", undefined, undefined, 0);
    return client;
  },
  withdrawing: () => {
    const client = REACH.opening();
    client.send("close", { reason: "end" });
    return client;
  },
  closing: () => {
    const client = openBot();
    client.send("update", { language: "es" });
    client.send("close", { reason: "end" });
    return client;
  },
  closed: () => {
    const client = REACH.closing();
    client.session.closed(undefined, 0);
    return client;
  },
};

interface Action {
  readonly act: (session: ServerSession) => void;
  readonly allowed: readonly SessionState[];
}

const ACTIONS: Readonly<Record<string, Action>> = {
  opened: { act: (session) => session.opened({ media: offer(EXTERNAL) }, 0), allowed: ["opening"] },
  "opened without media": { act: (session) => session.opened({}, 0), allowed: ["opening"] },
  sendEvent: {
    act: (session) => session.sendEvent([note(1)], 0),
    allowed: ["open", "disconnecting", "closing"],
  },
  "sendEvent of barge_in": {
    act: (session) => session.sendEvent([BARGE_IN], 0),
    allowed: ["open", "disconnecting", "closing"],
  },
  pause: { act: (session) => session.pause(0), allowed: ["open"] },
  resume: { act: (session) => session.resume(0), allowed: ["open"] },
  updated: { act: (session) => session.updated(0), allowed: [] },
  play: { act: (session) => session.play(new Uint8Array(160), 0), allowed: ["open"] },
  disconnect: {
    act: (session) => session.disconnect("error", undefined, undefined, 0),
    allowed: ["idle", "opening", "open"],
  },
  reconnect: { act: (session) => session.reconnect(undefined, 0), allowed: ["open"] },
  closed: { act: (session) => session.closed(undefined, 0), allowed: ["withdrawing", "closing"] },
};

for (const state of Object.keys(REACH) as SessionState[]) {
  Deno.test(`session: what the application may do while ${state}, and nothing else`, () => {
    for (const [name, { act, allowed }] of Object.entries(ACTIONS)) {
      const client = REACH[state]();
      assertEquals(client.session.state, state);
      client.receive();
      client.events();
      const before = { paused: client.session.paused, deadline: client.session.deadlineMs };
      if (allowed.includes(state)) {
        act(client.session);
        assertEquals(client.receive().length, 1, name);
        continue;
      }
      assertThrows(() => act(client.session), LocalProtocolError, undefined, name);
      assertEquals(client.receive(), [], name);
      assertEquals(client.events(), [], name);
      assertEquals(client.session.state, state, name);
      assertEquals(client.session.paused, before.paused, name);
      assertEquals(client.session.deadlineMs, before.deadline, name);
      // Whatever is sent next has the next number: WireClient checks it.
      if (state === "idle" || state === "opening" || state === "open") {
        client.session.disconnect("error", undefined, undefined, 0);
        client.receiveOne("disconnect");
      }
      if (client.session.state !== "closed") {
        if (client.session.state === "refusing" || client.session.state === "disconnecting") {
          client.send("close", { reason: "disconnect" });
        }
        client.session.closed(undefined, 0);
        client.receiveOne("closed");
      }
    }
  });
}

Deno.test("session: a message that is too large is not sent, and changes nothing", () => {
  const huge = "x".repeat(64_000);
  const client = open();
  assertThrows(
    () => client.session.disconnect("error", huge, undefined, 0),
    LocalProtocolError,
  );
  assertThrows(() => client.session.reconnect(huge, 0), LocalProtocolError);
  assertEquals(client.session.state, "open");
  assertEquals(client.receive(), []);
  client.session.disconnect("error", "small", undefined, 0);
  client.receiveOne("disconnect");
  client.send("close", { reason: "disconnect" });
  assertThrows(() => client.session.closed({ huge }, 0), LocalProtocolError);
  assertEquals(client.session.state, "closing");
  client.session.closed({}, 0);
  client.receiveOne("closed");
});
