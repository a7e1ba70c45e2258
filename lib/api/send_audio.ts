/**
 * Answers with a recording's audio, or with its messages.
 *
 * Imports its neighbours.
 */
import type { z } from "zod";
import type { RecordedFile } from "../storage/recording_archive.ts";
import type { ApiParts } from "./api_parts.ts";
import type { audioQuerySchema } from "./api_schemas.ts";
import { fileItself, renderAudio } from "./audio_rendition.ts";
import {
  channelsOf,
  noSuchChannel,
  nothingThere,
  openAudio,
  tooManyFiles,
} from "./opened_audio.ts";
import { readBytes } from "./recorded_audio.ts";
import type { ApiRequest } from "./route.ts";
import { sendFile } from "./send_file.ts";
import { fromStorage } from "./storage_failure.ts";

/** Media type of message logs. */
export const NDJSON = "application/x-ndjson";

/** Media type of audio. */
export const WAV = "audio/wav";

/** GET …/audio */
export async function sendAudio(
  { request, id, query, completed }: ApiRequest<z.output<typeof audioQuerySchema>, undefined>,
  parts: ApiParts,
): Promise<Response> {
  const { format, channel } = query;
  const opening = await openAudio(id, parts);
  if (opening.outcome === "refused") return opening.response;
  await using unsent = new AsyncDisposableStack();
  const file = unsent.use(opening.file);
  const { audio } = opening;
  let channelIndex: number | undefined;
  if (channel !== undefined) {
    const channels = await channelsOf(id, audio.format.channelCount, parts);
    channelIndex = channels?.indexOf(channel) ?? -1;
    if (channelIndex < 0) return noSuchChannel(channels);
  }
  const rendition = renderAudio(file, audio, { isDecoded: format === "pcm16", channelIndex });
  const names = [channel, format === "original" ? undefined : format]
    .filter((name) => name !== undefined);
  unsent.move();
  return await sendFile(request, {
    id,
    file,
    rendition,
    variant: [format, channel ?? "all"].join("."),
    contentType: WAV,
    fileName: [id, ...names, "wav"].join("."),
    stallTimeoutMs: parts.limits.stallTimeoutMs,
    unfinished: parts.unfinished,
    completed,
  });
}

/** GET …/messages */
export async function sendMessages(
  { request, id, completed, late }: ApiRequest<unknown, undefined>,
  parts: ApiParts,
): Promise<Response> {
  const opened = await parts.files.open(id, "messages");
  if (opened.outcome === "busy") return tooManyFiles();
  if (opened.outcome === "absent") return await nothingThere(id, "messages", parts);
  await using unsent = new AsyncDisposableStack();
  const file = unsent.use(opened.file);
  const size = file.isFinal ? file.size : await fromStorage(() => endOfLastLine(file, late));
  unsent.move();
  return await sendFile(request, {
    id,
    file,
    rendition: fileItself(file, size),
    variant: "messages",
    contentType: NDJSON,
    fileName: `${id}.jsonl`,
    stallTimeoutMs: parts.limits.stallTimeoutMs,
    unfinished: parts.unfinished,
    completed,
  });
}

const LINE_BREAK = 10;
const BLOCK_BYTES = 64 * 1024;

/** Where the last whole line ends: of a file that is being written, the end may be half a line. */
async function endOfLastLine(file: RecordedFile, late: AbortSignal): Promise<number> {
  for (let end = file.size; end > 0 && !late.aborted; end -= BLOCK_BYTES) {
    const from = Math.max(0, end - BLOCK_BYTES);
    const found = (await readBytes(file, from, end)).lastIndexOf(LINE_BREAK);
    if (found >= 0) return from + found + 1;
  }
  return 0;
}
