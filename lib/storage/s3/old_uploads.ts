/**
 * Ends uploads by parts that nobody will complete: their parts cost what objects cost, and no list
 * of objects shows them. What this machine began is noted beside its recordings, and goes on; what
 * is left is of disks that are gone.
 *
 * Imports its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import { RecordingKeys } from "./recording_keys.ts";
import type { S3Client } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { UploadStateFile } from "./upload_marker.ts";

const log = getLogger(["audiohook", "upload"]);

/** Another server may be at it; after this, none is. */
const OLD_MS = 7 * 24 * 3600 * 1000;

/** Whose uploads. */
export interface OldUploadsOptions {
  readonly client: S3Client;
  readonly prefix: string;
  readonly folder: string;
  readonly signal: AbortSignal;
  /** How old they have to be; a week by default. */
  readonly oldMs?: number;
}

/**
 * Ends old uploads of recordings. It never fails: what it could not end is ended at another start.
 *
 * @returns How many it ended.
 */
export async function endOldUploads(options: OldUploadsOptions): Promise<number> {
  const { client, prefix, signal, oldMs = OLD_MS } = options;
  const keys = new RecordingKeys(prefix);
  let ended = 0;
  try {
    for await (const { key, uploadId, initiatedAt } of client.listUploads(keys.root, { signal })) {
      const place = keys.parse(key);
      if (place === undefined || initiatedAt.getTime() > Date.now() - oldMs) continue;
      if (await isNoted(options, place.day, place.name, uploadId)) continue;
      await client.abortUpload(key, uploadId, { signal });
      ended++;
    }
  } catch (error) {
    if (signal.aborted) return ended;
    // The queue says what is wrong with the server; and some have no such list.
    const message = error instanceof S3Error ? error.message : String(error);
    log.debug("Did not look for old uploads: {message}", { message });
  }
  if (ended > 0) log.info("Ended {ended} old uploads of which parts were left", { ended });
  return ended;
}

/** Whether a recording here is being uploaded by it. */
async function isNoted(
  { folder }: OldUploadsOptions,
  day: string,
  name: string,
  uploadId: string,
): Promise<boolean> {
  const noted = await new UploadStateFile(join(folder, day, name)).parts();
  return noted?.uploadId === uploadId;
}
