/**
 * What the clock said when it was last believed, kept in a file: so that a clock that went forward
 * while the program did not run is noticed.
 *
 * Imports the log, zod and its neighbours.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { writeDurably } from "./durable_file.ts";
import { readRegularFile } from "./regular_file.ts";

const log = getLogger(["audiohook", "retention"]);

/** Name of the file in the data folder. */
const FILE = "clock.json";
const MAX_BYTES = 4_096;

const rememberedClockSchema = z.object({
  time: z.iso.datetime(),
  doubtedMs: z.number().nonnegative().optional(),
});

/** What is known of the clock. */
export interface RememberedClock {
  /** The last time that was believed, and what has passed since while the program ran; ms since 1970. */
  readonly expectedMs: number;
  /** For how long the clock has been doubted while the program ran; `undefined` if it is not. */
  readonly doubtedMs: number | undefined;
}

/** The memory of one data folder. Neither method fails: what goes wrong is logged. */
export class ClockMemory {
  readonly #path: string;
  #isFailing = false;

  /** @param dataDir Path of a folder that is there. */
  constructor(dataDir: string) {
    this.#path = join(dataDir, FILE);
  }

  /** `undefined` if nothing is known. */
  async read(): Promise<RememberedClock | undefined> {
    try {
      const read = await readRegularFile(this.#path, MAX_BYTES);
      if (read === undefined) return undefined;
      const { time, doubtedMs } = rememberedClockSchema.parse(JSON.parse(read.text));
      return { expectedMs: Date.parse(time), doubtedMs };
    } catch (error) {
      log.warning("Cannot read {path}: the newest recording says what time it is at least", {
        path: this.#path,
        error,
      });
      return undefined;
    }
  }

  async write({ expectedMs, doubtedMs }: RememberedClock): Promise<void> {
    try {
      const time = new Date(expectedMs).toISOString();
      await writeDurably(this.#path, JSON.stringify({ time, doubtedMs }) + "\n");
      this.#isFailing = false;
    } catch (error) {
      // On a disk that is full, old recordings have to go all the same.
      if (!this.#isFailing) {
        log.warning(
          "Cannot write {path}: a clock that is wrong at the next start may not be noticed",
          { path: this.#path, error },
        );
      }
      this.#isFailing = true;
    }
  }
}
