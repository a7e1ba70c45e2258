/**
 * A recording that its maker did not end, put together of its segments.
 *
 * Imports the audio room and its neighbours.
 */
import { createWavHeader, wavHeaderBytes, wavPaddingBytes } from "../../audio/mod.ts";
import { summarizeMessageLog } from "../message_log_summary.ts";
import { AUDIO_HEAD_BYTES, inspectAudio, type UsableAudio } from "../partial_audio.ts";
import { recoveredMetadata, wavFormatOf } from "../recovered_metadata.ts";
import { sessionOf } from "../recording_id.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "../recording_metadata.ts";
import { composeObject } from "./compose_object.ts";
import {
  type LeftRecording,
  newestOf,
  type RecordingBucket,
  removeListed,
} from "./left_recording.ts";
import { CONTENT_TYPES, SEGMENTS } from "./recording_keys.ts";
import type { RecoveryClaim } from "./recovery_claim.ts";
import { SegmentedFile } from "./segmented_file.ts";

/** What became of a recording that was not ended. */
export type Completion =
  | { readonly what: "completed"; readonly metadata: RecordingMetadata }
  /** It had begun, and nothing more: its segments were removed. */
  | { readonly what: "empty" }
  | { readonly what: "impossible"; readonly why: string }
  /** Meanwhile its maker ended it, another instance completed it, or somebody removed it. */
  | { readonly what: "changed" };

/**
 * Puts a recording together of its segments: first its audio and messages, then the metadata.
 *
 * @param left What was listed after the claim was taken. Nothing else is replaced.
 * @throws {S3Error} If storage fails, or a segment is not there any more.
 * @throws {ClaimLostError} If the claim is lost while it reads.
 */
export async function completeSegments(
  { client, keys }: RecordingBucket,
  left: LeftRecording,
  claim: RecoveryClaim,
): Promise<Completion> {
  const { place } = left;
  const base = keys.base(place) + SEGMENTS;
  const audioFile = SegmentedFile.of(client, `${base}audio-`, left.segments);
  await using messages = SegmentedFile.of(client, `${base}messages-`, left.segments);
  if (audioFile === undefined || messages === undefined) {
    return { what: "impossible", why: "a segment in its midst is missing" };
  }
  if (audioFile.sizeBytes === 0 && messages.sizeBytes === 0) {
    await removeListed(client, left);
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
  const data = left.segments.filter(({ key }) => key !== claim.key);
  const remains = {
    ...{ place, log: summary, audio: usable, bornMs: undefined },
    modifiedMs: newestOf(data),
  };
  const metadata = recordingMetadataSchema.parse(recoveredMetadata(remains, Date.now()));
  const store = async (
    extension: ".wav" | ".jsonl" | ".json",
    sizeBytes: number,
    bytes: AsyncIterable<Uint8Array<ArrayBuffer>>,
  ) => {
    // Where the recording was removed, so was the claim: then even what is new is not stored.
    if (!await claim.confirm()) return "changed";
    const key = keys.of(place, extension);
    const contentType = CONTENT_TYPES[extension];
    const ifMatch = left.objects.get(extension)?.etag;
    const condition = ifMatch === undefined ? { isNew: true } : { ifMatch };
    return await composeObject({
      ...{ client, key, contentType, sizeBytes, condition },
      bytes: claim.whileOurs(bytes),
    });
  };
  const wav = usable && wavOf(audioFile, usable);
  if (wav !== undefined && await store(".wav", wav.sizeBytes, wav.bytes) === "changed") {
    return { what: "changed" };
  }
  const { sizeBytes } = messages;
  const hasMessages = sizeBytes > 0;
  if (hasMessages && await store(".jsonl", sizeBytes, messages.bytes(0, sizeBytes)) === "changed") {
    return { what: "changed" };
  }
  const text = new TextEncoder().encode(JSON.stringify(metadata, null, 2) + "\n");
  const result = await store(".json", text.length, inOrder(text));
  return result === "changed" ? { what: "changed" } : { what: "completed", metadata };
}

/** A header that says what there is, the audio of the segments, and padding. */
function wavOf(file: SegmentedFile, { format, dataBytes }: UsableAudio) {
  const headerBytes = wavHeaderBytes(format.encoding);
  const padding = new Uint8Array(wavPaddingBytes(dataBytes));
  return {
    sizeBytes: headerBytes + dataBytes + padding.length,
    bytes: inOrder(
      createWavHeader(format, dataBytes),
      file.bytes(headerBytes, headerBytes + dataBytes),
      padding,
    ),
  };
}

async function* inOrder(
  ...all: (Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array<ArrayBuffer>>)[]
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (const bytes of all) {
    if (bytes instanceof Uint8Array) yield bytes;
    else yield* bytes;
  }
}
