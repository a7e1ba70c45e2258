/**
 * Completes recordings that were given up because the disk failed for too long, as soon as it works
 * again: as a start of the program does for all, but only these; and what such a start could not
 * complete because the disk failed.
 *
 * While the disk fails, a few of them are tried every few seconds; nothing else is looked at.
 * Imports its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { completeRecording, type Completion } from "./complete_recording.ts";
import { inTime } from "./in_time.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import type { OnRecovered } from "./recording_backend.ts";
import { placeOf, type RecordingPlace } from "./recording_id.ts";
import { MACHINE_DISK, type RecoveryDisk, statIfThere, syncFolder } from "./recovery_disk.ts";
import { logImpossible, logRecovered } from "./recovery_log.ts";

const log = getLogger(["audiohook", "recovery"]);

/** How many are completed at the same time; and so, while the disk fails, how many are tried. */
const CONCURRENCY = 16;
/** How long the end waits for what is under way: the disk may be one that has stalled. */
const STOP_TIMEOUT_MS = 5_000;

/** What {@link GivenUpRecordings} need. */
export interface GivenUpRecordingsOptions {
  /** Path of the folder that has a folder for each day. */
  readonly folder: string;
  /** How often it is tried, in milliseconds; every 10 seconds by default. */
  readonly retryMs?: number;
  /** How many are remembered, 100,000 by default; the next start completes the others. */
  readonly maxWaiting?: number;
  /** The disk of this machine unless given. */
  readonly disk?: RecoveryDisk;
}

/** What was given up, and is to be completed. */
export class GivenUpRecordings implements AsyncDisposable {
  readonly #archive: Pick<RecordingArchive, "metadata">;
  readonly #folder: string;
  readonly #retryMs: number;
  readonly #maxWaiting: number;
  readonly #disk: RecoveryDisk;
  /** By its id, when it was given up, milliseconds since 1970; what failed last comes last. */
  readonly #waiting = new Map<string, number>();
  readonly #stopping = new AbortController();
  #isTooMuch = false;
  #onRecovered: OnRecovered | undefined;
  #working: Promise<void> | undefined;

  /** @param archive The same recordings, to be read. */
  constructor(archive: Pick<RecordingArchive, "metadata">, options: GivenUpRecordingsOptions) {
    const { folder, retryMs = 10_000, maxWaiting = 100_000, disk = MACHINE_DISK } = options;
    this.#archive = archive;
    this.#folder = folder;
    this.#retryMs = retryMs;
    this.#maxWaiting = maxWaiting;
    this.#disk = disk;
  }

  /** How many are not completed so far. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether a recording was given up, and is not completed so far. */
  has(id: string): boolean {
    return this.#waiting.has(id);
  }

  /** A recording was given up. Its files may be open for a moment still. */
  add(id: string): void {
    if (this.#waiting.size >= this.#maxWaiting) {
      if (!this.#isTooMuch) {
        const count = this.#maxWaiting;
        log.warning(
          "More than {count} recordings are to be completed: the next start does the rest",
          {
            count,
          },
        );
      }
      this.#isTooMuch = true;
      return;
    }
    this.#waiting.set(id, Date.now());
    this.#work();
  }

  /** Begins to complete what was given up so far, and what will be. */
  start(onRecovered: OnRecovered): void {
    this.#onRecovered = onRecovered;
    this.#work();
  }

  /** Ends it, between two recordings. The next start of the program goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await inTime(this.#working ?? Promise.resolve(), STOP_TIMEOUT_MS).catch(() => {});
  }

  #work(): void {
    const onRecovered = this.#onRecovered;
    if (onRecovered === undefined || this.#waiting.size === 0) return;
    this.#working ??= this.#tryOften(onRecovered);
  }

  async #tryOften(onRecovered: OnRecovered): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#waiting.size > 0) {
      await wait(this.#retryMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.#tryAll(onRecovered);
    }
    // At once: what is added next begins it again.
    this.#working = undefined;
  }

  /** Tries all, as long as the disk does not fail. */
  async #tryAll(onRecovered: OnRecovered): Promise<void> {
    const next = [...this.#waiting].values();
    const work = async () => {
      for (const [id, givenUpMs] of next) {
        if (this.#stopping.signal.aborted) return;
        try {
          if (await this.#try(id, givenUpMs, onRecovered)) this.#waiting.delete(id);
        } catch (error) {
          log.debug("Cannot recover the recording {id} so far; trying again", { id, error });
          this.#waiting.delete(id);
          this.#waiting.set(id, givenUpMs);
          return;
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
  }

  /**
   * @returns Whether nothing is left to do.
   * @throws What the disk says; then it may be tried again.
   */
  async #try(id: string, givenUpMs: number, onRecovered: OnRecovered): Promise<boolean> {
    const place = placeOf(id);
    if (place === undefined) return true;
    const completion = await this.#complete(place, givenUpMs);
    switch (completion.how) {
      case "being_made":
        return false;
      case "impossible":
        logImpossible(id, completion.why);
        return true;
      case "recovered":
        logRecovered(id, completion.metadata);
        onRecovered(id, completion.metadata);
        return true;
      case "ended": {
        // Its last step may have failed when it had its name; or another program completed it.
        const metadata = await this.#archive.metadata(id);
        if (metadata !== undefined) onRecovered(id, metadata);
        return true;
      }
      case "empty":
        if (await this.#isGone(place)) onRecovered(id, undefined);
        return true;
    }
  }

  async #complete(place: RecordingPlace, givenUpMs: number): Promise<Completion> {
    const options = { disk: this.#disk, nowMs: Date.now(), emptyBeforeMs: givenUpMs };
    const completion = await completeRecording(this.#folder, place, options);
    if (completion.how !== "recovered") return completion;
    try {
      await syncFolder(this.#disk, join(this.#folder, place.day));
    } catch (error) {
      // It is completed; only a loss of power could undo it, and the next start do it again.
      log.warn("Cannot sync the folder of {day}", { day: place.day, error });
    }
    return completion;
  }

  async #isGone({ day, name }: RecordingPlace): Promise<boolean> {
    const path = join(this.#folder, day, `${name}.jsonl`);
    return await statIfThere(this.#disk, path) === undefined;
  }
}
