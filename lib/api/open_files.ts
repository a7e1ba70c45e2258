/**
 * Opens parts of recordings, so many at a time and no more: calls need files, too.
 *
 * Imports the archive's interface.
 */
import type {
  RecordedFile,
  RecordingArchive,
  RecordingPart,
} from "../storage/recording_archive.ts";
import { fromStorage } from "./storage_failure.ts";

/** A part that was opened, or why not. */
export type Opened =
  | { readonly outcome: "open"; readonly file: RecordedFile }
  | { readonly outcome: "absent" }
  | { readonly outcome: "busy" };

/** The files that are open. Whoever opens one disposes of it. */
export class OpenFiles {
  readonly #archive: Pick<RecordingArchive, "open">;
  readonly #max: number;
  #count = 0;

  /** @param max How many may be open at a time. */
  constructor(archive: Pick<RecordingArchive, "open">, max: number) {
    this.#archive = archive;
    this.#max = max;
  }

  /** How many are open, or about to be. */
  get count(): number {
    return this.#count;
  }

  /**
   * Opens a part.
   *
   * @throws {StorageFailure}
   */
  async open(id: string, part: RecordingPart): Promise<Opened> {
    if (this.#count >= this.#max) return { outcome: "busy" };
    this.#count++;
    let file: RecordedFile | undefined;
    try {
      file = await fromStorage(() => this.#archive.open(id, part));
    } finally {
      if (file === undefined) this.#count--;
    }
    if (file === undefined) return { outcome: "absent" };
    return { outcome: "open", file: new CountedFile(file, () => this.#count--) };
  }
}

/** A file that says once that it was closed. */
class CountedFile implements RecordedFile {
  readonly size: number;
  readonly isFinal: boolean;
  readonly modifiedAt: Date;
  readonly #file: RecordedFile;
  readonly #onClosed: () => void;
  #isClosed = false;

  constructor(file: RecordedFile, onClosed: () => void) {
    this.#file = file;
    this.#onClosed = onClosed;
    this.size = file.size;
    this.isFinal = file.isFinal;
    this.modifiedAt = file.modifiedAt;
  }

  read(from: number, to: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#file.read(from, to);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#file[Symbol.asyncDispose]();
    } finally {
      this.#onClosed();
    }
  }
}
