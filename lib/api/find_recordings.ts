/**
 * Answers with what is known of recordings: a page of them, or one.
 *
 * Imports its neighbours.
 */
import { STATUS_CODE } from "@std/http/status";
import { getLogger } from "@logtape/logtape";
import type { z } from "zod";
import type { RecordingPart } from "../storage/recording_archive.ts";
import { InvalidCursorError, type RecordingFilter } from "../storage/recording_index.ts";
import { errorResponse } from "./api_error.ts";
import type { ApiParts } from "./api_parts.ts";
import type {
  endedRecordingSchema,
  listQuerySchema,
  recordingListSchema,
  runningRecordingSchema,
} from "./api_schemas.ts";
import { jsonResponse } from "./json_response.ts";
import { notFound, tooManyFiles } from "./opened_audio.ts";
import type { ApiRequest } from "./route.ts";
import { fromStorage } from "./storage_failure.ts";

const log = getLogger(["audiohook", "api"]);

/** GET /api/recordings */
export async function listRecordings(
  { query }: ApiRequest<z.output<typeof listQuerySchema>, undefined>,
  { index }: ApiParts,
): Promise<Response> {
  const { from, to, limit, cursor, ...rest } = query;
  const filter: RecordingFilter = {
    ...rest,
    ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
    ...(to === undefined ? {} : { toMs: Date.parse(to) }),
  };
  const { fromMs = -Infinity, toMs = Infinity } = filter;
  if (fromMs >= toMs) return errorResponse("invalid_query", "to: expected a time after from");
  const page = await fromStorage(async () => {
    try {
      return await index.find(filter, limit, cursor);
    } catch (error) {
      if (error instanceof InvalidCursorError) return undefined;
      throw error;
    }
  });
  if (page === undefined) {
    return errorResponse(
      "invalid_cursor",
      "Expected the cursor of a page before, with the same other parameters",
    );
  }
  const answer: z.output<typeof recordingListSchema> = {
    recordings: [...page.entries],
    cursor: page.cursor ?? null,
  };
  return jsonResponse(STATUS_CODE.OK, answer);
}

/** GET /api/recordings/{id} */
export async function describeRecording(
  { id }: ApiRequest<unknown, undefined>,
  parts: ApiParts,
): Promise<Response> {
  const { archive, index } = parts;
  let metadata = await fromStorage(() => archive.metadata(id));
  const entry = metadata === undefined ? await fromStorage(() => index.get(id)) : undefined;
  const isUnderWay = metadata === undefined && await fromStorage(() => archive.isUnderWay(id));
  // It may have ended in between.
  if (!isUnderWay) metadata ??= await fromStorage(() => archive.metadata(id));
  const hold = await fromStorage(() => archive.hold(id));
  const audioBytes = await sizeOf(id, "audio", parts);
  const messagesBytes = await sizeOf(id, "messages", parts);
  if (audioBytes === "busy" || messagesBytes === "busy") return tooManyFiles();
  const files = {
    // As it is described, whatever else the archive keeps.
    legalHold: hold === undefined ? null : { since: hold.since, reason: hold.reason },
    audioBytes,
    messagesBytes,
  };
  if (metadata !== undefined) {
    const state = metadata.recovered ? "recovered" : "finished";
    const answer: z.output<typeof endedRecordingSchema> = { ...metadata, id, state, ...files };
    return jsonResponse(STATUS_CODE.OK, answer);
  }
  if (!isUnderWay) {
    // The index is told of removals later than the files.
    if (audioBytes === null && messagesBytes === null) return notFound();
    log.error(
      "Recording {id} has no metadata that can be read, and nobody writes it: either its .json is " +
        "damaged or lost, or it could not be completed, and an earlier line says why",
      { id },
    );
    return errorResponse("damaged_metadata", "The metadata cannot be read: see the server's log");
  }
  if (entry?.state !== "recording") {
    return errorResponse("unavailable", "The recording is not in the index yet: try again later");
  }
  const answer: z.output<typeof runningRecordingSchema> = {
    ...entry,
    state: "recording",
    ...files,
  };
  return jsonResponse(STATUS_CODE.OK, answer);
}

/** Size of a part, in bytes; `null` if there is none. */
async function sizeOf(
  id: string,
  part: RecordingPart,
  { files }: ApiParts,
): Promise<number | null | "busy"> {
  const opened = await files.open(id, part);
  if (opened.outcome !== "open") return opened.outcome === "busy" ? "busy" : null;
  await using file = opened.file;
  return file.size;
}
