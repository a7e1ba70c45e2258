/**
 * Storage, as the API asks for it: each thing with a deadline, and so many at a time. What comes
 * later is dropped; a file that is opened later is closed.
 *
 * Imports the log, the storage's interfaces, and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import type { RecordedFile, RecordingArchive } from "../storage/recording_archive.ts";
import type { RecordingIndex } from "../storage/recording_index.ts";
import type { ApiLimits, RemoveOutcome } from "./api_parts.ts";
import { Patience } from "./patience.ts";

const log = getLogger(["audiohook", "api"]);

/** What the API needs of storage. */
export interface ApiStorage {
  /** Where recordings are read and held. */
  readonly archive: Pick<
    RecordingArchive,
    "metadata" | "isUnderWay" | "open" | "hold" | "setHold"
  >;
  /** Where they are found. */
  readonly index: Pick<RecordingIndex, "get" | "find">;
  /** Removes a recording from wherever it is, unless it must not be. */
  readonly remove: (id: string) => Promise<RemoveOutcome>;
}

/**
 * The same storage, with deadlines: all of its methods, and the streams of its files, may throw
 * `StorageTimeoutError`.
 */
export function patientStorage(storage: ApiStorage, limits: ApiLimits): ApiStorage {
  const { archive, index, remove } = storage;
  const ofReads = {
    timeoutMs: limits.readTimeoutMs,
    maxRunning: limits.maxReadsRunning,
    maxWaiting: limits.maxReadsWaiting,
  };
  const reads = new Patience(ofReads);
  // Recordings can be found while their disk hangs.
  const searches = new Patience(ofReads);
  const changes = new Patience({
    timeoutMs: limits.changeTimeoutMs,
    // The audit log has them one after the other anyway. Those that wait here can be given up.
    maxRunning: 1,
    maxWaiting: limits.maxChangesWaiting,
    isForChanges: true,
  });
  return {
    archive: {
      metadata: (id) => reads.ask(() => archive.metadata(id)),
      isUnderWay: (id) => reads.ask(() => archive.isUnderWay(id)),
      hold: (id) => reads.ask(() => archive.hold(id)),
      setHold: (id, hold) => changes.ask(() => archive.setHold(id, hold)),
      async open(id, part) {
        const file = await reads.ask(() => archive.open(id, part), (late) => late && close(late));
        return file && new PatientFile(file, reads);
      },
    },
    index: {
      get: (id) => searches.ask(() => index.get(id)),
      find: (filter, limit, cursor) => searches.ask(() => index.find(filter, limit, cursor)),
    },
    remove: (id) => changes.ask(() => remove(id)),
  };
}

/** A file, each of whose reads has a deadline. */
class PatientFile implements RecordedFile {
  readonly size: number;
  readonly isFinal: boolean;
  readonly modifiedAt: Date;
  readonly #file: RecordedFile;
  readonly #patience: Patience;

  constructor(file: RecordedFile, patience: Patience) {
    this.#file = file;
    this.#patience = patience;
    this.size = file.size;
    this.isFinal = file.isFinal;
    this.modifiedAt = file.modifiedAt;
  }

  read(from: number, to: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = this.#file.read(from, to).getReader();
    let cancelling: Promise<void> = Promise.resolve();
    const cancel = () => {
      cancelling = reader.cancel().catch(() => {});
    };
    return new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = await this.#patience.ask(async () => {
            const read = await reader.read();
            // To cancel it settles the read at once, but the disk may still be at it.
            await cancelling;
            return read;
          });
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          cancel();
          throw error;
        }
      },
      cancel,
    }, { highWaterMark: 0 });
  }

  /** Settles at once: the file is closed when storage lets it be. */
  [Symbol.asyncDispose](): Promise<void> {
    void close(this.#file);
    return Promise.resolve();
  }
}

async function close(file: RecordedFile): Promise<void> {
  try {
    await file[Symbol.asyncDispose]();
  } catch (error) {
    log.error("Cannot close a file of a recording", { error });
  }
}
