/**
 * The recorder: every call to files that are exact to the sample.
 *
 * Imports the App interface, the storage's interface, and what records one call.
 */
import { getLogger } from "@logtape/logtape";
import type { IndexedRecording } from "../storage/recording_index.ts";
import type { RecordingMetadata } from "../storage/recording_metadata.ts";
import type { RecordingStore } from "../storage/recording_store.ts";
import type { App, Call, CallHandler } from "./app.ts";
import { CallRecording } from "./call_recording.ts";
import { WriteFailures } from "./write_failures.ts";

const log = getLogger(["audiohook", "recorder"]);

/**
 * How much longer than the call itself silence may make a recording, in seconds. Audio that was
 * lost can't be ahead of real time, but for what was lost before the call was opened; a client that
 * says so all the same must not fill a disk.
 */
const MAX_SILENCE_AHEAD_SECONDS = 60;

/** Options of a {@link Recorder}. */
export interface RecorderOptions {
  /**
   * How much longer than the call itself silence may make a recording, in seconds; 60 by default.
   * What is lost beyond that is listed in the metadata only.
   */
  readonly maxSilenceAheadSeconds?: number;
  /**
   * Whether a call that opens now may be recorded, which is so unless this says no: there may be no
   * room. It is asked once a call, and has to answer at once. The call itself goes on.
   */
  readonly mayBegin?: () => boolean;
  /** The files of a recording are made. What it throws is logged. */
  readonly onBegun?: (recording: IndexedRecording) => void;
  /**
   * A recording is finished; of its message log, the last lines may still come. What it throws is
   * logged.
   */
  readonly onEnded?: (id: string, metadata: RecordingMetadata) => void;
  /** A recording that had begun is given up: it does not end. What it throws is logged. */
  readonly onGivenUp?: (id: string) => void;
}

/** What a {@link Recorder} is doing. */
export interface RecorderStatus {
  /** Recordings of calls that run, and of those that are still being written. */
  readonly recordings: number;
  /** How many of them the storage fails for at present. */
  readonly failing: number;
  /** When the storage last began to fail for a recording; `undefined` if it never did. */
  readonly lastFailureAt: Date | undefined;
  /** Code of that failure, such as `ENOSPC`; `undefined` if it has none. */
  readonly lastFailureCode: string | undefined;
  /** How many recordings were given up, because the storage failed for too long. */
  readonly givenUp: number;
  /** How many calls were not recorded, because none might begin. */
  readonly notRecorded: number;
}

/** The app that records. */
export class Recorder implements App {
  /** For logs. */
  readonly name = "recorder";
  readonly #store: RecordingStore;
  readonly #options: RecorderOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #failures = new WriteFailures();
  #givenUp = 0;
  #notRecorded = 0;
  #couldBegin = true;

  /** @param store Where recordings are kept. */
  constructor(store: RecordingStore, options: RecorderOptions = {}) {
    this.#store = store;
    this.#options = options;
  }

  /** What it is doing, for health checks and metrics. */
  get status(): RecorderStatus {
    return {
      recordings: this.#running.size,
      failing: this.#failures.failing,
      lastFailureAt: this.#failures.last?.at,
      lastFailureCode: this.#failures.last?.code,
      givenUp: this.#givenUp,
      notRecorded: this.#notRecorded,
    };
  }

  /** Begins a recording, without waiting for the storage; or has no part in the call. */
  open(call: Call): CallHandler | undefined {
    if (!this.#mayBegin()) return undefined;
    const ended = Promise.withResolvers<void>();
    this.#running.add(ended.promise);
    // Not the session's: there may be several recordings of one.
    const key = crypto.randomUUID();
    const { maxSilenceAheadSeconds = MAX_SILENCE_AHEAD_SECONDS } = this.#options;
    const { sessionId } = call;
    return new CallRecording(call, this.#store, {
      maxSilenceAheadSeconds,
      onBegun: (recording) => this.#tell("onBegun", sessionId, recording),
      onFinished: (id, metadata) => {
        this.#failures.written(key);
        this.#tell("onEnded", sessionId, id, metadata);
      },
      onFailure: (error) => this.#failures.failed(key, sessionId, error),
      onRecovery: () => this.#failures.written(key),
      onGivenUp: (id) => {
        this.#givenUp++;
        if (id !== "") this.#tell("onGivenUp", sessionId, id);
      },
      onOver: () => {
        this.#failures.over(key);
        this.#running.delete(ended.promise);
        ended.resolve();
      },
    });
  }

  /** Settles when all recordings that run now are written, which needs their calls to end. */
  async finished(): Promise<void> {
    await Promise.all(this.#running);
  }

  #mayBegin(): boolean {
    const mayBegin = this.#options.mayBegin?.() ?? true;
    if (!mayBegin) this.#notRecorded++;
    if (mayBegin === this.#couldBegin) return mayBegin;
    this.#couldBegin = mayBegin;
    if (mayBegin) log.info("Calls are recorded again");
    else log.error("Calls are not recorded from now on: there is no room for recordings");
    return mayBegin;
  }

  /** In the background of a call, which nothing that goes wrong here may reach. */
  #tell<W extends "onBegun" | "onEnded" | "onGivenUp">(
    what: W,
    sessionId: string,
    ...details: Parameters<NonNullable<RecorderOptions[W]>>
  ): void {
    const onError = (error: unknown) =>
      log.error("{what} failed for the recording of {sessionId}", { what, sessionId, error });
    try {
      const tell = this.#options[what] as ((...details: unknown[]) => unknown) | undefined;
      const result = tell?.(...details);
      // The interface has no promises here, but nothing keeps a function from being async.
      if (result instanceof Promise) result.catch(onError);
    } catch (error) {
      onError(error);
    }
  }
}
