/**
 * Why a recording is not uploaded: another one is where it would go.
 *
 * Imports its neighbour.
 */
import { S3Error } from "./s3_error.ts";

/** Thrown when an object of another recording would be replaced. Nothing was. */
export class OtherRecordingError extends S3Error {
  /** @param key Of an object that is not of the recording that would be uploaded. */
  constructor(key: string) {
    super({
      operation: "PutObject",
      key,
      failure: "mismatch",
      reason:
        "another recording is at that place, and is not replaced; this one stays on the disk. " +
        "To upload it, too, stop the server and give all of its files one new name: the session's " +
        "id, a dot, 8 hex digits, and their extensions; then run reindex",
    });
  }
}
