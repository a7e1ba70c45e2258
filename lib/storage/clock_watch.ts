/**
 * Tells whether the clock can be believed by which recordings are removed for their age.
 *
 * A clock that is ahead makes all recordings old. Nothing on a machine says that it is, but what it
 * said before, and the days of the recordings; and a server that was off for a year looks the same.
 * So it is believed in the end, after a time in which people can set it: time that passes while the
 * program runs, also over several runs of it. Imports types of its neighbours.
 */
import type { ClockMemory } from "./clock_memory.ts";

const DAY_MS = 24 * 3_600_000;
/** A clock that is ahead by more than is known was set, or the program did not run. */
const MAX_AHEAD_MS = DAY_MS;
/** How long such a clock is not believed: as long as nobody may look at the log over a weekend. */
const DOUBT_MS = 3 * DAY_MS;
/** Before this time, no server like this one existed: a clock that says so was never set. */
export const FIRST_TIME_MS: number = Date.parse("2025-01-01T00:00:00Z");

/** Why a clock is not believed. */
export type ClockProblem = "never set" | "before the recordings" | "ahead";

/** What a {@link ClockWatch} needs. */
export interface ClockWatchOptions {
  /** The present time, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** The same on a clock that nobody sets, from any beginning on. */
  readonly tickMs: () => number;
  /** The latest day that has a recording, `undefined` if there is none. */
  readonly newestDay: () => Promise<string | undefined>;
  /** What it knows over a restart; by default, the newest recording is all. */
  readonly memory?: Pick<ClockMemory, "read" | "write"> | undefined;
}

/** What a clock was found to be. */
export interface ClockReading {
  readonly nowMs: number;
  /** `undefined` if it is believed. */
  readonly problem: ClockProblem | undefined;
}

/** Watches one clock, each time that it is asked. */
export class ClockWatch {
  readonly #options: ClockWatchOptions;
  #isLoaded = false;
  #lastTickMs: number;
  /** What the clock has to say, if it was right before; `undefined` if nothing is known. */
  #expectedMs: number | undefined;
  #doubtedMs: number | undefined;

  constructor(options: ClockWatchOptions) {
    this.#options = options;
    this.#lastTickMs = options.tickMs();
  }

  /** Reads the clock. Fails if it can't be said which recording is the newest. */
  async read(): Promise<ClockReading> {
    const { memory, newestDay } = this.#options;
    const newestMs = startOf(await newestDay());
    await this.#load();
    const tickMs = this.#options.tickMs();
    const nowMs = this.#options.nowMs();
    const passedMs = tickMs - this.#lastTickMs;
    this.#lastTickMs = tickMs;
    if (this.#expectedMs !== undefined) this.#expectedMs += passedMs;
    if (nowMs < FIRST_TIME_MS) return { nowMs, problem: "never set" };
    if (newestMs !== undefined && nowMs < newestMs - DAY_MS) {
      return { nowMs, problem: "before the recordings" };
    }
    // Not later on: of the newest, the day may then be what a wrong clock said.
    const isKnown = newestMs !== undefined && newestMs >= FIRST_TIME_MS;
    this.#expectedMs ??= isKnown ? newestMs + DAY_MS : nowMs;
    const isAhead = nowMs > this.#expectedMs + MAX_AHEAD_MS;
    if (isAhead) this.#doubtedMs = this.#doubtedMs === undefined ? 0 : this.#doubtedMs + passedMs;
    const isDoubted = isAhead && (this.#doubtedMs ?? 0) < DOUBT_MS;
    if (!isDoubted) {
      this.#expectedMs = nowMs;
      this.#doubtedMs = undefined;
    }
    await memory?.write({ expectedMs: this.#expectedMs, doubtedMs: this.#doubtedMs });
    return { nowMs, problem: isDoubted ? "ahead" : undefined };
  }

  async #load(): Promise<void> {
    if (this.#isLoaded) return;
    const remembered = await this.#options.memory?.read();
    this.#isLoaded = true;
    this.#expectedMs = remembered?.expectedMs;
    this.#doubtedMs = remembered?.doubtedMs;
  }
}

function startOf(day: string | undefined): number | undefined {
  return day === undefined ? undefined : Date.parse(`${day}T00:00:00Z`);
}
