/**
 * What goes to the thread that writes recordings, and what comes back. Many writes travel together,
 * as plain numbers: an object for each would cost more than the write.
 *
 * Imports types only.
 */
import type { FileRequest } from "./file_operations.ts";

/**
 * Of each write: 1 for audio or 0 for messages, the recording, the place in its file, and the place
 * and length in the batch's bytes.
 */
export const NUMBERS_PER_WRITE = 5;

/** What goes to the thread, to be done in this order. */
export interface Batch {
  /** {@link NUMBERS_PER_WRITE} for each write. */
  readonly writes: readonly number[];
  /** What is written; it comes back, to be used again. */
  readonly bytes: ArrayBuffer;
  /** What is done after the writes. */
  readonly request: FileRequest | undefined;
}

/** What comes back. */
export interface BatchDone {
  /** Which writes failed, counted from 0, and why. */
  readonly failures: readonly (readonly [index: number, error: ThreadError])[];
  /** Of the request: location of its recording, or why it failed. */
  readonly answer?: string | ThreadError;
  readonly bytes: ArrayBuffer;
}

/** An error that happened in the thread. */
export interface ThreadError {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
}

/** The error as it was, for whoever asks what kind it is. */
export function errorOf({ name, message, code }: ThreadError): Error {
  const kinds = Deno.errors as unknown as Partial<Record<string, new (message: string) => Error>>;
  const error = new (kinds[name] ?? Error)(message);
  return code === undefined ? error : Object.assign(error, { code });
}
