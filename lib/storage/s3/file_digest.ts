/**
 * Checksums of a file: those of the whole, and of the parts that it is uploaded by.
 *
 * Computed a little at a time, each between two reads from the disk: calls wait for none of it.
 * Imports node:crypto.
 */
import { createHash } from "node:crypto";

/** Takes a fraction of a millisecond. */
const READ_BYTES = 64 * 1024;

/** What a file is: if two of these are the same, so are the files. */
export interface FileDigest {
  readonly sizeBytes: number;
  /** When it was last written to, milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Hexadecimal, as those below. */
  readonly sha256: string;
  /** MD5 of each part; one of all, if it is not uploaded by parts. */
  readonly partMd5s: readonly string[];
}

/** Thrown when a file was written to while it was read: it has to be read again. */
export class FileChangedError extends Error {
  override readonly name = "FileChangedError";
}

/**
 * Reads a whole file.
 *
 * @param partBytesOf Size of the parts of a file of that size; `Infinity` for one of all.
 * @throws {FileChangedError} If it is written to.
 * @throws {DOMException} If the signal stops it.
 */
export async function digestFile(
  path: string,
  partBytesOf: (sizeBytes: number) => number,
  signal?: AbortSignal,
): Promise<FileDigest> {
  using file = await Deno.open(path);
  const { size, mtime } = await file.stat();
  const partBytes = partBytesOf(size);
  const buffer = new Uint8Array(READ_BYTES);
  const sha256 = createHash("sha256");
  const partMd5s: string[] = [];
  let part = createHash("md5");
  let partUsed = 0;
  let at = 0;
  while (at < size) {
    signal?.throwIfAborted();
    const wanted = Math.min(READ_BYTES, partBytes - partUsed, size - at);
    const count = await file.read(buffer.subarray(0, wanted));
    if (count === null) throw new FileChangedError(`${path} became shorter`);
    const bytes = buffer.subarray(0, count);
    sha256.update(bytes);
    part.update(bytes);
    at += count;
    partUsed += count;
    if (partUsed === partBytes) {
      partMd5s.push(part.digest("hex"));
      part = createHash("md5");
      partUsed = 0;
    }
  }
  // An empty file has one part, too.
  if (partUsed > 0 || size === 0) partMd5s.push(part.digest("hex"));
  const after = await file.stat();
  if (after.size !== size || after.mtime?.getTime() !== mtime?.getTime()) {
    throw new FileChangedError(`${path} was written to`);
  }
  return {
    sizeBytes: size,
    modifiedMs: mtime?.getTime() ?? 0,
    sha256: sha256.digest("hex"),
    partMd5s,
  };
}

/** The ETag that most servers give an object: its MD5, or that of its parts' MD5s. */
export function etagOf(digest: Pick<FileDigest, "partMd5s">, isByParts: boolean): string {
  const { partMd5s } = digest;
  if (!isByParts) return partMd5s[0] ?? "";
  const all = createHash("md5");
  for (const md5 of partMd5s) all.update(Uint8Array.fromHex(md5));
  return `${all.digest("hex")}-${partMd5s.length}`;
}

/**
 * Reads a part of a file, all of it.
 *
 * @param into Filled from its beginning.
 * @returns What is filled of it.
 * @throws {FileChangedError} If the file ends too early.
 */
export async function readPart(
  file: Deno.FsFile,
  from: number,
  into: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  await file.seek(from, Deno.SeekMode.Start);
  for (let used = 0; used < into.length;) {
    const count = await file.read(into.subarray(used));
    if (count === null) throw new FileChangedError("The file became shorter");
    used += count;
  }
  return into;
}
