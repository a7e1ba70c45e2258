/**
 * A file of a recording that is being made, where there is no disk: what is appended to it is
 * collected in memory, and stored as an object, a segment, every few seconds.
 *
 * Imports its neighbours.
 */
import { checksumsOf } from "./checksums.ts";
import type { OpenRequests } from "./open_requests.ts";
import { readAhead, SEGMENTS_AHEAD } from "./read_ahead.ts";
import type { S3Client } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { verifyObject } from "./verify_object.ts";

/** The beginning of a file, which may be written again, is kept here. A WAV header has 58 bytes. */
const HEAD_BYTES = 64;
/** A segment may have as much more as came in one write. */
const SEGMENT_BYTES = 1024 * 1024;
/** So that they sort by their places. */
const PLACE_DIGITS = 13;

/** Bytes that wait in memory, of all recordings. */
export class ByteBudget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether there is room, which is then taken. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** What a {@link SegmentStream} needs. */
export interface SegmentStreamOptions {
  readonly client: S3Client;
  /** What the keys of its segments begin with; their places follow. */
  readonly base: string;
  /** How long bytes wait in memory. */
  readonly segmentMs: number;
  /** How many bytes may wait. */
  readonly maxWaitingBytes: number;
  readonly budget: ByteBudget;
  /** By which segments are stored. */
  readonly puts: OpenRequests;
  /** Whether the first segment is stored as soon as something is written. */
  readonly isBegunAtOnce?: boolean;
  /** Done before a segment is stored; if it fails, so does that. */
  readonly before?: () => Promise<void>;
  /** A segment was stored; or could not be, for this reason, and is tried again. */
  readonly onStored: (error: unknown) => void;
}

interface Segment {
  readonly key: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface StoredSegment {
  readonly key: string;
  readonly sizeBytes: number;
  readonly md5: string;
}

/** Key of a segment. */
export function segmentKey(base: string, place: number): string {
  return base + String(place).padStart(PLACE_DIGITS, "0");
}

/** A file by segments. */
export class SegmentStream {
  readonly #options: SegmentStreamOptions;
  readonly #head = new Uint8Array(HEAD_BYTES);
  readonly #stored: StoredSegment[] = [];
  #storedBytes = 0;
  /** Being stored: it stays as it is until that succeeds. */
  #segment: Segment | undefined;
  #collected: Uint8Array<ArrayBuffer>[] = [];
  #collectedBytes = 0;
  #sending: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: SegmentStreamOptions) {
    this.#options = options;
  }

  /** Length of the file so far. */
  get sizeBytes(): number {
    return this.#storedBytes + this.#waitingBytes;
  }

  get #waitingBytes(): number {
    return (this.#segment?.bytes.length ?? 0) + this.#collectedBytes;
  }

  /**
   * Writes at the end of the file, or again what was written; of its beginning, also other bytes.
   * Settles when there is room for all in memory.
   *
   * @param bytes Copied.
   * @throws {RangeError} If it is behind the end.
   * @throws {S3Error} If there is no room, and storage fails.
   */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) throw new Error("The recording was let go");
    if (offset > this.sizeBytes) {
      throw new RangeError(`Expected a place up to ${this.sizeBytes}, not ${offset}`);
    }
    if (offset < HEAD_BYTES) this.#head.set(bytes.subarray(0, HEAD_BYTES - offset), offset);
    const isBeginning = this.sizeBytes === 0 && this.#options.isBegunAtOnce === true;
    let rest = bytes.subarray(Math.min(bytes.length, this.sizeBytes - offset));
    while (rest.length > 0) {
      const part = rest.slice(0, SEGMENT_BYTES);
      const hasRoom = () =>
        (this.#waitingBytes === 0 ||
          this.#waitingBytes + part.length <= this.#options.maxWaitingBytes) &&
        this.#options.budget.take(part.length);
      while (!hasRoom()) {
        if (this.#waitingBytes === 0) throw new Error("Too much waits to be stored");
        await this.#sendOne();
      }
      this.#collected.push(part);
      this.#collectedBytes += part.length;
      rest = rest.subarray(part.length);
      if (this.#collectedBytes >= SEGMENT_BYTES || isBeginning) this.#sendOne().catch(() => {});
      else this.#arm();
    }
  }

  /** Stores the first segment, if something was written, and nothing of it is stored. */
  async storeBeginning(): Promise<void> {
    if (this.#storedBytes === 0 && this.#waitingBytes > 0) await this.#sendOne();
  }

  /** Stores what waits in memory. */
  async flush(): Promise<void> {
    while (this.#waitingBytes > 0) await this.#sendOne();
  }

  /** The whole file, from its beginning: segments are read back, and compared. */
  async *bytes(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const head = this.#head.subarray(0, Math.min(HEAD_BYTES, this.sizeBytes));
    if (head.length > 0) yield head;
    let at = 0;
    for await (const bytes of this.#allBytes()) {
      const rest = bytes.subarray(Math.max(0, head.length - at));
      at += bytes.length;
      if (rest.length > 0) yield rest;
    }
  }

  async *#allBytes(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    yield* readAhead(
      this.#stored,
      ({ sizeBytes }) => sizeBytes,
      (segment, signal) => this.#readBack(segment, signal),
      SEGMENTS_AHEAD,
    );
    if (this.#segment !== undefined) yield this.#segment.bytes;
    yield* this.#collected;
  }

  async #readBack(
    { key, sizeBytes, md5 }: StoredSegment,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#options.client.get(key, sizeBytes, { signal });
    if (bytes?.length !== sizeBytes || (await checksumsOf(bytes)).md5 !== md5) {
      throw new S3Error({ operation: "GetObject", key, failure: "mismatch" });
    }
    return bytes;
  }

  /** Lets go of memory; nothing more is stored. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#options.budget.give(this.#waitingBytes);
    this.#segment = undefined;
    this.#collected = [];
    this.#collectedBytes = 0;
  }

  #arm(): void {
    if (this.#isClosed || this.#timer !== undefined || this.#waitingBytes === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // Who listens is told of it.
      this.#sendOne().catch(() => {});
    }, this.#options.segmentMs);
  }

  #sendOne(): Promise<void> {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
      this.#arm();
    });
    return this.#sending;
  }

  async #send(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#options.before?.();
    const segment = this.#segment ??= this.#cut();
    if (segment === undefined) return;
    const { client, puts } = this.#options;
    const { key, bytes } = segment;
    try {
      const { md5, sha256 } = await checksumsOf(bytes);
      const etag = await puts.send(() => client.put(key, bytes, { md5, bodySha256: sha256 }));
      if (etag !== md5) {
        const expected = { sizeBytes: bytes.length, sha256, etag: md5 };
        await verifyObject(client, key, expected);
      }
      // It may have been let go meanwhile.
      if (this.#segment !== segment) return;
      this.#segment = undefined;
      this.#stored.push({ key, sizeBytes: bytes.length, md5 });
      this.#storedBytes += bytes.length;
      this.#options.budget.give(bytes.length);
      this.#options.onStored(undefined);
    } catch (error) {
      this.#options.onStored(error);
      throw error;
    }
  }

  #cut(): Segment | undefined {
    if (this.#collectedBytes === 0) return undefined;
    const bytes = new Uint8Array(this.#collectedBytes);
    let at = 0;
    for (const part of this.#collected) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#collected = [];
    this.#collectedBytes = 0;
    return { key: segmentKey(this.#options.base, this.#storedBytes), bytes };
  }
}
