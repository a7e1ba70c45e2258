/**
 * Answers with the outline of a recording's audio.
 *
 * Imports its neighbours.
 */
import { STATUS_CODE } from "@std/http/status";
import type { z } from "zod";
import { errorResponse } from "./api_error.ts";
import type { ApiParts } from "./api_parts.ts";
import type { peaksQuerySchema, peaksSchema } from "./api_schemas.ts";
import { jsonResponse } from "./json_response.ts";
import { channelsOf, noSuchChannel, openAudio } from "./opened_audio.ts";
import { computePeaks } from "./peaks.ts";
import type { ApiRequest } from "./route.ts";
import { fromStorage } from "./storage_failure.ts";

type PeaksRequest = ApiRequest<z.output<typeof peaksQuerySchema>, undefined>;

/** GET …/peaks */
export async function sendPeaks(request: PeaksRequest, parts: ApiParts): Promise<Response> {
  const { from, to = Infinity } = request.query;
  if (from >= to) {
    return errorResponse("invalid_query", "to: expected a place after from");
  }
  // What nobody waits for any more leaves its place to others.
  const signal = AbortSignal.any([request.request.signal, request.late]);
  const result = await parts.peaks.run(() => outline(request, signal, parts), signal);
  if (result.outcome === "done") return result.value;
  return errorResponse("busy", "As many outlines are computed as may be: try again later");
}

async function outline(
  { id, query }: PeaksRequest,
  signal: AbortSignal,
  parts: ApiParts,
): Promise<Response> {
  const opening = await openAudio(id, parts);
  if (opening.outcome === "refused") return opening.response;
  await using file = opening.file;
  const { audio } = opening;
  const { channelCount, rate } = audio.format;
  const channels = await channelsOf(id, channelCount, parts);
  const { channel, pixels } = query;
  const index = channel === undefined ? undefined : channels?.indexOf(channel) ?? -1;
  if (index !== undefined && index < 0) return noSuchChannel(channels);
  const channelIndices = index === undefined
    ? Array.from({ length: channelCount }).keys()
    : [index];
  const place = (seconds: number) => Math.min(audio.samples, Math.round(seconds * rate));
  const fromSamples = place(query.from);
  const toSamples = place(query.to ?? Infinity);
  const indices = [...channelIndices];
  const peaks = await fromStorage(() =>
    computePeaks(file, audio, {
      channelIndices: indices,
      fromSamples,
      toSamples,
      pixels,
      signal,
    })
  );
  const answer: z.output<typeof peaksSchema> = {
    rate,
    samples: audio.samples,
    fromSamples,
    toSamples,
    channels: peaks.map(({ min, max }, i) => ({
      channel: channels?.[indices[i] ?? 0] ?? null,
      min: [...min],
      max: [...max],
    })),
  };
  return jsonResponse(STATUS_CODE.OK, answer);
}
