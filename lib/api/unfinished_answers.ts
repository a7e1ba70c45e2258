/**
 * Answers with a file that their clients have not read to the end: so many at a time and no more.
 * Deno can't end the connection of a client that does not read, which keeps a descriptor and some
 * megabytes of the system's until the client reads on or is gone.
 *
 * Imports the log.
 */
import { getLogger } from "@logtape/logtape";

const log = getLogger(["audiohook", "api"]);

/** Those that are being sent, and those that were cut off and whose connections have not ended. */
export class UnfinishedAnswers {
  readonly #max: number;
  #count = 0;
  /** Whether the log has it that there are as many as may be; anew when half of them are gone. */
  #isReported = false;

  /** @param max How many there may be. */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Counts an answer, if there is room for one more.
   *
   * @param completed Resolves when the HTTP server is done with it.
   */
  tryAdd(completed: Promise<void>): boolean {
    if (this.#count >= this.#max) {
      if (!this.#isReported) {
        log.warning(
          "{count} downloads were not read to their end, as many as may be: others are answered " +
            "503 until some of their connections end, which a proxy could see to",
          { count: this.#count },
        );
      }
      this.#isReported = true;
      return false;
    }
    this.#count++;
    void completed.then(() => {
      this.#count--;
      if (this.#count <= this.#max / 2) this.#isReported = false;
    });
    return true;
  }
}
