/**
 * Recordings on a disk, which may be uploaded when they have ended.
 *
 * Puts together its neighbours, which do the work.
 */
import type { AuditLog } from "./audit_log.ts";
import { ClockMemory } from "./clock_memory.ts";
import { FileAuditLog } from "./file_audit_log.ts";
import { FileRecordingArchive } from "./file_recording_archive.ts";
import { FileRecordingStore } from "./file_recording_store.ts";
import { FreeSpace } from "./free_space.ts";
import { GivenUpRecordings } from "./given_up_recordings.ts";
import { isRecordingIn, type RecordingArchive } from "./recording_archive.ts";
import type { BackendStatus, OnRecovered, RecordingBackend } from "./recording_backend.ts";
import { recoverRecordings } from "./recover_recordings.ts";
import { CombinedArchive } from "./s3/combined_archive.ts";
import type { ObjectStorage } from "./s3/object_storage.ts";
import { S3RecordingArchive } from "./s3/s3_recording_archive.ts";
import { UploadQueue } from "./s3/upload_queue.ts";

/** A disk that is busy with one thing for so long has stalled. */
const STALLED_SECONDS = 5;

/** What a {@link DiskBackend} is about. */
export interface DiskBackendOptions {
  /** Path of a folder that is there: for the audit log. */
  readonly dataDir: string;
  /** Path of the folder that recordings are in. */
  readonly recordingsDir: string;
  /** Seconds within which the disk has to keep what was written; 0 = when a recording ends. */
  readonly syncSeconds?: number;
  /** With less free on the disk, no new recording may begin; 0 = any. */
  readonly minFreeBytes?: number;
  /** Where recordings are uploaded to when they have ended; by default nowhere. */
  readonly objects?: ObjectStorage;
  /** Whether they are removed from the disk then. */
  readonly removesUploaded?: boolean;
  /** How often it is tried to complete recordings that were given up; every 10 seconds by default. */
  readonly retryGivenUpMs?: number;
}

/** Recordings on a disk. */
export class DiskBackend implements RecordingBackend {
  readonly store: FileRecordingStore;
  readonly archive: RecordingArchive;
  readonly audit: AuditLog;
  readonly clockMemory: ClockMemory;
  readonly #recordingsDir: string;
  readonly #files: FileRecordingArchive;
  readonly #freeSpace: FreeSpace;
  readonly #uploads: UploadQueue | undefined;
  readonly #givenUp: GivenUpRecordings;
  #isRecovered = false;

  constructor(options: DiskBackendOptions) {
    const { dataDir, recordingsDir, syncSeconds, minFreeBytes = 0 } = options;
    const { objects, removesUploaded = false, retryGivenUpMs } = options;
    this.#recordingsDir = recordingsDir;
    this.store = new FileRecordingStore(recordingsDir, {
      ...(syncSeconds === undefined ? {} : { syncSeconds }),
      hasUniqueNames: objects !== undefined,
    });
    this.#files = new FileRecordingArchive(recordingsDir, {
      isToBeCompleted: (id) => !this.#isRecovered || this.#givenUp.has(id),
    });
    this.archive = objects === undefined ? this.#files : new CombinedArchive([
      this.#files,
      new S3RecordingArchive(objects.archiveClient ?? objects.client, objects.prefix),
    ]);
    this.audit = new FileAuditLog(dataDir);
    this.clockMemory = new ClockMemory(dataDir);
    this.#freeSpace = new FreeSpace({ folder: recordingsDir, minFreeBytes });
    this.#uploads = objects && new UploadQueue({
      client: objects.client,
      prefix: objects.prefix,
      folder: recordingsDir,
      removesLocal: removesUploaded,
    });
    this.#givenUp = new GivenUpRecordings(this.#files, {
      folder: recordingsDir,
      ...(retryGivenUpMs === undefined ? {} : { retryMs: retryGivenUpMs }),
    });
  }

  get mayBegin(): boolean {
    return !this.#freeSpace.isLow;
  }

  get status(): BackendStatus {
    const { busySeconds, unsyncedSeconds } = this.store.status;
    const space = this.#freeSpace.problem;
    const uploads = this.#uploads?.status;
    return {
      problems: [
        ...(busySeconds < STALLED_SECONDS
          ? []
          : ["the disk has stalled: recordings wait in memory"]),
        ...(space === undefined ? [] : [space]),
        ...(uploads?.failingSince === undefined
          ? []
          : [`recordings cannot be uploaded (${uploads.lastErrorCode ?? "see the log"})`]),
        ...(uploads === undefined || uploads.refused === 0
          ? []
          : [`${uploads.refused} recordings are not uploaded, for others are there: see the log`]),
      ],
      freeBytes: this.#freeSpace.freeBytes,
      diskBusySeconds: busySeconds,
      unsyncedSeconds,
      waitingForUpload: uploads?.waiting,
    };
  }

  async has(id: string): Promise<boolean> {
    return await isRecordingIn(this.archive, id);
  }

  async newestDay(): Promise<string | undefined> {
    return await this.#files.newestDay();
  }

  async open(): Promise<void> {
    await this.#freeSpace.start();
  }

  async recover(onRecovered: OnRecovered, signal: AbortSignal): Promise<void> {
    const onDiskFailure = this.givenUp.bind(this);
    const options = { signal, onRecovered, onDiskFailure };
    const { isStopped } = await recoverRecordings(this.#recordingsDir, options);
    this.#isRecovered = !isStopped;
  }

  start(onRecovered: OnRecovered): void {
    this.#uploads?.start();
    this.#givenUp.start(onRecovered);
  }

  ended(id: string): void {
    this.#uploads?.add(id);
  }

  givenUp(id: string): void {
    this.#givenUp.add(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.#givenUp[Symbol.asyncDispose]();
    await this.#uploads?.stop();
    await this.#freeSpace[Symbol.asyncDispose]();
  }
}
