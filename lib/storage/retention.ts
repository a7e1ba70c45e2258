/**
 * Removes recordings that ended so many days ago.
 *
 * What counts is the end, or the last write if that was later: each recording is kept for the whole
 * time. It needs no index: recordings come day by day, and it stops at the first day whose recordings
 * can't have ended long enough ago. Nothing is removed by a clock that may be wrong (clock_watch.ts).
 * Imports interfaces, what removes recordings, and its neighbours.
 */
import { setTimeout as wait } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { ClockMemory } from "./clock_memory.ts";
import { type ClockProblem, ClockWatch, FIRST_TIME_MS } from "./clock_watch.ts";
import type { RecordingArchive } from "./recording_archive.ts";
import { placeOf } from "./recording_id.ts";
import type { RecordingRemoval } from "./recording_removal.ts";

const log = getLogger(["audiohook", "retention"]);

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How long it rests after each recording: the disk is there for the calls first. */
const PAUSE_MS = 20;
/** How long something without any part of a recording is left alone. */
const LEFTOVER_MS = DAY_MS;
/** So many of them are remembered. */
const MAX_LEFTOVERS = 10_000;
/** After so many failures in a row, it is not the recordings that are broken, but their folder. */
const MAX_FAILURES_OF_DAY = 10;
/** After so many in all, it is the place where recordings are. */
const MAX_FAILURES = 100;

/** What retention asks of the world. */
export interface RetentionClock {
  /** The present time, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** The same on a clock that nobody sets, from any beginning on. */
  readonly tickMs: () => number;
  /** Settles after a time; rejects at once if aborted. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const REAL_CLOCK: RetentionClock = {
  nowMs: Date.now,
  tickMs: () => performance.now(),
  delay: (ms, signal) => wait(ms, undefined, { signal }),
};

/** What a {@link Retention} needs. */
export interface RetentionOptions {
  readonly archive: Pick<RecordingArchive, "list" | "metadata" | "open">;
  readonly removal: Pick<RecordingRemoval, "remove" | "finishInterrupted">;
  /**
   * The latest day that has a recording, `undefined` if there is none: if that is yet to come, the
   * clock is wrong.
   */
  readonly newestDay: () => Promise<string | undefined>;
  /** What is known of the clock over a restart; by default nothing. */
  readonly clockMemory?: Pick<ClockMemory, "read" | "write"> | undefined;
  /** How long recordings are kept after their end, in days; more than 0. */
  readonly retentionDays: number;
  readonly clock?: RetentionClock;
}

/** What a run of retention did. */
export interface RetentionRun {
  readonly removed: number;
  /** How many were old enough, but are held. */
  readonly onHold: number;
  readonly failed: number;
}

const NOTHING: RetentionRun = { removed: 0, onHold: 0, failed: 0 };

/** Removes old recordings once an hour, from {@link start} on until it is disposed of. */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  readonly #keptMs: number;
  readonly #clock: RetentionClock;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  readonly #watch: ClockWatch;
  #clockProblem: ClockProblem | undefined;
  /** Whether the log says that there are recordings of days that can't be right. */
  #isOddDayReported = false;
  /** When something was first found that has no part of a recording, on the clock nobody sets. */
  readonly #leftovers = new Map<string, number>();

  /** @throws {RangeError} If the days are not more than 0. */
  constructor(options: RetentionOptions) {
    const { retentionDays, newestDay, clockMemory, clock = REAL_CLOCK } = options;
    if (!(retentionDays > 0)) {
      throw new RangeError(`Expected retentionDays to be more than 0, got ${retentionDays}`);
    }
    this.#options = options;
    this.#keptMs = retentionDays * DAY_MS;
    this.#clock = clock;
    const { nowMs, tickMs } = clock;
    this.#watch = new ClockWatch({ nowMs, tickMs, newestDay, memory: clockMemory });
  }

  /** Begins: at once, and then once an hour. */
  start(): void {
    this.#running ??= this.#runOften();
  }

  /** Stops, after the recording that is just being removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Removes what is old enough now. Fails for nothing: what goes wrong is logged. */
  async run(): Promise<RetentionRun> {
    try {
      return await this.#run();
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        log.error("Cannot look for old recordings; it is tried again in an hour", { error });
      }
      return NOTHING;
    }
  }

  async #runOften(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.run();
      await this.#clock.delay(HOUR_MS, signal).catch(() => {});
    }
  }

  async #run(): Promise<RetentionRun> {
    const { archive, removal, retentionDays } = this.#options;
    await removal.finishInterrupted();
    const { nowMs, problem } = await this.#watch.read();
    this.#reportClock(problem);
    if (problem !== undefined) return NOTHING;
    const untilMs = nowMs - this.#keptMs;
    const done = { removed: 0, onHold: 0, failed: 0 };
    /** Days of which nothing more is tried. */
    const left = new Set<string>();
    let day = "";
    let failuresInARow = 0;
    for await (const id of archive.list((unreadable) => left.add(unreadable))) {
      const startMs = startOf(id);
      if (this.#stopping.signal.aborted || startMs > untilMs) break;
      if (day !== dayOf(id)) failuresInARow = 0;
      day = dayOf(id);
      if (left.has(day) || this.#isOdd(id, startMs)) continue;
      try {
        if (await this.#isOver(id, untilMs)) {
          const result = await removal.remove(id, "retention");
          if (result === "removed") done.removed++;
          if (result === "on_hold") done.onHold++;
        }
        failuresInARow = 0;
      } catch (error) {
        if (done.failed++ === 0) {
          log.error("Cannot remove the old recording {id}; it is tried again in an hour", {
            id,
            error,
          });
        }
        if (++failuresInARow === MAX_FAILURES_OF_DAY) left.add(day);
        if (done.failed === MAX_FAILURES) break;
      }
      await this.#clock.delay(PAUSE_MS, this.#stopping.signal).catch(() => {});
    }
    if (done.removed + done.failed > 0) {
      log.info(
        "Removed {removed} recordings that ended over {retentionDays} days ago; " +
          "{onHold} are held, {failed} could not be removed",
        { ...done, retentionDays },
      );
    }
    return done;
  }

  async #isOver(id: string, untilMs: number): Promise<boolean> {
    const endedMs = await this.#endedMs(id, untilMs);
    if (endedMs !== undefined) {
      this.#leftovers.delete(id);
      return endedMs <= untilMs;
    }
    // A removal left it that was broken off for good; or another server is just storing it.
    const tickMs = this.#clock.tickMs();
    const foundMs = this.#leftovers.get(id) ?? tickMs;
    if (this.#leftovers.size < MAX_LEFTOVERS) this.#leftovers.set(id, foundMs);
    if (tickMs - foundMs < LEFTOVER_MS) return false;
    this.#leftovers.delete(id);
    return true;
  }

  /** Whether a recording says that it was made when no clock was set: it may be from yesterday. */
  #isOdd(id: string, startMs: number): boolean {
    if (startMs >= FIRST_TIME_MS) return false;
    if (!this.#isOddDayReported) {
      log.warning(
        "Recordings of days before 2025 are not removed for their age, such as {id}: the clock was " +
          "not set when they were made. Remove them by the API when they are not needed",
        { id },
      );
    }
    this.#isOddDayReported = true;
    return true;
  }

  /**
   * When a recording ended, or was last written to, if that was later: then the clock was set while
   * it was made, or its files were put there. `undefined` if nothing of it can be read.
   */
  async #endedMs(id: string, untilMs: number): Promise<number | undefined> {
    const { archive } = this.#options;
    const metadata = await archive.metadata(id);
    let endedMs = metadata === undefined
      ? -Infinity
      : Math.max(Date.parse(metadata.startedAt), Date.parse(metadata.endedAt));
    for (const part of ["messages", "audio"] as const) {
      // It is young enough: no more has to be asked for.
      if (endedMs > untilMs) break;
      await using file = await archive.open(id, part);
      endedMs = Math.max(endedMs, file?.modifiedAt.getTime() ?? -Infinity);
    }
    return endedMs === -Infinity ? undefined : endedMs;
  }

  /** Says it once. */
  #reportClock(problem: ClockProblem | undefined): void {
    const isNews = problem !== this.#clockProblem;
    this.#clockProblem = problem;
    if (!isNews) return;
    if (problem === undefined) {
      log.info("Old recordings are removed again: the clock seems right");
    } else if (problem === "ahead") {
      // It may well be right.
      log.warning(CLOCK_MESSAGES[problem]);
    } else {
      log.error(CLOCK_MESSAGES[problem]);
    }
  }
}

const CLOCK_MESSAGES = {
  "never set": "No old recordings are removed: the clock says a year before 2025. Set it",
  "before the recordings":
    "No old recordings are removed: the clock is more than a day before the " +
    "newest recording. Set it; or, if that recording's day is wrong, move it",
  ahead:
    "No old recordings are removed for 3 days: the clock is more than a day ahead of what it " +
    "said before, and of the recordings there were. If it is wrong, set it; if it was wrong " +
    "before, put what was recorded then on hold; if the server was off, there is nothing to do",
} as const satisfies Record<ClockProblem, string>;

/** The earliest moment that a recording can have started, and so ended. */
function startOf(id: string): number {
  const day = dayOf(id);
  return day === "" ? Infinity : Date.parse(`${day}T00:00:00Z`);
}

function dayOf(id: string): string {
  return placeOf(id)?.day ?? "";
}
