/**
 * Small files that are there as a whole or not at all, also when the power fails.
 *
 * Imports node:path.
 */
import { dirname } from "node:path";

/** As other files of recordings. */
const FILE_MODE = 0o640;
const NOT_SYNCABLE = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP"]);

/** Writes a file, or replaces it. Beside it, a file with the extension `.part` is made, and goes. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.part`;
  {
    using file = await Deno.open(temporary, {
      write: true,
      create: true,
      truncate: true,
      mode: FILE_MODE,
    });
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) {
      const count = await file.write(bytes.subarray(written));
      // Or it would be tried for ever.
      if (count === 0) throw new Deno.errors.WriteZero(`Nothing could be written to ${temporary}`);
      written += count;
    }
    await file.syncData();
  }
  await Deno.rename(temporary, path);
  await syncFolder(dirname(path));
}

/** Makes sure that what was made or removed in a folder stays so. */
export async function syncFolder(path: string): Promise<void> {
  // There, a folder is no file that could be opened, and needs no sync.
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  try {
    await folder.sync();
  } catch (error) {
    // Of a file system that has no such thing.
    if (!NOT_SYNCABLE.has(String((error as { readonly code?: unknown }).code))) throw error;
  }
}

/** A whole file; `undefined` if there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return await ifThere(Deno.readTextFile(path));
}

/** What a file is; `undefined` if there is none. */
export async function statIfThere(path: string): Promise<Deno.FileInfo | undefined> {
  return await ifThere(Deno.stat(path));
}

/** Removes a file, if it is there. */
export async function removeIfThere(path: string): Promise<void> {
  await ifThere(Deno.remove(path));
}

async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
