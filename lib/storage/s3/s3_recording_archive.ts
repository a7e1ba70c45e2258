/**
 * Recordings in object storage, to be listed, read, held and removed (recording_keys.ts has their
 * keys).
 *
 * A recording is there when its metadata are: they are stored last and removed first. Segments of one
 * that is being made have no metadata beside them; what has neither was not removed, or not stored,
 * to its end, and is removed by {@link S3RecordingArchive.remove}.
 * Imports zod and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import type {
  LegalHold,
  RecordedFile,
  RecordingArchive,
  RecordingPart,
} from "../recording_archive.ts";
import { placeOf, recordingId, type RecordingPlace } from "../recording_id.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "../recording_metadata.ts";
import { JsonObject } from "./json_object.ts";
import { RecordingKeys, SEGMENTS } from "./recording_keys.ts";
import type { ListedObject } from "./s3_answers.ts";
import type { S3Client, S3ObjectInfo } from "./s3_client.ts";

const log = getLogger(["audiohook", "archive"]);

/** Far more than a recorder writes: metadata list at most 1,000 gaps. */
const MAX_METADATA_BYTES = 4 * 1024 * 1024;
const MAX_HOLD_BYTES = 64 * 1024;

/**
 * Segments of a recording that has not ended are its maker's, or of one who completes it, while one
 * of them is newer than this: far longer than a maker is silent, even while storage can't be reached
 * for hours; calls themselves give a sign of life every few seconds. What is older was never
 * completed, or can't be, and would stay for ever if it could not be removed.
 */
const ABANDONED_MS = 12 * 3_600_000;

const EXTENSIONS = { audio: ".wav", messages: ".jsonl" } as const satisfies Record<
  RecordingPart,
  string
>;

const holdSchema = z.object({
  since: z.iso.datetime({ offset: true }),
  reason: z.string().max(500),
});

/** Recordings in a bucket. All methods throw `S3Error` if storage fails. */
export class S3RecordingArchive implements RecordingArchive {
  readonly #client: S3Client;
  readonly #keys: RecordingKeys;
  readonly #nowMs: () => number;

  /**
   * @param prefix What keys begin with, without a slash at its end; it may be empty.
   * @param options `nowMs`: the present time, milliseconds since 1970; by default the system's.
   * @throws {S3PlaceError} If that can be none.
   */
  constructor(
    client: S3Client,
    prefix = "recordings",
    { nowMs = Date.now }: { readonly nowMs?: () => number } = {},
  ) {
    this.#client = client;
    this.#nowMs = nowMs;
    this.#keys = new RecordingKeys(prefix);
  }

  /** Identifiers by keys alone; those included that are half removed. */
  async *list(): AsyncGenerator<string, void> {
    let last: string | undefined;
    for await (const { key } of this.#client.list(this.#keys.root)) {
      const place = this.#keys.parse(key);
      if (place === undefined) continue;
      // Keys come in order, and those of one recording together.
      const id = recordingId(place);
      if (id !== last) yield id;
      last = id;
    }
  }

  async metadata(id: string): Promise<RecordingMetadata | undefined> {
    const place = placeOf(id);
    if (place === undefined) return undefined;
    const bytes = await this.#client.get(this.#keys.of(place, ".json"), MAX_METADATA_BYTES);
    if (bytes === undefined) return undefined;
    const metadata = recordingMetadataSchema.safeParse(jsonOf(bytes)).data;
    if (metadata === undefined) log.error("The metadata of recording {id} cannot be used", { id });
    return metadata;
  }

  async isUnderWay(id: string): Promise<boolean> {
    const place = placeOf(id);
    return place !== undefined && this.#isBeingMade(await this.#objects(place));
  }

  /** Opens a part of a recording that has ended. */
  async open(id: string, part: RecordingPart): Promise<RecordedFile | undefined> {
    const place = placeOf(id);
    if (place === undefined) return undefined;
    const key = this.#keys.of(place, EXTENSIONS[part]);
    const [info, metadata] = await Promise.all([
      this.#client.head(key),
      this.#client.head(this.#keys.of(place, ".json")),
    ]);
    if (info === undefined || metadata === undefined) return undefined;
    return new RecordedObject(this.#client, key, info);
  }

  async hold(id: string): Promise<LegalHold | undefined> {
    const place = placeOf(id);
    if (place === undefined) return undefined;
    const key = this.#keys.of(place, ".hold");
    const bytes = await this.#client.get(key, MAX_HOLD_BYTES);
    if (bytes === undefined || !await this.#isThere(place)) return undefined;
    const hold = holdSchema.safeParse(jsonOf(bytes)).data;
    if (hold !== undefined) return hold;
    // Somebody wanted it to stay, whatever was written.
    const modifiedAt = (await this.#client.head(key))?.modifiedAt ?? new Date(0);
    return { since: modifiedAt.toISOString(), reason: "" };
  }

  async setHold(id: string, hold: LegalHold | undefined): Promise<boolean> {
    const place = placeOf(id);
    if (place === undefined || !await this.#isThere(place)) return false;
    const key = this.#keys.of(place, ".hold");
    if (hold === undefined) {
      await this.#client.delete(key);
      return true;
    }
    await new JsonObject(holdSchema.parse(hold)).put(this.#client, key);
    return true;
  }

  async remove(id: string): Promise<"removed" | "not_found" | "being_made"> {
    const place = placeOf(id);
    if (place === undefined) return "not_found";
    const objects = await this.#objects(place);
    if (objects.length === 0) return "not_found";
    if (this.#isBeingMade(objects)) return "being_made";
    // Segments first: without metadata, they would be taken for a recording to be completed. Then the
    // metadata: what is left without them is no recording.
    const order = (rest: string) => rest.startsWith(SEGMENTS) ? 0 : rest === ".json" ? 1 : 2;
    for (const { key } of objects.toSorted((a, b) => order(a.rest) - order(b.rest))) {
      await this.#client.delete(key);
    }
    return "removed";
  }

  /** Whether there is one that has ended, or is being made. */
  async has(id: string): Promise<boolean> {
    const place = placeOf(id);
    return place !== undefined && await this.#isThere(place);
  }

  async #isThere(place: RecordingPlace): Promise<boolean> {
    if (await this.#client.head(this.#keys.of(place, ".json")) !== undefined) return true;
    for await (const _ of this.#client.list(this.#keys.base(place) + SEGMENTS)) return true;
    return false;
  }

  #isBeingMade(objects: readonly (ListedObject & { readonly rest: string })[]): boolean {
    if (objects.some(({ rest }) => rest === ".json")) return false;
    const sinceMs = this.#nowMs() - ABANDONED_MS;
    return objects.some(({ rest, modifiedAt }) =>
      rest.startsWith(SEGMENTS) && modifiedAt.getTime() > sinceMs
    );
  }

  /** All objects of a recording, and what their keys have after the name. */
  async #objects(place: RecordingPlace): Promise<(ListedObject & { rest: string })[]> {
    const found: (ListedObject & { rest: string })[] = [];
    for await (const object of this.#client.list(`${this.#keys.base(place)}.`)) {
      const parsed = this.#keys.parse(object.key);
      // Others of the same session are not meant.
      if (parsed?.name === place.name) found.push({ ...object, rest: parsed.rest });
    }
    return found;
  }
}

class RecordedObject implements RecordedFile {
  readonly size: number;
  readonly isFinal = true;
  readonly modifiedAt: Date;
  readonly #client: S3Client;
  readonly #key: string;
  readonly #etag: string;

  constructor(client: S3Client, key: string, { sizeBytes, etag, modifiedAt }: S3ObjectInfo) {
    this.size = sizeBytes;
    this.modifiedAt = modifiedAt;
    this.#client = client;
    this.#key = key;
    this.#etag = etag;
  }

  /** @throws {RangeError} If the places are not within the object. */
  read(from: number, to: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    const isWithin = Number.isSafeInteger(from) && Number.isSafeInteger(to) &&
      0 <= from && from <= to && to <= this.size;
    if (!isWithin) throw new RangeError(`Expected places within 0 and ${this.size}`);
    return this.#client.read(this.#key, from, to, this.#etag);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It holds nothing.
  }
}

/** `undefined` if it is no JSON. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
