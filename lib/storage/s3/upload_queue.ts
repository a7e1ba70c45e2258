/**
 * Uploads recordings that have ended, in the background, for as long as it takes. What is still to
 * be done it finds by the files, also after a restart; calls never wait for it.
 *
 * Imports its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { placeOf } from "../recording_id.ts";
import { endOldUploads } from "./old_uploads.ts";
import { OtherRecordingError } from "./other_recording_error.ts";
import { RecordingKeys } from "./recording_keys.ts";
import type { S3Client } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { backoffMs, type BackoffOptions, UploadBacklog } from "./upload_backlog.ts";
import { uploadRecording } from "./upload_recording.ts";
import { findRecordings } from "./upload_scan.ts";

const log = getLogger(["audiohook", "upload"]);

/** A recording whose writer is still there is looked at again. */
const BEING_MADE_PAUSE_MS = 2_000;

const REFUSED_PAUSE_MS = 3_600_000;

/** Codes that say something of one object, not of the server. */
const OF_ONE_OBJECT = new Set([
  "BadDigest",
  "ConditionalRequestConflict",
  "EntityTooLarge",
  "EntityTooSmall",
  "InvalidDigest",
  "InvalidPart",
  "InvalidPartOrder",
  "NoSuchUpload",
  "PreconditionFailed",
  "XAmzContentSHA256Mismatch",
]);

/** How an {@link UploadQueue} works. */
export interface UploadQueueOptions {
  /** Folder of recordings, which has a folder for each day. */
  readonly folder: string;
  readonly client: S3Client;
  /** What keys begin with, without a slash at its end; `recordings` by default. */
  readonly prefix?: string;
  /**
   * Whether local files are removed when their objects are verified. Then the name of a recording is
   * free again: only where recordings have unique names (`FileRecordingStoreOptions.hasUniqueNames`).
   * With other names, a second recording of a session on a day may get the name of the first, and is
   * then not uploaded.
   */
  readonly removesLocal?: boolean;
  /** How many recordings at once; 2 by default. */
  readonly concurrency?: number;
  /** How many identifiers are kept in memory; 100,000 by default. More are found after these. */
  readonly maxWaiting?: number;
  /** Pause after the first failure; 1 second by default. */
  readonly firstPauseMs?: number;
  /** Longest pause; 5 minutes by default. */
  readonly maxPauseMs?: number;
  readonly random?: () => number;
  /** After which a recording is tried again that could not be uploaded because another one is there. */
  readonly refusedPauseMs?: number;
}

/** How the queue is doing. */
export interface UploadStatus {
  /** Recordings that are still to be uploaded, those under way included, those refused left out. */
  readonly waiting: number;
  readonly underWay: number;
  /** When the one ended that has waited longest; `undefined` if none waits. */
  readonly oldestWaitingSince: Date | undefined;
  /** Since when nothing can be uploaded; `undefined` if it works. */
  readonly failingSince: Date | undefined;
  /** Why the last upload failed, such as `SlowDown` or `network`; `undefined` if it did not. */
  readonly lastErrorCode: string | undefined;
  /** Uploaded since the start. */
  readonly uploaded: number;
  /**
   * Recordings that can't be uploaded because another one of the same name is there: they stay on
   * the disk, and the log says what to do. At most `maxWaiting` are counted.
   */
  readonly refused: number;
  /** Whether folders are still being looked through. */
  readonly isScanning: boolean;
}

/** Uploads recordings. It begins by {@link start}. */
export class UploadQueue implements AsyncDisposable {
  readonly #options: Required<UploadQueueOptions>;
  readonly #keys: RecordingKeys;
  readonly #backoff: BackoffOptions;
  readonly #backlog: UploadBacklog;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  #isStopping = false;
  #hasStarted = false;
  #scan: Promise<void> | undefined;
  #tidying: Promise<number> | undefined;
  #needsScan = true;
  #scanFailures = 0;
  #scanTimer: ReturnType<typeof setTimeout> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** In a row, of any recording. */
  #failures = 0;
  #failingSinceMs: number | undefined;
  #pausedUntilMs = 0;
  #lastErrorCode: string | undefined;
  #uploaded = 0;
  /** Recordings that can't be uploaded because another one is there. */
  readonly #refused = new Set<string>();
  #refusedTimer: ReturnType<typeof setTimeout> | undefined;

  /** @throws {S3PlaceError} If the prefix can be none. */
  constructor(options: UploadQueueOptions) {
    this.#options = {
      prefix: "recordings",
      removesLocal: false,
      concurrency: 2,
      maxWaiting: 100_000,
      firstPauseMs: 1_000,
      maxPauseMs: 300_000,
      random: Math.random,
      refusedPauseMs: REFUSED_PAUSE_MS,
      ...options,
    };
    this.#keys = new RecordingKeys(this.#options.prefix);
    this.#backoff = this.#options;
    this.#backlog = new UploadBacklog(this.#backoff);
  }

  /** Begins, by looking for recordings that wait. */
  start(): void {
    if (this.#hasStarted || this.#isStopping) return;
    this.#hasStarted = true;
    this.#tidying = endOldUploads({ ...this.#options, signal: this.#stopped.signal });
    this.#work();
  }

  /** A recording has ended, and all of its files are written. */
  add(id: string): void {
    this.#add(id, Date.now());
    this.#work();
  }

  get status(): UploadStatus {
    const { oldestMs } = this.#backlog;
    return {
      waiting: this.#backlog.size,
      underWay: this.#underWay.size,
      oldestWaitingSince: oldestMs === undefined ? undefined : new Date(oldestMs),
      failingSince: this.#failingSinceMs === undefined ? undefined : new Date(this.#failingSinceMs),
      lastErrorCode: this.#lastErrorCode,
      uploaded: this.#uploaded,
      refused: this.#refused.size,
      isScanning: this.#scan !== undefined,
    };
  }

  /**
   * Ends the queue: what is being sent is sent, and no more. What remains is found at the next
   * start.
   *
   * @param deadlineMs When what is being sent is broken off.
   */
  async stop(deadlineMs = 5_000): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#scanTimer);
    clearTimeout(this.#refusedTimer);
    const timer = setTimeout(() => this.#stopped.abort(), deadlineMs);
    await Promise.all(this.#underWay);
    clearTimeout(timer);
    this.#stopped.abort();
    await Promise.all([this.#scan, this.#tidying]);
    clearTimeout(this.#timer);
    clearTimeout(this.#refusedTimer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #add(id: string, sinceMs: number): void {
    if (this.#backlog.size < this.#options.maxWaiting) this.#backlog.add(id, sinceMs);
    else this.#needsScan = true;
  }

  /** Begins what can be begun, or waits until something can. */
  #work(): void {
    clearTimeout(this.#timer);
    if (!this.#hasStarted || this.#isStopping) return;
    const { concurrency, maxWaiting } = this.#options;
    if (this.#needsScan && this.#scan === undefined && this.#backlog.size <= maxWaiting / 2) {
      this.#needsScan = false;
      this.#scan = this.#lookForRecordings();
    }
    // While nothing works, one upload is enough to see when it does again.
    const places = this.#failingSinceMs === undefined ? concurrency : 1;
    while (this.#underWay.size < places) {
      const nowMs = performance.now();
      const pauseMs = this.#pausedUntilMs - nowMs;
      const next = pauseMs > 0 ? { waitMs: pauseMs } : this.#backlog.take(nowMs);
      if (next === undefined) return;
      if ("waitMs" in next) {
        this.#timer = setTimeout(() => this.#work(), Math.ceil(next.waitMs));
        return;
      }
      this.#begin(next.id);
    }
  }

  #begin(id: string): void {
    const running = this.#upload(id).finally(() => {
      this.#underWay.delete(running);
      this.#work();
    });
    this.#underWay.add(running);
  }

  async #upload(id: string): Promise<void> {
    const place = placeOf(id);
    if (place === undefined) return this.#backlog.done(id);
    try {
      const { client, folder, removesLocal } = this.#options;
      const result = await uploadRecording({
        ...{ client, folder, removesLocal, place, keys: this.#keys },
        signal: this.#stopped.signal,
        isStopping: () => this.#isStopping,
      });
      if (result === "being_made") {
        this.#backlog.putBack(id, performance.now(), BEING_MADE_PAUSE_MS);
        return;
      }
      this.#backlog.done(id);
      this.#refused.delete(id);
      if (result === "uploaded") this.#uploaded++;
      this.#onWorking();
    } catch (error) {
      if (error instanceof OtherRecordingError) return this.#onRefused(id, error);
      const failures = this.#backlog.putBack(id, performance.now());
      const isStop = error instanceof S3Error && error.failure === "stopped";
      if (isStop || this.#stopped.signal.aborted) return;
      this.#onFailure(id, failures, error);
    }
  }

  #onWorking(): void {
    if (this.#failingSinceMs !== undefined) {
      const waiting = this.#backlog.size;
      log.info("Recordings are uploaded again; {waiting} are waiting", { waiting });
    }
    this.#failures = 0;
    this.#failingSinceMs = undefined;
    this.#pausedUntilMs = 0;
    this.#lastErrorCode = undefined;
  }

  /** Others go on; this one waits for somebody to do something about it. */
  #onRefused(id: string, error: OtherRecordingError): void {
    this.#backlog.done(id);
    this.#onWorking();
    this.#lastErrorCode = codeOf(error);
    if (!this.#refused.has(id)) {
      log.error("Cannot upload recording {id}: {message}", { id, message: error.message });
      if (this.#refused.size < this.#options.maxWaiting) this.#refused.add(id);
    }
    this.#tryRefusedLater();
  }

  /** The other one may be removed, or this one. */
  #tryRefusedLater(): void {
    if (this.#refused.size === 0) return;
    this.#refusedTimer ??= setTimeout(() => {
      this.#refusedTimer = undefined;
      for (const id of this.#refused) this.#add(id, Date.now());
      this.#tryRefusedLater();
      this.#work();
    }, this.#options.refusedPauseMs);
  }

  #onFailure(id: string, failures: number, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#lastErrorCode = codeOf(error);
    if (!(error instanceof S3Error) || !isOfServer(error)) {
      if (failures === 1) log.error("Cannot upload recording {id}: {message}", { id, message });
      return;
    }
    this.#failures++;
    this.#pausedUntilMs = performance.now() + backoffMs(this.#failures, this.#backoff);
    if (this.#failingSinceMs !== undefined) return;
    this.#failingSinceMs = Date.now();
    const waiting = this.#backlog.size;
    log.error("Cannot upload recordings, {waiting} are waiting; trying again: {message}", {
      waiting,
      message,
    });
  }

  async #lookForRecordings(): Promise<void> {
    const { folder, removesLocal } = this.#options;
    const { signal } = this.#stopped;
    try {
      for await (const { id, sinceMs } of findRecordings({ folder, removesLocal, signal })) {
        if (!this.#refused.has(id)) this.#add(id, sinceMs);
        if (this.#needsScan) break;
        this.#work();
      }
      this.#scanFailures = 0;
    } catch (error) {
      if (!this.#isStopping) this.#onScanFailure(error);
    } finally {
      this.#scan = undefined;
      this.#work();
    }
  }

  #onScanFailure(error: unknown): void {
    this.#lastErrorCode = codeOf(error);
    if (this.#scanFailures++ === 0) {
      const message = error instanceof Error ? error.message : String(error);
      log.error("Cannot look for recordings to upload; trying again: {message}", { message });
    }
    this.#scanTimer = setTimeout(() => {
      this.#needsScan = true;
      this.#work();
    }, backoffMs(this.#scanFailures, this.#backoff));
  }
}

/** Whether it concerns all recordings: then others need not be tried. */
function isOfServer(error: S3Error): boolean {
  if (error.failure === "mismatch") return false;
  return error.code === undefined || !OF_ONE_OBJECT.has(error.code);
}

function codeOf(error: unknown): string {
  if (error instanceof S3Error) return error.shortCode;
  return error instanceof Error ? error.name : "unknown";
}
