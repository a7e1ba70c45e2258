/**
 * What goes to the thread that writes recordings, and what comes back. Many writes travel together,
 * as plain numbers: an object for each would cost more than the write.
 *
 * Imports types only.
 */
import type { FileRequest } from "./file_operations.ts";
import type { SyncStatus } from "./sync_schedule.ts";

/**
 * Of each write: 1 for audio or 0 for messages, the recording, the place in its file, and the place
 * and length in the batch's bytes.
 */
export const NUMBERS_PER_WRITE = 5;

/** What the thread begins with. */
export interface ThreadSettings {
  /** How long what was written may wait to be synced, in seconds; 0 to do it at the end only. */
  readonly syncSeconds: number;
  /** Whether names are unique, wherever recordings are made; else they are numbered. */
  readonly hasUniqueNames: boolean;
}

/** What goes to the thread, to be done in this order. */
export interface Batch {
  /** A `Float64Array` of {@link NUMBERS_PER_WRITE} for each write; as a buffer, it travels faster. */
  readonly writes: ArrayBuffer;
  /** What is written; it comes back, to be used again. */
  readonly bytes: ArrayBuffer;
  /** What else is done. */
  readonly requests: readonly NumberedRequest[];
}

/** A request, and where its answer goes. */
export interface NumberedRequest {
  readonly number: number;
  /** How many of the batch's writes are done before it. */
  readonly writesBefore: number;
  readonly request: FileRequest;
}

/** What comes back: after each batch, and when there is something to tell. */
export interface ThreadReport {
  /** A batch is done, but for requests that take longer. */
  readonly done?: BatchDone;
  /** Of requests: location of the recording, or why it failed. */
  readonly answers: readonly (readonly [number: number, answer: string | ThreadError])[];
  /** Recordings that can't be synced, or, `undefined`, can again. */
  readonly syncs: readonly (readonly [id: number, error: ThreadError | undefined])[];
  readonly status: SyncStatus | undefined;
}

/** What became of a batch. */
export interface BatchDone {
  /** Which writes failed, counted from 0, and why. */
  readonly failures: readonly (readonly [index: number, error: ThreadError])[];
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
