/**
 * Where recordings are in object storage.
 *
 * Imports types only.
 */
import type { S3Client } from "./s3_client.ts";

/** A bucket, and what the keys of recordings begin with in it. */
export interface ObjectStorage {
  /** For what takes its time, and is worth many tries: storing recordings. */
  readonly client: S3Client;
  /** For what somebody waits for, reading them; by default the same. */
  readonly archiveClient?: S3Client;
  /** Without a slash at its end. */
  readonly prefix: string;
}
