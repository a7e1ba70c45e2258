/**
 * The key that the index of recordings hides participants by: without it, nobody who has the index
 * can try out phone numbers. It is kept in the data folder, beside the recordings; where there is no
 * lasting disk, it follows from a secret.
 *
 * Imports node: and its neighbour.
 */
import { join } from "node:path";
import { writePrivateFile } from "./private_file.ts";

/** Name of the file in the data folder. */
const FILE_NAME = "index.key";

/** Length of the key. */
export const INDEX_KEY_BYTES = 32;

/** What the key is for: other keys of the same secret are others. */
const DERIVED_FOR = "audiohook: index of recordings, version 1";

/** Thrown when the key can neither be read nor made. Says what to do about it. */
export class IndexKeyError extends Error {
  override readonly name = "IndexKeyError";
}

/**
 * Reads the key of the index, or makes it if there is none: random bytes in a file that only its
 * owner may read. Of several processes that start at once, one makes the key and all return it.
 *
 * @param dataDir Folder of the file `index.key`. Made if it does not exist.
 * @throws {IndexKeyError} If the file is broken, or can be neither read nor written.
 */
export async function loadOrCreateIndexKey(dataDir: string): Promise<Uint8Array<ArrayBuffer>> {
  const path = join(dataDir, FILE_NAME);
  const found = await readKey(path);
  if (found !== undefined) return found;
  const made = crypto.getRandomValues(new Uint8Array(INDEX_KEY_BYTES));
  if (await writeIfAbsent(dataDir, path, made)) return made;
  // Another process was faster.
  const theirs = await readKey(path);
  if (theirs !== undefined) return theirs;
  throw new IndexKeyError(
    `Cannot read ${path}: it was removed while the server started. Start the server again`,
  );
}

/**
 * The key of the index that follows from a secret (HKDF-SHA-256): instances that share a database
 * share the secret, and so the key, without a disk. The secret can't be found by the key.
 *
 * @param secret What cannot be guessed: it is not made any stronger here.
 * @throws {IndexKeyError} If it is empty.
 */
export async function deriveIndexKey(secret: string): Promise<Uint8Array<ArrayBuffer>> {
  if (secret === "") {
    throw new IndexKeyError("Cannot derive the key of the index: expected a secret");
  }
  const encoder = new TextEncoder();
  const material = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, [
    "deriveBits",
  ]);
  const parameters = {
    name: "HKDF",
    hash: "SHA-256",
    salt: new Uint8Array(0),
    info: encoder.encode(DERIVED_FOR),
  };
  const bits = await crypto.subtle.deriveBits(parameters, material, INDEX_KEY_BYTES * 8);
  return new Uint8Array(bits);
}

async function readKey(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let key: Uint8Array<ArrayBuffer>;
  try {
    key = await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new IndexKeyError(`Cannot read ${path}: make it readable for the server`, {
      cause: error,
    });
  }
  if (key.length === INDEX_KEY_BYTES) return key;
  throw new IndexKeyError(
    `Cannot use ${path}: expected ${INDEX_KEY_BYTES} bytes, got ${key.length}. Restore the file, ` +
      `or delete it to have a new key made (the index is built anew then)`,
  );
}

/** False if there is one already. */
async function writeIfAbsent(
  dataDir: string,
  path: string,
  key: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  try {
    return await writePrivateFile(dataDir, path, key);
  } catch (error) {
    throw new IndexKeyError(`Cannot write ${path}: make DATA_DIR a writable folder`, {
      cause: error,
    });
  }
}
