/**
 * Where recordings are kept: the interface. A recording is up to three files of one name: audio,
 * messages, metadata.
 *
 * Imports nothing.
 */

/** A place for recordings. */
export interface RecordingStore {
  /**
   * Makes a new recording; it never touches one that exists.
   *
   * @param day Day of its start, `YYYY-MM-DD`.
   * @param sessionId UUID of the session, checked by the caller.
   * @throws What the place says if it can't be made; it may be tried again.
   */
  create(day: string, sessionId: string): Promise<RecordingFiles>;
}

/**
 * The files of one recording. Each method may be called again with the same arguments after it
 * failed; calls must not overlap. Bytes may be reused by the caller when the promise settles.
 */
export interface RecordingFiles {
  /** Where the recording is, for people: a path or address without the file's extension. */
  readonly location: string;
  /** Writes a part of the audio file, which is not yet named as finished. */
  writeAudio(offset: number, bytes: Uint8Array): Promise<void>;
  /** Gives the audio file its final name; nothing more is written to it. */
  finishAudio(): Promise<void>;
  /** Writes a part of the message log. */
  writeMessages(offset: number, bytes: Uint8Array): Promise<void>;
  /** Writes the metadata, as a whole. */
  writeMetadata(text: string): Promise<void>;
  /** The recording ends: what is written from now on shall not wait to be put together with more. */
  hurry(): void;
  /** Lets go of the files; nothing more is written. */
  close(): void;
}
