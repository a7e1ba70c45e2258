/**
 * The metadata of a recording whose server was killed, from what is left of it.
 *
 * Nothing here fails: a clock that was wrong, or a message log that is lost, gives metadata that is
 * valid, and says no more than is known. Imports the audio room, the protocol and its neighbours.
 */
import type { WavFormat } from "../audio/mod.ts";
import { SAMPLE_RATE, samplesToDuration } from "../protocol/mod.ts";
import type { MessageLogSummary } from "./message_log_summary.ts";
import { type RecordingPlace, sessionOf } from "./recording_id.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "./recording_metadata.ts";

/** Conversation, organization and participant of a recording of which nobody knows whose it is. */
export const UNKNOWN_UUID = "00000000-0000-0000-0000-000000000000";

/** The last moment that ISO 8601 has four digits for. */
const LAST_MS = Date.parse("9999-12-31T23:59:59.999Z");
const DAY_MS = 24 * 3600 * 1000;

/** What is left of a recording. */
export interface Remains {
  readonly place: RecordingPlace;
  /** What its message log tells, read with the length of this audio. */
  readonly log: MessageLogSummary;
  /** Its audio; `undefined` if it has none. */
  readonly audio: { readonly format: WavFormat; readonly samples: number } | undefined;
  /** When its main file was made and last written, before recovery; milliseconds since 1970. */
  readonly bornMs: number | undefined;
  readonly modifiedMs: number | undefined;
}

/**
 * Makes the metadata.
 *
 * Of a recording whose message log does not say what the call is, conversation, organization and
 * participant are {@link UNKNOWN_UUID}, with empty texts; its start is the earliest that times of
 * lines and files allow, on the day that its folder says. Two channels are then taken for
 * `external` and `internal`, one for `external`.
 *
 * @param nowMs The present time, which the end is never after, unless the start is.
 */
export function recoveredMetadata(remains: Remains, nowMs: number): RecordingMetadata {
  const { log, audio, place } = remains;
  const { call } = log;
  const recordedSamples = audio?.samples ?? 0;
  const durationSamples = recordedSamples + log.missingSamples;
  const durationMs = durationSamples * 1000 / SAMPLE_RATE;
  const startedAt = call?.startedAt ?? isoTime(guessStart(remains, durationMs));
  const startedMs = Date.parse(startedAt);
  const lastKnownMs = Math.max(log.lastTimeMs ?? startedMs, startedMs + durationMs);
  // A clock that was set back meanwhile is no bound: what was recorded is.
  const latestMs = nowMs < startedMs ? startedMs + recordedSamples * 1000 / SAMPLE_RATE : nowMs;
  return {
    version: 1,
    sessionId: call?.sessionId ?? sessionOf(place.name),
    organizationId: call?.organizationId ?? UNKNOWN_UUID,
    conversationId: call?.conversationId ?? UNKNOWN_UUID,
    correlationId: call?.correlationId,
    participant: call?.participant ?? { id: UNKNOWN_UUID, ani: "", aniName: "", dnis: "" },
    language: call?.language,
    media: audio === undefined ? null : mediaOf(audio.format, call?.media ?? null),
    startedAt,
    endedAt: isoTime(Math.max(startedMs, Math.min(latestMs, lastKnownMs))),
    durationSamples,
    duration: samplesToDuration(durationSamples, SAMPLE_RATE),
    recordedSamples,
    gaps: log.gaps,
    unlistedGaps: log.unlistedGaps,
    closeReason: log.closeReason,
    isComplete: false,
    recovered: true,
    unloggedMessages: log.unreadableLines,
  };
}

/** What a recorder would record media as; `undefined` if none does. */
export function wavFormatOf(media: RecordingMetadata["media"]): WavFormat | undefined {
  if (media === null || media.rate !== SAMPLE_RATE) return undefined;
  const { format, channels: { length }, rate } = media;
  return length === 1 || length === 2
    ? { encoding: format, channelCount: length, rate }
    : undefined;
}

/**
 * Metadata that was written, but not renamed, so that perhaps not all of it reached the disk.
 *
 * @returns `undefined` unless it is whole, and says of the audio what the file does.
 */
export function keptMetadata(
  text: string,
  sessionId: string,
  audio: Remains["audio"],
): RecordingMetadata | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { data } = recordingMetadataSchema.safeParse(value);
  const isOfRecording = data !== undefined && data.sessionId.toLowerCase() === sessionId &&
    (data.media === null) === (audio === undefined) &&
    isSameFormat(wavFormatOf(data.media), audio?.format) &&
    data.recordedSamples === (audio?.samples ?? 0);
  return isOfRecording ? data : undefined;
}

function isSameFormat(one: WavFormat | undefined, other: WavFormat | undefined): boolean {
  return one?.encoding === other?.encoding && one?.channelCount === other?.channelCount &&
    one?.rate === other?.rate;
}

/** The file knows better than the log what is in it, but not what the channels are. */
function mediaOf(
  format: WavFormat,
  logged: RecordingMetadata["media"],
): NonNullable<RecordingMetadata["media"]> {
  if (logged !== null && isSameFormat(wavFormatOf(logged), format)) return logged;
  const channels = ["external", "internal"] as const;
  return {
    format: format.encoding,
    channels: channels.slice(0, format.channelCount),
    rate: format.rate,
  };
}

function guessStart({ place, log, bornMs, modifiedMs }: Remains, durationMs: number): number {
  const dayMs = Date.parse(`${place.day}T00:00:00Z`);
  const guessMs = Math.min(
    bornMs ?? Infinity,
    (modifiedMs ?? Infinity) - durationMs,
    log.firstTimeMs ?? Infinity,
  );
  // Files that were copied have other times; the folder's name went with them.
  return Math.max(dayMs, Math.min(guessMs, dayMs + DAY_MS - 1));
}

function isoTime(ms: number): string {
  return new Date(Math.min(ms, LAST_MS)).toISOString();
}
