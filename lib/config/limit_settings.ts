/**
 * The settings that bound what clients may do. Their defaults are those of the library; tests
 * compare them.
 *
 * Must not import: anything of lib outside this folder.
 */
import type { z } from "zod";
import { wholeNumber } from "./whole_number.ts";

/** Names of the settings. */
export const LIMIT_NAMES = [
  "MAX_SESSIONS",
  "MAX_AUTH_FAILURES_PER_MINUTE",
  "MAX_TEXT_BYTES",
  "MAX_JSON_DEPTH",
  "MAX_AUDIO_FRAME_BYTES",
  "MAX_MESSAGES_PER_SECOND",
  "MAX_CHARACTERS_PER_SECOND",
  "MAX_AUDIO_FRAMES_PER_SECOND",
  "MAX_AUDIO_AHEAD_SECONDS",
  "MAX_BUFFERED_BYTES",
  "OPEN_TIMEOUT_MS",
  "CLOSE_TIMEOUT_MS",
  "HANGUP_TIMEOUT_MS",
  "SILENCE_TIMEOUT_MS",
] as const;

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;

/** What each may be. */
export const LIMIT_SCHEMAS = {
  MAX_SESSIONS: wholeNumber(1, 1_000_000).prefault("5000"),
  MAX_AUTH_FAILURES_PER_MINUTE: wholeNumber(0, 100_000).prefault("30"),
  MAX_TEXT_BYTES: wholeNumber(1_000, 16 * MIB).prefault("65535"),
  MAX_JSON_DEPTH: wholeNumber(8, 1_000).prefault("64"),
  MAX_AUDIO_FRAME_BYTES: wholeNumber(1, 16 * MIB).prefault("64000"),
  MAX_MESSAGES_PER_SECOND: wholeNumber(1, 100_000).prefault("20"),
  MAX_CHARACTERS_PER_SECOND: wholeNumber(1_000, 16 * MIB).prefault("16384"),
  MAX_AUDIO_FRAMES_PER_SECOND: wholeNumber(1, 100_000).prefault("500"),
  MAX_AUDIO_AHEAD_SECONDS: wholeNumber(1, 31 * 24 * 3600).prefault("60"),
  // Below that, one message could be too much.
  MAX_BUFFERED_BYTES: wholeNumber(65_536, 1024 * MIB).prefault("4194304"),
  OPEN_TIMEOUT_MS: wholeNumber(100, HOUR_MS).prefault("10000"),
  CLOSE_TIMEOUT_MS: wholeNumber(100, HOUR_MS).prefault("5000"),
  HANGUP_TIMEOUT_MS: wholeNumber(100, HOUR_MS).prefault("5000"),
  SILENCE_TIMEOUT_MS: wholeNumber(100, HOUR_MS).prefault("60000"),
} satisfies Record<typeof LIMIT_NAMES[number], z.ZodType<number, string | undefined>>;

/** The values of the settings, by their names. */
export type LimitValues = Readonly<Record<typeof LIMIT_NAMES[number], number>>;

/** How often something may happen; as much as in such a time may happen at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What a client keeps while its network is slow, and then sends at once (protocol section 6). */
const HISTORY_SECONDS = 30;

/** The limits of one session. */
export interface SessionLimitSettings {
  readonly maxTextBytes: number;
  readonly maxJsonDepth: number;
  readonly maxAudioFrameBytes: number;
  readonly receivedTextRate: Rate;
  readonly receivedCharacterRate: Rate;
  readonly receivedAudioRate: Rate;
  readonly maxAudioAheadMs: number;
  readonly openTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly hangupTimeoutMs: number;
  readonly silenceTimeoutMs: number;
}

/** What the library takes. */
export function sessionLimits(values: LimitValues): SessionLimitSettings {
  return {
    maxTextBytes: values.MAX_TEXT_BYTES,
    maxJsonDepth: values.MAX_JSON_DEPTH,
    maxAudioFrameBytes: values.MAX_AUDIO_FRAME_BYTES,
    receivedTextRate: rate(values.MAX_MESSAGES_PER_SECOND),
    receivedCharacterRate: rate(values.MAX_CHARACTERS_PER_SECOND),
    receivedAudioRate: rate(values.MAX_AUDIO_FRAMES_PER_SECOND),
    maxAudioAheadMs: values.MAX_AUDIO_AHEAD_SECONDS * 1000,
    openTimeoutMs: values.OPEN_TIMEOUT_MS,
    closeTimeoutMs: values.CLOSE_TIMEOUT_MS,
    hangupTimeoutMs: values.HANGUP_TIMEOUT_MS,
    silenceTimeoutMs: values.SILENCE_TIMEOUT_MS,
  };
}

function rate(perSecond: number): Rate {
  return { perSecond, burst: perSecond * HISTORY_SECONDS };
}
