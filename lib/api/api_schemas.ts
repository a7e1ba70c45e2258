/**
 * What the API takes and gives: the schemas of queries, bodies and answers.
 *
 * Imports zod, and the schemas of what is kept.
 */
import { z } from "zod";
import { uuidSchema } from "../protocol/identifiers.ts";
import { recordingIdSchema } from "../storage/recording_id.ts";
import { recordingEntrySchema } from "../storage/recording_index.ts";
import { recordingMetadataSchema } from "../storage/recording_metadata.ts";
import { errorSchema } from "./api_error.ts";

/** Characters of a reason for a legal hold. */
export const MAX_REASON_CHARS = 500;

/** A whole number, in digits. */
function wholeNumber(min: number, max: number): z.ZodType<number, string> {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,9}$/, { error }).transform(Number)
    .pipe(z.int().min(min, { error }).max(max, { error }));
}

const time = z.union([z.iso.datetime({ offset: true }), z.iso.date()], {
  error: "expected a date or a time, such as 2026-11-22, 2026-11-22T09:30:00Z or " +
    "2026-11-22T09:30:00-05:00 (a plus sign is written %2B)",
});

const NO_SECONDS = { error: "expected seconds from the beginning of the audio, such as 12.5" };

/** As programs write numbers: the time of a player may have 17 digits, or be `5e-7`. */
const seconds = z.string().regex(/^\d+(\.\d+)?(e[+-]?\d+)?$/i, NO_SECONDS)
  .transform(Number).pipe(z.number(NO_SECONDS).min(0));

const channel = z.enum(["external", "internal"], { error: "expected external or internal" });

const uuid = uuidSchema.optional();

/** Of requests without parameters. */
export const noQuerySchema = z.strictObject({});

/** What recordings are listed, by parameters that all have to hold. */
export const listQuerySchema = z.strictObject({
  from: time.meta({ description: "Started then or later; a date is its beginning in UTC" })
    .optional(),
  to: time.meta({ description: "Started before that, which is after `from`" }).optional(),
  conversationId: uuid,
  organizationId: uuid,
  participant: z.string().min(1).max(256).meta({
    description: "The participant's id, ani or dnis, exactly as it was sent",
  }).optional(),
  state: z.enum(["recording", "finished", "recovered"], {
    error: "expected recording, finished or recovered",
  }).optional(),
  limit: wholeNumber(1, 500).default(50).meta({
    description: "Recordings of a page; there may be fewer, also on a page that is not the last",
  }),
  cursor: z.string().min(1).max(1024).meta({
    description: "Of the page before, with the same other parameters",
  }).optional(),
});

/** What form of the audio is wanted. */
export const audioQuerySchema = z.strictObject({
  format: z.enum(["original", "pcm16"], { error: "expected original or pcm16" })
    .default("original").meta({
      description: "As it was recorded, or decoded to 16-bit linear PCM for programs without µ-law",
    }),
  channel: channel.optional().meta({ description: "This channel alone; unless given, all" }),
});

/** What is to be drawn. */
export const peaksQuerySchema = z.strictObject({
  pixels: wholeNumber(1, 10_000).default(1_000).meta({
    description: "Parts that the audio is divided into; never more than there are samples",
  }),
  channel: channel.optional().meta({ description: "This channel alone; unless given, all" }),
  from: seconds.default(0).meta({ description: "In seconds from the beginning of the audio" }),
  to: seconds.optional().meta({ description: "The same; unless given, the end of the audio" }),
});

/** Of requests without a body. */
export const noBodySchema = z.undefined();

const reason = z.string({ error: `expected a text of at most ${MAX_REASON_CHARS} characters` })
  .max(MAX_REASON_CHARS, { error: `expected a text of at most ${MAX_REASON_CHARS} characters` })
  .meta({ description: "For people; it may be empty" });

/** What a legal hold is set with. */
export const holdRequestSchema = z.strictObject({ reason }, {
  error: 'expected a JSON object such as {"reason": "Case 4711"}',
});

/** A legal hold. */
export const legalHoldSchema = z.object({
  since: z.iso.datetime({ offset: true }).meta({ description: "When it was set" }),
  reason,
});

/** A page of recordings. */
export const recordingListSchema = z.object({
  recordings: z.array(recordingEntrySchema).meta({ description: "The newest first" }),
  cursor: z.string().nullable().meta({
    description: "For the next page; null after the last one",
  }),
});

const bytes = z.int().nonnegative().nullable();
const files = {
  legalHold: legalHoldSchema.nullable(),
  audioBytes: bytes.meta({ description: "Size of the audio file; null if there is none" }),
  messagesBytes: bytes.meta({ description: "Size of the message log; null if there is none" }),
};

/** A recording that has ended: its metadata as they were recorded, and what is there. */
export const endedRecordingSchema = recordingMetadataSchema.extend({
  id: recordingIdSchema,
  state: z.enum(["finished", "recovered"]),
  ...files,
});

/** One that is being made: what the index says of it. */
export const runningRecordingSchema = recordingEntrySchema.extend({
  state: z.literal("recording"),
  ...files,
});

/** One recording, with all that is known of it. */
export const recordingDetailsSchema = z.discriminatedUnion("state", [
  endedRecordingSchema,
  runningRecordingSchema,
]);

const values = z.array(z.int().min(-128).max(127));

/** The outline of a recording's audio. */
export const peaksSchema = z.object({
  rate: z.int().positive().meta({ description: "Samples per second" }),
  samples: z.int().nonnegative().meta({ description: "Length of the audio, per channel" }),
  fromSamples: z.int().nonnegative().meta({ description: "Where the outline begins" }),
  toSamples: z.int().nonnegative().meta({ description: "Where it ends, not included" }),
  channels: z.array(z.object({
    channel: channel.nullable().meta({ description: "null if it is not known" }),
    min: values.meta({
      description: "For each part its lowest sample, a 256th of it: divide by 128 for -1 to 1",
    }),
    max: values.meta({ description: "The same of its highest sample" }),
  })),
});

/** The answers that have a name in the description of the API. */
export const NAMED_SCHEMAS = {
  RecordingList: recordingListSchema,
  Recording: recordingEntrySchema,
  RecordingDetails: recordingDetailsSchema,
  EndedRecording: endedRecordingSchema,
  RunningRecording: runningRecordingSchema,
  LegalHold: legalHoldSchema,
  HoldRequest: holdRequestSchema,
  Peaks: peaksSchema,
  Error: errorSchema,
} as const satisfies Record<string, z.ZodType>;
