/**
 * Files that may be gone at any moment, because somebody else removes them.
 *
 * Imports nothing.
 */

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
