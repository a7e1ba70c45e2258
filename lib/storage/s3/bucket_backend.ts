/**
 * Recordings in object storage alone, where there is no lasting disk: they are stored in parts while
 * calls run, and what a killed instance left is completed by any other.
 *
 * Puts together its neighbours, which do the work.
 */
import { getLogger } from "@logtape/logtape";
import { setTimeout as wait } from "node:timers/promises";
import type { AuditLog } from "../audit_log.ts";
import { isRecordingIn } from "../recording_archive.ts";
import type { BackendStatus, OnRecovered, RecordingBackend } from "../recording_backend.ts";
import type { RecordingEntry } from "../recording_index.ts";
import type { ObjectStorage } from "./object_storage.ts";
import { S3AuditLog } from "./s3_audit_log.ts";
import { S3RecordingArchive } from "./s3_recording_archive.ts";
import { S3RecordingStore } from "./s3_recording_store.ts";

const log = getLogger(["audiohook", "recovery"]);

/** How often it looks for what another instance left, among the recordings of two days. */
const LOOK_MS = 30_000;
/** Longer than storage takes that works. */
const SILENT_SECONDS = 15;
const DAY_MS = 24 * 3_600_000;

/** Recordings in object storage. */
export class BucketBackend implements RecordingBackend {
  readonly store: S3RecordingStore;
  readonly archive: S3RecordingArchive;
  readonly audit: AuditLog;
  /** What waits for storage has bounds of its own. */
  readonly mayBegin = true;
  readonly #stopping = new AbortController();
  #looking: Promise<void> | undefined;
  /** Whether the log says that it can't be looked for recordings. */
  #isFailing = false;

  constructor({ client, archiveClient = client, prefix }: ObjectStorage) {
    this.store = new S3RecordingStore({ client, prefix });
    this.archive = new S3RecordingArchive(archiveClient, prefix);
    this.audit = new S3AuditLog(client, prefix);
  }

  get status(): BackendStatus {
    // Of storage that fails, the recordings tell that wait for it; of one that is silent, nobody.
    const { busySeconds } = this.store.status;
    return {
      problems: [
        ...(busySeconds < SILENT_SECONDS
          ? []
          : ["the object storage does not answer: recordings wait in memory"]),
        ...(this.#isFailing ? ["what other instances left cannot be completed: see the log"] : []),
      ],
      objectStorageBusySeconds: busySeconds,
    };
  }

  async has(id: string, state: RecordingEntry["state"]): Promise<boolean> {
    // Segments: of one that was removed when it had just ended, its maker may store one more.
    return await (state === "recording" ? this.archive.has(id) : isRecordingIn(this.archive, id));
  }

  /** Object storage refuses requests by a clock that is wrong: nothing is removed because of it. */
  newestDay(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** There is nothing to open: storage that is not there yet delays no start. */
  async open(): Promise<void> {}

  async recover(onRecovered: OnRecovered, signal: AbortSignal): Promise<void> {
    await this.#recover(onRecovered, signal, undefined);
  }

  start(onRecovered: OnRecovered): void {
    this.#looking ??= this.#lookOften(onRecovered);
  }

  ended(): void {
    // It is where it is to be.
  }

  givenUp(): void {
    // Whoever looks next finds it, as what another instance left.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
  }

  async #lookOften(onRecovered: OnRecovered): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      await wait(LOOK_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // The first look may have failed; the next ones need not ask for everything again.
      const nowMs = Date.now();
      const days = this.#isFailing ? undefined : [nowMs - DAY_MS, nowMs].map(dayOf);
      await this.#recover(onRecovered, signal, days);
    }
  }

  async #recover(
    onRecovered: OnRecovered,
    signal: AbortSignal,
    days: readonly string[] | undefined,
  ): Promise<void> {
    try {
      await this.store.recoverSegments({ signal, onRecovered, days });
      if (this.#isFailing) log.info("Recordings that were not ended can be looked for again");
      this.#isFailing = false;
    } catch (error) {
      if (signal.aborted) return;
      if (!this.#isFailing) {
        const message = error instanceof Error ? error.message : String(error);
        log.error("Cannot look for recordings that were not ended; trying again: {message}", {
          message,
        });
      }
      this.#isFailing = true;
    }
  }
}

/** `YYYY-MM-DD` in UTC. */
function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
