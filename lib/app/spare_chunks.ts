/**
 * Buffers for audio that are used again: those of calls make up most of the server's memory.
 *
 * Imports nothing.
 */

/** As many as are usually under way to the storage: those of a few hundred calls. */
const MAX_SPARE_CHUNKS = 256;
/** Silence is written from one buffer. */
const SILENCE_BYTES = 256 * 1024;

/** Chunks that are not used at present, of all recordings. */
class SpareChunks {
  readonly #chunks = new Map<number, Uint8Array[]>();

  /** One of this size, with anything in it. */
  take(bytes: number): Uint8Array {
    return this.#chunks.get(bytes)?.pop() ?? new Uint8Array(bytes);
  }

  /** One that nobody uses any more. */
  give(chunk: Uint8Array): void {
    const chunks = this.#chunks.get(chunk.length) ?? [];
    this.#chunks.set(chunk.length, chunks);
    if (chunks.length < MAX_SPARE_CHUNKS) chunks.push(chunk);
  }
}

/** Of the whole program. */
export const SPARE_CHUNKS = new SpareChunks();

const SILENCE = new Map<number, Uint8Array>();

/** A long buffer of one byte, which nobody changes. */
export function silenceOf(byte: number): Uint8Array {
  let buffer = SILENCE.get(byte);
  if (buffer === undefined) SILENCE.set(byte, buffer = new Uint8Array(SILENCE_BYTES).fill(byte));
  return buffer;
}
