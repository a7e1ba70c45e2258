/**
 * The index of recordings: by what they can be found. The interface, and what an entry is.
 *
 * Imports zod and the protocol's schemas.
 */
import { z } from "zod";
import { participantSchema, uuidSchema } from "../protocol/mod.ts";
import { recordingIdSchema } from "./recording_id.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "./recording_metadata.ts";

const { media, language, closeReason, isComplete } = recordingMetadataSchema.shape;

/** Schema of what the index says of a recording. */
export const recordingEntrySchema = z.object({
  id: recordingIdSchema,
  /** Whether it is being made, was finished, or was repaired after the server had been killed. */
  state: z.enum(["recording", "finished", "recovered"]),
  sessionId: uuidSchema,
  organizationId: uuidSchema,
  conversationId: uuidSchema,
  /** The customer; only if personal data is indexed. */
  participant: participantSchema.optional(),
  language,
  media,
  startedAt: z.iso.datetime(),
  /** `null` while it is being made; so are those that follow. */
  endedAt: z.iso.datetime().nullable(),
  duration: z.string().nullable(),
  closeReason,
  isComplete: isComplete.nullable(),
});

/** What the index says of a recording. */
export type RecordingEntry = z.infer<typeof recordingEntrySchema>;

/** What is indexed: an entry always with the customer, whom the index hides if it has to. */
export interface IndexedRecording extends RecordingEntry {
  readonly participant: RecordingMetadata["participant"];
}

/** The entry of a recording that has ended. */
export function entryOf(id: string, metadata: RecordingMetadata): IndexedRecording {
  const { sessionId, organizationId, conversationId, participant, language, media } = metadata;
  const { startedAt, endedAt, duration, closeReason, isComplete } = metadata;
  return {
    id,
    state: metadata.recovered ? "recovered" : "finished",
    ...{ sessionId, organizationId, conversationId, participant, language, media },
    ...{ startedAt, endedAt, duration, closeReason, isComplete },
  };
}

/** What is looked for; all of it has to hold. */
export interface RecordingFilter {
  /** Started at this time or later, milliseconds since 1970. */
  readonly fromMs?: number;
  /** Started before this time. */
  readonly toMs?: number;
  readonly conversationId?: string;
  readonly organizationId?: string;
  /** The participant's `id`, `ani` or `dnis`, as it was sent. */
  readonly participant?: string;
  readonly state?: RecordingEntry["state"];
}

/** Some of the recordings that were looked for. */
export interface RecordingPage {
  /** The newest first. */
  readonly entries: readonly RecordingEntry[];
  /** Where the next page begins; `undefined` after the last one. */
  readonly cursor: string | undefined;
}

/** An index of recordings. */
export interface RecordingIndex {
  /**
   * Adds an entry, or replaces that of the same id.
   *
   * @param signal When it is aborted, nothing is begun any more: what comes later wins.
   */
  put(entry: IndexedRecording, signal?: AbortSignal): Promise<void>;
  /** Removes an entry, if it is there. */
  remove(id: string, signal?: AbortSignal): Promise<void>;
  /** One entry. */
  get(id: string): Promise<RecordingEntry | undefined>;
  /**
   * Finds recordings, the newest first.
   *
   * @param cursor Of the page before, with the same filter.
   * @param limit Entries of a page; there may be fewer, also on a page that is not the last one.
   * @throws {InvalidCursorError} If it is none that this index gave.
   */
  find(filter: RecordingFilter, limit: number, cursor?: string): Promise<RecordingPage>;
}

/** Thrown when a cursor is none that was given with a page. */
export class InvalidCursorError extends Error {
  override readonly name = "InvalidCursorError";
}

/** Thrown when the index does not answer, or answers too late. It may be asked again later. */
export class IndexUnavailableError extends Error {
  override readonly name = "IndexUnavailableError";
}
