/**
 * Completes recordings of which a killed instance left the segments, so that they are what it would
 * have left, but for the last seconds.
 *
 * It may be killed, too, at any step: what is put together is the same each time. And it may be
 * wrong: an instance that could not reach the storage for a while looks as if it had been killed. So
 * segments stay for half a day: what that instance stores by then completes the recording again, or
 * its own end does. Imports the audio room and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { createHash } from "node:crypto";
import { createWavHeader, wavHeaderBytes, wavPaddingBytes } from "../../audio/mod.ts";
import { summarizeMessageLog } from "../message_log_summary.ts";
import { AUDIO_HEAD_BYTES, inspectAudio, type UsableAudio } from "../partial_audio.ts";
import { recoveredMetadata, wavFormatOf } from "../recovered_metadata.ts";
import type { RecordingArchive } from "../recording_archive.ts";
import { recordingId, type RecordingPlace, sessionOf } from "../recording_id.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "../recording_metadata.ts";
import { composeObject } from "./compose_object.ts";
import { CONTENT_TYPES, type RecordingKeys, SEGMENTS } from "./recording_keys.ts";
import type { ListedObject } from "./s3_answers.ts";
import type { S3Client } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { removeSegments } from "./s3_recording_files.ts";
import { SegmentedFile } from "./segmented_file.ts";

const log = getLogger(["audiohook", "recovery"]);

/** Name of the segment by which an instance says that it completes a recording. */
const CLAIM = "claim";

/** Whose segments. */
export interface RecoveryOptions {
  readonly client: S3Client;
  readonly keys: RecordingKeys;
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

/** A recording with segments. */
interface Left {
  readonly place: RecordingPlace;
  readonly segments: ListedObject[];
  /** When it ended, or was completed; `undefined` if neither. */
  endedMs: number | undefined;
}

/**
 * Completes all that are old enough, one after the other.
 *
 * @throws {S3Error} If storage fails.
 */
export async function recoverSegments(options: RecoveryOptions): Promise<RecoveredSegments> {
  const recovered: string[] = [];
  const impossible: string[] = [];
  for (const left of await leftRecordings(options)) {
    if (options.signal?.aborted) break;
    const { place, segments } = left;
    const newestMs = newestOf(segments);
    if (options.isExempt(place) || newestMs > Date.now() - options.staleMs) continue;
    const id = recordingId(place);
    if (await isComplete(options, left)) {
      if (newestMs > Date.now() - options.keptMs) continue;
      await removeSegments(options.client, options.keys, place);
    } else if (await claim(options, left)) {
      const completion = await complete(options, left);
      if (completion.what === "completed") {
        recovered.push(id);
        options.onRecovered?.(id, completion.metadata);
      } else if (completion.what === "impossible") {
        const { why } = completion;
        impossible.push(id);
        log.error("Recording {id} was not ended, and cannot be completed: {why}", { id, why });
      }
    }
  }
  if (recovered.length > 0) {
    const count = recovered.length;
    log.info("Completed {count} recordings that were not ended", { count });
  }
  return { recovered, impossible };
}

async function leftRecordings(options: RecoveryOptions): Promise<Left[]> {
  const { keys, days } = options;
  const prefixes = days?.map((day) => `${keys.root}${day}/`) ?? [keys.root];
  const found: Left[] = [];
  for (const prefix of prefixes) found.push(...await leftBelow(prefix, options));
  return found;
}

async function leftBelow(
  prefix: string,
  { client, keys, signal }: RecoveryOptions,
): Promise<Left[]> {
  const found: Left[] = [];
  let last: Left | undefined;
  for await (const object of client.list(prefix, { signal })) {
    const place = keys.parse(object.key);
    if (place === undefined) continue;
    if (last?.place.day !== place.day || last.place.name !== place.name) {
      if (last !== undefined && last.segments.length > 0) found.push(last);
      last = { place, segments: [], endedMs: undefined };
    }
    if (place.rest === ".json") last.endedMs = object.modifiedAt.getTime();
    if (place.rest.startsWith(SEGMENTS)) last.segments.push(object);
  }
  if (last !== undefined && last.segments.length > 0) found.push(last);
  return found;
}

/**
 * Whether there is nothing to be added to a recording: by segments that are newer than its metadata,
 * the one who makes it has gone on after it was taken for gone. What ended by itself is never
 * touched.
 */
async function isComplete(
  { keys, archive }: RecoveryOptions,
  { place, segments, endedMs }: Left,
): Promise<boolean> {
  if (endedMs === undefined) return false;
  const base = keys.base(place) + SEGMENTS;
  const data = segments.filter(({ key }) => /^(?:audio|messages)-/.test(key.slice(base.length)));
  if (newestOf(data) <= endedMs) return true;
  return (await archive.metadata(recordingId(place)))?.recovered !== true;
}

/** When the newest of some objects was stored, milliseconds since 1970. */
function newestOf(objects: readonly ListedObject[]): number {
  return Math.max(...objects.map(({ modifiedAt }) => modifiedAt.getTime()));
}

/** Whether no other instance completes it: for that one, too, the claim is a segment that is new. */
async function claim(
  { client, keys }: RecoveryOptions,
  { place, segments }: Left,
): Promise<boolean> {
  const key = `${keys.base(place)}${SEGMENTS}${CLAIM}`;
  const body = new TextEncoder().encode("{}\n");
  const md5 = createHash("md5").update(body).digest("hex");
  try {
    // One that is as old as the others was made by an instance that was killed as well.
    if (segments.some((segment) => segment.key === key)) await client.delete(key);
    await client.put(key, body, { md5, isNew: true });
    return true;
  } catch (error) {
    // There is one, or one that another instance stores at this moment.
    const statuses: readonly unknown[] = [409, 412];
    if (error instanceof S3Error && statuses.includes(error.status)) return false;
    throw error;
  }
}

/** What became of a recording that was not ended. */
type Completion =
  | { readonly what: "completed"; readonly metadata: RecordingMetadata }
  /** It had begun, and nothing more. */
  | { readonly what: "empty" }
  | { readonly what: "impossible"; readonly why: string };

async function complete(options: RecoveryOptions, left: Left): Promise<Completion> {
  const { client, keys } = options;
  const { place } = left;
  const base = keys.base(place) + SEGMENTS;
  const audioFile = SegmentedFile.of(client, `${base}audio-`, left.segments);
  const messages = SegmentedFile.of(client, `${base}messages-`, left.segments);
  if (audioFile === undefined || messages === undefined) {
    return { what: "impossible", why: "a segment in its midst is missing" };
  }
  if (audioFile.sizeBytes === 0 && messages.sizeBytes === 0) {
    await removeSegments(client, keys, place);
    return { what: "empty" };
  }
  const sessionId = sessionOf(place.name);
  const head = await audioFile.head(AUDIO_HEAD_BYTES);
  let audio = inspectAudio(head, audioFile.sizeBytes, undefined);
  if (audio.what !== "usable") {
    const { call } = await summarizeMessageLog(messages, sessionId, 0);
    audio = inspectAudio(head, audioFile.sizeBytes, wavFormatOf(call?.media ?? null));
  }
  if (audio.what === "foreign") return { what: "impossible", why: audio.why };
  const usable = audio.what === "usable" ? audio : undefined;
  const summary = await summarizeMessageLog(messages, sessionId, usable?.samples ?? 0);
  if (usable === undefined && summary.firstTimeMs === undefined) {
    return { what: "impossible", why: "its message log has no line that can be understood" };
  }
  const modifiedMs = newestOf(left.segments);
  const remains = { place, log: summary, audio: usable, bornMs: undefined, modifiedMs };
  const metadata = recordingMetadataSchema.parse(recoveredMetadata(remains, Date.now()));
  if (usable !== undefined) await composeAudio(options, place, audioFile, usable);
  if (messages.sizeBytes > 0) {
    const { sizeBytes } = messages;
    await compose(options, place, ".jsonl", sizeBytes, messages.bytes(0, sizeBytes));
  }
  const text = new TextEncoder().encode(JSON.stringify(metadata, null, 2) + "\n");
  await compose(options, place, ".json", text.length, inOrder(text));
  return { what: "completed", metadata };
}

/** A header that says what there is, the audio of the segments, and padding. */
async function composeAudio(
  options: RecoveryOptions,
  place: RecordingPlace,
  file: SegmentedFile,
  { format, dataBytes }: UsableAudio,
): Promise<void> {
  const headerBytes = wavHeaderBytes(format.encoding);
  const padding = new Uint8Array(wavPaddingBytes(dataBytes));
  const sizeBytes = headerBytes + dataBytes + padding.length;
  const bytes = inOrder(
    createWavHeader(format, dataBytes),
    file.bytes(headerBytes, headerBytes + dataBytes),
    padding,
  );
  await compose(options, place, ".wav", sizeBytes, bytes);
}

async function compose(
  { client, keys }: RecoveryOptions,
  place: RecordingPlace,
  extension: ".wav" | ".jsonl" | ".json",
  sizeBytes: number,
  bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const contentType = CONTENT_TYPES[extension];
  await composeObject({ client, key: keys.of(place, extension), contentType, sizeBytes, bytes });
}

async function* inOrder(
  ...all: (Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array<ArrayBuffer>>)[]
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (const bytes of all) {
    if (bytes instanceof Uint8Array) yield bytes;
    else yield* bytes;
  }
}
