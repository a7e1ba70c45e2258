/**
 * What a server session reports to whoever drives it, and the times that it keeps.
 *
 * Imports types only.
 */
import type { OpenParameters } from "./client_messages.ts";
import type { ServerOutboxRates } from "./server_outbox.ts";

/** Why audio is missing: lost on the client's side, or not sent during a pause. */
export type GapCause = "discarded" | "paused";

/** Something that happened to a session. Positions and lengths are in samples. */
export type ServerSessionEvent =
  /** The client wants to open: answer by `opened` or `disconnect`. */
  | { readonly type: "open"; readonly parameters: OpenParameters; readonly isProbe: boolean }
  /** The client wants to close: send the last events, then `closed`. */
  | { readonly type: "close"; readonly reason: string }
  /** Audio is missing before the next frame. */
  | {
    readonly type: "gap";
    readonly positionSamples: number;
    readonly samples: number;
    readonly cause: GapCause;
  }
  | { readonly type: "paused" }
  | { readonly type: "resumed" }
  /** The language changes: answer by `updated`, `pause` or `disconnect`. */
  | { readonly type: "update"; readonly language: string }
  | { readonly type: "dtmf"; readonly digit: string }
  | { readonly type: "playback"; readonly state: "started" | "completed" }
  /** The client reports an error. Its message is not passed on: it may say anything. */
  | { readonly type: "error"; readonly code: number; readonly retryAfterMs?: number }
  /** A message of a type that we don't know; it was counted. */
  | { readonly type: "unknown"; readonly messageType: string }
  /** The client broke the protocol. `disconnect` was sent, if the state allowed it. */
  | { readonly type: "violation"; readonly info: string }
  /** Nothing more will come: end the connection, which the client should have ended. */
  | { readonly type: "hangup"; readonly info: string };

/** Times and rates of a server session. */
export interface ServerSessionLimits extends ServerOutboxRates {
  /** From the connection to `open`. */
  readonly openTimeoutMs: number;
  /** From `open` to our answer; the client waits for 5 s. */
  readonly openedTimeoutMs: number;
  /** Without any frame from the client, which pings about every 5 s. */
  readonly silenceTimeoutMs: number;
  /** From `disconnect` to the client's `close`. */
  readonly closeTimeoutMs: number;
  /** From `close` to our `closed`; the client waits for 10 s. */
  readonly closedTimeoutMs: number;
  /** From `closed` to the end of the connection. */
  readonly hangupTimeoutMs: number;
}

/** The defaults. The client's own rates are not published; these are on the safe side. */
export const SERVER_SESSION_LIMITS = {
  openTimeoutMs: 10_000,
  openedTimeoutMs: 4_500,
  silenceTimeoutMs: 60_000,
  closeTimeoutMs: 5_000,
  closedTimeoutMs: 9_000,
  hangupTimeoutMs: 5_000,
  textRate: { perSecond: 5, burst: 20 },
  audioRate: { perSecond: 10, burst: 20 },
} as const satisfies ServerSessionLimits;
