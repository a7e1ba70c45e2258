/**
 * Recordings of which there are segments: those that are being made, that a killed instance left, or
 * whose segments are kept for a while.
 *
 * Imports its neighbours.
 */
import type { RecordingPlace } from "../recording_id.ts";
import { deleteObjects } from "./delete_objects.ts";
import { type RecordingKeys, SEGMENTS } from "./recording_keys.ts";
import type { ListedObject } from "./s3_answers.ts";
import type { S3Client } from "./s3_client.ts";

/** Less than a sample, of 16 bits and two channels, is left out of what is put together. */
const MAX_SAMPLE_BYTES = 4;

/** Where recordings are. */
export interface RecordingBucket {
  readonly client: S3Client;
  readonly keys: RecordingKeys;
}

/** A recording with segments. */
export interface LeftRecording {
  readonly place: RecordingPlace;
  readonly segments: readonly ListedObject[];
  /** What it has become so far, by extensions. */
  readonly objects: ReadonlyMap<string, ListedObject>;
}

/**
 * Lists recordings that have segments.
 *
 * @param prefix What their keys begin with.
 * @throws {S3Error} If storage fails.
 */
export async function* leftRecordings(
  { client, keys }: RecordingBucket,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<LeftRecording, void> {
  let place: RecordingPlace | undefined;
  let segments: ListedObject[] = [];
  let objects = new Map<string, ListedObject>();
  // Keys come in order, and those of one recording together.
  for await (const object of client.list(prefix, { signal })) {
    const parsed = keys.parse(object.key);
    if (parsed === undefined) continue;
    const { day, name, rest } = parsed;
    if (place?.day !== day || place.name !== name) {
      if (place !== undefined && segments.length > 0) yield { place, segments, objects };
      place = { day, name };
      segments = [];
      objects = new Map();
    }
    if (rest.startsWith(SEGMENTS)) segments.push(object);
    else objects.set(rest, object);
  }
  if (place !== undefined && segments.length > 0) yield { place, segments, objects };
}

/**
 * Lists one recording.
 *
 * @returns `undefined` if it has no segments.
 * @throws {S3Error} If storage fails.
 */
export async function leftRecording(
  bucket: RecordingBucket,
  { day, name }: RecordingPlace,
): Promise<LeftRecording | undefined> {
  for await (const left of leftRecordings(bucket, `${bucket.keys.base({ day, name })}.`)) {
    // Others of the same session are not meant.
    if (left.place.name === name) return left;
  }
  return undefined;
}

/** When the newest of some objects was stored, by the clock of the storage, milliseconds since 1970. */
export function newestOf(objects: Iterable<ListedObject>): number {
  let newestMs = -Infinity;
  // One after the other: a function can't be called with as many as there may be.
  for (const { modifiedAt } of objects) newestMs = Math.max(newestMs, modifiedAt.getTime());
  return newestMs;
}

/**
 * Whether a recording has become all that its segments have. Not by times: what was stored while the
 * others were put together is older than that.
 */
export function hasAllOfSegments(
  { keys }: Pick<RecordingBucket, "keys">,
  { place, segments, objects }: LeftRecording,
): boolean {
  const base = keys.base(place) + SEGMENTS;
  const missingBytes = (what: string, extension: string) =>
    segments.filter(({ key }) => key.startsWith(base + what))
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) -
    (objects.get(extension)?.sizeBytes ?? 0);
  return missingBytes("audio-", ".wav") < MAX_SAMPLE_BYTES &&
    missingBytes("messages-", ".jsonl") <= 0;
}

/**
 * Removes segments that were listed, and no others: whoever makes the recording may be storing one at
 * this moment.
 *
 * @throws {S3Error} If storage fails.
 */
export async function removeListed(client: S3Client, { segments }: LeftRecording): Promise<void> {
  await deleteObjects(client, segments.map(({ key }) => key));
}
