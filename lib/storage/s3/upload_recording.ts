/**
 * Uploads one recording that has ended: all of its files, the metadata last; then the marker is
 * written, or the local files are removed.
 *
 * Whenever it is broken off, a complete recording is in one of both places: files are removed only
 * behind a synced marker, the metadata after audio and messages (a recording that has no metadata
 * would be taken for one that was not ended), and the marker last of all. Objects of another recording
 * of the same name are neither replaced nor removed (upload_place.ts).
 * Imports its neighbours.
 */
import { dirname, join } from "node:path";
import type { RecordingPlace } from "../recording_id.ts";
import { writeDurably } from "../durable_file.ts";
import { syncFolder } from "../folder_sync.ts";
import { removeIfThere, statIfThere } from "./if_there.ts";
import { digestFile, FileChangedError, type FileDigest } from "./file_digest.ts";
import {
  CONTENT_TYPES,
  IDENTIFYING_EXTENSIONS,
  type IdentifyingExtension,
  RECORDING_EXTENSIONS,
  type RecordingExtension,
  type RecordingKeys,
} from "./recording_keys.ts";
import type { S3Client } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { objectOf, partBytesOf, uploadFile } from "./upload_file.ts";
import {
  MARKER,
  readJson,
  type UploadedFile,
  type UploadMarker,
  uploadMarkerSchema,
  UploadStateFile,
} from "./upload_marker.ts";
import { findOwnObjects, type FoundObjects, removeOwnObjects } from "./upload_place.ts";
import type { ExpectedObject } from "./verify_object.ts";

/** Where it is, a recording was removed, whatever is left of it. */
const REMOVED = ".removed";

/** What an upload needs. */
export interface RecordingUpload {
  readonly client: S3Client;
  readonly keys: RecordingKeys;
  /** Folder of recordings. */
  readonly folder: string;
  readonly place: RecordingPlace;
  /** Whether the local files go when all is in object storage. */
  readonly removesLocal: boolean;
  readonly signal: AbortSignal;
  readonly isStopping: () => boolean;
}

/**
 * What became of it: `uploaded`; `was_uploaded` before; `being_made`, to be tried later; `gone`: it was removed, also from
 * object storage if it got there.
 */
export type UploadResult = "uploaded" | "was_uploaded" | "being_made" | "gone";

/**
 * Uploads a recording, or goes on with it.
 *
 * @throws {OtherRecordingError} If another recording is where it would go.
 * @throws {S3Error} If storage fails.
 * @throws {FileChangedError} If a file was written to meanwhile.
 * @throws What the disk says.
 */
export async function uploadRecording(upload: RecordingUpload): Promise<UploadResult> {
  const { folder, place, removesLocal } = upload;
  const location = join(folder, place.day, place.name);
  const state = new UploadStateFile(location);
  if (!await isEnded(location)) return await clearAway(upload, location, state);
  if (await isBeingWritten(`${location}.jsonl`)) return "being_made";
  const marker = await readJson(location + MARKER, uploadMarkerSchema);
  const isToDo = marker === undefined ||
    (removesLocal && !await isStillThere(upload, location, marker));
  if (isToDo) {
    let files: UploadMarker["files"];
    try {
      files = await uploadFiles(upload, location, state);
    } catch (error) {
      if (upload.signal.aborted || await isEnded(location)) throw error;
      files = {};
    }
    // Whoever removes it begins here, so either sees what the other one left.
    if (!await isEnded(location)) return await clearAway(upload, location, state);
    try {
      await writeMarker(upload, location, files);
    } catch (error) {
      if (!removesLocal) throw error;
      // The disk is full, perhaps. What needs the room is in object storage: there, it is found also
      // without a marker.
      await removeIfThere(`${location}.wav`);
      await writeMarker(upload, location, files);
    }
  }
  await state.remove();
  if (removesLocal) await removeFiles(location);
  return isToDo ? "uploaded" : "was_uploaded";
}

/** Removes all files of a recording whose objects are verified. */
async function removeFiles(location: string): Promise<void> {
  const day = dirname(location);
  for (const extension of [".wav", ".jsonl"]) await removeIfThere(location + extension);
  await syncFolder(day);
  await removeIfThere(`${location}.json`);
  await syncFolder(day);
  // From here on, nobody sets a hold on what is here.
  await removeIfThere(`${location}.hold`);
  await removeIfThere(location + MARKER);
}

async function uploadFiles(
  upload: RecordingUpload,
  location: string,
  state: UploadStateFile,
): Promise<UploadMarker["files"]> {
  const { client, keys, place, signal, isStopping } = upload;
  const found = new Map<RecordingExtension, FileDigest>();
  const files: Partial<Record<RecordingExtension, UploadedFile>> = {};
  const own = await claimPlace(upload, location, state, found);
  for (const extension of RECORDING_EXTENSIONS) {
    const path = location + extension;
    // A hold may be set at any time: what counts is that of this moment.
    if (extension === ".hold") {
      if (await statIfThere(path) !== undefined) {
        found.set(extension, await digestFile(path, partBytesOf, signal));
      } else if (!own.same.has(".json") && !own.left.has(".json")) {
        // One that was lifted since an earlier upload. Only as long as the metadata are not there:
        // from then on, anybody may set one there.
        await client.delete(keys.of(place, ".hold"), { signal });
      }
    }
    const digest = found.get(extension);
    if (digest === undefined) continue;
    files[extension] = await uploadFile({
      ...{ client, path, digest, state, signal, isStopping },
      key: keys.of(place, extension),
      contentType: CONTENT_TYPES[extension],
      there: whatIsThere(extension, own),
    });
  }
  for (const extension of RECORDING_EXTENSIONS) {
    const now = await statIfThere(location + extension);
    const digest = found.get(extension);
    if (now?.size !== digest?.sizeBytes || now?.mtime?.getTime() !== digest?.modifiedMs) {
      // It was lifted after it was sent, and before anybody could lift it there.
      if (extension === ".hold" && now === undefined && await isEnded(location)) {
        await client.delete(keys.of(place, extension), { signal });
      }
      throw new FileChangedError(`${location}${extension} was changed while it was uploaded`);
    }
  }
  // As long as there were no metadata, another server may have taken it for what a removal left.
  for (const [extension, { sizeBytes, etag }] of Object.entries(files)) {
    const key = keys.of(place, extension as RecordingExtension);
    const info = await client.head(key, { signal });
    if (info?.sizeBytes === sizeBytes && info.etag === etag) continue;
    // A hold may be changed there by now, or lifted.
    if (extension === ".hold") continue;
    throw new S3Error({ operation: "HeadObject", key, failure: "mismatch", reason: "it is gone" });
  }
  return files;
}

/**
 * Makes sure that the place is free, or has only what an earlier upload of this recording left; and
 * notes what is going to be there.
 *
 * @param found Gets what the files are.
 */
async function claimPlace(
  upload: RecordingUpload,
  location: string,
  state: UploadStateFile,
  found: Map<RecordingExtension, FileDigest>,
): Promise<FoundObjects> {
  const objects = new Map<IdentifyingExtension, ExpectedObject>();
  for (const extension of IDENTIFYING_EXTENSIONS) {
    const path = location + extension;
    if (await statIfThere(path) === undefined) continue;
    const digest = await digestFile(path, partBytesOf, upload.signal);
    found.set(extension, digest);
    objects.set(extension, objectOf(digest));
  }
  const own = await findOwnObjects(upload, objects, await state.objects());
  const sent = Array.from(objects, ([extension, object]) => ({ extension, ...object }));
  await state.begin([...own.noted, ...sent]);
  return own;
}

function whatIsThere(
  extension: RecordingExtension,
  { same, left }: FoundObjects,
): "nothing" | "same" | "replaced" {
  if (same.has(extension)) return "same";
  return extension === ".hold" || left.has(extension) ? "replaced" : "nothing";
}

async function writeMarker(
  { client, keys, place }: RecordingUpload,
  location: string,
  files: UploadMarker["files"],
): Promise<void> {
  const marker: UploadMarker = {
    version: 1,
    uploadedAt: new Date().toISOString(),
    location: `s3://${client.bucket}/${keys.base(place)}`,
    files,
  };
  await writeDurably(location + MARKER, JSON.stringify(marker, null, 2) + "\n");
}

/**
 * Whether the files are those of the marker, and so are the objects: both may have changed since it
 * was written, and files are to be removed for it.
 */
async function isStillThere(
  { client, keys, place, signal }: RecordingUpload,
  location: string,
  { files }: UploadMarker,
): Promise<boolean> {
  for (const extension of RECORDING_EXTENSIONS) {
    const noted = files[extension];
    const local = await statIfThere(location + extension);
    // Removed by an earlier run, unless it never was there.
    if (local !== undefined && local.size !== noted?.sizeBytes) return false;
    if (noted === undefined) continue;
    const info = await client.head(keys.of(place, extension), { signal });
    if (info?.sizeBytes !== noted.sizeBytes || info.etag !== noted.etag) return false;
  }
  return true;
}

/**
 * Of a recording that is not there any more, brings to an end what was begun. Objects of another
 * recording of its name stay; not so if somebody removes the recording from all places, which
 * combined_archive.ts decides.
 */
async function clearAway(
  upload: RecordingUpload,
  location: string,
  state: UploadStateFile,
): Promise<UploadResult> {
  const hasMarker = await statIfThere(location + MARKER) !== undefined;
  if (await state.hasBegun()) {
    const parts = await state.parts();
    if (parts !== undefined) {
      await upload.client.abortUpload(parts.key, parts.uploadId, { signal: upload.signal });
    }
    // With a marker, it is in object storage, and was removed here only.
    if (!hasMarker) await removeOwnObjects(upload, await state.objects());
    await state.remove();
  }
  if (!hasMarker) return "gone";
  const rest = [".wav", ".wav.part", ".jsonl", ".json"];
  const all = await Promise.all(rest.map((extension) => statIfThere(location + extension)));
  if (all.some((file) => file !== undefined)) return "gone";
  // What the removal of uploaded files had left to do.
  await removeIfThere(`${location}.hold`);
  await removeIfThere(location + MARKER);
  return "gone";
}

/** Whether there is a recording that has ended. */
async function isEnded(location: string): Promise<boolean> {
  return await statIfThere(location + REMOVED) === undefined &&
    await statIfThere(`${location}.json`) !== undefined;
}

/** Whether its writer is still there: it holds a lock on the message log. */
async function isBeingWritten(path: string): Promise<boolean> {
  if (await statIfThere(path) === undefined) return false;
  using file = await Deno.open(path);
  return !file.tryLockSync(true);
}
