/**
 * Recordings in object storage, for places without a lasting disk: while a call runs, its audio and
 * messages are stored as segments (`<name>.part/audio-…`, `<name>.part/messages-…`), every ten
 * seconds; at its end they become the objects of a recording, and go.
 *
 * What a killed instance left is completed by {@link S3RecordingStore.recoverSegments}. Imports its
 * neighbours.
 */
import { isRecordingName, recordingId, uniqueRecordingName } from "../recording_id.ts";
import type { RecordingMetadata } from "../recording_metadata.ts";
import type { RecordingFiles, RecordingStore } from "../recording_store.ts";
import { CompositionPlaces } from "./composition_places.ts";
import { OpenRequests } from "./open_requests.ts";
import { RecordingKeys } from "./recording_keys.ts";
import { type RecoveredSegments, recoverSegments } from "./recover_segments.ts";
import type { S3Client } from "./s3_client.ts";
import { S3RecordingArchive } from "./s3_recording_archive.ts";
import { S3RecordingFiles } from "./s3_recording_files.ts";
import { ByteBudget } from "./segment_stream.ts";

/** Of a recording of which nothing came for so long, the instance is gone. */
const STALE_MS = 60_000;
const KEPT_MS = 12 * 3_600_000;

/** How a {@link S3RecordingStore} works. */
export interface S3RecordingStoreOptions {
  readonly client: S3Client;
  /** What keys begin with, without a slash at its end; `recordings` by default. */
  readonly prefix?: string;
  /** How long audio and messages wait in memory, in milliseconds; 10 seconds by default. */
  readonly segmentMs?: number;
  /** How many bytes of a file of one recording may wait in memory; 4 MiB by default. */
  readonly maxWaitingBytes?: number;
  /** How many bytes of all recordings; 128 MiB by default. */
  readonly maxWaitingBytesOfAll?: number;
  /** How often a recording of which nothing comes says that it is still made; 15 seconds. */
  readonly signOfLifeMs?: number;
}

/** How the storage keeps up. */
export interface S3StoreStatus {
  /**
   * How long the oldest segment or sign of life that is being stored has waited for an answer, in
   * seconds; 0 if none is. More than some seconds is storage that hangs.
   */
  readonly busySeconds: number;
}

/** What {@link S3RecordingStore.recoverSegments} takes for left, and whom it tells. */
export interface SegmentRecoveryOptions {
  /**
   * How old the last sign of life has to be, in milliseconds; a minute by default. It must be
   * several times `signOfLifeMs` of all instances.
   */
  readonly staleMs?: number;
  /**
   * How long parts stay of a recording that was completed, in milliseconds; half a day by default:
   * perhaps the instance is not gone, and goes on when it reaches the storage again.
   */
  readonly keptMs?: number;
  /** Days that are looked through; all by default, which takes as long as there are objects. */
  readonly days?: readonly string[] | undefined;
  /** Called for each recording that was completed. */
  readonly onRecovered?: (id: string, metadata: RecordingMetadata) => void;
  /** Stops between two recordings. */
  readonly signal?: AbortSignal;
}

/** Recordings in a bucket. */
export class S3RecordingStore implements RecordingStore {
  /** What waits is lost with this instance: an hour, for nobody else can complete it. */
  readonly keepTryingMs = 3_600_000;
  readonly #options: Required<S3RecordingStoreOptions>;
  readonly #keys: RecordingKeys;
  readonly #budget: ByteBudget;
  readonly #puts = new OpenRequests();
  readonly #places = new CompositionPlaces();
  /** Recordings that are being made here. */
  readonly #own = new Set<string>();
  /** Of other instances, what cannot be completed, which the log says once. */
  readonly #impossible = new Set<string>();

  /** @throws {S3PlaceError} If the prefix can be none. */
  constructor(options: S3RecordingStoreOptions) {
    this.#options = {
      prefix: "recordings",
      segmentMs: 10_000,
      maxWaitingBytes: 4 * 1024 * 1024,
      maxWaitingBytesOfAll: 128 * 1024 * 1024,
      signOfLifeMs: 15_000,
      ...options,
    };
    this.#keys = new RecordingKeys(this.#options.prefix);
    this.#budget = new ByteBudget(this.#options.maxWaitingBytesOfAll);
  }

  /** How the storage keeps up, for health checks and metrics. */
  get status(): S3StoreStatus {
    return { busySeconds: this.#puts.waitingSeconds };
  }

  /**
   * Makes a new recording. Its name is unique, so that nobody need be asked whether it is free:
   * other instances may make one of the same session, at the same moment or later.
   */
  async create(
    day: string,
    sessionId: string,
    onSync: (error: unknown) => void = () => {},
  ): Promise<RecordingFiles> {
    const place = { day, name: uniqueRecordingName(sessionId) };
    if (!isRecordingName(place.name)) throw new RangeError("Expected a UUID in lower case");
    const id = recordingId(place);
    const files = new S3RecordingFiles({
      ...this.#options,
      place,
      keys: this.#keys,
      budget: this.#budget,
      puts: this.#puts,
      places: this.#places,
      onSync,
      onClosed: () => this.#own.delete(id),
    });
    this.#own.add(id);
    try {
      await files.begin();
    } catch (error) {
      await files.close();
      throw error;
    }
    return files;
  }

  /**
   * Completes the recordings that a killed instance left: those whose last segment, or sign of life,
   * is old.
   *
   * @throws {S3Error} If storage fails; if only for some recordings, when the others are done. It may
   *   be called again.
   */
  async recoverSegments(recovery: SegmentRecoveryOptions = {}): Promise<RecoveredSegments> {
    const { client, prefix } = this.#options;
    const { staleMs = STALE_MS, keptMs = KEPT_MS, days, onRecovered, signal } = recovery;
    return await recoverSegments({
      ...{ client, keys: this.#keys, staleMs, keptMs, days, onRecovered, signal },
      archive: new S3RecordingArchive(client, prefix),
      isExempt: (place) => {
        const id = recordingId(place);
        return this.#own.has(id) || this.#impossible.has(id);
      },
      onImpossible: (id) => this.#impossible.add(id),
    });
  }
}
