/**
 * Files that only their owner may read, made whole or not at all, by one of several processes.
 *
 * Imports its neighbour. The settings' room uses it, too.
 */
import { FOLDER_MODE } from "./file_modes.ts";

/**
 * Writes a file, unless there is one: the folder is made, too.
 *
 * @returns False if there is one already, which is left as it is.
 * @throws {Deno.errors.PermissionDenied} And other errors of the file system.
 */
export async function writePrivateFile(
  folder: string,
  path: string,
  content: string | Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const temporaryPath = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    try {
      await write(temporaryPath, content);
      // A link, not a rename: a rename would replace what another process has put there.
      await Deno.link(temporaryPath, path);
      return true;
    } finally {
      await Deno.remove(temporaryPath).catch(() => {});
    }
  } catch (error) {
    // `mkdir` fails with the same error if there is a file in the folder's place.
    if (error instanceof Deno.errors.AlreadyExists && await exists(path)) return false;
    throw error;
  }
}

async function write(path: string, content: string | Uint8Array<ArrayBuffer>): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  // Not by `file.writable`: it holds back what is written until it is closed.
  let rest = typeof content === "string" ? new TextEncoder().encode(content) : content;
  while (rest.length > 0) rest = rest.subarray(await file.write(rest));
  // On disk before it gets its name: a power failure must not leave an empty file behind.
  await file.sync();
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
