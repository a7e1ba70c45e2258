/**
 * Free space where recordings are kept: when there is little, no new ones are begun, so that those
 * that run can be finished.
 *
 * Needs `--allow-sys=statfs` of Deno. Imports node:fs.
 */
import { statfs } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";

const log = getLogger(["audiohook", "storage"]);

const LOOK_EVERY_MS = 5_000;
/** Longer than a healthy file system takes for it, however busy it is. */
const LOOK_TIMEOUT_MS = 4_000;
/** So much more than the least must be free again, or it would change its mind with each call. */
const ENOUGH_AGAIN = 1.1;

/** What {@link FreeSpace} asks of the world. */
export interface FreeSpaceParts {
  /** Bytes that are free for a program without privileges. */
  readonly freeBytes: (folder: string) => Promise<number>;
  /** Settles after a time; rejects at once if aborted. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const REAL_PARTS: FreeSpaceParts = {
  async freeBytes(folder) {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
  delay: (ms, signal) => wait(ms, undefined, { signal, ref: false }),
};

/** Options of {@link FreeSpace}. */
export interface FreeSpaceOptions {
  /** A folder of the file system in question. */
  readonly folder: string;
  /** With less, {@link FreeSpace.isLow}; 0 = never. */
  readonly minFreeBytes: number;
  readonly parts?: FreeSpaceParts;
}

/** Knows how much is free, from {@link start} on until it is disposed of. */
export class FreeSpace implements AsyncDisposable {
  readonly #folder: string;
  readonly #minFreeBytes: number;
  readonly #parts: FreeSpaceParts;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #freeBytes: number | undefined;
  #isLow = false;
  /** Whether the log says that it cannot be found out. */
  #isUnknown = false;
  /** A file system that hangs is not asked again. */
  #isAsking = false;

  constructor({ folder, minFreeBytes, parts = REAL_PARTS }: FreeSpaceOptions) {
    this.#folder = folder;
    this.#minFreeBytes = minFreeBytes;
    this.#parts = parts;
  }

  /** Whether there is too little for new recordings. If that can't be found out, there is enough. */
  get isLow(): boolean {
    return this.#isLow;
  }

  /** Free bytes for a program without privileges; `undefined` if that is not known. */
  get freeBytes(): number | undefined {
    return this.#freeBytes;
  }

  /** For people: that there is too little; `undefined` if there is enough. */
  get problem(): string | undefined {
    if (!this.#isLow) return undefined;
    return `less than ${megabytes(this.#minFreeBytes)} MB free: new calls are not recorded`;
  }

  /** Looks the first time, and then every five seconds. Settles after the first look. */
  async start(): Promise<void> {
    await this.look();
    this.#running ??= this.#lookOften();
  }

  /** Looks once. Never fails, and never takes long. */
  async look(): Promise<void> {
    const found = await this.#ask();
    if (this.#stopping.signal.aborted) return;
    this.#reportKnown(found);
    this.#freeBytes = typeof found === "number" ? found : undefined;
    const enoughBytes = this.#minFreeBytes * (this.#isLow ? ENOUGH_AGAIN : 1);
    const isLow = this.#freeBytes !== undefined && this.#freeBytes < enoughBytes;
    if (isLow !== this.#isLow) this.#reportLow(isLow);
    this.#isLow = isLow;
  }

  /** Stops looking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #lookOften(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#parts.delay(LOOK_EVERY_MS, signal).catch(() => {});
      if (!signal.aborted) await this.look();
    }
  }

  /** The free bytes, or why they are not known. */
  async #ask(): Promise<number | Error> {
    if (this.#isAsking) return new Error("The file system does not answer");
    this.#isAsking = true;
    const answer = this.#parts.freeBytes(this.#folder).catch((error: unknown) =>
      error instanceof Error ? error : new Error(String(error))
    ).finally(() => this.#isAsking = false);
    const waiting = new AbortController();
    // Whoever stops does not wait for it either.
    const signal = AbortSignal.any([waiting.signal, this.#stopping.signal]);
    const late = this.#parts.delay(LOOK_TIMEOUT_MS, signal).catch(() => {}).then(() =>
      new Error("The file system does not answer")
    );
    const found = await Promise.race([answer, late]);
    waiting.abort();
    return found;
  }

  #reportKnown(found: number | Error): void {
    const isUnknown = typeof found !== "number";
    if (isUnknown === this.#isUnknown) return;
    this.#isUnknown = isUnknown;
    const folder = this.#folder;
    if (isUnknown) {
      log.error(
        "Cannot find out how much space is free in {folder}: calls are recorded until there is " +
          "none. Check the file system, and that Deno was started with --allow-sys=statfs",
        { folder, error: found },
      );
    } else {
      log.info("It is known again how much space is free in {folder}", { folder });
    }
  }

  #reportLow(isLow: boolean): void {
    const folder = this.#folder;
    const freeMegabytes = megabytes(this.#freeBytes ?? 0);
    const minMegabytes = megabytes(this.#minFreeBytes);
    if (isLow) {
      log.error(
        "Only {freeMegabytes} MB are free in {folder}, less than {minMegabytes} MB: new calls are " +
          "not recorded. Remove files, or enlarge the file system",
        { freeMegabytes, folder, minMegabytes },
      );
    } else if (this.#freeBytes !== undefined) {
      log.info("{freeMegabytes} MB are free in {folder}: new calls are recorded again", {
        freeMegabytes,
        folder,
      });
    } else {
      log.warning("It is not known how much space is free in {folder}: new calls are recorded", {
        folder,
      });
    }
  }
}

function megabytes(bytes: number): number {
  return Math.floor(bytes / 1_000_000);
}
