/**
 * What S3 servers answer about one object: not in XML, but by headers and bytes.
 *
 * Imports its neighbours.
 */
import { plainETag } from "./s3_answers.ts";
import { S3Error } from "./s3_error.ts";
import { readNothing, type S3Answer } from "./s3_requests.ts";

/** What an object is. */
export interface S3ObjectInfo {
  readonly sizeBytes: number;
  /** Without quotation marks. Only of some servers and objects the MD5 of its bytes. */
  readonly etag: string;
  readonly modifiedAt: Date;
  /** SHA-256 that whoever stored it said it has, hexadecimal; nobody checked it. */
  readonly statedSha256: string | undefined;
}

/** Reads the answer to PutObject and UploadPart: the ETag of what was stored. */
export async function readETag(answer: S3Answer): Promise<string> {
  await readNothing(answer);
  return plainETag(answer.headers.get("etag") ?? "");
}

/**
 * Reads an answer to HeadObject.
 *
 * @throws {S3Error} If it does not say enough.
 */
export async function readObjectInfo(key: string, answer: S3Answer): Promise<S3ObjectInfo> {
  await readNothing(answer);
  const sizeBytes = Number(answer.headers.get("content-length") ?? NaN);
  const modifiedAt = new Date(answer.headers.get("last-modified") ?? NaN);
  if (!Number.isSafeInteger(sizeBytes) || Number.isNaN(modifiedAt.getTime())) {
    throw new S3Error({ operation: "HeadObject", key, failure: "malformed" });
  }
  const stated = answer.headers.get("x-amz-meta-sha256");
  return {
    sizeBytes,
    etag: plainETag(answer.headers.get("etag") ?? ""),
    modifiedAt,
    statedSha256: stated !== null && /^[\da-f]{64}$/.test(stated) ? stated : undefined,
  };
}

/**
 * Reads an answer to GetObject to its end.
 *
 * @param maxBytes The most that the object may have.
 * @throws {S3Error} If it has more, or less comes than there is.
 */
export async function readWholeObject(
  key: string,
  { headers, body }: S3Answer,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const sizeBytes = Number(headers.get("content-length") ?? NaN);
  if (!(sizeBytes <= maxBytes)) {
    await body?.cancel();
    const reason = `it has more than ${maxBytes} bytes`;
    throw new S3Error({ operation: "GetObject", key, failure: "mismatch", reason });
  }
  const bytes = new Uint8Array(sizeBytes);
  let used = 0;
  for await (const chunk of body ?? []) {
    if (used + chunk.length > sizeBytes) break;
    bytes.set(chunk, used);
    used += chunk.length;
  }
  if (used === sizeBytes) return bytes;
  throw new S3Error({ operation: "GetObject", key, failure: "network" });
}

/**
 * Makes sure that an answer to GetObject is the part that was asked for.
 *
 * @param first Place of its first byte.
 * @returns The answer, whose body was not read.
 * @throws {S3Error} If it is another part, or the whole object.
 */
export async function checkRange(key: string, answer: S3Answer, first: number): Promise<S3Answer> {
  const range = answer.headers.get("content-range") ?? "";
  if (range.startsWith(`bytes ${first}-`)) return answer;
  // Without it, that is the whole object.
  if (first === 0 && range === "") return answer;
  await answer.body?.cancel();
  throw new S3Error({ operation: "GetObject", key, failure: "malformed" });
}
