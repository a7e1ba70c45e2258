/**
 * Completes the recordings of a server that was killed: finds those that have not ended, and that
 * nobody writes, and makes them what a recorder would have left (complete_recording.ts).
 *
 * It may run while recordings are being made, and while another server does so in the same folder:
 * whoever writes a recording holds a lock on its message log. Imports its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import {
  completeRecording,
  type Completion,
  type CompletionOptions,
} from "./complete_recording.ts";
import { isDay, isRecordingName, recordingId } from "./recording_id.ts";
import type { RecordingMetadata } from "./recording_metadata.ts";
import { MACHINE_DISK, type RecoveryDisk, syncFolder } from "./recovery_disk.ts";
import { logImpossible, logRecovered } from "./recovery_log.ts";

const log = getLogger(["audiohook", "recovery"]);

/** How many are completed at the same time: most of the time is waiting for the disk. */
const CONCURRENCY = 16;

/** Options of {@link recoverRecordings}. */
export interface RecoveryOptions {
  /** Stops between two recordings. The next recovery goes on. */
  readonly signal?: AbortSignal;
  /** Called for each recording that was completed; those that go on meanwhile do not wait. */
  readonly onRecovered?: (id: string, metadata: RecordingMetadata) => void | Promise<void>;
  /** Called for each recording that could not be completed since the disk failed. */
  readonly onDiskFailure?: (id: string) => void;
  /** Tells the present time in milliseconds since 1970; `Date.now` unless given. */
  readonly now?: () => number;
  /**
   * Files without a byte that were last written to before this time are removed, milliseconds since
   * 1970. Unless given, it is when the program began.
   */
  readonly emptyBeforeMs?: number;
  /** The disk of this machine unless given. */
  readonly disk?: RecoveryDisk;
}

/** What {@link recoverRecordings} did, and left. Numbers of recordings. */
export interface RecoveryResult {
  /** Completed: playable, and with metadata. */
  readonly recovered: number;
  /** Left alone, since somebody writes them. */
  readonly beingMade: number;
  /** Begun, and without a byte: there was nothing to complete. */
  readonly empty: number;
  /** What could not be completed, and stays as it is; the log says why. Folders count as one. */
  readonly failed: number;
  /** Whether it was stopped by its signal; then there may be more. */
  readonly isStopped: boolean;
}

/**
 * Completes all recordings below a folder that have not ended, and that nobody writes.
 *
 * Recordings are told by their names; other files are not looked at. Nothing that has content is
 * ever removed. What can't be completed is logged with its id, and does not keep others from being
 * completed. Never rejects.
 *
 * @param folder Path of the folder that has a folder for each day. There need not be one.
 */
export async function recoverRecordings(
  folder: string,
  options: RecoveryOptions = {},
): Promise<RecoveryResult> {
  const recovery = new Recovery(folder, options);
  await recovery.run();
  const { result } = recovery;
  const hasDone = result.recovered + result.failed > 0;
  const text = result.isStopped
    ? "Recovery was stopped: {recovered} recordings completed, {failed} impossible"
    : "Recovery is done: {recovered} recordings completed, {failed} impossible";
  if (hasDone) log.info(text, { ...result });
  else log.debug(text, { ...result });
  return result;
}

type Count = Exclude<keyof RecoveryResult, "isStopped">;

class Recovery {
  readonly #folder: string;
  readonly #options: RecoveryOptions;
  readonly #disk: RecoveryDisk;
  readonly #counts: Record<Count, number> = { recovered: 0, beingMade: 0, empty: 0, failed: 0 };

  constructor(folder: string, options: RecoveryOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#disk = options.disk ?? MACHINE_DISK;
  }

  get result(): RecoveryResult {
    return { ...this.#counts, isStopped: this.#isStopped };
  }

  get #isStopped(): boolean {
    return this.#options.signal?.aborted ?? false;
  }

  async run(): Promise<void> {
    const days: string[] = [];
    try {
      for await (const { name, isDirectory } of this.#disk.readDir(this.#folder)) {
        if (!isDay(name)) continue;
        if (isDirectory) days.push(name);
        else this.#fail("Cannot recover recordings of {day}: it is no folder", { day: name });
      }
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      const folder = this.#folder;
      this.#fail("Cannot recover recordings: {folder} can't be read", { folder, error });
    }
    // The newest are most likely to be asked for.
    for (const day of days.sort().reverse()) {
      if (this.#isStopped) return;
      await this.#recoverDay(day);
    }
  }

  async #recoverDay(day: string): Promise<void> {
    let names: string[];
    try {
      names = await this.#unended(day);
    } catch (error) {
      return this.#fail("Cannot recover recordings of {day}: its folder can't be read", {
        day,
        error,
      });
    }
    const before = this.#counts.recovered;
    const next = names.values();
    const work = async () => {
      for (const name of next) {
        if (this.#isStopped) return;
        await this.#recover(day, name);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    if (this.#counts.recovered === before) return;
    try {
      await syncFolder(this.#disk, join(this.#folder, day));
    } catch (error) {
      // They are completed; only a loss of power could undo it, and the next recovery do it again.
      log.warn("Cannot sync the folder of {day}", { day, error });
    }
  }

  /** Names of recordings that have not ended. */
  async #unended(day: string): Promise<string[]> {
    const begun = new Set<string>();
    const ended = new Set<string>();
    for await (const entry of this.#disk.readDir(join(this.#folder, day))) {
      const [, name = "", extension = ""] = FILE.exec(entry.name) ?? [];
      if (!isRecordingName(name)) continue;
      if (ENDED.has(extension)) ended.add(name);
      else if (BEGUN.has(extension)) begun.add(name);
    }
    return [...begun.difference(ended)].sort();
  }

  async #recover(day: string, name: string): Promise<void> {
    const id = recordingId({ day, name });
    const { now = Date.now, emptyBeforeMs = performance.timeOrigin } = this.#options;
    const options: CompletionOptions = { disk: this.#disk, nowMs: now(), emptyBeforeMs };
    let completion: Completion;
    try {
      completion = await completeRecording(this.#folder, { day, name }, options);
    } catch (error) {
      this.#options.onDiskFailure?.(id);
      return this.#fail(
        "Cannot recover the recording {id}: the disk failed; it is tried again later",
        { id, error },
      );
    }
    switch (completion.how) {
      case "recovered":
        await this.#recovered(id, completion.metadata);
        break;
      case "being_made":
        this.#counts.beingMade++;
        break;
      case "empty":
        this.#counts.empty++;
        break;
      case "impossible":
        this.#counts.failed++;
        logImpossible(id, completion.why);
        break;
      case "ended":
    }
  }

  async #recovered(id: string, metadata: RecordingMetadata): Promise<void> {
    this.#counts.recovered++;
    logRecovered(id, metadata);
    try {
      await this.#options.onRecovered?.(id, metadata);
    } catch (error) {
      log.error("The recording {id} is recovered, but telling so failed", { id, error });
    }
  }

  #fail(text: string, properties: Record<string, unknown>): void {
    this.#counts.failed++;
    log.error(text, properties);
  }
}

const FILE = /^(.*?)(\.(?:wav|wav\.part|jsonl|json|s3|removed))$/;
const BEGUN: ReadonlySet<string> = new Set([".wav", ".wav.part", ".jsonl"]);
/** What was uploaded has ended, and so has what is being removed, whatever is left of it. */
const ENDED: ReadonlySet<string> = new Set([".json", ".s3", ".removed"]);
