/**
 * What happens in a call, besides what the session reports.
 *
 * Imports types only.
 */
import type { ClientSessionEvent } from "../protocol/mod.ts";
import type { ConnectionEnd } from "./client_socket.ts";

/** Something that happened. `attempt` is that of `Audiohook-Retry-Attempt`: 0 is the first. */
export type CallEvent =
  | ClientSessionEvent
  /** The connection is there; `open` was sent. */
  | { readonly type: "connected"; readonly attempt: number }
  /** A connection is over, or never was. */
  | { readonly type: "connection-ended"; readonly attempt: number; readonly end: ConnectionEnd }
  /** The call is tried again, after a while. */
  | {
    readonly type: "retry";
    readonly attempt: number;
    readonly delayMs: number;
    readonly why: string;
  }
  /** Audio from before `opened` is sent now; what the buffer could not hold is reported as lost. */
  | { readonly type: "catch-up"; readonly offeredSamples: number; readonly lostSamples: number }
  /** The network or the server is too slow, or is no longer. */
  | { readonly type: "throttled"; readonly isThrottled: boolean; readonly bufferedBytes: number }
  /** The bot's voice begins to play, or its queue ran empty. */
  | { readonly type: "playback"; readonly state: "started" | "completed" };
