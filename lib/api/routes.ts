/**
 * All routes of the API: the one table by which requests are answered, and the API is described.
 *
 * Imports its neighbours.
 */
import { STATUS_CODE } from "@std/http/status";
import {
  audioQuerySchema,
  holdRequestSchema,
  legalHoldSchema,
  listQuerySchema,
  noBodySchema,
  noQuerySchema,
  peaksQuerySchema,
  peaksSchema,
  recordingDetailsSchema,
  recordingListSchema,
} from "./api_schemas.ts";
import { liftHold, removeRecording, setHold } from "./change_recording.ts";
import {
  HOLD_REQUEST_EXAMPLE,
  LEGAL_HOLD_EXAMPLE,
  MESSAGES_EXAMPLE,
  PEAKS_EXAMPLE,
  RECORDING_DETAILS_EXAMPLE,
  RECORDING_LIST_EXAMPLE,
} from "./examples.ts";
import { describeRecording, listRecordings } from "./find_recordings.ts";
import { jsonResponse } from "./json_response.ts";
import { describeApi } from "./openapi.ts";
import { type ResponseDescription, type Route, route } from "./route.ts";
import { NDJSON, sendAudio, sendMessages, WAV } from "./send_audio.ts";
import { FILE_REQUEST_HEADERS, FILE_RESPONSE_HEADERS, FILE_STATE_HEADERS } from "./send_file.ts";
import { sendPeaks } from "./send_peaks.ts";

const QUERYLESS = { query: noQuerySchema, body: noBodySchema } as const;

/** The answers of what sends a file. */
function fileResponses(
  contentType: string,
  example?: unknown,
): Readonly<Record<number, ResponseDescription>> {
  const headers = FILE_RESPONSE_HEADERS;
  return {
    [STATUS_CODE.OK]: { description: "All of it", contentType, example, headers },
    [STATUS_CODE.PartialContent]: {
      description: "The range of it",
      contentType,
      headers: { ...headers, "Content-Range": "Which bytes, of how many" },
    },
    [STATUS_CODE.NotModified]: {
      description: "The client has the same",
      headers: FILE_STATE_HEADERS,
    },
  };
}

/** The routes. */
export const ROUTES: readonly Route[] = [
  route({
    method: "GET",
    path: "/api/recordings",
    operationId: "listRecordings",
    summary: "Find recordings, the newest first",
    query: listQuerySchema,
    body: noBodySchema,
    responses: {
      [STATUS_CODE.OK]: {
        description: "A page of them",
        schema: recordingListSchema,
        example: RECORDING_LIST_EXAMPLE,
      },
    },
    errors: ["invalid_cursor"],
  }, listRecordings),
  route({
    method: "GET",
    path: "/api/recordings/{id}",
    operationId: "getRecording",
    summary: "What is known of a recording",
    description: "Of one that is being made, what the index says of it.",
    ...QUERYLESS,
    responses: {
      [STATUS_CODE.OK]: {
        description: "Its metadata, state, legal hold and sizes",
        schema: recordingDetailsSchema,
        example: RECORDING_DETAILS_EXAMPLE,
      },
    },
    errors: ["not_found", "damaged_metadata", "busy"],
  }, describeRecording),
  route({
    method: "DELETE",
    path: "/api/recordings/{id}",
    operationId: "deleteRecording",
    summary: "Remove a recording, with all of its files",
    ...QUERYLESS,
    responses: { [STATUS_CODE.NoContent]: { description: "It was removed" } },
    errors: ["not_found", "being_made", "on_hold"],
  }, removeRecording),
  route({
    method: "GET",
    path: "/api/recordings/{id}/audio",
    operationId: "getAudio",
    summary: "The audio, as a WAV file",
    description:
      "Of a recording that is being made, what is there so far, with a header that says " +
      "so: that is another one for each request, so ranges of several requests are no one file.",
    query: audioQuerySchema,
    body: noBodySchema,
    requestHeaders: FILE_REQUEST_HEADERS,
    responses: fileResponses(WAV),
    errors: [
      "not_found",
      "no_audio",
      "no_such_channel",
      "precondition_failed",
      "range_not_satisfiable",
      "damaged_audio",
      "busy",
    ],
  }, sendAudio),
  route({
    method: "GET",
    path: "/api/recordings/{id}/messages",
    operationId: "getMessages",
    summary: "The messages of the call, one JSON object a line",
    description: "Of a recording that is being made, the whole lines that are there so far.",
    ...QUERYLESS,
    requestHeaders: FILE_REQUEST_HEADERS,
    responses: fileResponses(NDJSON, MESSAGES_EXAMPLE),
    errors: [
      "not_found",
      "no_messages",
      "precondition_failed",
      "range_not_satisfiable",
      "busy",
    ],
  }, sendMessages),
  route({
    method: "GET",
    path: "/api/recordings/{id}/peaks",
    operationId: "getPeaks",
    summary: "The outline of the audio, for drawing",
    query: peaksQuerySchema,
    body: noBodySchema,
    responses: {
      [STATUS_CODE.OK]: {
        description: "The lowest and the highest sample of each part, by channel",
        schema: peaksSchema,
        example: PEAKS_EXAMPLE,
      },
    },
    errors: ["not_found", "no_audio", "no_such_channel", "damaged_audio", "busy"],
  }, sendPeaks),
  route({
    method: "PUT",
    path: "/api/recordings/{id}/hold",
    operationId: "setHold",
    summary: "Set a legal hold, or change its reason: the recording is not removed",
    query: noQuerySchema,
    body: holdRequestSchema,
    bodyExample: HOLD_REQUEST_EXAMPLE,
    responses: {
      [STATUS_CODE.OK]: {
        description: "The hold",
        schema: legalHoldSchema,
        example: LEGAL_HOLD_EXAMPLE,
      },
    },
    errors: [
      "not_found",
      "invalid_body",
      "body_timeout",
      "body_too_large",
      "unsupported_media_type",
    ],
  }, setHold),
  route({
    method: "DELETE",
    path: "/api/recordings/{id}/hold",
    operationId: "liftHold",
    summary: "Lift a legal hold",
    ...QUERYLESS,
    responses: { [STATUS_CODE.NoContent]: { description: "There is no hold any more" } },
    errors: ["not_found"],
  }, liftHold),
  route({
    method: "GET",
    path: "/api/openapi.json",
    operationId: "getDescription",
    summary: "This description of the API",
    isPublic: true,
    ...QUERYLESS,
    responses: {
      [STATUS_CODE.OK]: {
        description: "An OpenAPI document, version 3.1",
        contentType: "application/json",
      },
    },
    errors: [],
  }, () => jsonResponse(STATUS_CODE.OK, apiDescription())),
];

let description: unknown;

/** Made when it is first asked for. */
function apiDescription(): unknown {
  return description ??= describeApi(ROUTES);
}
