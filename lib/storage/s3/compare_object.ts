/**
 * Whether an object is what somebody would upload, or did.
 *
 * Imports its neighbours.
 */
import type { S3Client } from "./s3_client.ts";
import { type ExpectedObject, hasBytes } from "./verify_object.ts";

/**
 * What is at a key: `nothing`; the `same` bytes; what was uploaded as these bytes, but is `damaged`;
 * or something `other`.
 */
export type Comparison = "nothing" | "same" | "damaged" | "other";

/**
 * Compares an object with what is expected. Only one of the same length is read, where its ETag
 * leaves it open.
 *
 * @throws {S3Error} If storage fails.
 */
export async function compareObject(
  client: S3Client,
  key: string,
  expected: ExpectedObject,
  signal?: AbortSignal,
): Promise<Comparison> {
  const info = await client.head(key, { signal });
  if (info === undefined) return "nothing";
  if (await hasBytes(client, key, info, expected, signal)) return "same";
  return info.statedSha256 === expected.sha256 ? "damaged" : "other";
}
