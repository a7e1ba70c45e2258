/**
 * Removes recordings that ended so many days ago.
 *
 * What counts is the end: each recording is kept for the whole time. It needs no index: recordings
 * come day by day, and it stops at the first day whose recordings can't have ended long enough ago.
 * Imports interfaces and what removes recordings.
 */
import { setTimeout as wait } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
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
/** After so many failures in a row, it is not the recordings that are broken. */
const MAX_FAILURES = 10;
/** Before this year, no server like this one existed: a clock that says so was never set. */
const FIRST_YEAR = 2025;

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

/** Why nothing is removed. */
type ClockProblem = "never set" | "before the recordings" | "set forward";

const NOTHING: RetentionRun = { removed: 0, onHold: 0, failed: 0 };

/** Removes old recordings once an hour, from {@link start} on until it is disposed of. */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  readonly #keptMs: number;
  readonly #clock: RetentionClock;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  /** What both clocks said the last time. */
  #last: { readonly nowMs: number; readonly tickMs: number };
  /** On the clock that nobody sets: until then, the other one is not believed. */
  #doubtfulUntilMs = -Infinity;
  #clockProblem: ClockProblem | undefined;
  /** When something was first found that has no part of a recording, on the clock nobody sets. */
  readonly #leftovers = new Map<string, number>();

  /** @throws {RangeError} If the days are not more than 0. */
  constructor(options: RetentionOptions) {
    const { retentionDays, clock = REAL_CLOCK } = options;
    if (!(retentionDays > 0)) {
      throw new RangeError(`Expected retentionDays to be more than 0, got ${retentionDays}`);
    }
    this.#options = options;
    this.#keptMs = retentionDays * DAY_MS;
    this.#clock = clock;
    this.#last = { nowMs: clock.nowMs(), tickMs: clock.tickMs() };
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
    const { archive, removal, newestDay, retentionDays } = this.#options;
    await removal.finishInterrupted();
    const nowMs = this.#clock.nowMs();
    const isClockRight = this.#reportClock(this.#findClockProblem(nowMs, await newestDay()));
    if (!isClockRight) return NOTHING;
    const untilMs = nowMs - this.#keptMs;
    const done = { removed: 0, onHold: 0, failed: 0 };
    let failuresInARow = 0;
    for await (const id of archive.list()) {
      if (this.#stopping.signal.aborted || startOf(id) > untilMs) break;
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
        if (++failuresInARow === MAX_FAILURES) break;
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
    const endedMs = await this.#endedMs(id);
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

  /**
   * When a recording ended; of one without metadata, when it was last written to; `undefined` if
   * nothing of it can be read.
   */
  async #endedMs(id: string): Promise<number | undefined> {
    const { archive } = this.#options;
    const metadata = await archive.metadata(id);
    if (metadata !== undefined) return Date.parse(metadata.endedAt);
    let endedMs = -Infinity;
    for (const part of ["messages", "audio"] as const) {
      await using file = await archive.open(id, part);
      endedMs = Math.max(endedMs, file?.modifiedAt.getTime() ?? -Infinity);
    }
    return endedMs === -Infinity ? undefined : endedMs;
  }

  #findClockProblem(nowMs: number, newestDay: string | undefined): ClockProblem | undefined {
    const tickMs = this.#clock.tickMs();
    const { nowMs: lastNowMs, tickMs: lastTickMs } = this.#last;
    this.#last = { nowMs, tickMs };
    // Recordings would be removed for being old that are not. A machine that slept looks the same,
    // and loses nothing by waiting.
    if (nowMs - lastNowMs > tickMs - lastTickMs + DAY_MS) this.#doubtfulUntilMs = tickMs + DAY_MS;
    if (new Date(nowMs).getUTCFullYear() < FIRST_YEAR) return "never set";
    if (newestDay !== undefined && nowMs < Date.parse(`${newestDay}T00:00:00Z`) - DAY_MS) {
      return "before the recordings";
    }
    return tickMs < this.#doubtfulUntilMs ? "set forward" : undefined;
  }

  /** Says it once; returns whether there is nothing to say. */
  #reportClock(problem: ClockProblem | undefined): boolean {
    const isNews = problem !== this.#clockProblem;
    this.#clockProblem = problem;
    if (isNews && problem === undefined) {
      log.info("Old recordings are removed again: the clock seems right");
    } else if (isNews) {
      log.error(CLOCK_MESSAGES[problem ?? "never set"]);
    }
    return problem === undefined;
  }
}

const CLOCK_MESSAGES = {
  "never set": "No old recordings are removed: the clock says a year before 2025. Set it",
  "before the recordings":
    "No old recordings are removed: the clock is more than a day before the " +
    "newest recording. Set it; or, if that recording's day is wrong, move it",
  "set forward": "No old recordings are removed for a day: the clock went forward by more than a " +
    "day. Set it if it is wrong now",
} as const satisfies Record<ClockProblem, string>;

/** The earliest moment that a recording can have started, and so ended. */
function startOf(id: string): number {
  const day = placeOf(id)?.day;
  return day === undefined ? Infinity : Date.parse(`${day}T00:00:00Z`);
}
