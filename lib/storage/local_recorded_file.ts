/**
 * A file of a recording in a folder, to be read in parts.
 *
 * The file is open while somebody reads it. When it was renamed or removed meanwhile, reading goes
 * on; when it became shorter, reading ends with an error. Imports types and its neighbours.
 */
import type { RecordedFile } from "./recording_archive.ts";
import { isSameFile, type OpenedFile, openRegularFile } from "./regular_file.ts";

/** The most that is read at once, and that waits for whoever takes it. */
const CHUNK_BYTES = 64 * 1024;

/** What a {@link LocalRecordedFile} needs. */
export interface LocalRecordedFileOptions {
  readonly opened: OpenedFile;
  readonly isFinal: boolean;
  /** Where the file may be when it has to be opened again. */
  readonly paths: readonly string[];
}

/** A file that was opened; what is read of it may be read by several at once. */
export class LocalRecordedFile implements RecordedFile {
  readonly size: number;
  readonly isFinal: boolean;
  readonly modifiedAt: Date;
  readonly #info: Deno.FileInfo;
  readonly #paths: readonly string[];
  #file: Deno.FsFile | undefined;
  #isDisposed = false;
  /** How many streams have not ended. */
  #streams = 0;
  /** Where the file's own position is; -1 if that is not known. */
  #position = 0;
  /** Settles when the file is free: it has one position for all who read it. */
  #free: Promise<void> = Promise.resolve();

  constructor({ opened, isFinal, paths }: LocalRecordedFileOptions) {
    const { file, info } = opened;
    this.size = info.size;
    this.isFinal = isFinal;
    this.modifiedAt = info.mtime ?? new Date(0);
    this.#info = info;
    this.#paths = paths;
    this.#file = file;
  }

  /**
   * Reads bytes. The file is closed when the last stream has ended, however it did, and opened
   * again by the next one.
   *
   * @throws {RangeError} If the places are not within the file.
   */
  read(from: number, to: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    const isWithin = Number.isSafeInteger(from) && Number.isSafeInteger(to) &&
      0 <= from && from <= to && to <= this.size;
    if (!isWithin) throw new RangeError(`Expected places within 0 and ${this.size}`);
    this.#streams++;
    let position = from;
    let hasEnded = false;
    let reading: Promise<unknown> = Promise.resolve();
    const end = () => {
      if (hasEnded) return;
      hasEnded = true;
      this.#streams--;
      if (this.#streams === 0) void this.#close();
    };
    return new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: CHUNK_BYTES,
      start(controller) {
        if (from < to) return;
        end();
        controller.close();
      },
      pull: async (controller) => {
        const request = controller.byobRequest;
        const view = request?.view;
        if (request === null || !view) return;
        const length = Math.min(view.byteLength, to - position, CHUNK_BYTES);
        try {
          const target = new Uint8Array(view.buffer, view.byteOffset, length);
          const read = this.#readAt(position, target, () => hasEnded);
          reading = read;
          const count = await read;
          if (hasEnded) return;
          position += count;
          if (position === to) end();
          request.respond(count);
          if (position < to) return;
          controller.close();
          // Of a reader that wants more at once than there is.
          controller.byobRequest?.respond(0);
        } catch (error) {
          end();
          throw error;
        }
      },
      cancel: async () => {
        end();
        // Settles when nothing is under way any more.
        await reading.catch(() => {});
      },
    });
  }

  /** Closes the file; streams that have not ended fail. Settles when it is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.#close();
  }

  async #readAt(
    position: number,
    target: Uint8Array,
    hasEnded: () => boolean,
  ): Promise<number> {
    const before = this.#free;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#free = promise;
    try {
      await before;
      if (hasEnded()) return 0;
      const file = await this.#opened();
      if (this.#position !== position) await file.seek(position, Deno.SeekMode.Start);
      // Unknown until it succeeded.
      this.#position = -1;
      const count = await file.read(target);
      if (count === null) throw new Error("The file became shorter while it was read");
      this.#position = position + count;
      return count;
    } finally {
      resolve();
    }
  }

  async #opened(): Promise<Deno.FsFile> {
    if (this.#isDisposed) throw new Error("The file was closed while it was read");
    if (this.#file !== undefined) return this.#file;
    const file = await openAgain(this.#paths, this.#info);
    if (this.#isDisposed || this.#streams === 0) {
      file.close();
      throw new Error("The file was closed while it was read");
    }
    this.#file = file;
    this.#position = 0;
    return file;
  }

  /**
   * Not while it is read: that would end the read for us, but not for the thread that does it, of
   * which there are few, and nobody would know how many hang.
   */
  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await this.#free;
    file?.close();
  }
}

async function openAgain(paths: readonly string[], info: Deno.FileInfo): Promise<Deno.FsFile> {
  for (const path of paths) {
    const opened = await openRegularFile(path);
    if (opened === undefined) continue;
    if (isSameFile(opened.info, info)) return opened.file;
    opened.file.close();
  }
  throw new Error("The file was removed after it had been read the last time");
}
