/**
 * Room on a disk that is kept back for what must be written when the disk is full: a file of bytes
 * that mean nothing, which is cut piece by piece.
 *
 * Little by little, because whoever else waits for room takes what is freed at once: all of it would
 * be gone before it is used. Those who are quick get the better of small pieces, so these grow.
 * Needs `--allow-sys=statfs` of Deno to leave the last room to others. Imports node:fs, node:os,
 * node:path, and its neighbours.
 */
import { statfs, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { dirname } from "node:path";
import { getLogger } from "@logtape/logtape";
import { removeFile, writeAll } from "./durable_file.ts";
import { FILE_MODE } from "./file_modes.ts";
import { RefusedChangeError } from "./recording_archive.ts";
import { infoOf } from "./regular_file.ts";
import { whereSupported } from "./sync_support.ts";

const log = getLogger(["audiohook", "storage"]);

const MIB = 1024 * 1024;
/** A few blocks, whatever their size; where they are larger, several pieces free one. */
const PIECE_BYTES = 16 * 1024;
/** So many pieces have one size; the next ones are twice as large. */
const PIECES_OF_A_SIZE = 4;

/** Options of a {@link DiskReserve}. All have defaults. */
export interface DiskReserveOptions {
  /** How much is kept back, 1 MiB by default. */
  readonly reserveBytes?: number;
  /** How much is left to others when it is filled up, 64 MiB by default. */
  readonly minFreeBytes?: number;
}

/** Room that is kept back. Calls must not overlap, but those within the work of another. */
export class DiskReserve {
  readonly #path: string;
  readonly #reserveBytes: number;
  readonly #minFreeBytes: number;
  /** What was cut off since it was filled up. */
  #cutBytes = 0;

  /** @param path Of a file, which need not be there; its folder is. */
  constructor(path: string, options: DiskReserveOptions = {}) {
    this.#path = path;
    this.#reserveBytes = options.reserveBytes ?? MIB;
    this.#minFreeBytes = options.minFreeBytes ?? 64 * MIB;
  }

  /**
   * Does something; each time that there is no room for it, frees a little, and does it again.
   *
   * @throws {RefusedChangeError} If nothing is left of the reserve, and there is no room yet.
   */
  async spendOn<T>(work: () => Promise<T>): Promise<T> {
    for (let cuts = 0;; cuts++) {
      try {
        return await work();
      } catch (error) {
        if (!await this.#isForWantOfRoom(error)) throw error;
        if (await this.#cut(PIECE_BYTES * 2 ** Math.floor(cuts / PIECES_OF_A_SIZE))) continue;
        throw new RefusedChangeError(
          "The disk is full, and nothing can be put down of what is done: free some room on it, a " +
            "megabyte is enough, and try again",
          { cause: error },
        );
      }
    }
  }

  /**
   * Fills it up where there is room enough; where there is little, with as much as was cut off, for
   * that was spent on freeing more. It never fails: then there is less, or nothing.
   */
  async fill(): Promise<void> {
    try {
      const info = await infoOf(this.#path);
      const size = info?.size ?? 0;
      if (info?.isFile === false || size >= this.#reserveBytes) return;
      const missingBytes = this.#reserveBytes - size;
      const hasRoom = await this.#hasRoomFor(missingBytes);
      const bytes = hasRoom ? missingBytes : Math.min(missingBytes, this.#cutBytes);
      if (bytes > 0) await this.#add(size, bytes);
      this.#cutBytes = 0;
    } catch (error) {
      log.debug("Cannot keep room back for when the disk is full", { error });
    }
  }

  async #isForWantOfRoom(error: unknown): Promise<boolean> {
    if (!(error instanceof Error)) return false;
    if ("code" in error) return error.code === "ENOSPC";
    // A quota is to its owner what the end of the disk is to all. Deno has no code for it, and no
    // class either; its Node has the number.
    if (Object.getPrototypeOf(error) !== Error.prototype) return false;
    const probe = `${this.#path}.probe`;
    try {
      await writeFile(probe, crypto.getRandomValues(new Uint8Array(PIECE_BYTES)));
      return false;
    } catch (error) {
      return error instanceof Error && "errno" in error && error.errno === -constants.errno.EDQUOT;
    } finally {
      await removeFile(probe).catch(() => {});
    }
  }

  /** Frees a little; returns whether there was something to free. */
  async #cut(bytes: number): Promise<boolean> {
    const info = await infoOf(this.#path);
    if (!info?.isFile) return false;
    if (this.#cutBytes === 0) {
      log.warning("The disk is full: room that is kept back is used to remove recordings");
    }
    try {
      if (info.size > bytes) {
        await Deno.truncate(this.#path, info.size - bytes);
        this.#cutBytes += bytes;
        return true;
      }
    } catch (error) {
      // To cut a file takes room where nothing is overwritten in place; to remove it takes less.
      if (!await this.#isForWantOfRoom(error)) throw error;
    }
    this.#cutBytes += info.size;
    // With its last piece goes its name: perhaps it is the number of files that has reached its end.
    return await removeFile(this.#path).catch(async (error) => {
      if (await this.#isForWantOfRoom(error)) return false;
      throw error;
    });
  }

  async #add(size: number, bytes: number): Promise<void> {
    using file = await Deno.open(this.#path, { write: true, create: true, mode: FILE_MODE });
    await file.seek(size, Deno.SeekMode.Start);
    // Not zeros, which some file systems do not store.
    const random = new Uint8Array(PIECE_BYTES);
    let added = 0;
    try {
      for (; added < bytes; added += random.length) {
        await writeAll(file, crypto.getRandomValues(random).subarray(0, bytes - added));
      }
      // Some say only then that there is no room.
      await whereSupported(file.sync());
    } catch (error) {
      // The little that there was is left to others, but for what was spent.
      const keptBytes = Math.min(added, this.#cutBytes);
      await file.truncate(size + keptBytes);
      this.#cutBytes -= keptBytes;
      throw error;
    }
  }

  async #hasRoomFor(bytes: number): Promise<boolean> {
    try {
      const { bavail, bsize } = await statfs(dirname(this.#path));
      return bavail * bsize - bytes >= this.#minFreeBytes;
    } catch {
      // It may be tried.
      return true;
    }
  }
}
