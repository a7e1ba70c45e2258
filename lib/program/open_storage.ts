/**
 * Recordings as they are configured: on a disk, on a disk and in object storage, or there alone.
 *
 * A part of main.ts, which alone imports it.
 */
import { join } from "node:path";
import { describeFailure } from "../config/describe_failure.ts";
import { isOnDenoDeploy } from "../config/load_settings.ts";
import { type Settings, SettingsError } from "../config/settings.ts";
import type { ObjectStorageSettings } from "../config/storage_settings.ts";
import {
  deriveIndexKey,
  DiskBackend,
  loadOrCreateIndexKey,
  type OpenIndexOptions,
  type RecordingBackend,
  RecordingLibrary,
} from "../storage/mod.ts";
import { BucketBackend, type ObjectStorage, S3Client, S3PlaceError } from "../storage/s3/mod.ts";

/** Name of the index in the data folder. */
const INDEX_FILE = "index.kv";
/** Name of the folder of recordings in it. */
const RECORDINGS_FOLDER = "recordings";

/** Whoever reads recordings is told of storage that does not answer before the API gives up. */
const ARCHIVE_PATIENCE = { attempts: 2, timeoutMs: 4_000 } as const;

/** Recordings, and what is done with them. */
export interface Storage {
  readonly backend: RecordingBackend;
  readonly library: RecordingLibrary;
}

/** Path of the folder that recordings are in. */
export function recordingsFolder(dataDir: string): string {
  return join(dataDir, RECORDINGS_FOLDER);
}

/** Where calls are recorded, for people. */
export function recordingsPlace(
  { dataDir, storage: { objects, keepsUploaded } }: Settings,
): string {
  const bucket = objects && `s3://${objects.bucket}/${objects.prefix}`;
  const folder = dataDir && recordingsFolder(dataDir);
  if (bucket === undefined || folder === undefined) return bucket ?? folder ?? "";
  return keepsUploaded ? `${folder} and ${bucket}` : bucket;
}

/**
 * Recordings as they are configured; `undefined` where there can be none.
 *
 * @throws {SettingsError} If the folder can't be written to, or the bucket can be none.
 * @throws {IndexKeyError} If the index's key can be neither read nor made.
 */
export async function openStorage(settings: Settings): Promise<Storage | undefined> {
  const backend = await createBackend(settings);
  if (backend === undefined) return undefined;
  const { retentionDays } = settings.storage;
  const index = await indexOptions(settings);
  const library = new RecordingLibrary({ backend, index, retentionDays });
  await backend.open();
  return { backend, library };
}

/**
 * Where recordings are made and kept; `undefined` where there can be none.
 *
 * @throws {SettingsError} If the folder can't be written to, or the bucket can be none.
 */
export async function createBackend(settings: Settings): Promise<RecordingBackend | undefined> {
  const { dataDir, storage: { syncSeconds, minFreeBytes, keepsUploaded, objects } } = settings;
  const bucket = objects && objectStorage(objects);
  if (dataDir === undefined) return bucket && new BucketBackend(bucket);
  const recordingsDir = recordingsFolder(dataDir);
  await makeFolder(recordingsDir, dataDir);
  const removesUploaded = !keepsUploaded;
  const disk = { dataDir, recordingsDir, syncSeconds, minFreeBytes };
  return new DiskBackend(bucket ? { ...disk, objects: bucket, removesUploaded } : disk);
}

/** There is no use in a server that can't write to it. */
async function makeFolder(folder: string, dataDir: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o750 });
    await Deno.remove(await Deno.makeTempFile({ dir: folder }));
  } catch (error) {
    throw new SettingsError([
      `Cannot use DATA_DIR: expected a folder that can be written, ` +
      `got ${JSON.stringify(dataDir)} (${describeFailure(error)})`,
    ]);
  }
}

function objectStorage(settings: ObjectStorageSettings): ObjectStorage {
  const { endpoint, region, bucket, prefix, ...credentials } = settings;
  try {
    const place = { endpoint, region, bucket };
    const client = new S3Client(place, credentials);
    return { client, archiveClient: new S3Client(place, credentials, ARCHIVE_PATIENCE), prefix };
  } catch (error) {
    if (!(error instanceof S3PlaceError)) throw error;
    throw new SettingsError([`Cannot use RECORDINGS with S3_ENDPOINT: ${error.message}`]);
  }
}

/**
 * Where the index is, and the key that it hides participants by.
 *
 * @throws {IndexKeyError} If that can be neither read nor made.
 */
export async function indexOptions({ dataDir, storage }: Settings): Promise<OpenIndexOptions> {
  const { kvUrl, indexPersonalData, adminToken = "" } = storage;
  const key = dataDir === undefined
    // Every instance has to have the same.
    ? await deriveIndexKey(adminToken)
    : await loadOrCreateIndexKey(dataDir);
  return { place: indexPlace(kvUrl, dataDir), key, indexPersonalData };
}

function indexPlace(
  kvUrl: string | undefined,
  dataDir: string | undefined,
): OpenIndexOptions["place"] {
  if (kvUrl !== undefined) return { kind: "url", url: kvUrl };
  if (dataDir !== undefined) return { kind: "file", path: join(dataDir, INDEX_FILE) };
  return isOnDenoDeploy() ? { kind: "deploy" } : { kind: "memory" };
}
