/**
 * Writes the files of one recording, in the background and in order, however slow they are.
 *
 * What comes in is put into chunks of about a second, each byte copied once; chunks wait for the
 * storage, up to a bound. If the storage fails, the same chunk is tried again until it is there.
 * Imports the storage's interface.
 */
import type { RecordingFiles } from "../storage/recording_store.ts";

/** How much audio may wait for the storage: minutes of it. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** And how many characters of messages, which may come faster than any storage writes. */
const MAX_WAITING_CHARS = 2 * 1024 * 1024;

/** How long until storage that failed is tried again. */
const RETRY_MS = 1000;
/** How long it is tried after the call has ended. */
const GIVE_UP_MS = 60_000;
/** Messages are handed to the storage when there are so many characters of them. */
const LINES_CHARS = 256 * 1024;
/** As many as are usually under way to the storage: those of a few hundred calls. */
const MAX_SPARE_CHUNKS = 256;
/** Silence is written from one buffer. */
const SILENCE_BYTES = 256 * 1024;

/** What a {@link RecordingWriter} needs. */
export interface RecordingWriterOptions {
  /** Makes the files; it may be called again if it fails. */
  readonly create: () => Promise<RecordingFiles>;
  /** Bytes of about a second of audio, a whole number of samples. */
  readonly chunkBytes: number;
  /** The byte that silence is made of. */
  readonly silenceByte: number;
  /** Beginning of the audio file; `undefined` for a recording without audio. */
  readonly header: Uint8Array | undefined;
  /** Storage failed. Called once until it works again. */
  readonly onFailure: (error: unknown) => void;
  /** Storage works again. */
  readonly onRecovery: () => void;
}

/** Something to be written, tried until it succeeds. */
interface Job {
  readonly write: (files: RecordingFiles) => Promise<void>;
  readonly onWritten?: () => void;
}

/** The files of one recording, as something to write to without waiting. */
export class RecordingWriter {
  // First what each frame needs, so that it's found in one place.
  #chunk: Uint8Array;
  #chunkUsed = 0;
  readonly #options: RecordingWriterOptions;
  readonly #encoder = new TextEncoder();
  readonly #jobs: Job[] = [];
  #lines: string[] = [];
  #linesChars = 0;
  #audioOffset: number;
  #messagesOffset = 0;
  #waitingAudioBytes = 0;
  #waitingMessageChars = 0;
  #isFailing = false;
  #endedMs: number | undefined;
  #hasGivenUp = false;
  #files: RecordingFiles | undefined;
  #location: string | undefined;
  #isWorking = false;
  /** Settles when nothing is left to do; there if somebody waits for it. */
  #idle: PromiseWithResolvers<void> | undefined;

  /** Begins to make the files. */
  constructor(options: RecordingWriterOptions) {
    this.#options = options;
    this.#chunk = SPARE_CHUNKS.take(options.chunkBytes);
    this.#audioOffset = options.header?.length ?? 0;
    const { header } = options;
    if (header !== undefined) this.#jobs.push({ write: (files) => files.writeAudio(0, header) });
    this.#work();
  }

  /** Where the files are; `undefined` until they are made. */
  get location(): string | undefined {
    return this.#location;
  }

  /** Whether all that was handed to the storage is written. */
  get isIdle(): boolean {
    return !this.#isWorking;
  }

  /** Whether so many bytes more may wait. */
  hasRoom(bytes: number): boolean {
    return this.#waitingAudioBytes + this.#chunkUsed + bytes <= MAX_WAITING_BYTES;
  }

  /** Whether a message of this length may wait. */
  hasRoomForMessage(chars: number): boolean {
    return this.#waitingMessageChars + chars <= MAX_WAITING_CHARS;
  }

  /**
   * Appends audio, which is copied.
   *
   * @returns Whether it was; otherwise too much waits for the storage.
   */
  audio(bytes: Uint8Array): boolean {
    const used = this.#chunkUsed;
    if (bytes.length > this.#chunk.length - used) return this.#audioInChunks(bytes);
    this.#chunk.set(bytes, used);
    this.#chunkUsed = used + bytes.length;
    return true;
  }

  #audioInChunks(bytes: Uint8Array): boolean {
    if (!this.hasRoom(bytes.length)) return false;
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#chunk.length - this.#chunkUsed);
      this.#chunk.set(part, this.#chunkUsed);
      this.#chunkUsed += part.length;
      rest = rest.subarray(part.length);
      if (this.#chunkUsed === this.#chunk.length) this.#queueChunk();
    }
    return true;
  }

  /** Appends silence, of any length. */
  silence(bytes: number): void {
    const room = this.#chunk.length - this.#chunkUsed;
    if (bytes <= room) {
      this.#chunk.fill(this.#options.silenceByte, this.#chunkUsed, this.#chunkUsed + bytes);
      this.#chunkUsed += bytes;
      return;
    }
    this.#queueChunk();
    const buffer = silenceOf(this.#options.silenceByte);
    for (let rest = bytes; rest > 0; rest -= buffer.length) {
      const part = rest >= buffer.length ? buffer : buffer.subarray(0, rest);
      const offset = this.#audioOffset;
      this.#audioOffset += part.length;
      this.#queue({ write: (files) => files.writeAudio(offset, part) });
    }
  }

  /** Appends a line to the message log. */
  message(line: string): void {
    this.#lines.push(line);
    this.#linesChars += line.length;
    this.#waitingMessageChars += line.length;
    if (this.#linesChars > LINES_CHARS) this.#queueLines();
  }

  /** Hands what was collected to the storage. */
  flush(): void {
    this.#queueChunk();
    this.#queueLines();
  }

  #queueLines(): void {
    if (this.#lines.length === 0) return;
    const bytes = this.#encoder.encode(this.#lines.join(""));
    const chars = this.#linesChars;
    this.#lines = [];
    this.#linesChars = 0;
    const offset = this.#messagesOffset;
    this.#messagesOffset += bytes.length;
    this.#queue({
      write: (files) => files.writeMessages(offset, bytes),
      onWritten: () => this.#waitingMessageChars -= chars,
    });
  }

  /**
   * Ends the recording: all that was appended is written, then the rest of the files. Messages may
   * still come.
   *
   * @param header Beginning of the audio file, for good.
   * @param padding What follows the audio.
   * @param metadata Made when all audio is written.
   * @returns Whether all is written; otherwise it was given up.
   */
  async finish(
    header: Uint8Array | undefined,
    padding: Uint8Array,
    metadata: () => string,
  ): Promise<boolean> {
    this.#files?.hurry();
    this.flush();
    this.#endedMs = performance.now();
    const end = this.#audioOffset;
    if (header !== undefined) {
      if (padding.length > 0) this.#queue({ write: (files) => files.writeAudio(end, padding) });
      this.#queue({ write: (files) => files.writeAudio(0, header) });
      this.#queue({ write: (files) => files.finishAudio() });
    }
    this.#queue({ write: (files) => files.writeMetadata(metadata()) });
    await this.#untilIdle();
    return !this.#hasGivenUp;
  }

  /** Writes the last messages, and lets go of the files. Called after {@link finish}. */
  async close(): Promise<void> {
    // What was given up is not begun anew: its beginning would be missing.
    if (!this.#hasGivenUp) this.flush();
    await this.#untilIdle();
    this.#files?.close();
    this.#files = undefined;
  }

  #queueChunk(): void {
    if (this.#chunkUsed === 0) return;
    const chunk = this.#chunk;
    const bytes = chunk.subarray(0, this.#chunkUsed);
    this.#chunk = SPARE_CHUNKS.take(this.#options.chunkBytes);
    this.#chunkUsed = 0;
    const offset = this.#audioOffset;
    this.#audioOffset += bytes.length;
    // What it takes, which is more than what is used of it.
    this.#waitingAudioBytes += chunk.length;
    this.#queue({
      write: (files) => files.writeAudio(offset, bytes),
      onWritten: () => {
        this.#waitingAudioBytes -= chunk.length;
        SPARE_CHUNKS.give(chunk);
      },
    });
  }

  #queue(job: Job): void {
    this.#jobs.push(job);
    this.#work();
  }

  #work(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#next();
  }

  #untilIdle(): Promise<void> {
    if (!this.#isWorking) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  /** Does the next job. Not by `await`: thousands of recordings come by here each second. */
  #next(): void {
    const [job] = this.#jobs;
    if (this.#files === undefined) this.#create().then(() => this.#next(), this.#onFailed);
    else if (job === undefined) this.#rest();
    else job.write(this.#files).then(this.#onWritten, this.#onFailed);
  }

  async #create(): Promise<void> {
    const files = await this.#options.create();
    this.#files = files;
    this.#location = files.location;
    if (this.#endedMs !== undefined) files.hurry();
  }

  readonly #onWritten = (): void => {
    this.#jobs.shift()?.onWritten?.();
    if (this.#isFailing) this.#options.onRecovery();
    this.#isFailing = false;
    this.#next();
  };

  readonly #onFailed = (error: unknown): void => {
    if (!this.#isFailing) this.#options.onFailure(error);
    this.#isFailing = true;
    this.#hasGivenUp = this.#endedMs !== undefined &&
      performance.now() > this.#endedMs + GIVE_UP_MS;
    if (!this.#hasGivenUp) {
      setTimeout(() => this.#next(), RETRY_MS);
      return;
    }
    this.#jobs.length = 0;
    this.#rest();
  };

  #rest(): void {
    this.#isWorking = false;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

/** Chunks that are not used at present, of all recordings. */
class SpareChunks {
  readonly #chunks = new Map<number, Uint8Array[]>();

  take(bytes: number): Uint8Array {
    return this.#chunks.get(bytes)?.pop() ?? new Uint8Array(bytes);
  }

  give(chunk: Uint8Array): void {
    const chunks = this.#chunks.get(chunk.length) ?? [];
    this.#chunks.set(chunk.length, chunks);
    if (chunks.length < MAX_SPARE_CHUNKS) chunks.push(chunk);
  }
}

const SPARE_CHUNKS = new SpareChunks();

const SILENCE = new Map<number, Uint8Array>();

function silenceOf(byte: number): Uint8Array {
  let buffer = SILENCE.get(byte);
  if (buffer === undefined) SILENCE.set(byte, buffer = new Uint8Array(SILENCE_BYTES).fill(byte));
  return buffer;
}
