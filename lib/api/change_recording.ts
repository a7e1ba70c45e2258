/**
 * Removes recordings, and sets and lifts legal holds.
 *
 * Imports its neighbours.
 */
import { STATUS_CODE } from "@std/http/status";
import type { z } from "zod";
import { errorResponse } from "./api_error.ts";
import type { ApiParts } from "./api_parts.ts";
import type { holdRequestSchema, legalHoldSchema } from "./api_schemas.ts";
import { COMMON_HEADERS, jsonResponse } from "./json_response.ts";
import { notFound } from "./opened_audio.ts";
import type { ApiRequest } from "./route.ts";
import { fromStorage } from "./storage_failure.ts";

/** DELETE /api/recordings/{id} */
export async function removeRecording(
  { id }: ApiRequest<unknown, undefined>,
  { remove }: ApiParts,
): Promise<Response> {
  const outcome = await fromStorage(() => remove(id));
  switch (outcome) {
    case "removed":
      return noContent();
    case "not_found":
      return notFound();
    case "being_made":
      return errorResponse(
        "being_made",
        "The recording is being made: remove it when it has ended",
      );
    case "on_hold":
      return errorResponse("on_hold", "The recording is on legal hold: lift the hold first");
  }
}

/** PUT …/hold: sets a hold, or gives it another reason. */
export async function setHold(
  { id, body: { reason } }: ApiRequest<
    unknown,
    z.output<typeof holdRequestSchema>
  >,
  { archive }: ApiParts,
): Promise<Response> {
  const before = await fromStorage(() => archive.hold(id));
  // A better reason does not make it a later hold.
  const since = before?.since ?? new Date().toISOString();
  const hold: z.output<typeof legalHoldSchema> = { since, reason };
  if (!await fromStorage(() => archive.setHold(id, hold))) return notFound();
  return jsonResponse(STATUS_CODE.OK, hold);
}

/** DELETE …/hold */
export async function liftHold(
  { id }: ApiRequest<unknown, undefined>,
  { archive }: ApiParts,
): Promise<Response> {
  return await fromStorage(() => archive.setHold(id, undefined)) ? noContent() : notFound();
}

function noContent(): Response {
  return new Response(null, { status: STATUS_CODE.NoContent, headers: COMMON_HEADERS });
}
