/**
 * Lines about connections that were refused, so many and no more: a flood must not fill a disk.
 *
 * Imports the protocol's token bucket.
 */
import { getLogger } from "@logtape/logtape";
import { TokenBucket } from "../protocol/token_bucket.ts";

const log = getLogger(["audiohook", "server"]);

/** One a second, and a minute's worth at once. */
const RATE = { perSecond: 1, burst: 60 };

/** Writes lines as long as there are not too many, and the number of the others. */
export class RefusalLog {
  readonly #bucket = new TokenBucket(RATE, performance.now());
  #unlogged = 0;

  /**
   * Logs one refusal, or only counts it.
   *
   * @param level `error` if the server is to blame.
   */
  write(
    level: "info" | "warning" | "error",
    message: string,
    properties: Record<string, unknown>,
  ): void {
    if (!this.#bucket.tryTake(performance.now())) {
      this.#unlogged++;
      return;
    }
    this.flush();
    log[level](message, properties);
  }

  /** Logs how many were only counted since. */
  flush(): void {
    if (this.#unlogged === 0) return;
    log.warning("Refused {count} more connections, without a line for each", {
      count: this.#unlogged,
    });
    this.#unlogged = 0;
  }
}
