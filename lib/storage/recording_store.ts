/**
 * Where recordings are kept: the interface. A recording is up to three files of one name: audio,
 * messages, metadata.
 *
 * Imports nothing.
 */

/** A place for recordings. */
export interface RecordingStore {
  /**
   * How long it is worth trying to write what waits when a call has ended and the storage fails, in
   * milliseconds; a minute unless given. More where what is not written by then is lost: nobody
   * finds it later and completes it.
   */
  readonly keepTryingMs?: number;
  /**
   * Makes a new recording; it never touches one that exists.
   *
   * @param day Day of its start, `YYYY-MM-DD`.
   * @param sessionId UUID of the session, checked by the caller.
   * @param onSync Called when what was written could not be made to outlast a power failure, with
   *   the error; and when it could be again, with `undefined`. The store goes on trying.
   * @throws What the place says if it can't be made; it may be tried again.
   */
  create(
    day: string,
    sessionId: string,
    onSync?: (error: unknown) => void,
  ): Promise<RecordingFiles>;
}

/** Bytes, and their place in a file. */
export interface FilePart {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The last of a recording. */
export interface RecordingEnding {
  /** `undefined` for a recording without audio. */
  readonly audio: {
    /** Beginning of the file, for good. */
    readonly header: Uint8Array;
    /** The last of the audio, and its padding; may be empty. */
    readonly rest: FilePart;
  } | undefined;
  /** Messages that were not written so far; may be empty. */
  readonly messages: FilePart;
  /** The metadata, as a whole. */
  readonly metadata: string;
}

/**
 * The files of one recording. Each method may be called again with the same arguments after it
 * failed; calls for one file must not overlap. Bytes may be reused by the caller when the promise
 * settles.
 */
export interface RecordingFiles {
  /** What identifies the recording (recording_id.ts). */
  readonly id: string;
  /** Where the recording is, for people: a path or address without the file's extension. */
  readonly location: string;
  /** Writes a part of the audio file, which is not yet named as finished. */
  writeAudio(offset: number, bytes: Uint8Array): Promise<void>;
  /** Writes a part of the message log; also after the recording was finished. */
  writeMessages(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * Finishes the recording: writes the last of it, and lets all of it last; then audio and metadata
   * have their final names, the metadata after the audio. No more audio is written.
   */
  finish(ending: RecordingEnding): Promise<void>;
  /** The recording ends: what is written until it is finished shall not wait for others. */
  hurry(): void;
  /** Lets go of the files, whatever became of them; nothing more is written. Never rejects. */
  close(): Promise<void>;
}
