/**
 * A file that is there before it is needed: where things are overwritten in place, what is written
 * to it takes no room, so that nobody can be faster in taking it.
 *
 * Imports node:path and its neighbours.
 */
import { dirname } from "node:path";
import { removeFile, writeAll } from "./durable_file.ts";
import { FILE_MODE } from "./file_modes.ts";
import { syncFolder } from "./folder_sync.ts";
import { infoOf } from "./regular_file.ts";
import { whereSupported } from "./sync_support.ts";

/** A block of most file systems. */
const SPARE_BYTES = 4096;
const SPACE = 0x20;

/** A file that is kept for later. Calls must not overlap. */
export class SpareFile {
  readonly #path: string;

  /** @param path Of the file, which need not be there; its folder is. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Makes it if it is not there.
   *
   * @throws What the disk says.
   */
  async keep(): Promise<void> {
    if (await infoOf(this.#path) !== undefined) return;
    const options = { write: true, createNew: true, mode: FILE_MODE };
    try {
      using file = await Deno.open(this.#path, options);
      // Not zeros, which some file systems do not store.
      await writeAll(file, crypto.getRandomValues(new Uint8Array(SPARE_BYTES)));
      await whereSupported(file.sync());
    } catch (error) {
      await removeFile(this.#path).catch(() => {});
      throw error;
    }
  }

  /**
   * Makes it another file, with a text and spaces behind it, which is there as a whole or not at all
   * after a crash.
   *
   * @param path On the same disk.
   * @returns False if there is none, or the text is too long for it.
   * @throws What the disk says.
   */
  async become(path: string, text: string): Promise<boolean> {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > SPARE_BYTES || !await isSpare(this.#path)) return false;
    const padded = new Uint8Array(SPARE_BYTES).fill(SPACE);
    padded.set(bytes);
    using file = await Deno.open(this.#path, { write: true });
    await writeAll(file, padded);
    await whereSupported(file.sync());
    await Deno.rename(this.#path, path);
    await syncFolder(dirname(path));
    return true;
  }

  /**
   * Takes back what it has become, if there is no other one meanwhile.
   *
   * @returns False if that is none, and was not touched.
   * @throws What the disk says.
   */
  async takeBack(path: string): Promise<boolean> {
    if (await infoOf(this.#path) !== undefined || !await isSpare(path)) return false;
    await Deno.rename(path, this.#path);
    return true;
  }
}

async function isSpare(path: string): Promise<boolean> {
  const info = await infoOf(path);
  return info !== undefined && info.isFile && info.size === SPARE_BYTES;
}
