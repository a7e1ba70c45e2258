/**
 * What a server session reports to whoever drives it.
 *
 * Imports types only.
 */
import type { OpenParameters } from "./client_messages.ts";

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
  /** The client says that audio is missing from another position than ours; ours is kept. */
  | {
    readonly type: "drift";
    readonly positionSamples: number;
    readonly reportedSamples: number;
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

/** After this many of a kind, no more are reported of what a client may do any number of times. */
const MAX_REPORTED = 10;

/** Events on their way to whoever drives the session. */
export class ServerSessionReports {
  readonly #counts = new Map<ServerSessionEvent["type"], number>();
  #events: ServerSessionEvent[] = [];

  /** Reports an event. */
  add(event: ServerSessionEvent): void {
    this.#events.push(event);
  }

  /** Reports an event, unless many of its kind have been reported already. */
  addSome(event: ServerSessionEvent): void {
    const count = this.#counts.get(event.type) ?? 0;
    if (count < MAX_REPORTED) this.#events.push(event);
    this.#counts.set(event.type, count + 1);
  }

  /** Takes what was reported since the last call. */
  take(): readonly ServerSessionEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }
}
