/**
 * Checksums of bytes that come one after the other, or are in memory.
 *
 * Computed a little at a time, with room for other work in between: calls must not wait for it.
 * Imports node:crypto.
 */
import { createHash } from "node:crypto";

/** Takes a fraction of a millisecond. */
const SLICE_BYTES = 64 * 1024;

/** SHA-256 and MD5 of bytes. */
export class Checksums {
  readonly #sha256 = createHash("sha256");
  readonly #md5 = createHash("md5");

  /** Adds bytes that are few. */
  add(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#md5.update(bytes);
  }

  /** Adds bytes, however many. */
  async addAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
      if (at > 0) await otherWork();
      this.add(bytes.subarray(at, at + SLICE_BYTES));
    }
  }

  /** Ends it: hexadecimal. */
  end(): { readonly sha256: string; readonly md5: string } {
    return { sha256: this.#sha256.digest("hex"), md5: this.#md5.digest("hex") };
  }
}

/** Checksums of bytes in memory, however many. */
export async function checksumsOf(bytes: Uint8Array): Promise<ReturnType<Checksums["end"]>> {
  const checksums = new Checksums();
  await checksums.addAll(bytes);
  return checksums.end();
}

function otherWork(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
