/**
 * How a server session begins, and the times that it keeps.
 *
 * Imports nothing but its neighbours.
 */
import type { ClientPaceLimits } from "./client_pace.ts";
import { TEXT_LIMITS, type TextLimits } from "./codec.ts";
import { MAX_AUDIO_FRAME_BYTES } from "./media.ts";
import type { ServerTimeouts } from "./server_deadlines.ts";
import type { ServerOutboxRates } from "./server_outbox.ts";

/** Who the session belongs to, as its connection request said. */
export interface ServerSessionOptions {
  /** UUID of the session, from `Audiohook-Session-Id`. */
  readonly id: string;
  /** UUID of the organization, from `Audiohook-Organization-Id`. */
  readonly organizationId: string;
  /** Present time in milliseconds, on any clock that never goes back. */
  readonly nowMs: number;
  /** What differs from {@link SERVER_SESSION_LIMITS}. */
  readonly limits?: Partial<ServerSessionLimits>;
}

/** Times, rates and sizes of a server session. */
export interface ServerSessionLimits
  extends ServerOutboxRates, ServerTimeouts, ClientPaceLimits, TextLimits {
  /** Largest binary frame that is accepted, in bytes. */
  readonly maxAudioFrameBytes: number;
}

/**
 * The defaults. What the client takes a second is not published; `textRate` and `audioRate` are on
 * the safe side. It keeps 30 s of audio, which explains what it may send at once; as much again
 * is for what networks, proxies and a server that stalls hold back.
 */
export const SERVER_SESSION_LIMITS = {
  openTimeoutMs: 10_000,
  openedTimeoutMs: 4_500,
  silenceTimeoutMs: 60_000,
  closeTimeoutMs: 5_000,
  closedTimeoutMs: 9_000,
  hangupTimeoutMs: 5_000,
  textRate: { perSecond: 5, burst: 20 },
  audioRate: { perSecond: 10, burst: 20 },
  receivedTextRate: { perSecond: 20, burst: 600 },
  receivedCharacterRate: { perSecond: 16_384, burst: 491_520 },
  receivedAudioRate: { perSecond: 500, burst: 15_000 },
  maxAudioAheadMs: 60_000,
  maxAudioFrameBytes: MAX_AUDIO_FRAME_BYTES,
  ...TEXT_LIMITS,
} as const satisfies ServerSessionLimits;
