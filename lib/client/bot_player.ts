/**
 * What plays a bot's voice to the caller (protocol section 15): a queue, at the speed of speech.
 *
 * Only lengths are kept. Imports nothing; time is an argument.
 */

/** A queue of audio that is being played. */
export class BotPlayer {
  readonly #bytesPerMs: number;
  /** When the queue will be empty; `undefined` if it is. */
  #untilMs: number | undefined;

  /** @param bytesPerMs How fast it plays. */
  constructor(bytesPerMs: number) {
    this.#bytesPerMs = bytesPerMs;
  }

  /** When {@link BotPlayer.hasCompleted} has something to tell; `Infinity` if never. */
  get deadlineMs(): number {
    return this.#untilMs ?? Infinity;
  }

  /**
   * A frame came.
   *
   * @returns Whether playing begins with it.
   */
  add(bytes: number, nowMs: number): boolean {
    if (bytes === 0) return false;
    const begins = this.#untilMs === undefined;
    this.#untilMs = Math.max(this.#untilMs ?? nowMs, nowMs) + bytes / this.#bytesPerMs;
    return begins;
  }

  /** Drops what waits, because the caller spoke over it. */
  drop(nowMs: number): void {
    if (this.#untilMs !== undefined) this.#untilMs = nowMs;
  }

  /** Whether the queue ran empty, which is told once. */
  hasCompleted(nowMs: number): boolean {
    if (this.#untilMs === undefined || nowMs < this.#untilMs) return false;
    this.#untilMs = undefined;
    return true;
  }
}
