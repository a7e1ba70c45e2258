/**
 * Files that others may rename, replace and remove at any moment. Symbolic links are not followed:
 * whoever could put one into the folder of recordings could have any file of the machine read out.
 *
 * Imports nothing.
 */

/** A file is replaced once or twice in its life; not in each moment that somebody looks. */
const MAX_TRIES = 5;

/** A file that is open to be read. */
export interface OpenedFile {
  readonly file: Deno.FsFile;
  readonly info: Deno.FileInfo;
}

/** What is at a path, itself and not what it links to; `undefined` if nothing is. */
export async function infoOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** Whether a file is there, and no folder or link. */
export async function isRegularFile(path: string): Promise<boolean> {
  return (await infoOf(path))?.isFile ?? false;
}

/** Opens a file to be read; `undefined` if it is not there, or is a folder or a link. */
export async function openRegularFile(path: string): Promise<OpenedFile | undefined> {
  for (let n = 0; n < MAX_TRIES; n++) {
    // Before it is opened, too: opening a pipe would wait for somebody who writes to it.
    const named = await infoOf(path);
    if (named === undefined || !named.isFile) return undefined;
    const opened = await open(path);
    if (opened === undefined) continue;
    if (isSameFile(opened.info, named)) return opened;
    opened.file.close();
  }
  throw new Error(`${path} was replaced each time that it was opened`);
}

/**
 * Reads a whole file.
 *
 * @returns `undefined` if it is not there, or is a folder or a link.
 * @throws {RangeError} If it is longer than it may be.
 */
export async function readRegularFile(
  path: string,
  maxBytes: number,
): Promise<{ readonly text: string; readonly info: Deno.FileInfo } | undefined> {
  const opened = await openRegularFile(path);
  if (opened === undefined) return undefined;
  const { file, info } = opened;
  try {
    // One more, to see that it has grown meanwhile.
    const bytes = new Uint8Array(Math.min(info.size, maxBytes) + 1);
    let length = 0;
    while (length < bytes.length) {
      const count = await file.read(bytes.subarray(length));
      if (count === null) break;
      length += count;
    }
    if (length > maxBytes) throw new RangeError(`${path} is longer than ${maxBytes} bytes`);
    return { text: new TextDecoder().decode(bytes.subarray(0, length)), info };
  } finally {
    file.close();
  }
}

/** Whether both are the same file, whatever it was named when. */
export function isSameFile(one: Deno.FileInfo, other: Deno.FileInfo): boolean {
  // The number of a file that was removed is soon given to another one.
  return one.ino === other.ino && one.dev === other.dev &&
    one.birthtime?.getTime() === other.birthtime?.getTime();
}

/** Whether an error says that nothing is there, or that a file is in the place of a folder. */
export function isAbsence(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

async function open(path: string): Promise<OpenedFile | undefined> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  try {
    return { file, info: await file.stat() };
  } catch (error) {
    file.close();
    throw error;
  }
}
