/**
 * A thread that writes the files of many recordings, so that no disk, however slow, holds up the
 * calls.
 *
 * Writes wait a moment for those of other recordings, and travel together: a message to a thread
 * costs more than a write to a file. Imports nothing but its neighbours.
 */
import { Worker } from "node:worker_threads";
import type { FileRequest } from "./file_operations.ts";
import { type Batch, type BatchDone, errorOf } from "./recording_batch.ts";

/** How long a write waits for others to travel with. */
const GATHER_MS = 50;
/** How many bytes travel at once, unless a single write has more. */
const BATCH_BYTES = 1024 * 1024;
/**
 * With less in it, a buffer stays here, and a copy of what is used travels. Else a stalled disk, or
 * thousands of recordings that end at once, would bind a whole buffer for every few bytes.
 */
const COPIED_BYTES = BATCH_BYTES / 8;
/** As many batches as usually travel at the same time. */
const MAX_SPARE_BUFFERS = 2;

interface Waiting {
  readonly writes: readonly PromiseWithResolvers<void>[];
  readonly request: PromiseWithResolvers<string> | undefined;
}

/** Does what is asked for, in that order, in a thread that begins with the first request. */
export class RecordingThread {
  #worker: Worker | undefined;
  #writes: number[] = [];
  #waiting: PromiseWithResolvers<void>[] = [];
  #buffer = new Uint8Array();
  #usedBytes = 0;
  readonly #spareBuffers: ArrayBuffer[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Batches whose results have not come. */
  #underWay: Waiting[] = [];

  /**
   * Asks for something other than writing, at once.
   *
   * @returns Location of the recording.
   */
  do(request: FileRequest): Promise<string> {
    const waiting = Promise.withResolvers<string>();
    this.#send(request, waiting);
    return waiting.promise;
  }

  /**
   * Asks for bytes to be written.
   *
   * @param bytes Copied.
   * @param isUrgent They wait for no others.
   */
  write(
    file: "audio" | "messages",
    id: number,
    offset: number,
    bytes: Uint8Array,
    isUrgent: boolean,
  ): Promise<void> {
    if (this.#usedBytes + bytes.length > this.#buffer.length) {
      this.flush();
      this.#buffer = this.#takeBuffer(bytes.length);
    }
    const from = this.#usedBytes;
    this.#buffer.set(bytes, from);
    this.#usedBytes += bytes.length;
    this.#writes.push(file === "audio" ? 1 : 0, id, offset, from, bytes.length);
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    if (isUrgent) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
    return waiting.promise;
  }

  /** Lets the writes that wait for others go. */
  flush(): void {
    if (this.#waiting.length > 0) this.#send(undefined, undefined);
  }

  /** Ends the thread. What it has not done by now fails. */
  async close(): Promise<void> {
    await this.#fail(new Error("The thread that writes recordings was ended"));
  }

  #takeBuffer(bytes: number): Uint8Array<ArrayBuffer> {
    const spare = bytes <= BATCH_BYTES ? this.#spareBuffers.pop() : undefined;
    return new Uint8Array(spare ?? new ArrayBuffer(Math.max(bytes, BATCH_BYTES)));
  }

  #send(request: FileRequest | undefined, waiting: Waiting["request"]): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch: Batch = { writes: this.#writes, bytes: this.#takeBytes(), request };
    this.#underWay.push({ writes: this.#waiting, request: waiting });
    this.#writes = [];
    this.#waiting = [];
    try {
      const worker = this.#worker ??= this.#start();
      // While it has something to do, the program must not end.
      if (this.#underWay.length === 1) worker.ref();
      worker.postMessage(batch, [batch.bytes]);
    } catch (error) {
      // Perhaps in a timer, where nobody would catch it.
      void this.#fail(error);
    }
  }

  /** What is used of the buffer, to be given away. */
  #takeBytes(): ArrayBuffer {
    const { buffer } = this.#buffer;
    const usedBytes = this.#usedBytes;
    this.#usedBytes = 0;
    if (usedBytes <= COPIED_BYTES) return buffer.slice(0, usedBytes);
    this.#buffer = new Uint8Array();
    return buffer;
  }

  #start(): Worker {
    const worker = new Worker(new URL("./recording_thread_worker.ts", import.meta.url));
    worker.on("message", (done: BatchDone) => {
      // Of a thread that was given up, whose requests have failed already.
      if (this.#worker !== worker) return;
      this.#receive(done);
      if (this.#underWay.length === 0) worker.unref();
    });
    const onEnd = (error: unknown) => {
      if (this.#worker === worker) void this.#fail(error);
    };
    worker.on("error", onEnd);
    worker.on("exit", () => onEnd(new Error("The thread that writes recordings has ended")));
    return worker;
  }

  #receive({ failures, answer, bytes }: BatchDone): void {
    if (bytes.byteLength === BATCH_BYTES && this.#spareBuffers.length < MAX_SPARE_BUFFERS) {
      this.#spareBuffers.push(bytes);
    }
    const waiting = this.#underWay.shift();
    if (waiting === undefined) return;
    for (const [index, error] of failures) waiting.writes[index]?.reject(errorOf(error));
    // Those that failed are settled already.
    for (const { resolve } of waiting.writes) resolve();
    if (typeof answer === "string") waiting.request?.resolve(answer);
    else if (answer !== undefined) waiting.request?.reject(errorOf(answer));
  }

  /** Nothing that waits will be done; what comes later begins another thread. */
  async #fail(error: unknown): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const worker = this.#worker;
    this.#worker = undefined;
    const all: Waiting[] = [...this.#underWay, { writes: this.#waiting, request: undefined }];
    this.#underWay = [];
    this.#writes = [];
    this.#waiting = [];
    this.#usedBytes = 0;
    for (const { writes, request } of all) {
      for (const { reject } of writes) reject(error);
      request?.reject(error);
    }
    await worker?.terminate();
  }
}
