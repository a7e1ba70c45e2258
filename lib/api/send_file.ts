/**
 * Answers a GET with a file, or with the range of it that was asked for (RFC 9110).
 *
 * Imports its neighbours.
 */
import { STATUS_CODE } from "@std/http/status";
import { getLogger } from "@logtape/logtape";
import type { RecordedFile } from "../storage/recording_archive.ts";
import type { Rendition } from "./audio_rendition.ts";
import { errorResponse } from "./api_error.ts";
import { parseRange } from "./byte_range.ts";
import { fileStream } from "./file_stream.ts";
import { COMMON_HEADERS } from "./json_response.ts";
import type { UnfinishedAnswers } from "./unfinished_answers.ts";
import { allowsRange, evaluateConditions } from "./preconditions.ts";

const log = getLogger(["audiohook", "api"]);

/** What is sent, of what. */
export interface FileAnswer {
  /** Of the recording. */
  readonly id: string;
  /** Disposed of when it was sent. */
  readonly file: RecordedFile;
  readonly rendition: Rendition;
  /** What sets this rendition of the file apart from its others: letters, digits, dots. */
  readonly variant: string;
  readonly contentType: string;
  /** For who saves it: letters, digits, hyphens, dots. */
  readonly fileName: string;
  /** How long the client may stop reading. */
  readonly stallTimeoutMs: number;
  /** Has room for it, or not. */
  readonly unfinished: UnfinishedAnswers;
  /** Resolves when it was sent, or its connection has ended. */
  readonly completed: Promise<void>;
}

/** The request headers that this understands. */
export const FILE_REQUEST_HEADERS = {
  "Range": "One range of bytes, such as bytes=0-999, bytes=1000- or bytes=-500",
  "If-Range": "ETag or Last-Modified of what the range is to be a part of",
  "If-None-Match": "ETags of what the client has",
  "If-Modified-Since": "Last-Modified of what the client has",
  "If-Match": "ETags of what it has to be",
  "If-Unmodified-Since": "Last-Modified of what it has to be",
} as const;

/** The response headers that this sends, also to who has the same file. */
export const FILE_STATE_HEADERS = {
  "ETag": "Strong if nothing is written to it any more, weak (W/) until then",
  "Last-Modified": "When it was last written to",
  "Accept-Ranges": "bytes",
} as const;

/** The response headers that this sends with a file. */
export const FILE_RESPONSE_HEADERS = {
  ...FILE_STATE_HEADERS,
  "Content-Length": "Bytes of the body",
  "Content-Disposition": "A name for the file",
} as const;

/** Answers, and disposes of the file: now, or when the body was sent. */
export async function sendFile(request: Request, answer: FileAnswer): Promise<Response> {
  await using unsent = new AsyncDisposableStack();
  const { id, rendition, variant, contentType, fileName, stallTimeoutMs } = answer;
  const file = unsent.use(answer.file);
  const { size } = rendition;
  const { isFinal, modifiedAt } = file;
  const state = `${file.size.toString(36)}.${modifiedAt.getTime().toString(36)}.${variant}`;
  const etag = isFinal ? `"${state}"` : `W/"${state}"`;
  const headers = {
    ...COMMON_HEADERS,
    "etag": etag,
    "last-modified": modifiedAt.toUTCString(),
    "accept-ranges": "bytes",
  };

  const condition = evaluateConditions(request.headers, { etag, modifiedAt });
  if (condition === "not_modified") {
    return new Response(null, { status: STATUS_CODE.NotModified, headers });
  }
  if (condition === "failed") {
    return errorResponse("precondition_failed", `Expected a condition that holds for ${etag}`);
  }

  const isHead = request.method === "HEAD";
  // Of HEAD, a range is of no meaning (RFC 9110, section 14.2).
  const isRange = !isHead && allowsRange(request.headers, { etag, modifiedAt });
  const range = parseRange(isRange ? request.headers.get("range") : null, size);
  if (range.outcome === "unsatisfiable") {
    return errorResponse(
      "range_not_satisfiable",
      `Expected one range, such as bytes=0-999 or bytes=-500, within ${size} bytes`,
      { "content-range": `bytes */${size}`, "accept-ranges": "bytes" },
    );
  }
  const [from, to] = range.outcome === "part" ? [range.from, range.to] : [0, size];
  const bodyHeaders = {
    ...headers,
    "content-type": contentType,
    "content-length": String(to - from),
    "content-disposition": `attachment; filename="${fileName}"`,
  };
  if (isHead) return new Response(null, { headers: bodyHeaders });
  if (!answer.unfinished.tryAdd(answer.completed)) {
    return errorResponse("busy", "As many downloads are under way as may be: try again later");
  }
  const sent = unsent.move();
  const body = fileStream({
    chunks: rendition.read(from, to),
    file: sent,
    stallTimeoutMs,
    onFailure: (error) => log.error("Sending {fileName} broke off", { id, fileName, error }),
  });
  if (range.outcome === "whole") return new Response(body, { headers: bodyHeaders });
  return new Response(body, {
    status: STATUS_CODE.PartialContent,
    headers: { ...bodyHeaders, "content-range": `bytes ${from}-${to - 1}/${size}` },
  });
}
