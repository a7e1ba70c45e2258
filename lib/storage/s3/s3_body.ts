/**
 * The bytes of an object, as they come: if the connection breaks, or nothing comes for a while, the
 * rest is asked for again.
 *
 * Imports types only.
 */
import type { S3Error } from "./s3_error.ts";
import type { S3Answer } from "./s3_requests.ts";

/** How often it is asked again without one byte more. */
const MAX_VAIN_OPENINGS = 3;

/** Where bytes come from. */
export interface BodySource {
  readonly from: number;
  /** Place behind the last byte. */
  readonly to: number;
  /** How long nothing may come. */
  readonly idleTimeoutMs: number;
  /** Asks for the bytes from a place on. */
  readonly open: (from: number, signal: AbortSignal) => Promise<S3Answer>;
  /** What it fails with when it was asked too often. */
  readonly lost: () => S3Error;
  /** Stops it at once: it fails with `stopped`, when nothing is under way any more. */
  readonly signal?: AbortSignal | undefined;
}

/** Reads from a source. Nothing is asked for before somebody reads. */
export function readBody(source: BodySource): ReadableStream<Uint8Array<ArrayBuffer>> {
  const body = new ResumedBody(source);
  return new ReadableStream({
    pull: async (controller) => {
      const chunk = await body.next();
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    },
    cancel: () => body.cancel(),
  }, { highWaterMark: 0 });
}

class ResumedBody {
  readonly #source: BodySource;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #at: number;
  #answer: S3Answer | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  #vainOpenings = 0;

  constructor(source: BodySource) {
    this.#source = source;
    this.#at = source.from;
    const { signal } = source;
    const stopped = this.#stopped.signal;
    this.#signal = signal === undefined ? stopped : AbortSignal.any([stopped, signal]);
  }

  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { to, open, lost } = this.#source;
    while (this.#at < to) {
      if (this.#reader === undefined) {
        if (this.#vainOpenings++ === MAX_VAIN_OPENINGS) throw lost();
        this.#answer = await open(this.#at, this.#signal);
        this.#reader = this.#answer.body?.getReader();
      }
      const chunk = await this.#read();
      if (chunk === undefined) {
        this.#letGo();
        continue;
      }
      this.#vainOpenings = 0;
      const part = chunk.subarray(0, to - this.#at);
      this.#at += part.length;
      if (part.length > 0) return part;
    }
    this.#letGo();
    return undefined;
  }

  cancel(): void {
    this.#stopped.abort();
    this.#letGo();
  }

  /** The next bytes; `undefined` if the connection broke, ended too early, or nothing came. */
  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const answer = this.#answer;
    const stop = () => answer?.abort();
    const timer = setTimeout(stop, this.#source.idleTimeoutMs);
    this.#signal.addEventListener("abort", stop);
    try {
      if (this.#signal.aborted) stop();
      const result = await this.#reader?.read();
      return result?.value;
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener("abort", stop);
    }
  }

  #letGo(): void {
    // An answer may be longer than what was asked for.
    this.#reader?.cancel().catch(() => {});
    this.#reader = undefined;
    this.#answer = undefined;
  }
}
