/**
 * Whether the machine stands still: after that, calls in real time send all that they have missed at
 * once, and a server that is killed at that moment loses more than it ever does.
 *
 * Must not import: anything of lib.
 */
import { until } from "./deadline.ts";

const TICK_MS = 50;
/** Longer than a machine that is busy keeps a timer waiting. */
const STANDSTILL_MS = 500;

/** Watches for as long as it is not disposed. */
export class Standstill implements Disposable {
  #tickMs = performance.now();
  /** Since when it has gone on without standing still. */
  #sinceMs = -Infinity;
  readonly #timer = setInterval(() => {
    const nowMs = performance.now();
    if (nowMs - this.#tickMs > STANDSTILL_MS) this.#sinceMs = nowMs;
    this.#tickMs = nowMs;
  }, TICK_MS);

  /** Waits, if the machine stood still in the last so many milliseconds, until it has not. */
  async isOver(ms: number): Promise<void> {
    await until(
      () => {
        const nowMs = performance.now();
        return nowMs - this.#tickMs <= STANDSTILL_MS && nowMs - this.#sinceMs >= ms;
      },
      "a machine that goes on",
      10 * ms,
    );
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
