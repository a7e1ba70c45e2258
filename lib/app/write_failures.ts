/**
 * Recordings that the storage fails for, and what the log says of them: one line when it begins to
 * fail, one a minute at most if more of them do, and one when it works again. A disk that is full is
 * so for all calls, whose lines would fill it.
 *
 * Imports the log.
 */
import { getLogger } from "@logtape/logtape";

const log = getLogger(["audiohook", "recorder"]);

/** How often it is said that they can't be written, and how many there are. */
const REPEAT_MS = 60_000;

/** Counts them, by any key that is a recording's own. */
export class WriteFailures {
  readonly #repeatMs: number;
  readonly #failing = new Set<string>();
  #last: { readonly at: Date; readonly code: string | undefined } | undefined;
  /** How many there were when the log last said so; 0 if it does not say that there are any. */
  #said = 0;
  /** When the storage began to fail, and when the log last said so, by `performance.now()`. */
  #sinceMs = 0;
  #beginningSaidMs = -Infinity;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param repeatMs How often it is said how many there are; once a minute by default. */
  constructor(repeatMs = REPEAT_MS) {
    this.#repeatMs = repeatMs;
  }

  /** How many recordings the storage fails for at present. */
  get failing(): number {
    return this.#failing.size;
  }

  /** The last failure, with its code if it has one, such as `ENOSPC`; `undefined` without any. */
  get last(): { readonly at: Date; readonly code: string | undefined } | undefined {
    return this.#last;
  }

  /** A recording can't be written. */
  failed(key: string, sessionId: string, error: unknown): void {
    const nowMs = performance.now();
    this.#last = { at: new Date(), code: codeOf(error) };
    if (this.#said === 0 && this.#failing.size === 0) this.#sinceMs = nowMs;
    this.#failing.add(key);
    // A disk that is nearly full works now and then: if it goes on, it is said how many there are.
    if (this.#said === 0 && nowMs >= this.#beginningSaidMs + this.#repeatMs) {
      this.#beginningSaidMs = nowMs;
      this.#said = 1;
      log.error("Cannot write recordings; trying again", { sessionId, error });
    }
    this.#timer ??= setInterval(() => this.#sayHowMany(), this.#repeatMs);
  }

  /** A recording is written, or can be again. */
  written(key: string): void {
    this.over(key);
    if (this.#failing.size > 0 || this.#said === 0) return;
    this.#said = 0;
    const seconds = Math.round((performance.now() - this.#sinceMs) / 1000);
    log.info("Recordings are written again, after {seconds} s", { seconds });
  }

  /** Nothing more is written of a recording, which says nothing of the storage. */
  over(key: string): void {
    this.#failing.delete(key);
    if (this.#failing.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sayHowMany(): void {
    const count = this.#failing.size;
    if (count <= this.#said) return;
    this.#said = count;
    log.warning("{count} recordings cannot be written", { count });
  }
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : undefined;
}
