/**
 * Whether a recording without metadata is still being made. Whoever makes one, or completes one that
 * a killed server left, holds a lock on its message log.
 *
 * Imports its neighbours.
 */
import { infoOf, openRegularFile } from "./regular_file.ts";

/** Whoever makes a recording locks its message log at once, but not in the moment it is there. */
const LOCK_WITHIN_MS = 60_000;

/**
 * Whether somebody writes a recording.
 *
 * @param location Path of its files, without their extensions.
 * @param nowMs The present time, milliseconds since 1970.
 */
export async function isUnderWay(location: string, nowMs: number): Promise<boolean> {
  if (await infoOf(`${location}.json`) !== undefined) return false;
  const messages = await openRegularFile(`${location}.jsonl`);
  // It is the first file that is made.
  if (messages === undefined) return false;
  const { file, info } = messages;
  try {
    return await isJustMade(location, info, nowMs) || !await isUnlocked(file);
  } finally {
    file.close();
  }
}

/** Whether a message log was made so recently that its lock may be about to be taken. */
export async function isJustMade(
  location: string,
  { size, mtime }: Deno.FileInfo,
  nowMs: number,
): Promise<boolean> {
  if (size > 0 || nowMs - (mtime?.getTime() ?? nowMs) >= LOCK_WITHIN_MS) return false;
  // Audio is written by who has the lock; or the log was lost, and was made anew to be locked.
  const audio = await Promise.all([".wav.part", ".wav"].map((part) => infoOf(location + part)));
  return audio.every((info) => info === undefined);
}

async function isUnlocked(file: Deno.FsFile): Promise<boolean> {
  try {
    // Shared: others who ask at the same time are not taken for who writes it.
    return await file.tryLock(false);
  } catch {
    // A file system without locks, where recordings are made all the same.
    return false;
  }
}
