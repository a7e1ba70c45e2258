/**
 * Recordings to be indexed.
 */
import type { RecordingMetadata } from "../../lib/storage/recording_metadata.ts";
import type { IndexedRecording, RecordingFilter } from "../../lib/storage/recording_index.ts";

/** What differs between recordings of a test. */
export interface RecordingTraits {
  /** Milliseconds since 1970. */
  readonly startedMs?: number;
  readonly state?: IndexedRecording["state"];
  readonly sessionId?: string;
  readonly organizationId?: string;
  readonly conversationId?: string;
  readonly participant?: Partial<IndexedRecording["participant"]>;
  readonly language?: string;
  readonly closeReason?: string | null;
}

export const START_MS = Date.parse("2026-03-04T10:00:00.000Z");
export const ORGANIZATION = "d7934305-0972-4844-938e-9060eef73d05";

/** A UUID that says which one it is. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
}

/** A recording by its number; what is not said follows from the number, or is the same for all. */
export function recording(n: number, traits: RecordingTraits = {}): IndexedRecording {
  const { startedMs = START_MS + n * 60_000, state = "finished", sessionId = uuid(n) } = traits;
  const startedAt = new Date(startedMs).toISOString();
  const isOver = state !== "recording";
  return {
    id: `${startedAt.slice(0, 10)}.${sessionId}`,
    state,
    sessionId,
    organizationId: traits.organizationId ?? ORGANIZATION,
    conversationId: traits.conversationId ?? uuid(0x100000 + n),
    participant: {
      id: uuid(0x200000 + n),
      ani: `tel:+4930${n}`,
      aniName: `Caller ${n}`,
      dnis: "tel:+18005550100",
      ...traits.participant,
    },
    ...traits.language !== undefined && { language: traits.language },
    media: { format: "PCMU", channels: ["external", "internal"], rate: 8000 },
    startedAt,
    endedAt: isOver ? new Date(startedMs + 30_000).toISOString() : null,
    duration: isOver ? "PT30S" : null,
    closeReason: isOver ? traits.closeReason ?? "end" : null,
    isComplete: isOver ? true : null,
  };
}

/** The metadata of a recording that has ended. */
export function metadataOf(entry: IndexedRecording): RecordingMetadata {
  const { sessionId, organizationId, conversationId, participant, language, media } = entry;
  return {
    version: 1,
    ...{ sessionId, organizationId, conversationId, participant, language, media },
    startedAt: entry.startedAt,
    endedAt: entry.endedAt ?? entry.startedAt,
    durationSamples: 240_000,
    duration: entry.duration ?? "PT0S",
    recordedSamples: 240_000,
    gaps: [],
    unlistedGaps: 0,
    closeReason: entry.closeReason,
    isComplete: entry.isComplete ?? false,
    recovered: entry.state === "recovered",
    unloggedMessages: 0,
  };
}

/** Whether a recording is what a filter looks for: said once more, plainly. */
export function isLookedFor(entry: IndexedRecording, filter: RecordingFilter): boolean {
  const startedMs = Date.parse(entry.startedAt);
  if (filter.fromMs !== undefined && startedMs < filter.fromMs) return false;
  if (filter.toMs !== undefined && startedMs >= filter.toMs) return false;
  if (filter.state !== undefined && entry.state !== filter.state) return false;
  for (const name of ["conversationId", "organizationId"] as const) {
    const wanted = filter[name];
    if (wanted !== undefined && entry[name].toLowerCase() !== wanted.toLowerCase()) return false;
  }
  const { id, ani, dnis } = entry.participant;
  return filter.participant === undefined || [id, ani, dnis].includes(filter.participant);
}

/** The newest first. */
export function newestFirst(one: IndexedRecording, other: IndexedRecording): number {
  const differenceMs = Date.parse(other.startedAt) - Date.parse(one.startedAt);
  return differenceMs || (other.id < one.id ? -1 : other.id > one.id ? 1 : 0);
}
