/**
 * What is to be done with the files of one recording: one job after the other, each tried until it
 * succeeds, or for a while after the call has ended.
 *
 * Imports the storage's interface.
 */
import type { RecordingFiles } from "../storage/recording_store.ts";
import { WAITING_AUDIO } from "./waiting_audio.ts";

/** How long until storage that failed is tried again. */
const RETRY_MS = 1000;
/** How long it is tried after the call has ended, at least. */
const GIVE_UP_MS = 60_000;

/** Something to be done, tried until it succeeds. */
export interface RecordingJob {
  readonly run: (files: RecordingFiles) => Promise<void>;
  readonly onDone?: () => void;
  readonly onGivenUp?: () => void;
}

/** What {@link RecordingJobs} need, and whom they tell. */
export interface RecordingJobsOptions {
  /** Makes the files; it may be called again if it fails. */
  readonly create: (onSync: (error: unknown) => void) => Promise<RecordingFiles>;
  /** How long it is tried after the call has ended, in milliseconds, as long as memory suffices. */
  readonly keepTryingMs?: number | undefined;
  /** The files are made. */
  readonly onCreated: (files: RecordingFiles) => void;
  /** Storage failed. Called once until it works again. */
  readonly onFailure: (error: unknown) => void;
  /** Storage works again. */
  readonly onRecovery: () => void;
  /** All is done, for now; more may be added in here. */
  readonly onIdle: () => void;
}

/** Jobs of one recording. The first is to make the files. */
export class RecordingJobs {
  readonly #options: RecordingJobsOptions;
  readonly #jobs: RecordingJob[] = [];
  #files: RecordingFiles | undefined;
  #isWorking = false;
  #isJobFailing = false;
  #isSyncFailing = false;
  #isFailing = false;
  #endedMs: number | undefined;
  #hasGivenUp = false;
  /** Settles when nothing is left to do; there if somebody waits for it. */
  #idle: PromiseWithResolvers<void> | undefined;

  /** Nothing is done before {@link RecordingJobs.begin}. */
  constructor(options: RecordingJobsOptions) {
    this.#options = options;
  }

  /** Whether all is done. */
  get isIdle(): boolean {
    return !this.#isWorking;
  }

  /** Whether the storage failed for too long after the end of the call. */
  get hasGivenUp(): boolean {
    return this.#hasGivenUp;
  }

  /** Makes the files, if there is no job either. */
  begin(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    this.#next();
  }

  /** Adds a job, after all others. */
  add(job: RecordingJob): void {
    this.#jobs.push(job);
    this.begin();
  }

  /** The call has ended: what is left shall be done soon, and not be tried for ever. */
  hurry(): void {
    this.#endedMs = performance.now();
    this.#files?.hurry();
  }

  /** Does what is left, and lets go of the files. */
  async close(): Promise<void> {
    if (this.#isWorking) {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
    const files = this.#files;
    this.#files = undefined;
    await files?.close();
  }

  /** Does the next job. Not by `await`: thousands of recordings come by here each second. */
  #next(): void {
    const [job] = this.#jobs;
    if (this.#files === undefined) this.#create().then(() => this.#next(), this.#onFailed);
    else if (job === undefined) this.#rest();
    else job.run(this.#files).then(this.#onDone, this.#onFailed);
  }

  async #create(): Promise<void> {
    const files = await this.#options.create(this.#onSync);
    this.#files = files;
    if (this.#endedMs !== undefined) files.hurry();
    this.#options.onCreated(files);
  }

  readonly #onDone = (): void => {
    this.#jobs.shift()?.onDone?.();
    this.#isJobFailing = false;
    this.#tellState(undefined);
    this.#next();
  };

  readonly #onFailed = (error: unknown): void => {
    this.#isJobFailing = true;
    this.#tellState(error);
    this.#hasGivenUp = this.#isTooLate();
    if (!this.#hasGivenUp) {
      setTimeout(() => this.#next(), RETRY_MS);
      return;
    }
    for (const job of this.#jobs.splice(0)) job.onGivenUp?.();
    this.#rest();
  };

  #isTooLate(): boolean {
    if (this.#endedMs === undefined) return false;
    const { keepTryingMs = 0 } = this.#options;
    const triedMs = performance.now() - this.#endedMs;
    return triedMs > GIVE_UP_MS && (triedMs > keepTryingMs || WAITING_AUDIO.isTooMuch);
  }

  readonly #onSync = (error: unknown): void => {
    this.#isSyncFailing = error !== undefined;
    this.#tellState(error);
  };

  #tellState(error: unknown): void {
    const isFailing = this.#isJobFailing || this.#isSyncFailing;
    if (isFailing === this.#isFailing) return;
    this.#isFailing = isFailing;
    if (isFailing) this.#options.onFailure(error);
    else this.#options.onRecovery();
  }

  #rest(): void {
    this.#isWorking = false;
    if (!this.#hasGivenUp) this.#options.onIdle();
    if (this.#isWorking) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }
}

/** Waits for both, also if one fails. */
export async function both(one: Promise<void>, other: Promise<void>): Promise<void> {
  const results = await Promise.allSettled([one, other]);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
