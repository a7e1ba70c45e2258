/**
 * Recordings of any age, and clocks that tests set, for retention.
 */
import {
  ClockMemory,
  FileAuditLog,
  FileRecordingArchive,
  RecordingRemoval,
  Retention,
  type RetentionClock,
  type RetentionOptions,
} from "../../lib/storage/mod.ts";
import { RecordedFiles } from "../helpers/recorded_files.ts";
import { noise } from "../helpers/wav_check.ts";
import { metadataTextOf } from "./recording_archive_suite.ts";

export const HOUR_MS: number = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;
export const NOW = "2026-06-15T12:00:00.000Z";

/** Two clocks, which go by waiting alone, and of which one can be set. */
export class FakeClock implements RetentionClock {
  #tickMs = 5_000_000;
  #offsetMs: number;
  /** How long was waited, each time. */
  readonly waits: number[] = [];
  /** Called at each wait. */
  onWait: (ms: number) => void | Promise<void> = () => {};

  constructor(now = NOW) {
    this.#offsetMs = Date.parse(now) - this.#tickMs;
  }

  readonly nowMs = (): number => this.#tickMs + this.#offsetMs;
  readonly tickMs = (): number => this.#tickMs;
  readonly delay = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    this.waits.push(ms);
    this.#tickMs += ms;
    await this.onWait(ms);
    signal.throwIfAborted();
  };

  /** Time passes. */
  pass(ms: number): void {
    this.#tickMs += ms;
  }

  /** Somebody sets the clock. */
  set(now: string): void {
    this.#offsetMs = Date.parse(now) - this.#tickMs;
  }
}

/** A folder of recordings, what retention needs of it, and the time. */
export class Under implements AsyncDisposable {
  readonly recordings: RecordedFiles;
  readonly clock: FakeClock;
  readonly archive: FileRecordingArchive;
  readonly removal: RecordingRemoval;
  readonly clockMemory: ClockMemory;

  private constructor(recordings: RecordedFiles, clock: FakeClock) {
    this.recordings = recordings;
    this.clock = clock;
    this.archive = new FileRecordingArchive(recordings.folder, { nowMs: clock.nowMs });
    this.clockMemory = new ClockMemory(recordings.dir.path);
    this.removal = new RecordingRemoval({
      archive: this.archive,
      index: { remove: () => Promise.resolve() },
      audit: new FileAuditLog(recordings.dir.path),
      nowMs: clock.nowMs,
    });
  }

  static async make(clock = new FakeClock()): Promise<Under> {
    const under = new Under(await RecordedFiles.create(), clock);
    // A server that ran before, and by the right clock.
    await under.clockMemory.write({ expectedMs: clock.nowMs(), doubtedMs: undefined });
    return under;
  }

  retention(options: Partial<RetentionOptions> = {}): Retention {
    const { archive, removal, clock, clockMemory } = this;
    const newestDay = () => archive.newestDay();
    const parts = { archive, removal, newestDay, clock, clockMemory };
    return new Retention({ ...parts, retentionDays: 30, ...options });
  }

  /** Puts a recording there that started and ended at these times, and was written to until then. */
  async put(startedAt: string, endedAt = startedAt, name?: string): Promise<string> {
    const id = `${startedAt.slice(0, 10)}.${name ?? crypto.randomUUID()}`;
    await this.recordings.put(id, {
      ".wav": noise(10),
      ".jsonl": "{}\n",
      ".json": metadataTextOf(id, endedAt),
    });
    for (const extension of [".wav", ".jsonl"]) await this.touch(id, extension, endedAt);
    return id;
  }

  /** Makes a file one that was last written to at a time. */
  async touch(id: string, extension: string, time: string): Promise<void> {
    await Deno.utime(this.recordings.path(id, extension), new Date(time), new Date(time));
  }

  async left(): Promise<string[]> {
    return await Array.fromAsync(this.archive.list());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recordings[Symbol.asyncDispose]();
  }
}
