/**
 * What is at the place that a recording is uploaded to: of another recording, nothing is replaced
 * and nothing removed.
 *
 * Whose an object is, is told by its bytes: those of a file here, or those that were noted before
 * they were sent.
 * Imports its neighbours.
 */
import type { RecordingPlace } from "../recording_id.ts";
import { compareObject, type Comparison } from "./compare_object.ts";
import { OtherRecordingError } from "./other_recording_error.ts";
import {
  IDENTIFYING_EXTENSIONS,
  type IdentifyingExtension,
  type RecordingExtension,
  type RecordingKeys,
  SEGMENTS,
} from "./recording_keys.ts";
import type { S3Client } from "./s3_client.ts";
import type { NotedObject } from "./upload_marker.ts";
import type { ExpectedObject } from "./verify_object.ts";

/** Where it is. */
export interface UploadPlace {
  readonly client: S3Client;
  readonly keys: RecordingKeys;
  readonly place: RecordingPlace;
  readonly signal: AbortSignal;
}

/** What is there of the recording itself. */
export interface FoundObjects {
  /** Those that need not be stored again. */
  readonly same: ReadonlySet<RecordingExtension>;
  /** Those that may be replaced: an upload left them. */
  readonly left: ReadonlySet<RecordingExtension>;
  /** Of those that were noted, the ones that are there. */
  readonly noted: readonly NotedObject[];
}

/**
 * Looks at the place of a recording that is about to be uploaded.
 *
 * @param files What it consists of here.
 * @param noted What an upload of it sent before, or was about to.
 * @throws {OtherRecordingError} If an object of another recording is there.
 * @throws {S3Error} If storage fails.
 */
export async function findOwnObjects(
  upload: UploadPlace,
  files: ReadonlyMap<IdentifyingExtension, ExpectedObject>,
  noted: readonly NotedObject[],
): Promise<FoundObjects> {
  const { there, segment } = await listPlace(upload);
  // Somebody makes one there, just now.
  if (segment !== undefined) throw new OtherRecordingError(segment);
  const same = new Set<IdentifyingExtension>();
  const left = new Set<IdentifyingExtension>();
  const found: NotedObject[] = [];
  // The metadata comes first: no two recordings have the same, so where it is ours, all is.
  for (const extension of there) {
    const file = files.get(extension);
    const comparison = file === undefined ? "other" : await compare(upload, extension, file);
    if (comparison === "same") {
      same.add(extension);
    } else if (comparison === "damaged" || same.has(".json")) {
      left.add(extension);
    } else if (comparison === "other") {
      const own = await findNoted(upload, extension, noted);
      if (own === undefined) throw new OtherRecordingError(upload.keys.of(upload.place, extension));
      left.add(extension);
      found.push(own);
    }
  }
  return { same, left, noted: found };
}

/**
 * Removes what an upload left of a recording that is not there any more, the metadata first. If
 * anything there is of another recording, the place is not ours, and all of it stays.
 *
 * @throws {S3Error} If storage fails.
 */
export async function removeOwnObjects(
  upload: UploadPlace,
  noted: readonly NotedObject[],
): Promise<void> {
  const { client, keys, place, signal } = upload;
  const { there, segment, isHeld } = await listPlace(upload);
  // Held recordings are not removed: somebody has held it after its removal was broken off here.
  if (segment !== undefined || (isHeld && there.includes(".json"))) return;
  for (const extension of there) {
    if (await findNoted(upload, extension, noted) === undefined) return;
  }
  for (const extension of there) await client.delete(keys.of(place, extension), { signal });
  await client.delete(keys.of(place, ".hold"), { signal });
}

/** Which objects a place has, the metadata first; and the key of a segment, if it has any. */
async function listPlace({ client, keys, place, signal }: UploadPlace) {
  const rests = new Map<string, string>();
  for await (const { key } of client.list(`${keys.base(place)}.`, { signal })) {
    const parsed = keys.parse(key);
    // Others of the same session are not meant.
    if (parsed?.name !== place.name) continue;
    rests.set(parsed.rest.startsWith(SEGMENTS) ? SEGMENTS : parsed.rest, key);
  }
  const there = IDENTIFYING_EXTENSIONS.filter((extension) => rests.has(extension));
  return { there: there.toReversed(), segment: rests.get(SEGMENTS), isHeld: rests.has(".hold") };
}

async function compare(
  { client, keys, place, signal }: UploadPlace,
  extension: IdentifyingExtension,
  object: ExpectedObject,
): Promise<Comparison> {
  return await compareObject(client, keys.of(place, extension), object, signal);
}

async function findNoted(
  upload: UploadPlace,
  extension: IdentifyingExtension,
  noted: readonly NotedObject[],
): Promise<NotedObject | undefined> {
  for (const object of noted) {
    if (object.extension !== extension) continue;
    const comparison = await compare(upload, extension, object);
    if (comparison === "same" || comparison === "damaged") return object;
  }
  return undefined;
}
