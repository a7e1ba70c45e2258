/**
 * A thread that writes the files of many recordings, so that no disk, however slow, holds up the
 * calls.
 *
 * What it is asked for waits a moment, or as long as the thread is busy, and travels together: a
 * message to a thread costs more than a write to a file. Imports nothing but its neighbours.
 */
import { Worker } from "node:worker_threads";
import type { FileRequest } from "./file_operations.ts";
import {
  type Batch,
  type BatchDone,
  errorOf,
  type NumberedRequest,
  type ThreadReport,
  type ThreadSettings,
} from "./recording_batch.ts";
import type { SyncStatus } from "./sync_schedule.ts";

/** How long what is not urgent waits for others to travel with. */
const GATHER_MS = 50;
/** How many bytes travel at once, unless a single write has more. */
const BATCH_BYTES = 1024 * 1024;
/**
 * With less in it, a buffer stays here, and a copy of what is used travels. Else a stalled disk, or
 * thousands of recordings that end at once, would bind a whole buffer for every few bytes.
 */
const COPIED_BYTES = BATCH_BYTES / 8;
/** A write of so many bytes is worth a message of its own. */
const LARGE_BYTES = BATCH_BYTES / 8;
/** As many batches as usually travel at the same time. */
const MAX_SPARE_BUFFERS = 2;

/** What a {@link RecordingThread} may be told. */
export interface RecordingThreadOptions {
  /** How long what was written may wait to be synced, in seconds; 0 to do it at the end only. */
  readonly syncSeconds?: number;
  /** Whether names are unique, wherever recordings are made; by default they are numbered. */
  readonly hasUniqueNames?: boolean;
  /** Files of a recording can't be synced, for this reason; or, `undefined`, they can again. */
  readonly onSync?: (id: number, error: unknown) => void;
}

/**
 * Does what is asked for, in that order, in a thread that begins with the first request. Only what
 * has to wait for the disk in there (finishing, and opening again) is overtaken by what comes later.
 */
export class RecordingThread {
  readonly #options: RecordingThreadOptions;
  #worker: Worker | undefined;
  #isHeld = false;
  #generation = 0;
  #writes: number[] = [];
  #waiting: PromiseWithResolvers<void>[] = [];
  #requests: NumberedRequest[] = [];
  #lastNumber = 0;
  #buffer = new Uint8Array();
  #usedBytes = 0;
  readonly #spareBuffers: ArrayBuffer[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether what waits has waited for long enough. */
  #isDue = false;
  /** Writes of the batches that the thread has not done. */
  #underWay: (readonly PromiseWithResolvers<void>[])[] = [];
  #underWaySinceMs = 0;
  /** By the number of the request. */
  #answers = new Map<number, PromiseWithResolvers<string>>();
  #syncStatus: SyncStatus = { unsyncedFiles: 0, unsyncedMs: 0 };
  #syncStatusMs = 0;

  /** The thread itself begins with the first request. */
  constructor(options: RecordingThreadOptions = {}) {
    this.#options = options;
  }

  /** Which thread it is: another number means that all files that were open no longer are. */
  get generation(): number {
    return this.#generation;
  }

  /** How far syncing is behind writing. */
  get syncStatus(): SyncStatus {
    const { unsyncedFiles, unsyncedMs } = this.#syncStatus;
    if (unsyncedFiles === 0) return this.#syncStatus;
    return { unsyncedFiles, unsyncedMs: unsyncedMs + performance.now() - this.#syncStatusMs };
  }

  /** How long the thread has been at what it was asked for first, in milliseconds. */
  get busyMs(): number {
    return this.#underWay.length === 0 ? 0 : performance.now() - this.#underWaySinceMs;
  }

  /**
   * Asks for something other than writing.
   *
   * @param isUrgent It waits for others only while the thread is busy.
   * @returns Location of the recording.
   */
  do(request: FileRequest, isUrgent: boolean): Promise<string> {
    const number = ++this.#lastNumber;
    const answer = Promise.withResolvers<string>();
    this.#answers.set(number, answer);
    this.#requests.push({ number, writesBefore: this.#waiting.length, request });
    this.#gather(isUrgent);
    return answer.promise;
  }

  /**
   * Asks for bytes to be written.
   *
   * @param bytes Copied.
   * @param isUrgent They wait for others only while the thread is busy.
   */
  write(
    file: "audio" | "messages",
    id: number,
    offset: number,
    bytes: Uint8Array,
    isUrgent: boolean,
  ): Promise<void> {
    if (this.#usedBytes + bytes.length > this.#buffer.length) {
      // There is no room for more, so it goes, however busy the thread is.
      if (this.#waiting.length > 0) this.#send();
      this.#buffer = this.#takeBuffer(bytes.length);
    }
    const from = this.#usedBytes;
    this.#buffer.set(bytes, from);
    this.#usedBytes += bytes.length;
    this.#writes.push(file === "audio" ? 1 : 0, id, offset, from, bytes.length);
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    this.#gather(isUrgent || bytes.length > LARGE_BYTES);
    return waiting.promise;
  }

  /** Lets what waits go, now or as soon as the thread has done what it does. */
  flush(): void {
    if (this.#waiting.length === 0 && this.#requests.length === 0) return;
    this.#isDue = true;
    if (this.#underWay.length === 0) this.#send();
  }

  /** Ends the thread. What it has not done by now fails; what comes later begins another thread. */
  async close(): Promise<void> {
    await this.#fail(new Error("The thread that writes recordings was ended"));
  }

  #gather(isUrgent: boolean): void {
    if (isUrgent) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  #takeBuffer(bytes: number): Uint8Array<ArrayBuffer> {
    const spare = bytes <= BATCH_BYTES ? this.#spareBuffers.pop() : undefined;
    return new Uint8Array(spare ?? new ArrayBuffer(Math.max(bytes, BATCH_BYTES)));
  }

  #send(): void {
    const batch: Batch = {
      writes: new Float64Array(this.#writes).buffer,
      bytes: this.#takeBytes(),
      requests: this.#requests,
    };
    if (this.#underWay.length === 0) this.#underWaySinceMs = performance.now();
    this.#underWay.push(this.#waiting);
    this.#forgetWaiting();
    try {
      const worker = this.#worker ??= this.#start();
      this.#hold(worker, true);
      worker.postMessage(batch, [batch.bytes]);
    } catch (error) {
      // Perhaps in a timer, where nobody would catch it.
      void this.#fail(error);
    }
  }

  #forgetWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isDue = false;
    this.#writes = [];
    this.#waiting = [];
    this.#requests = [];
    this.#usedBytes = 0;
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
    const { syncSeconds = 0, hasUniqueNames = false } = this.#options;
    const worker = new Worker(new URL("./recording_thread_worker.ts", import.meta.url), {
      workerData: { syncSeconds, hasUniqueNames } satisfies ThreadSettings,
    });
    worker.on("message", (report: ThreadReport) => {
      // Of a thread that was given up, whose requests have failed already.
      if (this.#worker === worker) this.#receive(worker, report);
    });
    const onEnd = (error: unknown) => {
      if (this.#worker === worker) void this.#fail(error);
    };
    worker.on("error", onEnd);
    worker.on("exit", () => onEnd(new Error("The thread that writes recordings has ended")));
    return worker;
  }

  #receive(worker: Worker, { done, answers, syncs, status }: ThreadReport): void {
    if (status !== undefined) {
      this.#syncStatus = status;
      this.#syncStatusMs = performance.now();
    }
    for (const [id, error] of syncs) this.#options.onSync?.(id, error && errorOf(error));
    for (const [number, answer] of answers) {
      const waiting = this.#answers.get(number);
      this.#answers.delete(number);
      if (typeof answer === "string") waiting?.resolve(answer);
      else waiting?.reject(errorOf(answer));
    }
    if (done !== undefined) this.#receiveDone(done);
    if (this.#underWay.length === 0 && this.#answers.size === 0) this.#hold(worker, false);
  }

  /** While the thread has something to do, the program must not end. */
  #hold(worker: Worker, isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) worker.ref();
    else worker.unref();
  }

  #receiveDone({ failures, bytes }: BatchDone): void {
    if (bytes.byteLength === BATCH_BYTES && this.#spareBuffers.length < MAX_SPARE_BUFFERS) {
      this.#spareBuffers.push(bytes);
    }
    const waiting = this.#underWay.shift() ?? [];
    for (const [index, error] of failures) waiting[index]?.reject(errorOf(error));
    // Those that failed are settled already.
    for (const { resolve } of waiting) resolve();
    this.#underWaySinceMs = performance.now();
    if (this.#isDue && this.#underWay.length === 0) this.#send();
  }

  /** Nothing that waits will be done; what comes later begins another thread. */
  async #fail(error: unknown): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#isHeld = false;
    this.#generation++;
    const writes = [...this.#underWay, this.#waiting].flat();
    const answers = this.#answers;
    this.#underWay = [];
    this.#answers = new Map();
    this.#syncStatus = { unsyncedFiles: 0, unsyncedMs: 0 };
    this.#forgetWaiting();
    for (const { reject } of [...writes, ...answers.values()]) reject(error);
    await worker?.terminate();
  }
}
