/**
 * When files are synced: each that was written to, once in so many seconds, at a time of its own;
 * few at once, so that neither writes nor other files wait for them.
 *
 * A file waits at most once, so when the disk can't keep up, all of them are synced less often.
 * Imports its neighbour.
 */
import type { FileBeingWritten } from "./file_being_written.ts";

/** How many are synced at once. */
const AT_ONCE = 4;
/** Into how many parts a round is divided. */
const SLOTS = 50;
/** How long a round takes, as a part of the time that is allowed; the rest is for waiting. */
const ROUND = 0.8;
/** How often the state is told. */
const STATUS_MS = 1000;

/** How far syncing is behind writing. */
export interface SyncStatus {
  /** Files that have something that is not synced. */
  readonly unsyncedFiles: number;
  /** How long the oldest of it waits, in milliseconds. */
  readonly unsyncedMs: number;
}

/** Syncs files that say that they have changed. */
export class SyncSchedule {
  readonly #slotMs: number;
  readonly #onStatus: (status: SyncStatus) => void;
  readonly #slots = Array.from({ length: SLOTS }, () => new Set<FileBeingWritten>());
  /** Of all slots, and those that wait or are being synced. */
  readonly #unsynced = new Set<FileBeingWritten>();
  #lastSlot = 0;
  readonly #waiting = new Set<FileBeingWritten>();
  #running = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #nextStatusMs = 0;

  /**
   * @param syncSeconds How long what was written may wait; 0 for ever.
   * @param onStatus Told about once a second while something is not synced, and when all is.
   */
  constructor(syncSeconds: number, onStatus: (status: SyncStatus) => void) {
    this.#slotMs = syncSeconds * 1000 * ROUND / SLOTS;
    this.#onStatus = onStatus;
  }

  /** A file has changed, and had not before. It is synced at its time, or when it is its turn. */
  add(file: FileBeingWritten): void {
    if (this.#slotMs === 0) return;
    this.#unsynced.add(file);
    this.#slots[Math.floor(file.phase * SLOTS)]?.add(file);
    if (this.#timer !== undefined) return;
    this.#lastSlot = this.#slotNow();
    this.#timer = setInterval(() => this.#tick(), this.#slotMs);
  }

  /** Counts on from round to round, so that a timer that is late leaves none out. */
  #slotNow(): number {
    return Math.floor(performance.now() / this.#slotMs);
  }

  #tick(): void {
    const now = this.#slotNow();
    for (let slot = Math.max(this.#lastSlot, now - SLOTS) + 1; slot <= now; slot++) {
      const files = this.#slots[slot % SLOTS];
      for (const file of files ?? []) this.#waiting.add(file);
      files?.clear();
    }
    this.#lastSlot = now;
    this.#next();
    this.#tellStatus();
  }

  #next(): void {
    for (const file of this.#waiting) {
      if (this.#running === AT_ONCE) return;
      this.#waiting.delete(file);
      this.#running++;
      void this.#sync(file).finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  async #sync(file: FileBeingWritten): Promise<void> {
    // Of a recording that was finished, nothing is left to do.
    if (file.unsyncedSinceMs !== undefined) {
      try {
        await file.sync();
        await file.syncName();
      } catch {
        // The file has told it.
      }
    }
    // Written to meanwhile, it has said so already; but not if it failed.
    if (file.unsyncedSinceMs !== undefined) this.add(file);
    else this.#unsynced.delete(file);
  }

  #tellStatus(): void {
    const nowMs = performance.now();
    if (nowMs < this.#nextStatusMs && this.#unsynced.size > 0) return;
    this.#nextStatusMs = nowMs + STATUS_MS;
    let oldestMs = nowMs;
    for (const { unsyncedSinceMs } of this.#unsynced) {
      oldestMs = Math.min(oldestMs, unsyncedSinceMs ?? nowMs);
    }
    this.#onStatus({ unsyncedFiles: this.#unsynced.size, unsyncedMs: nowMs - oldestMs });
    if (this.#unsynced.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    // What comes next is told at once.
    this.#nextStatusMs = 0;
  }
}
