/**
 * What a client session reports to whoever drives it, and the limits that it keeps.
 *
 * Imports nothing but its neighbours.
 */
import type { PingTimes } from "./client_pings.ts";
import type { EventEntity } from "./entities.ts";
import { SAMPLE_RATE } from "./media.ts";
import type { ServerParameters } from "./server_messages.ts";
import type { ServerPaceLimits } from "./server_pace.ts";

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
  /** Entities as they came: those that are not as they should be are reported before, and here. */
  | { readonly type: "event"; readonly entities: readonly EventEntity[] }
  | { readonly type: "reconnect"; readonly info?: string }
  /** The server asked for the end; `close` was sent. */
  | { readonly type: "disconnect"; readonly parameters: ServerParameters<"disconnect"> }
  /** The session is over: end the connection. */
  | { readonly type: "closed"; readonly parameters: ServerParameters<"closed"> }
  /** A message of a type that we don't know; it was counted. */
  | { readonly type: "unknown"; readonly messageType: string }
  /** The server broke the protocol. */
  | {
    readonly type: "violation";
    /** The code that `error` has, or would have. */
    readonly code: number;
    readonly info: string;
    /** Section of protocol.md, such as `4` or `6.3`. */
    readonly section: string;
    /**
     * Whether that ends the session: `error` and `close` were sent, if the state allowed it. What
     * doesn't is reported, and nothing else happens.
     */
    readonly ends: boolean;
  }
  /** The server did what is no fault, and would better be otherwise. */
  | {
    readonly type: "advice";
    readonly info: string;
    /** Section of protocol.md. */
    readonly section: string;
  }
  /** The server did not answer in time: give the connection up. */
  | {
    readonly type: "timeout";
    readonly waitedFor: "opened" | "pong" | "closed";
    readonly info: string;
    /** Section of protocol.md. */
    readonly section: string;
  };

/** Times and rates of a client session. */
export interface ClientSessionLimits extends PingTimes, ServerPaceLimits {
  /** From `open` to `opened`. */
  readonly openTimeoutMs: number;
  /** From `close` to `closed`. */
  readonly closeTimeoutMs: number;
}

/**
 * The official client's times (protocol sections 11 and 17). Its rates are not published: these are
 * the upper end of what public bridges settled on (section 12). How near to real time a bot's audio
 * has to be is not either: it may be as far ahead as the audio that a client keeps (section 6.8).
 */
export const CLIENT_SESSION_LIMITS = {
  openTimeoutMs: 5_000,
  closeTimeoutMs: 10_000,
  pongTimeoutMs: 5_000,
  firstPingMs: 1_000,
  pingIntervalMs: 5_000,
  receivedTextRate: { perSecond: 10, burst: 30 },
  receivedAudioRate: { perSecond: 10, burst: 30 },
  receivedSampleRate: { perSecond: SAMPLE_RATE, burst: 30 * SAMPLE_RATE },
  retryAfterMs: 1_000,
} as const satisfies ClientSessionLimits;

const SECTIONS = { opened: "6.1", pong: "11", closed: "13.2" } as const;

/** Tells that an answer did not come in time. */
export function timeoutEvent(
  waitedFor: "opened" | "pong" | "closed",
  { openTimeoutMs, pongTimeoutMs, closeTimeoutMs }: ClientSessionLimits,
): ClientSessionEvent {
  const ms = { opened: openTimeoutMs, pong: pongTimeoutMs, closed: closeTimeoutMs }[waitedFor];
  const info = `The server did not answer in time: no "${waitedFor}" within ${ms / 1000} s`;
  return { type: "timeout", waitedFor, info, section: SECTIONS[waitedFor] };
}
