/**
 * Uploads one file: as a whole if it is small, otherwise by parts, one after the other, which go on
 * after a restart where they were. Takes the memory of one part.
 *
 * Imports its neighbours.
 */
import { etagOf, type FileDigest, readPart } from "./file_digest.ts";
import { OtherRecordingError } from "./other_recording_error.ts";
import type { PutOptions, S3Client, UploadedPart } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { type StoreCondition, storeIf } from "./store_if.ts";
import type { UploadedFile, UploadStateFile } from "./upload_marker.ts";
import { type ExpectedObject, type VerifiedObject, verifyObject } from "./verify_object.ts";

/** Larger files go by parts. */
const WHOLE_BYTES = 16 * 1024 * 1024;
/** Of parts, unless there would be too many. */
export const PART_BYTES: number = 8 * 1024 * 1024;
/** S3 has at most 10,000. */
const MAX_PARTS = 10_000;

/** A file, and where it goes. */
export interface FileUpload {
  readonly client: S3Client;
  readonly path: string;
  readonly key: string;
  readonly contentType: string;
  /** What the file is. */
  readonly digest: FileDigest;
  /**
   * What is at the key: `nothing`, and then nothing is replaced; the `same` bytes, which are not
   * sent; or something that may be `replaced`.
   */
  readonly there: "nothing" | "same" | "replaced";
  /** Where an upload by parts is noted. */
  readonly state: UploadStateFile;
  /** Stops it at once. */
  readonly signal: AbortSignal;
  /** Asked between two requests: whether it stops there. */
  readonly isStopping: () => boolean;
}

/**
 * Size of parts: `Infinity` for a file that goes as a whole.
 *
 * @param wholeBytes The most that does.
 */
export function partBytesOf(sizeBytes: number, wholeBytes: number = WHOLE_BYTES): number {
  if (sizeBytes <= wholeBytes) return Infinity;
  return PART_BYTES * Math.ceil(sizeBytes / (PART_BYTES * MAX_PARTS));
}

/** The object that a file becomes. */
export function objectOf(digest: FileDigest): ExpectedObject {
  const { sizeBytes, sha256 } = digest;
  return { sizeBytes, sha256, etag: etagOf(digest, partBytesOf(sizeBytes) !== Infinity) };
}

/**
 * Uploads a file.
 *
 * @throws {OtherRecordingError} If there is something else by now.
 * @throws {S3Error} If storage fails, if the object is not what was sent, or `stopped`.
 * @throws {FileChangedError} If the file is written to.
 * @throws What the disk says.
 */
export async function uploadFile(upload: FileUpload): Promise<UploadedFile> {
  const { client, key, digest, there, state, signal } = upload;
  const expected = objectOf(digest);
  const { sizeBytes, sha256 } = expected;
  let isTaken = false;
  const storeFile = (condition: StoreCondition) => store(upload, expected, condition);
  if (there === "replaced") await storeFile({});
  if (there === "nothing") {
    isTaken = await storeIf(client, key, { isNew: true }, storeFile) === undefined;
  }
  let verified: VerifiedObject;
  try {
    verified = await verifyObject(client, key, expected, signal);
  } catch (error) {
    // If it has our bytes, only the answer was lost when it was stored.
    const isOther = isTaken && error instanceof S3Error && error.failure === "mismatch";
    throw isOther ? new OtherRecordingError(key) : error;
  }
  // Those of another file go on.
  if ((await state.parts())?.key === key) await state.setParts(undefined);
  return { sizeBytes, sha256, ...verified };
}

async function store(
  upload: FileUpload,
  { sizeBytes, sha256, etag }: ExpectedObject,
  condition: StoreCondition,
): Promise<void> {
  const { client, path, key, contentType, signal } = upload;
  using file = await Deno.open(path);
  const options: PutOptions = { contentType, sha256, signal, ...condition };
  const partBytes = partBytesOf(sizeBytes);
  if (partBytes === Infinity) {
    const body = await readPart(file, 0, new Uint8Array(sizeBytes));
    await client.put(key, body, { ...options, md5: etag });
  } else {
    await uploadParts(upload, file, partBytes, options);
  }
}

async function uploadParts(
  upload: FileUpload,
  file: Deno.FsFile,
  partBytes: number,
  options: PutOptions,
): Promise<void> {
  const { client, key, state, signal, digest: { sizeBytes, sha256, partMd5s } } = upload;
  const begun = await resume(upload, sha256);
  const uploadId = begun?.uploadId ?? await client.createUpload(key, options);
  if (begun === undefined) await state.setParts({ key, uploadId, sizeBytes, sha256 });
  const parts: UploadedPart[] = [];
  let buffer: Uint8Array<ArrayBuffer> | undefined;
  for (const [index, md5] of partMd5s.entries()) {
    throwIfStopping(upload);
    const number = index + 1;
    const from = index * partBytes;
    const bytes = Math.min(partBytes, sizeBytes - from);
    const stored = begun?.parts.get(number);
    if (stored?.sizeBytes === bytes && stored.etag === md5) {
      parts.push({ number, etag: stored.etag });
      continue;
    }
    buffer ??= new Uint8Array(partBytes);
    const body = await readPart(file, from, buffer.subarray(0, bytes));
    parts.push(await client.uploadPart(key, uploadId, number, body, { md5, signal }));
  }
  throwIfStopping(upload);
  try {
    await client.completeUpload(key, uploadId, parts, options);
  } catch (error) {
    if (!(error instanceof S3Error)) throw error;
    const isOver = error.code === "NoSuchUpload";
    if (!isOver && error.status !== 412) throw error;
    if (!isOver) await client.abortUpload(key, uploadId, { signal });
    await state.setParts(undefined);
    // Perhaps only the answer was lost: whether the object is there is looked at next.
    if (!isOver) throw error;
  }
}

interface BegunUpload {
  readonly uploadId: string;
  readonly parts: ReadonlyMap<number, { readonly sizeBytes: number; readonly etag: string }>;
}

/** The upload that was begun before; if it is one of other bytes, it is ended. */
async function resume(upload: FileUpload, sha256: string): Promise<BegunUpload | undefined> {
  const { client, key, state, signal } = upload;
  const noted = await state.parts();
  if (noted === undefined) return undefined;
  const { uploadId } = noted;
  if (noted.key !== key || noted.sha256 !== sha256) {
    await client.abortUpload(noted.key, uploadId, { signal });
    return undefined;
  }
  const parts: [number, { sizeBytes: number; etag: string }][] = [];
  try {
    for await (const part of client.listParts(key, uploadId, { signal })) {
      parts.push([part.number, part]);
    }
  } catch (error) {
    if (!(error instanceof S3Error) || error.failure !== "refused") throw error;
    if (error.code === "NoSuchUpload") return undefined;
    // A server that can't list parts gets all of them again.
    if (error.code !== "NotImplemented") throw error;
  }
  return { uploadId, parts: new Map(parts) };
}

function throwIfStopping({ key, signal, isStopping }: FileUpload): void {
  if (signal.aborted || isStopping()) {
    throw new S3Error({ operation: "UploadPart", key, failure: "stopped" });
  }
}
