/**
 * Where recordings are made and kept, with all that belongs to it: the interface behind which a disk
 * and object storage look the same to the rest of the program.
 *
 * Imports types only.
 */
import type { AuditLog } from "./audit_log.ts";
import type { ClockMemory } from "./clock_memory.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import type { RecordingEntry } from "./recording_index.ts";
import type { RecordingMetadata } from "./recording_metadata.ts";
import type { RecordingStore } from "./recording_store.ts";

/** How a backend is doing. What it has no notion of is `undefined`. */
export interface BackendStatus {
  /** For people, without personal data: what does not work at present. */
  readonly problems: readonly string[];
  /** Free bytes of the disk. */
  readonly freeBytes?: number | undefined;
  /** How long the disk has been busy with one thing, in seconds. */
  readonly diskBusySeconds?: number | undefined;
  /** How long the object storage that recordings are made in has not answered, in seconds. */
  readonly objectStorageBusySeconds?: number | undefined;
  /** Age of the oldest audio that a power cut would lose, in seconds. */
  readonly unsyncedSeconds?: number | undefined;
  /** How many recordings wait to be uploaded. */
  readonly waitingForUpload?: number | undefined;
}

/**
 * What is told of recordings that were not ended by whoever made them, and are completed now;
 * without metadata of one of which nothing had been written, so that it is gone.
 */
export type OnRecovered = (id: string, metadata: RecordingMetadata | undefined) => void;

/** A place for recordings. What goes on in it ends when it is disposed. */
export interface RecordingBackend extends AsyncDisposable {
  /** Makes recordings. */
  readonly store: RecordingStore;
  /** All recordings, to be read, held and removed; what it removes is not accounted for. */
  readonly archive: RecordingArchive;
  /** Accounts for what is removed and held. */
  readonly audit: AuditLog;
  /** What the clock said before; none where a wrong clock can do no harm. */
  readonly clockMemory?: ClockMemory;
  /** Whether there is room for a new recording. */
  readonly mayBegin: boolean;
  readonly status: BackendStatus;
  /**
   * Whether a recording is there; one that can't be read is. When it was removed, it is not.
   *
   * @param state In which it would be: of one that has ended, what its maker left does not count.
   */
  has(id: string, state: RecordingEntry["state"]): Promise<boolean>;
  /** The latest day that has a recording; `undefined` if there is none, or if the clock is right. */
  newestDay(): Promise<string | undefined>;
  /** Gets ready to make recordings: after it, {@link mayBegin} can be asked. */
  open(): Promise<void>;
  /**
   * Completes what a killed server left, once, as far as it can be done now. It fails for nothing:
   * what goes wrong is logged.
   */
  recover(onRecovered: OnRecovered, signal: AbortSignal): Promise<void>;
  /** Begins what is done in the background for as long as the program runs. */
  start(onRecovered: OnRecovered): void;
  /** A recording has ended, or was recovered. */
  ended(id: string): void;
  /**
   * A recording was given up by whoever made it here: it is completed when the storage works again,
   * once {@link start} was called.
   */
  givenUp(id: string): void;
}
