/**
 * All that is done with recordings beside making them: they are completed after a crash, indexed,
 * found, read, held, and removed by hand or by their age; and the room on the disk is watched.
 *
 * Puts together its neighbours, which do the work.
 */
import { join } from "node:path";
import { BackgroundIndex } from "./background_index.ts";
import { FileAuditLog } from "./file_audit_log.ts";
import { FileRecordingArchive } from "./file_recording_archive.ts";
import { FreeSpace } from "./free_space.ts";
import { loadOrCreateIndexKey } from "./index_key.ts";
import { IndexUpkeep } from "./index_upkeep.ts";
import type { KvRecordingIndex } from "./kv_recording_index.ts";
import { type OpenIndexOptions, openRecordingIndex } from "./open_recording_index.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import { entryOf, type IndexedRecording, type RecordingIndex } from "./recording_index.ts";
import type { RecordingMetadata } from "./recording_metadata.ts";
import { RecordingRemoval, type RemovalResult } from "./recording_removal.ts";
import { recoverRecordings } from "./recover_recordings.ts";
import { reindex } from "./reindex.ts";
import type { RebuildCounts, RebuildOptions } from "./rebuild_index.ts";
import { Retention } from "./retention.ts";
import { CombinedArchive } from "./s3/combined_archive.ts";
import type { S3Client } from "./s3/s3_client.ts";
import { S3RecordingArchive } from "./s3/s3_recording_archive.ts";
import { UploadQueue } from "./s3/upload_queue.ts";

const INDEX_FILE = "index.kv";

/** Object storage, which recordings are uploaded to. */
export interface ObjectStorage {
  readonly client: S3Client;
  /** What keys begin with, without a slash at its end. */
  readonly prefix: string;
}

/** What a {@link RecordingLibrary} is about. */
export interface RecordingLibraryOptions {
  /** Path of a folder that is there: for the index, its key, and the audit log. */
  readonly dataDir: string;
  /** Path of the folder that recordings are in. */
  readonly recordingsDir: string;
  /** Address of a Deno KV for the index; by default it is a file in the data folder. */
  readonly kvUrl?: string;
  /** Whether the index has participants in plain; by default it hides them. */
  readonly indexPersonalData?: boolean;
  /** With less free on the disk, no new recording may begin; 0 = any. */
  readonly minFreeBytes?: number;
  /** Where recordings go when they have ended; by default they stay where they are. */
  readonly objects?: ObjectStorage;
  /** How long recordings are kept after their end, in days; 0 = until somebody removes them. */
  readonly retentionDays?: number;
}

/** The recordings that are there. Make it by {@link RecordingLibrary.open}. */
export class RecordingLibrary implements AsyncDisposable {
  /** To read recordings, and to hold them, which is accounted for. */
  readonly archive: RecordingArchive;
  /** To find them. What is changed here is done in the background. */
  readonly index: RecordingIndex;
  readonly #options: RecordingLibraryOptions;
  readonly #files: FileRecordingArchive;
  /** Files and objects. */
  readonly #all: RecordingArchive;
  readonly #uploads: UploadQueue | undefined;
  readonly #index: BackgroundIndex<KvRecordingIndex>;
  readonly #removal: RecordingRemoval;
  readonly #freeSpace: FreeSpace;
  readonly #stopping = new AbortController();
  #upkeep: Promise<AsyncDisposableStack | undefined> | undefined;

  private constructor(options: RecordingLibraryOptions, place: OpenIndexOptions) {
    const { dataDir, recordingsDir, minFreeBytes = 0 } = options;
    this.#options = options;
    this.#files = new FileRecordingArchive(recordingsDir);
    this.#all = archiveOf(this.#files, options);
    this.#uploads = options.objects && new UploadQueue({
      folder: recordingsDir,
      client: options.objects.client,
      prefix: options.objects.prefix,
    });
    this.#index = new BackgroundIndex(() => openRecordingIndex(place));
    const audit = new FileAuditLog(dataDir);
    this.#removal = new RecordingRemoval({ archive: this.#all, index: this.#index, audit });
    this.#freeSpace = new FreeSpace({ folder: recordingsDir, minFreeBytes });
    this.archive = this.#removal.archiveFor("api");
    this.index = this.#index;
  }

  /**
   * Opens it: the room on the disk is known when this settles, all else is left to
   * {@link RecordingLibrary.start}.
   *
   * @throws {IndexKeyError} If the index's key can be neither read nor made.
   */
  static async open(options: RecordingLibraryOptions): Promise<RecordingLibrary> {
    const library = new RecordingLibrary(options, await placeOf(options));
    await library.#freeSpace.start();
    return library;
  }

  /** Compares all recordings with the index once, and corrects it; a server may run meanwhile. */
  static async reindex(
    options: RecordingLibraryOptions,
    rebuildOptions?: Pick<RebuildOptions, "signal" | "onProgress">,
  ): Promise<RebuildCounts> {
    const archive = archiveOf(new FileRecordingArchive(options.recordingsDir), options);
    return await reindex(await placeOf(options), archive, rebuildOptions);
  }

  /** Whether there is room for a new recording. */
  get mayBegin(): boolean {
    return !this.#freeSpace.isLow;
  }

  /** Free bytes of the disk; `undefined` if that is not known. */
  get freeBytes(): number | undefined {
    return this.#freeSpace.freeBytes;
  }

  /** How many changes wait for the index. */
  get waitingForIndex(): number {
    return this.#index.status.waiting;
  }

  /** How many recordings wait to be uploaded; `undefined` if none ever are. */
  get waitingForUpload(): number | undefined {
    return this.#uploads?.status.waiting;
  }

  /** For people, without personal data: what does not work at present. */
  get problems(): string[] {
    const { failingSince } = this.#index.status;
    const space = this.#freeSpace.problem;
    const uploads = this.#uploads?.status;
    return [
      ...(space === undefined ? [] : [space]),
      ...(uploads?.failingSince === undefined
        ? []
        : [`recordings cannot be uploaded (${uploads.lastErrorCode ?? "see the log"})`]),
      ...(failingSince === undefined ? [] : ["recordings cannot be indexed: see the log"]),
    ];
  }

  /** A recording has begun. */
  begun(recording: IndexedRecording): void {
    void this.#index.put(recording);
  }

  /** A recording has ended. */
  ended(id: string, metadata: RecordingMetadata): void {
    void this.#index.put(entryOf(id, metadata));
    this.#uploads?.add(id);
  }

  /** Removes a recording, for somebody who asked for it. */
  async remove(id: string): Promise<RemovalResult> {
    return await this.#removal.remove(id, "api");
  }

  /**
   * Begins what goes on in the background: first, what was left by a crash is completed; then the
   * index is, and what is too old is removed.
   */
  start(): void {
    this.#upkeep ??= this.#keepUp();
  }

  /** Ends what goes on, between two recordings, and lets the index do what waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    const upkeep = await this.#upkeep;
    await upkeep?.disposeAsync();
    await this.#uploads?.stop();
    await this.#freeSpace[Symbol.asyncDispose]();
    await this.#index[Symbol.asyncDispose]();
  }

  async #keepUp(): Promise<AsyncDisposableStack | undefined> {
    const { signal } = this.#stopping;
    const { recordingsDir, retentionDays = 0 } = this.#options;
    await recoverRecordings(recordingsDir, {
      signal,
      onRecovered: (id, metadata) => this.ended(id, metadata),
    });
    if (signal.aborted) return undefined;
    // Later, recovery could take what is half removed for something to be completed.
    await this.#removal.finishInterrupted();
    if (signal.aborted) return undefined;
    const stack = new AsyncDisposableStack();
    this.#uploads?.start();
    stack.use(new IndexUpkeep(this.#index, this.#all)).start();
    if (retentionDays > 0) {
      stack.use(
        new Retention({
          archive: this.#all,
          removal: this.#removal,
          newestDay: () => this.#files.newestDay(),
          retentionDays,
        }),
      ).start();
    }
    return stack;
  }
}

function archiveOf(
  files: FileRecordingArchive,
  { objects }: RecordingLibraryOptions,
): RecordingArchive {
  if (objects === undefined) return files;
  return new CombinedArchive([files, new S3RecordingArchive(objects.client, objects.prefix)]);
}

async function placeOf(options: RecordingLibraryOptions): Promise<OpenIndexOptions> {
  const { dataDir, kvUrl, indexPersonalData = false } = options;
  return {
    place: kvUrl === undefined
      ? { kind: "file", path: join(dataDir, INDEX_FILE) }
      : { kind: "url", url: kvUrl },
    key: await loadOrCreateIndexKey(dataDir),
    indexPersonalData,
  };
}
