/**
 * Recordings as files in a folder (file_operations.ts has their names), written by a thread of their
 * own.
 *
 * Must not import: the protocol's session, the server.
 */
import { basename } from "node:path";
import { packEnding } from "./packed_ending.ts";
import { recordingId } from "./recording_id.ts";
import type { RecordingEnding, RecordingFiles, RecordingStore } from "./recording_store.ts";
import { RecordingThread } from "./recording_thread.ts";

/** What may wait for a sync, in seconds, unless something else is asked for. */
const SYNC_SECONDS = 10;

/** So many recordings write less often than the thread gathers: they need not wait for each other. */
const FEW_RECORDINGS = 20;

/** Options of a {@link FileRecordingStore}. */
export interface FileRecordingStoreOptions {
  /**
   * What is written is synced (`fdatasync`) within so many seconds, so that a power failure costs
   * no more than that; 10 by default. 0 syncs a recording at its end only. If the disk takes longer,
   * it happens less often: {@link FileStoreStatus.unsyncedSeconds} tells.
   */
  readonly syncSeconds?: number;
  /**
   * Whether each recording is named `<sessionId>.<8 random hex digits>`, which is unique wherever it
   * is made: for folders of several machines that go to one place, and for files that are removed
   * when they are there. By default, a name is the session's id, and of several recordings of one
   * session, the second is named `<sessionId>.2`.
   */
  readonly hasUniqueNames?: boolean;
}

/** How the disk keeps up. */
export interface FileStoreStatus {
  /** Files that have something that is not synced. */
  readonly unsyncedFiles: number;
  /** How long the oldest of it waits; a little more than `syncSeconds` if the disk keeps up. */
  readonly unsyncedSeconds: number;
  /** How long the disk has been busy with what it was asked for first; more than 1 s is a stall. */
  readonly busySeconds: number;
}

/**
 * Recordings in a folder, which is made if there is none. Beside the folder, the program must be
 * allowed to read `recording_thread_worker.ts`, which the thread begins with.
 */
export class FileRecordingStore implements RecordingStore, AsyncDisposable {
  readonly #folder: string;
  readonly #thread: RecordingThread;
  /** Who wants to know about syncs. */
  readonly #watchers = new Map<number, (error: unknown) => void>();
  #lastId = 0;

  /** @param folder Path of the folder that has a folder for each day. */
  constructor(folder: string, options: FileRecordingStoreOptions = {}) {
    this.#folder = folder;
    const { syncSeconds = SYNC_SECONDS, hasUniqueNames = false } = options;
    this.#thread = new RecordingThread({
      syncSeconds,
      hasUniqueNames,
      onSync: (id, error) => this.#watchers.get(id)?.(error),
    });
  }

  /** How the disk keeps up, for health checks and metrics. */
  get status(): FileStoreStatus {
    const { syncStatus: { unsyncedFiles, unsyncedMs }, busyMs } = this.#thread;
    return { unsyncedFiles, unsyncedSeconds: unsyncedMs / 1000, busySeconds: busyMs / 1000 };
  }

  /** Makes a new recording. */
  async create(
    day: string,
    sessionId: string,
    onSync: (error: unknown) => void = () => {},
  ): Promise<RecordingFiles> {
    const id = ++this.#lastId;
    const { generation } = this.#thread;
    const request = { what: "create", id, folder: this.#folder, day, sessionId } as const;
    const areFew = () => this.#watchers.size <= FEW_RECORDINGS;
    const location = await this.#thread.do(request, areFew());
    this.#watchers.set(id, onSync);
    return new LocalRecordingFiles({
      thread: this.#thread,
      generation,
      number: id,
      id: recordingId({ day, name: basename(location) }),
      location,
      areFew,
      onReopened: () => onSync(undefined),
      onClosed: () => void this.#watchers.delete(id),
    });
  }

  /**
   * Ends the thread, which is begun by the first recording: for programs that go on without the
   * store. One that just ends need not ask for it. Recordings that are still written begin another.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.close();
  }
}

interface LocalRecordingOptions {
  readonly thread: RecordingThread;
  /** The thread that has the files open. */
  readonly generation: number;
  /** By which the thread knows it. */
  readonly number: number;
  readonly id: string;
  readonly location: string;
  /** Whether there are so few recordings that nothing is gained by waiting for others. */
  readonly areFew: () => boolean;
  /** Another thread has it: what was said of syncs is over. */
  readonly onReopened: () => void;
  readonly onClosed: () => void;
}

class LocalRecordingFiles implements RecordingFiles {
  readonly id: string;
  readonly location: string;
  readonly #options: LocalRecordingOptions;
  readonly #thread: RecordingThread;
  readonly #number: number;
  #generation: number;
  #reopening: Promise<void> | undefined;
  #isHurried = false;

  constructor(options: LocalRecordingOptions) {
    this.id = options.id;
    this.location = options.location;
    this.#options = options;
    this.#thread = options.thread;
    this.#number = options.number;
    this.#generation = options.generation;
  }

  writeAudio(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#write("audio", offset, bytes);
  }

  writeMessages(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#write("messages", offset, bytes);
  }

  async finish(ending: RecordingEnding): Promise<void> {
    if (!this.#isOpen) await this.#reopen();
    const request = { what: "finish", id: this.#number, ending: packEnding(ending) } as const;
    await this.#thread.do(request, true);
    // Nobody waits for what comes now.
    this.#isHurried = false;
  }

  hurry(): void {
    this.#isHurried = true;
    this.#thread.flush();
  }

  async close(): Promise<void> {
    this.#options.onClosed();
    // Otherwise, they were closed with their thread.
    if (!this.#isOpen) return;
    // What it could fail at is of no interest to anybody.
    await this.#thread.do({ what: "close", id: this.#number }, this.#isUrgent).catch(() => {});
  }

  get #isUrgent(): boolean {
    return this.#isHurried || this.#options.areFew();
  }

  get #isOpen(): boolean {
    return this.#generation === this.#thread.generation;
  }

  #write(file: "audio" | "messages", offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#isOpen) {
      return this.#thread.write(file, this.#number, offset, bytes, this.#isUrgent);
    }
    return this.#reopen().then(() => this.#write(file, offset, bytes));
  }

  /** Lets another thread go on, because the one before has ended. */
  #reopen(): Promise<void> {
    // Audio and messages may be written at once.
    return this.#reopening ??= this.#reopenNow().finally(() => this.#reopening = undefined);
  }

  async #reopenNow(): Promise<void> {
    const { generation } = this.#thread;
    const { location } = this;
    await this.#thread.do({ what: "reopen", id: this.#number, location }, true);
    this.#generation = generation;
    this.#options.onReopened();
  }
}
