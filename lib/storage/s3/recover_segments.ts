/**
 * Completes recordings of which a killed instance left the segments, so that they are what it would
 * have left, but for the last seconds.
 *
 * It may be killed, too, at any step: what is put together is the same each time. And it may be
 * wrong: an instance that could not reach the storage for a while looks as if it had been killed. So
 * segments stay for half a day: what that instance stores by then completes the recording again, or
 * its own end does. And nothing is stored in place of what was not seen before, nor where a recording
 * was removed. How old segments are is told by the clock of the storage alone.
 * Imports its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import type { RecordingArchive } from "../recording_archive.ts";
import { recordingId, type RecordingPlace } from "../recording_id.ts";
import type { RecordingMetadata } from "../recording_metadata.ts";
import { completeSegments, type Completion } from "./complete_segments.ts";
import {
  hasAllOfSegments,
  type LeftRecording,
  leftRecording,
  leftRecordings,
  newestOf,
  type RecordingBucket,
  removeListed,
} from "./left_recording.ts";
import { claimKey, ClaimLostError, RecoveryClaim } from "./recovery_claim.ts";
import type { ListedObject } from "./s3_answers.ts";
import { S3Error } from "./s3_error.ts";

const log = getLogger(["audiohook", "recovery"]);

/** A claim is said again four times before it is old, but not more often than this. */
const MIN_RENEWAL_MS = 250;

/** Whose segments. */
export interface RecoveryOptions extends RecordingBucket {
  /** The same recordings, to be read. */
  readonly archive: Pick<RecordingArchive, "metadata">;
  /** How old the newest segment of a recording has to be, in milliseconds. */
  readonly staleMs: number;
  /** How long segments of a recording stay when it was completed, in milliseconds. */
  readonly keptMs: number;
  /** Whether a recording is left alone: one that this instance makes, for example. */
  readonly isExempt: (place: RecordingPlace) => boolean;
  /** Days that are looked through; all by default, which takes as long as there are objects. */
  readonly days?: readonly string[] | undefined;
  /** Called for each recording that was completed. */
  readonly onRecovered?: ((id: string, metadata: RecordingMetadata) => void) | undefined;
  /** Called for each that can't be completed. */
  readonly onImpossible?: ((id: string) => void) | undefined;
  /** Stops between two recordings. */
  readonly signal?: AbortSignal | undefined;
}

/** What was done. */
export interface RecoveredSegments {
  /** Identifiers of recordings that were completed. */
  readonly recovered: readonly string[];
  /** Identifiers of those that can't be: it is in the log why not. */
  readonly impossible: readonly string[];
}

/**
 * Completes all that are old enough, one after the other.
 *
 * @throws {S3Error} If storage fails; if only for some recordings, when the others are done.
 */
export async function recoverSegments(options: RecoveryOptions): Promise<RecoveredSegments> {
  const recovered: string[] = [];
  const impossible: string[] = [];
  // Before the list: what was new when it was listed is so, however long it takes to complete others.
  const listedMs = Date.now();
  const failures: unknown[] = [];
  for (const left of await listLeft(options, listedMs - options.staleMs)) {
    if (options.signal?.aborted) break;
    const id = recordingId(left.place);
    let completion: Completion | typeof LEFT_ALONE;
    try {
      completion = await completeOne(options, left, listedMs);
    } catch (error) {
      // Of storage that fails, all would; a segment that can't be read is in the way of no other one.
      if (error instanceof S3Error && error.isTransient) throw error;
      failures.push(error);
      continue;
    }
    switch (completion.what) {
      case "completed":
        recovered.push(id);
        options.onRecovered?.(id, completion.metadata);
        break;
      case "impossible":
        impossible.push(id);
        options.onImpossible?.(id);
        log.error("Recording {id} was not ended, and cannot be completed: {why}", {
          id,
          why: completion.why,
        });
        break;
      case "empty":
        log.warning("Recording {id} was begun, and nothing of it was stored", { id });
        break;
      case "changed":
        log.info("Recording {id} is ended, completed or removed by somebody else", { id });
        break;
      case "left alone":
    }
  }
  if (recovered.length > 0) {
    const count = recovered.length;
    log.info("Completed {count} recordings that were not ended", { count });
  }
  if (failures.length > 0) throw failures[0];
  return { recovered, impossible };
}

/** Those of which nothing is newer: most that are listed are being made, and have many segments. */
async function listLeft(options: RecoveryOptions, newestMs: number): Promise<LeftRecording[]> {
  const { keys, days, signal, isExempt } = options;
  const prefixes = days?.map((day) => `${keys.root}${day}/`) ?? [keys.root];
  const found: LeftRecording[] = [];
  for (const prefix of prefixes) {
    for await (const left of leftRecordings(options, prefix, signal)) {
      if (newestOf(left.segments) <= newestMs && !isExempt(left.place)) found.push(left);
    }
  }
  return found;
}

/** It is complete; or another instance completes it; or makes it, and has just said so. */
const LEFT_ALONE = { what: "left alone" } as const;

/** Completes a recording, or removes its segments if that was done long ago. */
async function completeOne(
  options: RecoveryOptions,
  left: LeftRecording,
  listedMs: number,
): Promise<Completion | typeof LEFT_ALONE> {
  // Of an instance that was killed as well, or it would be gone, or not old.
  const key = claimKey(options, left.place);
  const claimed = left.segments.find((segment) => segment.key === key);
  if (!await isComplete(options, left, claimed !== undefined)) {
    return await completeClaimed(options, left.place, claimed);
  }
  const newestMs = Math.max(newestOf(left.segments), newestOf(left.objects.values()));
  const isOld = newestMs <= listedMs - options.keptMs;
  if (isOld && hasAllOfSegments(options, left)) await removeListed(options.client, left);
  return LEFT_ALONE;
}

/**
 * Whether there is nothing to be added to a recording: if it has less than its segments, the one who
 * makes it has gone on after it was taken for gone. What ended by itself is never touched.
 *
 * @param isBrokenOff Whether its completion was: then its metadata may be those of an earlier one.
 */
async function isComplete(
  options: RecoveryOptions,
  left: LeftRecording,
  isBrokenOff: boolean,
): Promise<boolean> {
  if (!left.objects.has(".json")) return false;
  if (!isBrokenOff && hasAllOfSegments(options, left)) return true;
  return (await options.archive.metadata(recordingId(left.place)))?.recovered !== true;
}

/** Completes a recording, unless another instance does that, or makes it. */
async function completeClaimed(
  options: RecoveryOptions,
  place: RecordingPlace,
  claimed: ListedObject | undefined,
): Promise<Completion | typeof LEFT_ALONE> {
  await using claim = await RecoveryClaim.take(options, place, claimed);
  if (claim === undefined) return LEFT_ALONE;
  const left = await leftNow(options, place, claim, claimed !== undefined);
  if (left === undefined) {
    await claim.release();
    return LEFT_ALONE;
  }
  claim.keep(Math.max(MIN_RENEWAL_MS, options.staleMs / 4));
  let completion: Completion;
  try {
    completion = await completeSegments(options, left, claim);
  } catch (error) {
    // A segment that is gone was removed by whoever ended the recording, or removed it.
    const isOver = error instanceof ClaimLostError ||
      (error instanceof S3Error && isOfOthers(error));
    if (!isOver) throw error;
    completion = { what: "changed" };
  }
  // If it stays, the completion was broken off, and is done again.
  await claim.release();
  return completion;
}

function isOfOthers({ status, code }: S3Error): boolean {
  return status === 409 || status === 412 || (status === 404 && code !== "NoSuchBucket");
}

/**
 * What there is of a recording, which may be more than was listed a while ago.
 *
 * @returns `undefined` if there is nothing to complete: it is complete; or its last segment is not old
 *   by the clock of the storage, which has just stored the claim.
 */
async function leftNow(
  options: RecoveryOptions,
  place: RecordingPlace,
  claim: RecoveryClaim,
  isBrokenOff: boolean,
): Promise<LeftRecording | undefined> {
  const left = await leftRecording(options, place);
  const own = left?.segments.find(({ key }) => key === claim.key);
  const others = left?.segments.filter(({ key }) => key !== claim.key) ?? [];
  if (left === undefined || own?.etag !== claim.etag || others.length === 0) return undefined;
  const isStale = newestOf(others) <= own.modifiedAt.getTime() - options.staleMs;
  return isStale && !await isComplete(options, left, isBrokenOff) ? left : undefined;
}
