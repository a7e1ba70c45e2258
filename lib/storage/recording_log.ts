/**
 * The message log of a recording, as it is kept: a line of JSON for what the call is, then one for
 * each message and each gap. From it, the metadata of a recording can be completed whose server was
 * killed.
 *
 * Imports zod and its neighbours.
 */
import { z } from "zod";
import { durationSchema } from "../protocol/mod.ts";
import { recordingMetadataSchema } from "./recording_metadata.ts";

const { version, sessionId, organizationId, conversationId, correlationId, participant } =
  recordingMetadataSchema.shape;
const { language, media, startedAt, gaps } = recordingMetadataSchema.shape;

/** Schema of what is known of a recording when it begins: its first line has it as `call`. */
export const recordedCallSchema = z.object({
  ...{ version, sessionId, organizationId, conversationId, correlationId, participant },
  ...{ language, media, startedAt },
});

/** What is known of a recording when it begins. */
export type RecordedCall = z.infer<typeof recordedCallSchema>;

/** Schema of a line. It has one of `call`, `message`, `text` (what was no JSON) and `gap`. */
export const logLineSchema = z.object({
  /** ISO 8601. */
  time: z.iso.datetime(),
  /** Position of the stream at that moment. */
  position: durationSchema,
  /** Who sent the message. */
  from: z.enum(["client", "server"]).optional(),
  call: recordedCallSchema.optional(),
  message: z.unknown().optional(),
  text: z.string().optional(),
  gap: gaps.element.optional(),
});

/** A line of the message log. */
export type LogLine = z.infer<typeof logLineSchema>;
