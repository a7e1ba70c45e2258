/**
 * A recording's audio, opened, with the names of its channels; or why there is none.
 *
 * Imports lib/audio and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import type { WavFormatError } from "../audio/mod.ts";
import type { RecordedFile } from "../storage/recording_archive.ts";
import type { ApiParts } from "./api_parts.ts";
import { errorResponse } from "./api_error.ts";
import { findAudio, type RecordedAudio } from "./recorded_audio.ts";
import { fromStorage } from "./storage_failure.ts";

const log = getLogger(["audiohook", "api"]);

/** A channel of a call: the customer, or what the customer hears. */
export type Channel = "external" | "internal";

/** What came of opening a recording's audio. */
export type AudioOpening =
  | { readonly outcome: "open"; readonly file: RecordedFile; readonly audio: RecordedAudio }
  | { readonly outcome: "refused"; readonly response: Response };

/**
 * Opens a recording's audio. Whoever gets the file disposes of it.
 *
 * @throws {StorageFailure}
 */
export async function openAudio(id: string, parts: ApiParts): Promise<AudioOpening> {
  const first = await tryToOpen(id, parts);
  if (first.outcome !== "unreadable") return first;
  if (!first.isFinal) {
    if (await fromStorage(() => parts.archive.isUnderWay(id))) {
      const message = "Nothing is recorded so far: try again in a second";
      return { outcome: "refused", response: errorResponse("no_audio", message) };
    }
    // It may have ended in between.
    const second = await tryToOpen(id, parts);
    if (second.outcome !== "unreadable") return second;
  }
  log.error("The audio of {id} is damaged", { id, error: first.error });
  const response = errorResponse(
    "damaged_audio",
    "The audio is damaged: the server's log says how",
  );
  return { outcome: "refused", response };
}

/** Its beginning is no header: it is damaged or, unless the file is final, not written so far. */
interface Unreadable {
  readonly outcome: "unreadable";
  readonly isFinal: boolean;
  readonly error: WavFormatError;
}

async function tryToOpen(id: string, parts: ApiParts): Promise<AudioOpening | Unreadable> {
  const opened = await parts.files.open(id, "audio");
  if (opened.outcome === "busy") return { outcome: "refused", response: tooManyFiles() };
  if (opened.outcome === "absent") {
    return { outcome: "refused", response: await nothingThere(id, "audio", parts) };
  }
  await using unused = new AsyncDisposableStack();
  const file = unused.use(opened.file);
  const found = await findAudio(file);
  if (found.outcome === "found") {
    unused.move();
    return { outcome: "open", file, audio: found.audio };
  }
  return { outcome: "unreadable", isFinal: file.isFinal, error: found.error };
}

/** Says whether it is the recording that is not there, or only this part of it. */
export async function nothingThere(
  id: string,
  part: "audio" | "messages",
  { archive, files }: ApiParts,
): Promise<Response> {
  if (await fromStorage(() => archive.metadata(id)) === undefined) {
    if (await fromStorage(() => archive.isUnderWay(id))) {
      return errorResponse(
        part === "audio" ? "no_audio" : "no_messages",
        "The recording is being made, and nothing of it can be read so far: try again later",
      );
    }
    // Whose metadata are damaged, or were never written: it is there if it has another part.
    const other = await files.open(id, part === "audio" ? "messages" : "audio");
    if (other.outcome === "busy") return tooManyFiles();
    if (other.outcome === "absent") return notFound();
    await other.file[Symbol.asyncDispose]();
  }
  return part === "audio"
    ? errorResponse("no_audio", "The recording has no audio: its session had none, or it is lost")
    : errorResponse("no_messages", "The recording has no messages");
}

/** The answer if there is no recording of that id. */
export function notFound(): Response {
  return errorResponse("not_found", "There is no recording of this id");
}

/** The answer if no more files may be opened. */
export function tooManyFiles(): Response {
  return errorResponse("busy", "As many files are being read as may be: try again later");
}

/**
 * The names of a recording's channels, in their order.
 *
 * @returns `undefined` if they are not known: it is being made, and not indexed so far.
 * @throws {StorageFailure}
 */
export async function channelsOf(
  id: string,
  channelCount: number,
  { archive, index }: ApiParts,
): Promise<readonly Channel[] | undefined> {
  const recorded = await fromStorage(() => archive.metadata(id)) ??
    await fromStorage(() => index.get(id));
  const channels = recorded?.media?.channels;
  if (channels?.length === channelCount) return channels;
  // Two are always these, in this order (protocol section 7); one can be either.
  return channelCount === 2 ? ["external", "internal"] : undefined;
}

/** The answer to who wants a channel that there is not. */
export function noSuchChannel(channels: readonly Channel[] | undefined): Response {
  return errorResponse(
    "no_such_channel",
    channels === undefined
      ? "Expected no channel: the recording has only one, and which one is not known yet"
      : `Expected ${channels.join(" or ")}, or no channel for all that the recording has`,
  );
}
