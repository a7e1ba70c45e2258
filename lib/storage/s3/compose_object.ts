/**
 * Stores an object whose bytes come one after the other, and are not kept: takes the memory of one
 * part.
 *
 * Imports its neighbours.
 */
import { Checksums } from "./checksums.ts";
import { compareObject } from "./compare_object.ts";
import { etagOf } from "./file_digest.ts";
import type { S3Client, UploadedPart } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { type StoreCondition, storeIf } from "./store_if.ts";
import { PART_BYTES, partBytesOf } from "./upload_file.ts";
import { type ExpectedObject, verifyObject } from "./verify_object.ts";

/** Bytes of an object, and their checksums. */
interface Part {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly md5: string;
  readonly sha256: string;
}

/** An object, and what it consists of. */
export interface Composition {
  readonly client: S3Client;
  readonly key: string;
  readonly contentType: string;
  /** Of all bytes together. */
  readonly sizeBytes: number;
  readonly bytes: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** What has to be there; whatever is there is replaced by default. */
  readonly condition?: StoreCondition;
}

/**
 * Stores an object, and verifies it.
 *
 * @returns `changed` if there was not what had to be, or is something else by now: nothing of that is
 *   replaced.
 * @throws {S3Error} If storage fails; no parts are left then, unless that fails, too.
 * @throws {RangeError} If there are fewer or more bytes than was said.
 */
export async function composeObject(composition: Composition): Promise<"stored" | "changed"> {
  const { client, key, contentType, sizeBytes, condition = {} } = composition;
  const partBytes = partBytesOf(sizeBytes, PART_BYTES);
  if (partBytes === Infinity) {
    const { body, md5, sha256 } = await whole(composition);
    await storeIf(client, key, condition, async (only) => {
      await client.put(key, body, { contentType, md5, sha256, bodySha256: sha256, ...only });
    });
    return await verify(composition, { sizeBytes, sha256, etag: md5 });
  }
  await abortUploads(client, key);
  const uploadId = await client.createUpload(key, { contentType });
  try {
    const stored = await storeParts(composition, uploadId, partBytes);
    const result = await storeIf(client, key, condition, async (only) => {
      await client.completeUpload(key, uploadId, stored.parts, only).catch(ignoreMissingUpload);
    });
    if (result === undefined) await client.abortUpload(key, uploadId).catch(() => {});
    return await verify(composition, { sizeBytes, sha256: stored.sha256, etag: stored.etag });
  } catch (error) {
    await client.abortUpload(key, uploadId).catch(() => {});
    throw error;
  }
}

/** Looks at what is there, also where it was not stored: perhaps only the answer was lost. */
async function verify(
  { client, key, condition }: Composition,
  expected: ExpectedObject,
): Promise<"stored" | "changed"> {
  if (condition === undefined) {
    await verifyObject(client, key, expected);
    return "stored";
  }
  const found = await compareObject(client, key, expected);
  if (found === "same") return "stored";
  if (found !== "damaged") return "changed";
  const reason = "it has other bytes";
  throw new S3Error({ operation: "HeadObject", key, failure: "mismatch", reason });
}

/** All bytes, and their checksums. */
async function whole({ key, sizeBytes, bytes }: Composition): Promise<Part> {
  const body = new Uint8Array(sizeBytes);
  const checksums = new Checksums();
  let used = 0;
  for await (const chunk of bytes) {
    if (used + chunk.length > sizeBytes) throw wrongSize(key);
    body.set(chunk, used);
    used += chunk.length;
    // While the next ones are on their way.
    await checksums.addAll(chunk);
  }
  if (used < sizeBytes) throw wrongSize(key);
  return { body, ...checksums.end() };
}

async function storeParts(
  { client, key, sizeBytes, bytes }: Composition,
  uploadId: string,
  partBytes: number,
): Promise<{ parts: UploadedPart[]; sha256: string; etag: string }> {
  const parts: UploadedPart[] = [];
  const partMd5s: string[] = [];
  const all = new Checksums();
  let stored = 0;
  for await (const { body, md5, sha256: bodySha256 } of cut(bytes, partBytes, all)) {
    partMd5s.push(md5);
    const number = parts.length + 1;
    parts.push(await client.uploadPart(key, uploadId, number, body, { md5, bodySha256 }));
    stored += body.length;
  }
  if (stored !== sizeBytes) throw wrongSize(key);
  return { parts, sha256: all.end().sha256, etag: etagOf({ partMd5s }, true) };
}

/** Cuts bytes into parts of one size, each a view on the same memory. The last may be shorter. */
async function* cut(
  bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
  partBytes: number,
  all: Checksums,
): AsyncGenerator<Part> {
  const part = new Uint8Array(partBytes);
  let checksums = new Checksums();
  let used = 0;
  for await (const chunk of bytes) {
    for (let rest = chunk; rest.length > 0;) {
      const taken = rest.subarray(0, part.length - used);
      part.set(taken, used);
      used += taken.length;
      rest = rest.subarray(taken.length);
      await Promise.all([checksums.addAll(taken), all.addAll(taken)]);
      if (used < part.length) break;
      yield { body: part, ...checksums.end() };
      checksums = new Checksums();
      used = 0;
    }
  }
  if (used > 0) yield { body: part.subarray(0, used), ...checksums.end() };
}

/**
 * Those of one that was killed while it was at it. They cost something, and are in nobody's way: where
 * it is not known, or not allowed, to list or abort uploads, they stay.
 */
async function abortUploads(client: S3Client, key: string): Promise<void> {
  try {
    for await (const upload of client.listUploads(key)) {
      if (upload.key === key) await client.abortUpload(key, upload.uploadId);
    }
  } catch (error) {
    const tolerated: readonly unknown[] = ["AccessDenied", "NotImplemented"];
    if (!(error instanceof S3Error) || !tolerated.includes(error.code)) throw error;
  }
}

/** After a lost answer; whether the object is there is looked at next. */
function ignoreMissingUpload(error: unknown): void {
  if (!(error instanceof S3Error) || error.code !== "NoSuchUpload") throw error;
}

function wrongSize(key: string): RangeError {
  return new RangeError(`There are not as many bytes for ${key} as there should be`);
}
