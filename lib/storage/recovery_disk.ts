/**
 * The disk as recovery sees it: Deno's functions, each call of which is a step that the program may
 * be killed after, and a disk may fail at.
 *
 * Imports its neighbour.
 */
import { whereSupported } from "./sync_support.ts";

/** An open file. */
export type RecoveryFile = Pick<
  Deno.FsFile,
  "read" | "write" | "seek" | "truncate" | "sync" | "syncData" | "stat" | "tryLockSync" | "close"
>;

/** What is done with files and folders. */
export interface RecoveryDisk {
  readDir(path: string): AsyncIterable<Deno.DirEntry>;
  lstat(path: string): Promise<Deno.FileInfo>;
  open(path: string, options: Deno.OpenOptions): Promise<RecoveryFile>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

/** The disk of this machine. */
export const MACHINE_DISK: RecoveryDisk = {
  readDir: (path) => Deno.readDir(path),
  lstat: (path) => Deno.lstat(path),
  open: (path, options) => Deno.open(path, options),
  rename: (from, to) => Deno.rename(from, to),
  remove: (path) => Deno.remove(path),
};

/** What is known of a file; `undefined` if there is none. Other failures are thrown. */
export async function statIfThere(
  disk: RecoveryDisk,
  path: string,
): Promise<Deno.FileInfo | undefined> {
  try {
    return await disk.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Reads bytes from a place; fewer than asked for if the file ends. */
export async function readAt(
  file: RecoveryFile,
  offset: number,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(maxBytes);
  let used = 0;
  while (used < maxBytes) {
    const count = await file.read(bytes.subarray(used));
    if (count === null) break;
    used += count;
  }
  return bytes.subarray(0, used);
}

/** Writes bytes to a place. */
export async function writeAt(
  file: RecoveryFile,
  offset: number,
  bytes: Uint8Array,
): Promise<void> {
  await file.seek(offset, Deno.SeekMode.Start);
  for (let written = 0; written < bytes.length;) {
    const count = await file.write(bytes.subarray(written));
    // Or it would be tried forever.
    if (count === 0) throw new Deno.errors.WriteZero("Nothing could be written");
    written += count;
  }
}

/** Makes sure that what was renamed in a folder is so after a loss of power, too. */
export async function syncFolder(disk: RecoveryDisk, path: string): Promise<void> {
  // There, folders can't be opened.
  if (Deno.build.os === "windows") return;
  const folder = await disk.open(path, { read: true });
  try {
    await whereSupported(folder.sync());
  } finally {
    folder.close();
  }
}
