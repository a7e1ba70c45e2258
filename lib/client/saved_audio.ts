/**
 * A WAV file of what a bot says in a call (protocol section 15), written while it comes.
 *
 * Everything is written before a method returns, so that the file is whole however the program
 * ends; a frame has a few hundred bytes. Imports the audio room and the configuration.
 */
import { createWavHeader, wavPaddingBytes } from "../audio/mod.ts";
import { describeFailure } from "../config/describe_failure.ts";
import { type AudioFormat, SAMPLE_RATE } from "../protocol/mod.ts";

/** One file, until {@link SavedAudio.finish}. */
export class SavedAudio {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #format: AudioFormat;
  #bytes = 0;
  #failure: string | undefined;
  #isFinished = false;

  /**
   * @param file Open for writing, and empty.
   * @param path Where it is.
   * @param format What the frames are.
   */
  constructor(file: Deno.FsFile, path: string, format: AudioFormat) {
    this.#file = file;
    this.#path = path;
    this.#format = format;
    // The size is not known: should the program be killed, players read to the end of the file.
    this.#attempt(() => void this.#writeAll(this.#header(Infinity)));
  }

  /**
   * Makes the file. One that is there already is left alone.
   *
   * @throws {Deno.errors.AlreadyExists} If it is there.
   * @throws {Error} If it cannot be made.
   */
  static create(path: string, format: AudioFormat): SavedAudio {
    return new SavedAudio(Deno.openSync(path, { write: true, createNew: true }), path, format);
  }

  /** Bytes of audio that are in the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Why not all of the audio is in the file, if so. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Appends a frame. If that fails, what follows is left out: a file with holes would mislead. */
  write(frame: Uint8Array): void {
    if (this.#failure !== undefined || this.#isFinished) return;
    this.#attempt(() => this.#writeAll(frame, (written) => this.#bytes += written));
  }

  /**
   * States the size, and closes the file; one without audio is removed, so that the next call may
   * have its name. Harmless when done again.
   */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    if (this.#bytes === 0) {
      this.#file.close();
      return this.#attempt(() => this.#remove());
    }
    // A disk may have been full in the middle of a sample.
    this.#bytes -= this.#format === "L16" ? this.#bytes % 2 : 0;
    this.#attempt(() => {
      if (this.#failure === undefined) {
        this.#writeAll(new Uint8Array(wavPaddingBytes(this.#bytes)));
      }
      this.#file.seekSync(0, Deno.SeekMode.Start);
      this.#writeAll(this.#header(this.#bytes));
    });
    this.#file.close();
  }

  #remove(): void {
    try {
      Deno.removeSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #header(dataBytes: number): Uint8Array {
    const format = { encoding: this.#format, channelCount: 1, rate: SAMPLE_RATE };
    return createWavHeader(format, dataBytes);
  }

  #writeAll(bytes: Uint8Array, onWritten: (bytes: number) => void = () => {}): void {
    for (let rest = bytes; rest.length > 0;) {
      const written = this.#file.writeSync(rest);
      onWritten(written);
      rest = rest.subarray(written);
    }
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#failure ??= describeFailure(error);
    }
  }
}
