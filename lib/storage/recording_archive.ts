/**
 * Recordings that are there, to be read and removed: the interface, and what follows from it.
 *
 * Imports types only.
 */
import type { RecordingMetadata } from "./recording_metadata.ts";

/** What a recording consists of, beside its metadata. */
export type RecordingPart = "audio" | "messages";

/** Why a recording must not be removed. */
export interface LegalHold {
  /** When it was said, ISO 8601. */
  readonly since: string;
  /** For people, at most 500 characters; may be empty. */
  readonly reason: string;
}

/** A part of a recording that was opened to be read. */
export interface RecordedFile extends AsyncDisposable {
  /** Length in bytes; of a part that is still being written, as it was when it was opened. */
  readonly size: number;
  /** Whether nothing more is written to it. */
  readonly isFinal: boolean;
  /** When it was last written to. */
  readonly modifiedAt: Date;
  /**
   * Reads bytes, from the first place up to the second, which is not included. Ending the stream
   * early is no fault. It fails if the file became shorter; not if it was renamed or removed.
   *
   * @throws {RangeError} If the places are not within the file.
   */
  read(from: number, to: number): ReadableStream<Uint8Array<ArrayBuffer>>;
}

/**
 * Recordings in one place, or in several. Identifiers are those of `recording_id.ts`; one that is
 * malformed names no recording.
 */
export interface RecordingArchive {
  /**
   * Identifiers of all recordings, those included that are being made, and those whose removal was
   * begun and not finished; day by day, oldest first.
   *
   * @param onUnreadable Is called with a day, `YYYY-MM-DD`, that cannot be listed in full, before
   * anything of a later one comes: of it, there may be more recordings than those that come. Why,
   * is logged.
   */
  list(onUnreadable?: (day: string) => void): AsyncIterable<string>;
  /** What is known of a recording that has ended; `undefined` if there is none. */
  metadata(id: string): Promise<RecordingMetadata | undefined>;
  /**
   * Whether a recording that has not ended is still being made, or about to be completed. What has
   * no metadata and is not under way never gets any.
   */
  isUnderWay(id: string): Promise<boolean>;
  /** Opens a part to be read; `undefined` if the recording, or this part of it, is not there. */
  open(id: string, part: RecordingPart): Promise<RecordedFile | undefined>;
  /** The hold on a recording; `undefined` if there is none. */
  hold(id: string): Promise<LegalHold | undefined>;
  /** Sets or, by `undefined`, lifts the hold. False if there is no such recording. */
  setHold(id: string, hold: LegalHold | undefined): Promise<boolean>;
  /**
   * Removes all files or objects of a recording that has ended. It may be called again after it
   * failed halfway; from its first step on, the other methods find no such recording. Who calls it
   * has looked at holds.
   *
   * @returns `being_made` if it has not ended: nothing is removed then.
   */
  remove(id: string): Promise<"removed" | "not_found" | "being_made">;
}

/**
 * Whether anything of a recording can be read: its messages, its audio or its metadata. In object
 * storage, that's only so of one that has ended.
 */
export async function isRecordingIn(archive: RecordingArchive, id: string): Promise<boolean> {
  for (const part of ["messages", "audio"] as const) {
    await using file = await archive.open(id, part);
    if (file !== undefined) return true;
  }
  return await archive.metadata(id) !== undefined;
}

/**
 * Thrown when a change of a recording can't be made at present. The message says what to do, to
 * whoever asked for the change.
 */
export class RefusedChangeError extends Error {
  override readonly name = "RefusedChangeError";
}
