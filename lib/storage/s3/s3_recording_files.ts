/**
 * One recording that is being made in object storage.
 *
 * Imports its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { createHash } from "node:crypto";
import { recordingId, type RecordingPlace } from "../recording_id.ts";
import type { RecordingEnding, RecordingFiles } from "../recording_store.ts";
import { composeObject } from "./compose_object.ts";
import type { CompositionPlaces } from "./composition_places.ts";
import { deleteObjects } from "./delete_objects.ts";
import type { OpenRequests } from "./open_requests.ts";
import { CONTENT_TYPES, type RecordingKeys, SEGMENTS } from "./recording_keys.ts";
import type { S3Client } from "./s3_client.ts";
import { type ByteBudget, SegmentStream } from "./segment_stream.ts";
import type { StoreCondition } from "./store_if.ts";

const log = getLogger(["audiohook", "storage"]);

/** Messages that come when the recording is finished: a few. */
const MAX_LATE_BYTES = 4 * 1024 * 1024;

/** What it needs. */
export interface S3RecordingFilesOptions {
  readonly client: S3Client;
  readonly keys: RecordingKeys;
  readonly place: RecordingPlace;
  readonly segmentMs: number;
  readonly maxWaitingBytes: number;
  readonly signOfLifeMs: number;
  readonly budget: ByteBudget;
  /** Segments and signs of life that are being stored. */
  readonly puts: OpenRequests;
  /** For objects that are put together. */
  readonly places: CompositionPlaces;
  /** Segments can't be stored, for this reason; or, `undefined`, they can again. */
  readonly onSync: (error: unknown) => void;
  readonly onClosed: () => void;
}

/** Objects of a recording that is being made. */
export class S3RecordingFiles implements RecordingFiles {
  readonly id: string;
  readonly location: string;
  readonly #options: S3RecordingFilesOptions;
  readonly #audio: SegmentStream;
  readonly #messages: SegmentStream;
  #isFailing = false;
  #lastStoredMs = 0;
  #lifeTimer: ReturnType<typeof setInterval> | undefined;
  /** A sign of life that is being stored. */
  #life: Promise<void> | undefined;
  /** Length of the messages when the recording was finished. */
  #finishedBytes: number | undefined;
  #late: Uint8Array<ArrayBuffer>[] = [];
  #lateBytes = 0;
  #isClosed = false;

  constructor(options: S3RecordingFilesOptions) {
    const { client, keys, place } = options;
    this.#options = options;
    this.id = recordingId(place);
    this.location = `s3://${client.bucket}/${keys.base(place)}`;
    const streamOptions = (what: string) => ({
      ...options,
      base: `${keys.base(place)}${SEGMENTS}${what}-`,
      onStored: (error: unknown) => this.#onStored(error),
    });
    // They begin with what the call is: audio without it belongs to no conversation, if this
    // instance is killed.
    this.#messages = new SegmentStream({ ...streamOptions("messages"), isBegunAtOnce: true });
    this.#audio = new SegmentStream({
      ...streamOptions("audio"),
      before: () => this.#messages.storeBeginning(),
    });
  }

  /** Says that somebody makes this recording, and goes on doing so. */
  async begin(): Promise<void> {
    await this.#signOfLife();
    const { signOfLifeMs } = this.#options;
    this.#lifeTimer = setInterval(() => {
      if (this.#life !== undefined) return;
      if (performance.now() - this.#lastStoredMs < signOfLifeMs) return;
      // If it fails, so do segments, which is reported.
      this.#life = this.#signOfLife().catch(() => {}).finally(() => this.#life = undefined);
    }, signOfLifeMs);
  }

  async writeAudio(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#audio.write(offset, bytes);
  }

  // deno-lint-ignore require-await -- What is wrong is a rejection.
  async writeMessages(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#finishedBytes === undefined) return this.#messages.write(offset, bytes);
    const end = this.#finishedBytes + this.#lateBytes;
    if (offset > end) throw new RangeError(`Expected a place up to ${end}, not ${offset}`);
    const rest = bytes.slice(Math.min(bytes.length, end - offset));
    if (this.#lateBytes + rest.length > MAX_LATE_BYTES) {
      throw new RangeError("Too many messages after the end");
    }
    this.#late.push(rest);
    this.#lateBytes += rest.length;
  }

  /** Stores what waits in memory of a recording that is not finished. */
  async flush(): Promise<void> {
    if (this.#finishedBytes !== undefined) return;
    await Promise.all([this.#audio.flush(), this.#messages.flush()]);
  }

  async finish({ audio, messages, metadata }: RecordingEnding): Promise<void> {
    if (this.#finishedBytes !== undefined) return;
    if (audio !== undefined) {
      // First: perhaps nothing was written so far.
      await this.#audio.write(0, audio.header);
      await this.#audio.write(audio.rest.offset, audio.rest.bytes);
    }
    await this.#messages.write(messages.offset, messages.bytes);
    // If this instance is killed before the metadata are stored, another one finds all of it.
    await this.flush();
    if (audio !== undefined) {
      await this.#compose(".wav", this.#audio.sizeBytes, this.#audio.bytes());
    }
    const messagesBytes = this.#messages.sizeBytes;
    if (messagesBytes > 0) await this.#compose(".jsonl", messagesBytes, this.#messages.bytes());
    const body = new TextEncoder().encode(metadata);
    await this.#compose(".json", body.length, once(body));
    this.#finishedBytes = messagesBytes;
    this.#audio.close();
    this.#messages.close();
    this.#endLife();
  }

  hurry(): void {
    // Nothing here waits for others.
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endLife();
    try {
      await this.#life;
      await this.#storeLast();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      log.error("The last of recording {id} could not be stored: {message}", {
        id: this.id,
        message,
      });
    }
    // Only now: who waited until it was finished need not wait for this.
    if (this.#finishedBytes !== undefined) await this.#removeSegments();
    this.#audio.close();
    this.#messages.close();
    this.#options.onClosed();
  }

  async #storeLast(): Promise<void> {
    if (this.#finishedBytes === undefined) await this.flush();
    else if (this.#lateBytes > 0) await this.#appendLate(this.#finishedBytes);
  }

  /**
   * Messages that came after the end: the object is replaced by one that has them; unless the
   * recording was removed meanwhile, of which nothing may come back.
   */
  async #appendLate(finishedBytes: number): Promise<void> {
    const { client, keys, place } = this.#options;
    const key = keys.of(place, ".jsonl");
    const late = this.#late;
    const etag = (await client.head(key))?.etag;
    if (etag === undefined) return;
    const bytes = (async function* () {
      if (finishedBytes > 0) yield* client.read(key, 0, finishedBytes, etag);
      yield* late;
    })();
    await this.#compose(".jsonl", finishedBytes + this.#lateBytes, bytes, { ifMatch: etag });
  }

  async #compose(
    extension: ".wav" | ".jsonl" | ".json",
    sizeBytes: number,
    bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
    condition?: StoreCondition,
  ): Promise<void> {
    const { client, keys, place, places } = this.#options;
    const key = keys.of(place, extension);
    const contentType = CONTENT_TYPES[extension];
    await places.take(
      sizeBytes,
      () =>
        composeObject({
          ...{ client, key, contentType, sizeBytes, bytes },
          ...(condition === undefined ? {} : { condition }),
        }),
    );
  }

  async #removeSegments(): Promise<void> {
    const { client, keys, place } = this.#options;
    try {
      await removeSegments(client, keys, place);
    } catch (error) {
      // They are removed with others that were left.
      log.debug("Segments of recording {id} are left", { id: this.id, error });
    }
  }

  async #signOfLife(): Promise<void> {
    const { client, keys, place, puts } = this.#options;
    const body = new TextEncoder().encode("{}\n");
    const md5 = createHash("md5").update(body).digest("hex");
    const key = `${keys.base(place)}${SEGMENTS}begin`;
    await puts.send(() => client.put(key, body, { md5 }));
    this.#lastStoredMs = performance.now();
  }

  #endLife(): void {
    clearInterval(this.#lifeTimer);
    this.#lifeTimer = undefined;
  }

  #onStored(error: unknown): void {
    if (error === undefined) this.#lastStoredMs = performance.now();
    const isFailing = error !== undefined;
    if (isFailing !== this.#isFailing) this.#options.onSync(error);
    this.#isFailing = isFailing;
  }
}

/**
 * Removes all segments of a recording, some at a time.
 *
 * @throws {S3Error} If storage fails; some may be left then.
 */
export async function removeSegments(
  client: S3Client,
  keys: RecordingKeys,
  place: RecordingPlace,
): Promise<void> {
  const found: string[] = [];
  for await (const { key } of client.list(keys.base(place) + SEGMENTS)) found.push(key);
  await deleteObjects(client, found);
}

async function* once(bytes: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield bytes;
}
