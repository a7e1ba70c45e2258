/**
 * The errors of the API: one table of codes, and the one shape that all of them have.
 *
 * Imports zod and its neighbours.
 */
import { STATUS_CODE } from "@std/http/status";
import { z } from "zod";
import { jsonResponse } from "./json_response.ts";

/** What each code is answered with, and what it means. */
export const API_ERRORS = {
  invalid_id: { status: STATUS_CODE.BadRequest, meaning: "What is in the path is no id" },
  invalid_query: {
    status: STATUS_CODE.BadRequest,
    meaning: "A parameter is unknown, repeated, or not what it has to be",
  },
  invalid_cursor: { status: STATUS_CODE.BadRequest, meaning: "The cursor is none that was given" },
  invalid_body: { status: STATUS_CODE.BadRequest, meaning: "The body is not what it has to be" },
  unauthorized: {
    status: STATUS_CODE.Unauthorized,
    meaning: "The admin token is missing or wrong",
  },
  unknown_path: { status: STATUS_CODE.NotFound, meaning: "The API has no such path" },
  not_found: { status: STATUS_CODE.NotFound, meaning: "There is no such recording" },
  no_audio: { status: STATUS_CODE.NotFound, meaning: "The recording has no audio" },
  no_messages: { status: STATUS_CODE.NotFound, meaning: "The recording has no messages" },
  no_such_channel: { status: STATUS_CODE.NotFound, meaning: "The recording lacks that channel" },
  method_not_allowed: {
    status: STATUS_CODE.MethodNotAllowed,
    meaning: "The path has other methods, which Allow tells",
  },
  body_timeout: { status: STATUS_CODE.RequestTimeout, meaning: "The body did not come in time" },
  being_made: { status: STATUS_CODE.Conflict, meaning: "The recording is still being made" },
  on_hold: { status: STATUS_CODE.Conflict, meaning: "The recording is on legal hold" },
  precondition_failed: {
    status: STATUS_CODE.PreconditionFailed,
    meaning: "It is not as If-Match or If-Unmodified-Since demand",
  },
  body_too_large: { status: STATUS_CODE.ContentTooLarge, meaning: "The body is too large" },
  unsupported_media_type: {
    status: STATUS_CODE.UnsupportedMediaType,
    meaning: "The body is not application/json",
  },
  range_not_satisfiable: {
    status: STATUS_CODE.RangeNotSatisfiable,
    meaning: "The range begins after the end, or is none",
  },
  too_many_failures: {
    status: STATUS_CODE.TooManyRequests,
    meaning: "The address tried too many wrong tokens",
  },
  damaged_audio: {
    status: STATUS_CODE.InternalServerError,
    meaning: "The audio file is damaged; the server's log says how",
  },
  damaged_metadata: {
    status: STATUS_CODE.InternalServerError,
    meaning: "The metadata cannot be read; the server's log says why",
  },
  internal_error: {
    status: STATUS_CODE.InternalServerError,
    meaning: "A defect of the server; its log says more",
  },
  busy: {
    status: STATUS_CODE.ServiceUnavailable,
    meaning: "As much is under way as may be; Retry-After says when to try again",
  },
  unavailable: {
    status: STATUS_CODE.ServiceUnavailable,
    meaning: "Storage failed, the log says more; Retry-After says when to try again",
  },
  storage_timeout: {
    status: STATUS_CODE.ServiceUnavailable,
    meaning:
      "Storage does not answer; Retry-After says when to try again, and the message whether " +
      "a change may still be made",
  },
} as const satisfies Record<string, { readonly status: number; readonly meaning: string }>;

/** The codes of errors, for programs. */
export type ErrorCode = keyof typeof API_ERRORS;

/** All codes. */
export const ERROR_CODES = Object.keys(API_ERRORS) as [ErrorCode, ...ErrorCode[]];

/** Schema of an error's body. */
export const errorSchema = z.object({
  error: z.object({
    code: z.enum(ERROR_CODES),
    message: z.string().meta({ description: "For people: what is right" }),
  }),
});

/** How long to wait before trying again what failed for want of something, in seconds. */
const RETRY_AFTER_SECONDS = 5;

/**
 * An error as an answer.
 *
 * @param message For people: what is right.
 */
export function errorResponse(
  code: ErrorCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { status } = API_ERRORS[code];
  const retry: Record<string, string> = status === STATUS_CODE.ServiceUnavailable
    ? { "retry-after": String(RETRY_AFTER_SECONDS) }
    : {};
  return jsonResponse(status, { error: { code, message } }, { ...retry, ...headers });
}
