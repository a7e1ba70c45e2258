/**
 * Small files that survive the loss of power, whole or not at all.
 *
 * Imports nothing but node:path and its neighbours.
 */
import { dirname } from "node:path";
import { FILE_MODE } from "./file_modes.ts";
import { syncFolder } from "./folder_sync.ts";
import { infoOf, isAbsence } from "./regular_file.ts";
import { whereSupported } from "./sync_support.ts";

/**
 * Writes a file as a whole: at each moment, and after a crash, there is all of it, or what was there
 * before. Meanwhile there is a `<path>.part`. Calls for the same path must not overlap.
 */
export async function writeDurably(path: string, text: string): Promise<void> {
  const temporary = `${path}.part`;
  // One that a crash left; and whatever it is, nothing is written through it.
  await removeFile(temporary);
  try {
    await writeSynced(temporary, new TextEncoder().encode(text));
    await Deno.rename(temporary, path);
  } catch (error) {
    // On a full disk, its room is wanted.
    await removeFile(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(path));
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: FILE_MODE });
  await writeAll(file, bytes);
  await whereSupported(file.sync());
}

/** Writes all of the bytes. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const count = await file.write(bytes.subarray(written));
    // Or it would be tried forever.
    if (count === 0) throw new Deno.errors.WriteZero("Nothing could be written");
    written += count;
  }
}

/**
 * Removes a file, or a link and not what it links to. A folder is somebody else's, and stays.
 *
 * @returns Whether it was there.
 */
export async function removeFile(path: string): Promise<boolean> {
  const info = await infoOf(path);
  if (info === undefined || info.isDirectory) return false;
  try {
    await Deno.remove(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}
