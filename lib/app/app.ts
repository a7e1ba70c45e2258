/**
 * The App interface: what is done with a call. A recorder, a transcriber and a bot are apps, and
 * several of them share one session.
 *
 * Imports types of the protocol only.
 */
import type {
  DisconnectReason,
  EventEntity,
  GapCause,
  Media,
  MediaOffer,
  OutputVariables,
  Participant,
} from "../protocol/mod.ts";
import type { AudioFrame } from "./audio_frame.ts";

/**
 * An app. One object serves all calls; {@link App.open} makes the handler of one.
 *
 * @example An app that counts the audio of each call
 * ```ts
 * import type { App } from "@audiohook/server";
 *
 * const counter: App = {
 *   name: "counter",
 *   open(call) {
 *     let samples = 0;
 *     return {
 *       audio(frame) {
 *         samples += frame.samples;
 *       },
 *       close() {
 *         call.sendEvent({ type: "counted", data: { samples } });
 *       },
 *     };
 *   },
 * };
 * ```
 */
export interface App {
  /** For logs: short, and the same for all calls. */
  readonly name: string;
  /** Language tags that this app adds to the server's answer, if the client asks for them. */
  readonly supportedLanguages?: readonly string[];
  /**
   * A call wants to open. It is not called for connection probes.
   *
   * It has 3 s (by default), of which the client feels every millisecond: do slow work in the
   * background. An app that fails or is late is logged and left out of the call; if its handler
   * comes after all, the handler's `close` is called with `left_out`.
   *
   * @param call What is known of the call, and what may be asked of it.
   * @param signal Aborted when the call has ended or went on without this app.
   * @returns What handles the call, or `undefined` to have no part in it.
   */
  open(
    call: Call,
    signal: AbortSignal,
  ): CallHandler | undefined | Promise<CallHandler | undefined>;
}

/**
 * What one app does with one call. All methods but `close` have to return at once. One that throws
 * is logged, and the app is left out from then on; its `close` is still called.
 */
export interface CallHandler {
  /** What the answer to `open` should say. */
  readonly preferences?: OpenPreferences;
  /** The session is open. `media` is `undefined` if it has no audio. */
  opened?(media: Media | undefined): void;
  /** A text message went over the wire, in either direction; those before `opened` included. */
  message?(message: WireMessage): void;
  /** Audio came. */
  audio?(frame: AudioFrame): void;
  /** Audio is missing before the next frame. */
  gap?(gap: Gap): void;
  /** The client says that no audio will come, because of our pause or its own. */
  paused?(): void;
  /** The client says that audio comes again. A `gap` tells before it what was left out. */
  resumed?(): void;
  /**
   * The language of the call changes. It is confirmed, unless an app calls `pause` (it can't go on
   * in this language) or `disconnect` in here.
   */
  update?(language: string): void;
  /** The caller pressed a key (Audio Connector). */
  dtmf?(digit: string): void;
  /** What was played began, or is through (Audio Connector). */
  playback?(state: "started" | "completed"): void;
  /**
   * Comes about every 800 ms, in any state: for work that waits for time, without a timer. 900 ms is
   * the longest that is planned for.
   */
  tick?(): void;
  /**
   * The call ends: no more audio comes. If the client closed it, events may still be sent until
   * the returned promise settles. It has 8 s (by default), and is called exactly once, whatever
   * happened before.
   */
  close?(end: CallEnd): CloseAnswer | void | Promise<CloseAnswer | void>;
  /** The connection is gone, after `close`: no more messages come. */
  ended?(): void;
}

/** What an app wants the answer to `open` to say. */
export interface OpenPreferences {
  /**
   * One of the offers, or `null` for no audio. The first app that says something decides; if none
   * does, the first offer is taken that is supported.
   */
  readonly media?: MediaOffer | null;
  /** Start paused by the server. One app is enough. */
  readonly startPaused?: boolean;
  /** Audio before this position (a duration) is not needed. The earliest of all apps counts. */
  readonly discardTo?: string;
}

/** A text message as it went over the wire. */
export interface WireMessage {
  /** Who sent it. */
  readonly from: "client" | "server";
  /**
   * The frame, unchanged; what a client sends need not be JSON. Of a frame that is larger than the
   * protocol allows, only the beginning.
   */
  readonly text: string;
  /** When, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Position of the stream at that moment, in samples. */
  readonly positionSamples: number;
}

/** Missing audio. */
export interface Gap {
  /** Position of the first missing sample, in samples. */
  readonly positionSamples: number;
  /** How many samples are missing. */
  readonly samples: number;
  /** Lost on the client's side, or left out during a pause. */
  readonly cause: GapCause;
}

/** How a call ended for an app. */
export type CallEnd =
  /** The client closed it, for this reason: `end`, `error`, `disconnect`, `reconnect`. */
  | { readonly how: "closed"; readonly reason: string }
  /** The connection ended without `close`. */
  | { readonly how: "lost" }
  /** The app was late to open; the call goes on without it. */
  | { readonly how: "left_out" };

/** What `close` may answer. */
export interface CloseAnswer {
  /** Values for the call flow (Audio Connector). */
  readonly outputVariables?: OutputVariables;
}

/**
 * One call, as an app sees it.
 *
 * What may be asked of it may be asked at any time; what the session's state does not allow, or is
 * not valid, is refused at once with a `LocalProtocolError` that says so, and changes nothing.
 */
export interface Call {
  /** UUID of the session. */
  readonly sessionId: string;
  /** UUID of the Genesys organization. */
  readonly organizationId: string;
  /** UUID of the conversation. */
  readonly conversationId: string;
  /** UUID for tracing, if the client sent one. */
  readonly correlationId: string | undefined;
  /** Path and query of the connection request: Audio Connector adds its connector id. */
  readonly requestTarget: string;
  /** The customer. Personal data. */
  readonly participant: Participant;
  /** Language tag, as sent. */
  readonly language: string | undefined;
  /** What the client offers, in its order of preference. */
  readonly offers: readonly MediaOffer[];
  /** What the integration's configuration says. */
  readonly customConfig: Readonly<Record<string, unknown>> | undefined;
  /** What the call flow says (Audio Connector). */
  readonly inputVariables: Readonly<Record<string, string>> | undefined;
  /** What was selected; `undefined` before that, and for a session without audio. */
  readonly media: Media | undefined;
  /** Where the stream is, in samples. */
  readonly positionSamples: number;
  /** Who paused it. */
  readonly paused: { readonly byServer: boolean; readonly byClient: boolean };

  /** Reports entities to the client, in order, as fast as it takes them. */
  sendEvent(...entities: EventEntity[]): void;
  /** Asks the client to send no audio. */
  pause(): void;
  /** Ends our pause; the client's own may go on. */
  resume(): void;
  /** Asks the client to end the session. `info` must not have personal data. */
  disconnect(
    reason: DisconnectReason,
    options?: { info?: string; outputVariables?: OutputVariables },
  ): void;
  /** Plays audio to the caller (Audio Connector): whole samples, at most 64,000 bytes a frame. */
  play(frame: Uint8Array): void;
}
