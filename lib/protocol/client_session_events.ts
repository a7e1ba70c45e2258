/**
 * What a client session reports to whoever drives it, and the times that it keeps.
 *
 * Imports types only.
 */
import type { EventEntity } from "./entities.ts";
import type { ServerParameters } from "./server_messages.ts";

/** Something that happened to a session, seen from the client. */
export type ClientSessionEvent =
  | { readonly type: "opened"; readonly parameters: ServerParameters<"opened"> }
  /** A ping was answered; the round trip in milliseconds. */
  | { readonly type: "pong"; readonly roundTripMs: number }
  /** The server asked for a pause; it was answered. */
  | { readonly type: "pause" }
  /** The server ended its pause; it was answered. */
  | { readonly type: "resume" }
  | { readonly type: "updated" }
  | { readonly type: "event"; readonly entities: readonly EventEntity[] }
  | { readonly type: "reconnect"; readonly info?: string }
  /** The server asked for the end; `close` was sent. */
  | { readonly type: "disconnect"; readonly parameters: ServerParameters<"disconnect"> }
  /** The session is over: end the connection. */
  | { readonly type: "closed"; readonly parameters: ServerParameters<"closed"> }
  /** A message of a type that we don't know; it was counted. */
  | { readonly type: "unknown"; readonly messageType: string }
  /** The server broke the protocol; `error` and `close` were sent, if the state allowed it. */
  | { readonly type: "violation"; readonly code: number; readonly info: string }
  /** The server did not answer in time: give the connection up. */
  | { readonly type: "timeout"; readonly waitedFor: "opened" | "pong" | "closed" };

/** Times of a client session. */
export interface ClientSessionLimits {
  /** From `open` to `opened`. */
  readonly openTimeoutMs: number;
  /** From `close` to `closed`. */
  readonly closeTimeoutMs: number;
  /** From `ping` to `pong`. */
  readonly pongTimeoutMs: number;
  /** From `opened` to the first two pings. */
  readonly firstPingMs: number;
  /** Between pings. */
  readonly pingIntervalMs: number;
}

/** The official client's times (protocol sections 11 and 17). */
export const CLIENT_SESSION_LIMITS = {
  openTimeoutMs: 5_000,
  closeTimeoutMs: 10_000,
  pongTimeoutMs: 5_000,
  firstPingMs: 1_000,
  pingIntervalMs: 5_000,
} as const satisfies ClientSessionLimits;
