/**
 * Places one call, as Genesys Cloud would: connects, opens, streams, closes; and tries again where
 * the protocol has it (section 14).
 *
 * Imports its neighbours and the protocol.
 */
import type { ClientSessionLimits, OpenParameters } from "../protocol/mod.ts";
import type { CallAudio } from "./call_audio.ts";
import type { CallControl } from "./call_control.ts";
import type { CallEvent } from "./call_event.ts";
import type { ConnectionRequest } from "./connection_request.ts";
import { RunningCall } from "./running_call.ts";

/** How a call is placed. */
export interface PlaceCallOptions {
  /** Where, and as whom. Each attempt has a signature of its own. */
  readonly request: Omit<ConnectionRequest, "retryAttempt">;
  /** What is said. */
  readonly audio: CallAudio;
  /** What `open` says. */
  readonly open: OpenParameters;
  /** A connection probe (section 6): closes as soon as it is open, and says nothing. */
  readonly isProbe?: boolean;
  /** 1 is real time, 2 twice as fast. */
  readonly speed: number;
  /** Length of a frame in samples; 800, which is 100 ms, unless given. */
  readonly frameSamples?: number;
  /**
   * How much of the call was said before the session opens, 0 to 30 s; 0 unless given. 20 s of it
   * are sent, faster than real time; what is older is reported as discarded (section 6.8).
   */
  readonly historySeconds?: number;
  /** How often it is tried again, at most 5 times; 0 unless given. */
  readonly maxRetries?: number;
  /** What differs from the official client's times, and from the rates of a call of this speed. */
  readonly limits?: Partial<ClientSessionLimits>;
  /** Ends the call by `close`. */
  readonly signal?: AbortSignal;
  /** Called for all that happens. */
  readonly onEvent?: (event: CallEvent) => void;
  /** Called for each frame of the bot's voice. */
  readonly onAudio?: (frame: Uint8Array) => void;
  /** Called for each text frame on the wire. */
  readonly onMessage?: (from: "client" | "server", text: string) => void;
  /** Called as the call goes on, with how many samples are through. */
  readonly onProgress?: (positionSamples: number) => void;
  /** Hands out what steers the call: once, at the start, for all attempts. */
  readonly onControl?: (control: CallControl) => void;
  /** From the beginning of an attempt to the end of its handshake; 10 s unless given. */
  readonly connectTimeoutMs?: number;
  /** Time before a retry, the first of which is 1, in milliseconds; doubles from 1 s unless given. */
  readonly backoffMs?: (attempt: number) => number;
  /**
   * Whether audio that the network does not take in time is left out, as of a live call (section
   * 17), or the call waits; unless given, it waits if it is faster than real time.
   */
  readonly dropsLateAudio?: boolean;
  /** How many bytes may wait for the network before that is so; 256 KiB unless given. */
  readonly maxBufferedBytes?: number;
}

/** How a call ended. */
export interface CallOutcome {
  /**
   * Why it failed: `undefined` if it ended with `closed`, the server kept to the protocol, and did
   * not ask for the end by another `disconnect` than `completed`.
   */
  readonly failure: string | undefined;
  /**
   * Rules that the server broke, with their section of protocol.md, in all attempts: the first
   * hundred. An answer that came too late is one, but no failure if a retry made good for it.
   */
  readonly violations: readonly { readonly section: string; readonly info: string }[];
  /** How far the call came, in samples: what was sent, and what was reported as left out. */
  readonly positionSamples: number;
  /** Frames of audio that were sent. */
  readonly sentFrames: number;
  readonly sentAudioBytes: number;
  /** Of the bot's voice. */
  readonly receivedAudioBytes: number;
  /** Round trips of the pings, in milliseconds. */
  readonly roundTripsMs: readonly number[];
  /** From `open` to `opened`, of the last session that was opened. */
  readonly openedMs: number | undefined;
  /** From `close` to `closed`, of the last session that was closed. */
  readonly closedMs: number | undefined;
  /** How many connections were tried. */
  readonly attempts: number;
}

/** Places a call. Never rejects, and never hangs: what goes wrong is the outcome. */
export function placeCall(options: PlaceCallOptions): Promise<CallOutcome> {
  return new RunningCall(options).run();
}
