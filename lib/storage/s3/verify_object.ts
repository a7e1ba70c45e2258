/**
 * Whether an object has the bytes that were sent.
 *
 * What holds where: on the way, the server checks the SHA-256 of each request's body, because it is
 * signed, and its MD5 (AWS, MinIO, R2, Google). What it then stored, it says by the ETag: the MD5 of
 * an object that was stored as a whole, and the MD5 of the parts' MD5s of others: AWS (unless
 * encrypted with keys of KMS or of one's own), MinIO and R2; Google only for the former. Where the
 * ETag is another one, the object is read back and hashed. The SHA-256 that is kept with an object
 * is what we said ourselves, and proves nothing.
 *
 * Imports its neighbours.
 */
import { createHash } from "node:crypto";
import type { S3Client, S3ObjectInfo } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";

/** What an object has to be. */
export interface ExpectedObject {
  readonly sizeBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  /** That most servers give it. */
  readonly etag: string;
}

/** What an object was found to be. */
export interface VerifiedObject {
  /** That it has: others than expected are fine if it was read back. */
  readonly etag: string;
  readonly verifiedBy: "etag" | "reading";
}

/**
 * Makes sure that an object is what it has to be.
 *
 * @throws {S3Error} `mismatch` if it is not, or is not there.
 */
export async function verifyObject(
  client: S3Client,
  key: string,
  expected: ExpectedObject,
  signal?: AbortSignal,
): Promise<VerifiedObject> {
  const failed = (reason: string) =>
    new S3Error({ operation: "HeadObject", key, failure: "mismatch", reason });
  const info = await client.head(key, { signal });
  if (info === undefined) throw failed("it is not there");
  const { sizeBytes, etag } = info;
  if (sizeBytes !== expected.sizeBytes) {
    throw failed(`it has ${sizeBytes} bytes instead of ${expected.sizeBytes}`);
  }
  if (!await hasBytes(client, key, info, expected, signal)) throw failed("it has other bytes");
  return { etag, verifiedBy: etag === expected.etag ? "etag" : "reading" };
}

/**
 * Whether an object has the bytes that it should: where its ETag is another one, it is read.
 *
 * @throws {S3Error} If that fails.
 */
export async function hasBytes(
  client: S3Client,
  key: string,
  { sizeBytes, etag }: Pick<S3ObjectInfo, "sizeBytes" | "etag">,
  expected: ExpectedObject,
  signal?: AbortSignal,
): Promise<boolean> {
  if (sizeBytes !== expected.sizeBytes) return false;
  if (etag === expected.etag) return true;
  const sha256 = createHash("sha256");
  for await (const chunk of client.read(key, 0, sizeBytes, etag)) {
    signal?.throwIfAborted();
    sha256.update(chunk);
  }
  return sha256.digest("hex") === expected.sha256;
}
