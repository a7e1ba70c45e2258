/**
 * Writes the files of one recording, in the background and in order, however slow they are.
 *
 * What comes in is put into chunks of about a second, each byte copied once; chunks wait for the
 * storage, up to a bound. If the storage fails, the same chunk is tried again until it is there.
 * Imports the storage's interface.
 */
import type { FilePart, RecordingFiles } from "../storage/recording_store.ts";
import { both, RecordingJobs } from "./recording_jobs.ts";
import { silenceOf, SPARE_CHUNKS } from "./spare_chunks.ts";
import { WAITING_AUDIO } from "./waiting_audio.ts";

/** How much audio may wait for the storage: minutes of it. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** And how many characters of messages, which may come faster than any storage writes. */
const MAX_WAITING_CHARS = 2 * 1024 * 1024;
/** Messages are handed to the storage when there are so many characters of them. */
const LINES_CHARS = 256 * 1024;

/** What a {@link RecordingWriter} needs, and whom it tells. */
export interface RecordingWriterOptions {
  /** Makes the files; it may be called again if it fails. Told of syncs as a store tells. */
  readonly create: (onSync: (error: unknown) => void) => Promise<RecordingFiles>;
  /** How long after the end of the call it is worth trying, in milliseconds; a minute at least. */
  readonly keepTryingMs?: number | undefined;
  /** Bytes of a little more audio than comes between two looks, a whole number of samples. */
  readonly chunkBytes: number;
  /** The byte that silence is made of. */
  readonly silenceByte: number;
  /** Beginning of the audio file; `undefined` for a recording without audio. */
  readonly header: Uint8Array | undefined;
  /** The files are made. */
  readonly onCreated?: (files: RecordingFiles) => void;
  /** Storage failed. Called once until it works again. */
  readonly onFailure: (error: unknown) => void;
  /** Storage works again. */
  readonly onRecovery: () => void;
}

/** A part of a file that was collected. */
interface Collected extends FilePart {
  readonly onWritten: () => void;
}

/** The files of one recording, as something to write to without waiting. */
export class RecordingWriter {
  // First what each frame needs, so that it's found in one place.
  #chunk: Uint8Array;
  #chunkUsed = 0;
  readonly #options: RecordingWriterOptions;
  readonly #encoder = new TextEncoder();
  readonly #jobs: RecordingJobs;
  #lines: string[] = [];
  #linesChars = 0;
  #audioOffset: number;
  #messagesOffset = 0;
  #waitingAudioBytes = 0;
  #waitingMessageChars = 0;
  #isFlushDue = false;
  #location: string | undefined;

  /** Begins to make the files. */
  constructor(options: RecordingWriterOptions) {
    const { chunkBytes, header, create, keepTryingMs, onFailure, onRecovery } = options;
    this.#options = options;
    this.#chunk = SPARE_CHUNKS.take(chunkBytes);
    this.#audioOffset = header?.length ?? 0;
    this.#jobs = new RecordingJobs({
      create,
      keepTryingMs,
      onCreated: (files) => {
        this.#location = files.location;
        options.onCreated?.(files);
      },
      onFailure,
      onRecovery,
      onIdle: () => {
        if (this.#isFlushDue) this.flush();
      },
    });
    if (header !== undefined) this.#jobs.add({ run: (files) => files.writeAudio(0, header) });
    this.#jobs.begin();
  }

  /** Where the files are; `undefined` until they are made. */
  get location(): string | undefined {
    return this.#location;
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
      if (this.#chunkUsed === this.#chunk.length) this.#addJob(this.#takeChunk(), undefined);
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
    this.#addJob(this.#takeChunk(), undefined);
    const buffer = silenceOf(this.#options.silenceByte);
    for (let rest = bytes; rest > 0; rest -= buffer.length) {
      const part = rest >= buffer.length ? buffer : buffer.subarray(0, rest);
      const offset = this.#audioOffset;
      this.#audioOffset += part.length;
      this.#jobs.add({ run: (files) => files.writeAudio(offset, part) });
    }
  }

  /** Appends a line to the message log. */
  message(line: string): void {
    this.#lines.push(line);
    this.#linesChars += line.length;
    this.#waitingMessageChars += line.length;
    if (this.#linesChars > LINES_CHARS) this.#addJob(undefined, this.#takeLines());
  }

  /**
   * Hands what was collected to the storage: now, or as soon as it has done what it does, because
   * what it has no time for is better collected in whole chunks.
   */
  look(): void {
    if (this.#jobs.isIdle) this.flush();
    else this.#isFlushDue = true;
  }

  /** Hands what was collected to the storage. */
  flush(): void {
    this.#isFlushDue = false;
    this.#addJob(this.#takeChunk(), this.#takeLines());
  }

  /**
   * Ends the recording: all that was appended is written, then the rest of the files. Messages may
   * still come.
   *
   * @param header Beginning of the audio file, for good.
   * @param padding What follows the audio.
   * @param metadata Made when all that came before is written.
   * @returns Whether all is written; otherwise it was given up.
   */
  finish(
    header: Uint8Array | undefined,
    padding: Uint8Array,
    metadata: () => string,
  ): Promise<boolean> {
    this.#jobs.hurry();
    const finished = Promise.withResolvers<boolean>();
    const chunk = this.#takeChunk();
    const lines = this.#takeLines();
    const rest = new Uint8Array((chunk?.bytes.length ?? 0) + padding.length);
    if (chunk !== undefined) rest.set(chunk.bytes);
    rest.set(padding, rest.length - padding.length);
    chunk?.onWritten();
    const audio = header && {
      header,
      rest: { offset: chunk?.offset ?? this.#audioOffset, bytes: rest },
    };
    const messages = lines ?? { offset: this.#messagesOffset, bytes: new Uint8Array() };
    const { offset, bytes } = messages;
    this.#jobs.add({
      run: (files) => files.finish({ audio, messages: { offset, bytes }, metadata: metadata() }),
      onDone: () => {
        lines?.onWritten();
        finished.resolve(true);
      },
      onGivenUp: () => finished.resolve(false),
    });
    return finished.promise;
  }

  /** Writes the last messages, and lets go of the files. Called after {@link finish}. */
  async close(): Promise<void> {
    // What was given up is not begun anew: its beginning would be missing.
    if (!this.#jobs.hasGivenUp) this.flush();
    await this.#jobs.close();
    // What was given up.
    this.#addWaiting(-this.#waitingAudioBytes);
  }

  #takeChunk(): Collected | undefined {
    if (this.#chunkUsed === 0) return undefined;
    const chunk = this.#chunk;
    const bytes = chunk.subarray(0, this.#chunkUsed);
    this.#chunk = SPARE_CHUNKS.take(this.#options.chunkBytes);
    this.#chunkUsed = 0;
    const offset = this.#audioOffset;
    this.#audioOffset += bytes.length;
    // What it takes, which is more than what is used of it.
    this.#addWaiting(chunk.length);
    const onWritten = () => {
      this.#addWaiting(-chunk.length);
      SPARE_CHUNKS.give(chunk);
    };
    return { offset, bytes, onWritten };
  }

  #addWaiting(bytes: number): void {
    this.#waitingAudioBytes += bytes;
    WAITING_AUDIO.add(bytes);
  }

  #takeLines(): Collected | undefined {
    if (this.#lines.length === 0) return undefined;
    const bytes = this.#encoder.encode(this.#lines.join(""));
    const chars = this.#linesChars;
    this.#lines = [];
    this.#linesChars = 0;
    const offset = this.#messagesOffset;
    this.#messagesOffset += bytes.length;
    return { offset, bytes, onWritten: () => void (this.#waitingMessageChars -= chars) };
  }

  /** Both at once, so that they travel together. */
  #addJob(audio: Collected | undefined, lines: Collected | undefined): void {
    if (audio === undefined && lines === undefined) return;
    this.#jobs.add({
      run(files) {
        const audioWritten = audio && files.writeAudio(audio.offset, audio.bytes);
        const linesWritten = lines && files.writeMessages(lines.offset, lines.bytes);
        if (audioWritten && linesWritten) return both(audioWritten, linesWritten);
        return audioWritten ?? linesWritten ?? Promise.resolve();
      },
      onDone() {
        audio?.onWritten();
        lines?.onWritten();
      },
    });
  }
}
