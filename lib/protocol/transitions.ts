/**
 * The session's state machine, as one table for both roles (protocol sections 6 to 14).
 *
 * role → state → sent or received → message → next state. What is not in the table is a protocol
 * error. `audio` stands for a binary frame. A row lists more for receiving than the peer may send
 * in that state, where the peer can't know yet that we changed state: those are in flight.
 *
 * The pauses are not here: they are two facts of their own, and change nothing about which
 * messages are allowed.
 *
 * Imports types only.
 */
import type { ClientMessageType } from "./client_messages.ts";
import type { ServerMessageType } from "./server_messages.ts";

/** Genesys Cloud is the client, we are the server. */
export type Role = "client" | "server";

/**
 * `idle`: connected, no `open` yet; `opening`: `open` is being answered; `open`: audio and events
 * flow; `disconnecting`: the server asked for the end; `closing`: the client sent `close`, the
 * last results may follow; `closed`: the session is over, the client ends the connection.
 * `refusing` and `withdrawing` are `disconnecting` and `closing` of a session that was never
 * opened, in which there are neither audio nor events.
 */
export type SessionState =
  | "idle"
  | "opening"
  | "open"
  | "refusing"
  | "disconnecting"
  | "withdrawing"
  | "closing"
  | "closed";

/** What a role may send or receive in one state, and where it leads. */
export interface StateRow<Sent extends string, Received extends string> {
  /** What we may send. */
  readonly send: Readonly<Partial<Record<Sent, SessionState>>>;
  /** What the peer may have sent. */
  readonly receive: Readonly<Partial<Record<Received, SessionState>>>;
}

type ClientSends = ClientMessageType | "audio";
type ServerSends = ServerMessageType | "audio";

/** The rows of both roles. */
export interface TransitionTable {
  readonly server: Readonly<Record<SessionState, StateRow<ServerSends, ClientSends>>>;
  readonly client: Readonly<Record<SessionState, StateRow<ClientSends, ServerSends>>>;
}

/** The state machine of both roles. */
export const TRANSITIONS = {
  server: {
    idle: {
      receive: { open: "opening", close: "withdrawing" },
      send: { disconnect: "refusing" },
    },
    opening: {
      receive: { close: "withdrawing", error: "opening" },
      send: { opened: "open", disconnect: "refusing" },
    },
    open: {
      receive: {
        audio: "open",
        ping: "open",
        paused: "open",
        resumed: "open",
        discarded: "open",
        update: "open",
        dtmf: "open",
        playback_started: "open",
        playback_completed: "open",
        error: "open",
        close: "closing",
      },
      send: {
        audio: "open",
        pong: "open",
        pause: "open",
        resume: "open",
        updated: "open",
        event: "open",
        reconnect: "open",
        disconnect: "disconnecting",
      },
    },
    refusing: {
      // `open` and `error` may be in flight when we send `disconnect`.
      receive: { open: "refusing", error: "refusing", close: "withdrawing" },
      send: {},
    },
    disconnecting: {
      receive: {
        // All but `close` may be in flight when we send `disconnect`.
        audio: "disconnecting",
        ping: "disconnecting",
        paused: "disconnecting",
        resumed: "disconnecting",
        discarded: "disconnecting",
        update: "disconnecting",
        dtmf: "disconnecting",
        playback_started: "disconnecting",
        playback_completed: "disconnecting",
        error: "disconnecting",
        close: "closing",
      },
      send: { event: "disconnecting", pong: "disconnecting" },
    },
    withdrawing: {
      receive: {},
      send: { closed: "closed" },
    },
    closing: {
      receive: {},
      send: { event: "closing", closed: "closed" },
    },
    closed: { receive: {}, send: {} },
  },
  client: {
    idle: {
      receive: { disconnect: "refusing" },
      send: { open: "opening", close: "withdrawing" },
    },
    opening: {
      receive: { opened: "open", disconnect: "refusing" },
      send: { error: "opening", close: "withdrawing" },
    },
    open: {
      receive: {
        audio: "open",
        pong: "open",
        pause: "open",
        resume: "open",
        updated: "open",
        event: "open",
        reconnect: "open",
        disconnect: "disconnecting",
      },
      send: {
        audio: "open",
        ping: "open",
        paused: "open",
        resumed: "open",
        discarded: "open",
        update: "open",
        dtmf: "open",
        playback_started: "open",
        playback_completed: "open",
        error: "open",
        close: "closing",
      },
    },
    refusing: {
      receive: {},
      send: { error: "refusing", close: "withdrawing" },
    },
    disconnecting: {
      receive: { event: "disconnecting", pong: "disconnecting" },
      send: { error: "disconnecting", close: "closing" },
    },
    withdrawing: {
      // `opened` and `disconnect` may be in flight when we send `close`.
      receive: { opened: "closing", disconnect: "withdrawing", closed: "closed" },
      send: {},
    },
    closing: {
      receive: {
        // All but `closed` may be in flight when we send `close`.
        audio: "closing",
        pong: "closing",
        pause: "closing",
        resume: "closing",
        updated: "closing",
        reconnect: "closing",
        disconnect: "closing",
        event: "closing",
        closed: "closed",
      },
      send: {},
    },
    closed: { receive: {}, send: {} },
  },
} as const satisfies TransitionTable;

/**
 * Looks up where a message leads.
 *
 * @returns The next state, or `undefined` if the message is not allowed.
 */
export function nextState(
  role: Role,
  state: SessionState,
  direction: "send" | "receive",
  message: ClientSends | ServerSends,
): SessionState | undefined {
  const row: Partial<Record<string, SessionState>> = TRANSITIONS[role][state][direction];
  return Object.hasOwn(row, message) ? row[message] : undefined;
}
