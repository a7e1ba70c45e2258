/**
 * All that is done with recordings beside making them: they are completed after a crash, indexed,
 * found, read, held, and removed by hand or by their age.
 *
 * Puts together its neighbours, which do the work.
 */
import { BackgroundIndex } from "./background_index.ts";
import { IndexUpkeep } from "./index_upkeep.ts";
import type { KvRecordingIndex } from "./kv_recording_index.ts";
import { type OpenIndexOptions, openRecordingIndex } from "./open_recording_index.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import type { OnRecovered, RecordingBackend } from "./recording_backend.ts";
import { entryOf, type IndexedRecording, type RecordingIndex } from "./recording_index.ts";
import type { RecordingMetadata } from "./recording_metadata.ts";
import { RecordingRemoval, type RemovalResult } from "./recording_removal.ts";
import { Retention } from "./retention.ts";

/** What a {@link RecordingLibrary} is about. */
export interface RecordingLibraryOptions {
  /** Where recordings are. It is disposed with the library. */
  readonly backend: RecordingBackend;
  /** By what they are found. */
  readonly index: OpenIndexOptions;
  /** How long recordings are kept after their end, in days; 0 = until somebody removes them. */
  readonly retentionDays?: number;
}

/** The recordings that are there. It begins by {@link RecordingLibrary.start}. */
export class RecordingLibrary implements AsyncDisposable {
  /** To read recordings, and to hold them, which is accounted for. */
  readonly archive: RecordingArchive;
  /** To find them. What is changed here is done in the background. */
  readonly index: RecordingIndex;
  readonly #backend: RecordingBackend;
  readonly #retentionDays: number;
  readonly #index: BackgroundIndex<KvRecordingIndex>;
  readonly #removal: RecordingRemoval;
  readonly #stopping = new AbortController();
  #upkeep: Promise<AsyncDisposableStack | undefined> | undefined;

  constructor({ backend, index, retentionDays = 0 }: RecordingLibraryOptions) {
    const { archive, audit } = backend;
    this.#backend = backend;
    this.#retentionDays = retentionDays;
    this.#index = new BackgroundIndex(() => openRecordingIndex(index), {
      isThere: ({ id, state }) => backend.has(id, state),
    });
    this.#removal = new RecordingRemoval({ archive, index: this.#index, audit });
    this.archive = this.#removal.archiveFor("api");
    this.index = this.#index;
  }

  /** How many changes wait for the index. */
  get waitingForIndex(): number {
    return this.#index.status.waiting;
  }

  /** For people, without personal data: what does not work at present. */
  get problems(): string[] {
    const { failingSince } = this.#index.status;
    return [
      ...this.#backend.status.problems,
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
    this.#backend.ended(id);
  }

  /** A recording was given up, and did not end; what is left of it is completed when that can be. */
  givenUp(id: string): void {
    this.#index.forget(id);
    this.#backend.givenUp(id);
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
    await this.#backend[Symbol.asyncDispose]();
    await this.#index[Symbol.asyncDispose]();
  }

  async #keepUp(): Promise<AsyncDisposableStack | undefined> {
    const { signal } = this.#stopping;
    const onRecovered: OnRecovered = (id, metadata) => {
      if (metadata === undefined) void this.#index.remove(id);
      else this.ended(id, metadata);
    };
    const { archive } = this.#backend;
    await this.#backend.recover(onRecovered, signal);
    if (signal.aborted) return undefined;
    // Later, recovery could take what is half removed for something to be completed.
    await this.#removal.finishInterrupted();
    if (signal.aborted) return undefined;
    const stack = new AsyncDisposableStack();
    this.#backend.start(onRecovered);
    stack.use(new IndexUpkeep(this.#index, archive)).start();
    if (this.#retentionDays > 0) {
      stack.use(
        new Retention({
          archive,
          removal: this.#removal,
          newestDay: () => this.#backend.newestDay(),
          clockMemory: this.#backend.clockMemory,
          retentionDays: this.#retentionDays,
        }),
      ).start();
    }
    return stack;
  }
}
