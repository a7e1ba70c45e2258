/**
 * What is done with the files of recordings, one request after the other, without waiting for
 * anything but the disk: it runs in a thread of its own (recording_thread.ts).
 *
 * Names: `<folder>/<YYYY-MM-DD>/<name>.wav` (`.wav.part` until it is finished), `.jsonl` and `.json`;
 * recording_id.ts says what a name is. Must not import: anything that the server's thread needs to be loaded here.
 */
import { join } from "node:path";
import { OpenRecording, type OpenRecordingOptions } from "./open_recording.ts";
import { type PackedEnding, unpackEnding } from "./packed_ending.ts";
import { SyncSchedule, type SyncStatus } from "./sync_schedule.ts";
import { Places } from "./places.ts";

/** How many recordings are finished at once: more would not make the disk faster. */
const FINISHED_AT_ONCE = 16;

/** Something to be done with the files of recording `id`, a number that the caller chooses. */
export type FileRequest =
  /** Makes a new recording. */
  | {
    readonly what: "create";
    readonly id: number;
    readonly folder: string;
    readonly day: string;
    readonly sessionId: string;
  }
  /** Goes on with a recording that another thread began. */
  | { readonly what: "reopen"; readonly id: number; readonly location: string }
  | { readonly what: "finish"; readonly id: number; readonly ending: PackedEnding }
  | { readonly what: "close"; readonly id: number };

/** How {@link FileOperations} name what they make, sync it, and what they tell of it. */
export interface FileOperationsOptions {
  /** How long what was written may wait to be synced, in seconds; 0 to do it at the end only. */
  readonly syncSeconds: number;
  /** Files of a recording can't be synced, for this reason; or, `undefined`, they can again. */
  readonly onSync: (id: number, error: unknown) => void;
  /** Told about once a second while something is not synced, and when all is. */
  readonly onStatus: (status: SyncStatus) => void;
  /** Whether names are unique, wherever recordings are made; else they are numbered. */
  readonly hasUniqueNames: boolean;
}

/** The files of recordings that are being made. All methods throw what the disk says. */
export class FileOperations {
  readonly #recordings = new Map<number, OpenRecording>();
  readonly #schedule: SyncSchedule;
  readonly #places = new Places(FINISHED_AT_ONCE);
  readonly #onSync: FileOperationsOptions["onSync"];
  readonly #hasUniqueNames: boolean;

  /** Opens no file so far. */
  constructor({ syncSeconds, onSync, onStatus, hasUniqueNames }: FileOperationsOptions) {
    this.#schedule = new SyncSchedule(syncSeconds, onStatus);
    this.#onSync = onSync;
    this.#hasUniqueNames = hasUniqueNames;
  }

  /** Writes a part of a file of a recording. */
  write(file: "audio" | "messages", id: number, offset: number, bytes: Uint8Array): void {
    this.#find(id)[file].write(offset, bytes);
  }

  /**
   * Does something other than writing.
   *
   * @returns Location of the recording, without an extension; at once, unless it takes waiting.
   */
  do(request: FileRequest): string | Promise<string> {
    const { id } = request;
    switch (request.what) {
      case "create": {
        const folder = join(request.folder, request.day);
        return this.#add(id, OpenRecording.create(folder, request.sessionId, this.#options(id)));
      }
      case "reopen":
        return OpenRecording.reopen(request.location, this.#options(id))
          .then((recording) => this.#add(id, recording));
      case "finish": {
        const recording = this.#find(id);
        return recording.finish(unpackEnding(request.ending)).then(() => recording.location);
      }
      case "close": {
        const recording = this.#find(id);
        this.#recordings.delete(id);
        recording.close();
        return recording.location;
      }
    }
  }

  #options(id: number): OpenRecordingOptions {
    return {
      schedule: this.#schedule,
      places: this.#places,
      onSync: (error) => this.#onSync(id, error),
      hasUniqueName: this.#hasUniqueNames,
    };
  }

  #add(id: number, recording: OpenRecording): string {
    this.#recordings.set(id, recording);
    return recording.location;
  }

  #find(id: number): OpenRecording {
    const recording = this.#recordings.get(id);
    if (recording === undefined) throw new Error(`There is no open recording ${id}`);
    return recording;
  }
}
