import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  nextState,
  type Role,
  type SessionState,
  TRANSITIONS,
} from "../../lib/protocol/transitions.ts";
import { CLIENT_MESSAGES, SERVER_MESSAGES } from "../helpers/protocol_wire.ts";

// The table once more, written down from sections 5 to 15. A name alone means that the state stays.
type Row = Readonly<Record<string, SessionState | "same">>;
interface Expected {
  readonly server: { readonly receive: Row; readonly send: Row };
  readonly client: { readonly receive: Row; readonly send: Row };
}

function same(...names: readonly string[]): Row {
  return Object.fromEntries(names.map((name) => [name, "same"]));
}

// What the client sends in an open session, `close` left out (sections 5, 8 to 11, 15).
const CLIENT_TALK = same(
  "audio",
  "ping",
  "paused",
  "resumed",
  "discarded",
  "update",
  "error",
  "dtmf",
  "playback_started",
  "playback_completed",
);
// What the server sends in an open session, `disconnect` left out.
const SERVER_TALK = same(
  "audio",
  "pong",
  "pause",
  "resume",
  "updated",
  "event",
  "reconnect",
);

const EXPECTED: Readonly<Record<SessionState, Expected>> = {
  // Section 6.1: the client begins, by `open`. Section 13.1: `close` may come in any state. Section
  // 3: a server that refuses sends `disconnect`.
  idle: {
    server: {
      receive: { open: "opening", close: "withdrawing" },
      send: { disconnect: "refusing" },
    },
    client: {
      receive: { disconnect: "refusing" },
      send: { open: "opening", close: "withdrawing" },
    },
  },
  // Section 6.1: no audio before `opened`; 6.7: `disconnect` in its place; 11: no ping during open.
  opening: {
    server: {
      receive: { error: "same", close: "withdrawing" },
      send: { opened: "open", disconnect: "refusing" },
    },
    client: {
      receive: { opened: "open", disconnect: "refusing" },
      send: { error: "same", close: "withdrawing" },
    },
  },
  open: {
    server: {
      receive: { ...CLIENT_TALK, close: "closing" },
      send: { ...SERVER_TALK, disconnect: "disconnecting" },
    },
    client: {
      receive: { ...SERVER_TALK, disconnect: "disconnecting" },
      send: { ...CLIENT_TALK, close: "closing" },
    },
  },
  // Section 14: `disconnect` is sent once. Never opened: no events (12), no pings (11). The client's
  // `open` may have crossed a `disconnect` sent before it.
  refusing: {
    server: { receive: { open: "same", error: "same", close: "withdrawing" }, send: {} },
    client: { receive: {}, send: { error: "same", close: "withdrawing" } },
  },
  // Section 14: after `disconnect` only `event`, `pong` and `closed`. The client answers `close`;
  // what it sent before it knew is still on its way.
  disconnecting: {
    server: {
      receive: { ...CLIENT_TALK, close: "closing" },
      send: same("event", "pong"),
    },
    client: {
      receive: same("event", "pong"),
      send: { error: "same", close: "closing" },
    },
  },
  // Section 13, for a session that was never opened. For the client `opened` and `disconnect` may
  // have crossed its `close`: then the session was open for the server.
  withdrawing: {
    server: { receive: {}, send: { closed: "closed" } },
    client: {
      receive: { opened: "closing", disconnect: "same", closed: "closed" },
      send: {},
    },
  },
  // Section 13: no more audio; the last events, then `closed`.
  closing: {
    server: { receive: {}, send: { event: "same", closed: "closed" } },
    client: {
      receive: { ...SERVER_TALK, disconnect: "same", closed: "closed" },
      send: {},
    },
  },
  closed: {
    server: { receive: {}, send: {} },
    client: { receive: {}, send: {} },
  },
};

const STATES = Object.keys(EXPECTED) as SessionState[];
const CLIENT_NAMES = [...Object.keys(CLIENT_MESSAGES), "audio"];
const SERVER_NAMES = [...Object.keys(SERVER_MESSAGES), "audio"];
const SENT_BY = { client: CLIENT_NAMES, server: SERVER_NAMES } as const;
const ROLES = ["client", "server"] as const;

type Direction = "send" | "receive";
type Name = Parameters<typeof nextState>[3];

function next(role: Role, state: SessionState, direction: Direction, name: string) {
  return nextState(role, state, direction, name as Name);
}

function sender(role: Role, direction: Direction): Role {
  if (direction === "send") return role;
  return role === "client" ? "server" : "client";
}

Deno.test("transitions: both roles have exactly the states that are known here", () => {
  for (const role of ROLES) {
    assertEquals(Object.keys(TRANSITIONS[role]).toSorted(), STATES.toSorted());
  }
  assertEquals(Object.keys(TRANSITIONS).toSorted(), ["client", "server"]);
});

Deno.test("transitions: no row has a message that its sender does not have in section 5", () => {
  for (const role of ROLES) {
    for (const state of STATES) {
      for (const direction of ["send", "receive"] as const) {
        for (const name of Object.keys(TRANSITIONS[role][state][direction])) {
          assert(
            SENT_BY[sender(role, direction)].includes(name),
            `${role} ${state} ${direction} ${name}`,
          );
        }
      }
    }
  }
});

for (const role of ROLES) {
  for (const state of STATES) {
    for (const direction of ["send", "receive"] as const) {
      Deno.test(`transitions: what the ${role} may ${direction} while ${state}`, () => {
        const row = EXPECTED[state][role][direction];
        for (const name of SENT_BY[sender(role, direction)]) {
          const expected = row[name] === "same" ? state : row[name];
          assertEquals(next(role, state, direction, name), expected, name);
        }
      });
    }
  }
}

Deno.test("transitions: names of object properties are no messages", () => {
  for (const name of ["toString", "constructor", "__proto__", "hasOwnProperty", ""]) {
    assertEquals(next("server", "open", "receive", name), undefined);
  }
});

Deno.test("transitions: a closed session sends and receives nothing", () => {
  for (const role of ROLES) {
    for (const name of new Set([...CLIENT_NAMES, ...SERVER_NAMES])) {
      assertEquals(next(role, "closed", "send", name), undefined);
      assertEquals(next(role, "closed", "receive", name), undefined);
    }
  }
});

Deno.test("transitions: the client can close in every state before close (section 13)", () => {
  for (const state of ["idle", "opening", "open", "refusing", "disconnecting"] as const) {
    assertNotEquals(next("client", state, "send", "close"), undefined, state);
    assertNotEquals(next("server", state, "receive", "close"), undefined, state);
  }
});

Deno.test("transitions: nothing but close leads to closing, and closed follows only on it", () => {
  for (const state of STATES) {
    const expected = state === "withdrawing" || state === "closing" ? "closed" : undefined;
    assertEquals(next("server", state, "send", "closed"), expected, state);
  }
});

/** Names whose columns are alike in all rows of both roles are one: nothing can tell them apart. */
function representatives(names: readonly string[], from: Role): string[] {
  const to = from === "client" ? "server" : "client";
  const classes = new Map<string, string>();
  for (const name of names) {
    const column = STATES.map((state) => [
      next(from, state, "send", name) ?? "-",
      next(to, state, "receive", name) ?? "-",
    ]);
    const key = JSON.stringify(column);
    if (!classes.has(key)) classes.set(key, name);
  }
  return [...classes.values()];
}

interface Global {
  readonly client: SessionState;
  readonly server: SessionState;
  readonly toServer: readonly string[];
  readonly toClient: readonly string[];
}

const keyOf = (at: Global) =>
  `${at.client} ${at.server} ${at.toServer.join(",")} ${at.toClient.join(",")}`;

/** Explores all that both roles can do, with this many frames under way in each direction. */
function explore(most: number): { visited: Map<string, Global>; faults: string[] } {
  const names = {
    client: representatives(CLIENT_NAMES, "client"),
    server: representatives(SERVER_NAMES, "server"),
  };
  const start: Global = { client: "idle", server: "idle", toServer: [], toClient: [] };
  const visited = new Map([[keyOf(start), start]]);
  const cameFrom = new Map<string, [string, string]>();
  const faults: string[] = [];
  const todo = [start];

  const trace = (key: string): string => {
    const steps: string[] = [];
    for (let at: string | undefined = key; at !== undefined;) {
      const step = cameFrom.get(at);
      if (step !== undefined) steps.unshift(step[1]);
      at = step?.[0];
    }
    return steps.join("; ");
  };
  const go = (from: string, step: string, to: Global): void => {
    const key = keyOf(to);
    if (visited.has(key)) return;
    visited.set(key, to);
    cameFrom.set(key, [from, step]);
    todo.push(to);
  };

  for (let at = todo.shift(); at !== undefined; at = todo.pop()) {
    const key = keyOf(at);
    if (at.toServer.length < most) {
      for (const name of names.client) {
        const client = next("client", at.client, "send", name);
        if (client === undefined) continue;
        go(key, `client sends ${name}`, { ...at, client, toServer: [...at.toServer, name] });
      }
    }
    if (at.toClient.length < most) {
      for (const name of names.server) {
        const server = next("server", at.server, "send", name);
        if (server === undefined) continue;
        go(key, `server sends ${name}`, { ...at, server, toClient: [...at.toClient, name] });
      }
    }
    const [first, ...rest] = at.toServer;
    if (first !== undefined) {
      const server = next("server", at.server, "receive", first);
      if (server === undefined) {
        faults.push(`server receives ${first} while ${at.server}: ${trace(key)}`);
      } else go(key, `server receives ${first}`, { ...at, server, toServer: rest });
    }
    const [head, ...tail] = at.toClient;
    if (head !== undefined) {
      const client = next("client", at.client, "receive", head);
      if (client === undefined) {
        faults.push(`client receives ${head} while ${at.client}: ${trace(key)}`);
      } else go(key, `client receives ${head}`, { ...at, client, toClient: tail });
    }
  }
  return { visited, faults };
}

Deno.test("transitions: whatever one role may send, the other can receive when it arrives", () => {
  const { visited, faults } = explore(4);
  assert(visited.size > 1000);
  assertEquals(faults.slice(0, 5), []);
});

Deno.test("transitions: both roles end closed, with nothing under way, or can go on", () => {
  const { visited } = explore(2);
  for (const at of visited.values()) {
    const clientIsStuck = CLIENT_NAMES.every((name) => !next("client", at.client, "send", name));
    const serverIsStuck = SERVER_NAMES.every((name) => !next("server", at.server, "send", name));
    if (clientIsStuck && serverIsStuck && at.toClient.length + at.toServer.length === 0) {
      assertEquals([at.client, at.server], ["closed", "closed"]);
    }
    if (at.server === "closed" && at.toClient.length === 0) assertEquals(at.client, "closed");
  }
});

Deno.test("transitions: every state of both roles is reached", () => {
  const { visited } = explore(2);
  const reached = { client: new Set<string>(), server: new Set<string>() };
  for (const at of visited.values()) {
    reached.client.add(at.client);
    reached.server.add(at.server);
  }
  assertEquals([...reached.client].toSorted(), STATES.toSorted());
  assertEquals([...reached.server].toSorted(), STATES.toSorted());
});

Deno.test("transitions: what may be received but never arrives is not in the table", () => {
  // A row that allows more than the peer can have sent would hide a fault of the peer.
  const arrives = new Set<string>();
  for (const at of explore(3).visited.values()) {
    if (at.toServer[0] !== undefined) arrives.add(`server ${at.server} ${at.toServer[0]}`);
    if (at.toClient[0] !== undefined) arrives.add(`client ${at.client} ${at.toClient[0]}`);
  }
  const known = {
    client: representatives(SERVER_NAMES, "server"),
    server: representatives(CLIENT_NAMES, "client"),
  };
  for (const role of ROLES) {
    for (const state of STATES) {
      for (const name of known[role]) {
        if (next(role, state, "receive", name) === undefined) continue;
        assert(arrives.has(`${role} ${state} ${name}`), `${role} ${state} ${name}`);
      }
    }
  }
});
