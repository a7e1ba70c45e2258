/**
 * What is known of a recording: the `.json` beside the audio.
 *
 * Imports zod and the protocol's schemas.
 */
import { z } from "zod";
import { participantSchema, uuidSchema } from "../protocol/mod.ts";

const samples = z.number().int().nonnegative();

/** Schema of a recording's metadata. Lengths and positions are in samples of one channel. */
export const recordingMetadataSchema = z.object({
  /** Version of this format. */
  version: z.literal(1),
  sessionId: uuidSchema,
  organizationId: uuidSchema,
  conversationId: uuidSchema,
  /** For tracing; absent if the client sent none. */
  correlationId: uuidSchema.optional(),
  participant: participantSchema,
  /** Language of the call as it began; absent if the client named none. */
  language: z.string().optional(),
  /** What is recorded; `null` for a session without audio, which has no audio file. */
  media: z.object({
    format: z.enum(["PCMU", "L16"]),
    channels: z.array(z.enum(["external", "internal"])),
    rate: z.number().int().positive(),
  }).nullable(),
  /** When the session was opened: position 0. */
  startedAt: z.iso.datetime(),
  /** When it ended. */
  endedAt: z.iso.datetime(),
  /** Length of the stream: audio, and what is missing of it. */
  durationSamples: samples,
  /** The same, as a duration. */
  duration: z.string(),
  /** Length of the audio file. Less than the stream where silence was cut short. */
  recordedSamples: samples,
  /** Missing audio, which is silence in the audio file. */
  gaps: z.array(z.object({
    startSamples: samples,
    samples,
    /** How many of them are in the file, as silence. */
    silenceSamples: samples,
    /** Lost by the client, left out during a pause, or not written because storage failed. */
    cause: z.enum(["discarded", "paused", "storage"]),
  })),
  /** How many more gaps there were than are listed. */
  unlistedGaps: samples,
  /** Reason of the client's `close`; `null` if the connection ended without one. */
  closeReason: z.string().nullable(),
  /** Whether the call was closed by the client, and all of its audio that came is recorded. */
  isComplete: z.boolean(),
  /** Whether it was completed after the server had been killed. */
  recovered: z.boolean().default(false),
  /** How many messages are not in the message log, because it was too long or storage failed. */
  unloggedMessages: samples,
});

/** What is known of a recording. */
export type RecordingMetadata = z.infer<typeof recordingMetadataSchema>;
