/**
 * What was stored of a file by segments, to be read from its beginning.
 *
 * Imports its neighbours.
 */
import type { ListedObject } from "./s3_answers.ts";
import type { S3Client } from "./s3_client.ts";

/** Segments of one file. */
export class SegmentedFile {
  /** Length of the file. */
  readonly sizeBytes: number;
  readonly #client: S3Client;
  readonly #segments: readonly ListedObject[];
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
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
    let used = 0;
    for await (const chunk of this.bytes(0, bytes.length)) {
      bytes.set(chunk, used);
      used += chunk.length;
    }
    return bytes;
  }

  /** Bytes from a place up to another one, both within the file. */
  async *bytes(from: number, to: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    let at = 0;
    for (const { key, sizeBytes, etag } of this.#segments) {
      const [first, last] = [Math.max(0, from - at), Math.min(sizeBytes, to - at)];
      if (first < last) yield* this.#client.read(key, first, last, etag);
      at += sizeBytes;
    }
  }

  /** As of an open file; back to its beginning only. */
  async seek(offset: number | bigint): Promise<number> {
    if (Number(offset) !== 0) throw new RangeError("Expected 0: it is read from its beginning");
    await this.#reader?.cancel();
    this.#rest = new Uint8Array();
    this.#reader = ReadableStream.from(this.bytes(0, this.sizeBytes)).getReader();
    return 0;
  }

  /** As of an open file. */
  async read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) {
      const chunk = await this.#reader?.read();
      if (chunk?.value === undefined) return null;
      this.#rest = chunk.value;
    }
    const part = this.#rest.subarray(0, into.length);
    into.set(part);
    this.#rest = this.#rest.subarray(part.length);
    return part.length;
  }
}

function placeOf({ key }: ListedObject, base: string): number {
  return Number(key.slice(base.length));
}
