/**
 * What was stored of a file by segments, to be read from its beginning.
 *
 * Segments have a few seconds of a call: read one after the other, most of the time would be spent
 * waiting for answers. So the next ones are under way while one is taken. Imports its neighbours.
 */
import { readAhead, SEGMENTS_AHEAD } from "./read_ahead.ts";
import type { ListedObject } from "./s3_answers.ts";
import type { S3Client } from "./s3_client.ts";

/** What has more is read by pieces: what is in memory has a bound, whatever somebody stored. */
const PIECE_BYTES = 1024 * 1024;

/** Bytes of a segment. */
interface Piece {
  readonly segment: ListedObject;
  readonly first: number;
  /** Place behind the last byte. */
  readonly last: number;
}

/** Segments of one file. To be disposed of if it was read as an open file. */
export class SegmentedFile implements AsyncDisposable {
  /** Length of the file. */
  readonly sizeBytes: number;
  readonly #client: S3Client;
  readonly #segments: readonly ListedObject[];
  #reading: AsyncGenerator<Uint8Array<ArrayBuffer>, void> | undefined;
  /** What was read, but not taken. */
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array();

  private constructor(client: S3Client, segments: readonly ListedObject[]) {
    this.#client = client;
    this.#segments = segments;
    this.sizeBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /**
   * Finds the segments of a file among others.
   *
   * @param base What their keys begin with; their places follow.
   * @returns `undefined` if one is missing before the last.
   */
  static of(
    client: S3Client,
    base: string,
    objects: readonly ListedObject[],
  ): SegmentedFile | undefined {
    const segments = objects.filter(({ key }) => key.startsWith(base))
      .toSorted((a, b) => placeOf(a, base) - placeOf(b, base));
    let at = 0;
    for (const segment of segments) {
      if (placeOf(segment, base) !== at) return undefined;
      at += segment.sizeBytes;
    }
    return new SegmentedFile(client, segments);
  }

  /** The first bytes; fewer of a shorter file. */
  async head(maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(Math.min(maxBytes, this.sizeBytes));
    await fill(bytes, this.bytes(0, bytes.length));
    return bytes;
  }

  /** Bytes from a place up to another one, both within the file. */
  bytes(from: number, to: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    return readAhead(
      this.#pieces(from, to),
      ({ first, last }) => last - first,
      (piece, signal) => this.#read(piece, signal),
      SEGMENTS_AHEAD,
    );
  }

  *#pieces(from: number, to: number): Generator<Piece, void> {
    let at = 0;
    for (const segment of this.#segments) {
      const end = Math.min(segment.sizeBytes, to - at);
      for (let first = Math.max(0, from - at); first < end; first += PIECE_BYTES) {
        yield { segment, first, last: Math.min(first + PIECE_BYTES, end) };
      }
      at += segment.sizeBytes;
    }
  }

  async #read(
    { segment: { key, etag }, first, last }: Piece,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(last - first);
    await fill(bytes, this.#client.read(key, first, last, etag, { signal }));
    return bytes;
  }

  /** As of an open file; back to its beginning only. */
  async seek(offset: number | bigint): Promise<number> {
    if (Number(offset) !== 0) throw new RangeError("Expected 0: it is read from its beginning");
    await this[Symbol.asyncDispose]();
    this.#reading = this.bytes(0, this.sizeBytes);
    return 0;
  }

  /** As of an open file. */
  async read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) {
      const next = await this.#reading?.next();
      if (next?.value === undefined) return null;
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, into.length);
    into.set(part);
    this.#rest = this.#rest.subarray(part.length);
    return part.length;
  }

  /** Ends what is under way of what was read as an open file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reading?.return();
    this.#reading = undefined;
    this.#rest = new Uint8Array();
  }
}

async function fill(
  bytes: Uint8Array<ArrayBuffer>,
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  let used = 0;
  for await (const chunk of chunks) {
    bytes.set(chunk, used);
    used += chunk.length;
  }
}

function placeOf({ key }: ListedObject, base: string): number {
  return Number(key.slice(base.length));
}
