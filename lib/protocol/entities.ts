/**
 * Event entities: what the server reports during a session (protocol sections 12 and 15).
 *
 * Schemas are loose, because entities pass through unchanged: unknown fields and unknown types
 * belong to whoever reads them. Imports nothing but zod and its neighbours.
 */
import { z } from "zod";
import { durationSchema, parseDuration } from "./duration.ts";
import { languageSchema, uuidSchema } from "./identifiers.ts";

const confidence = z.number().min(0).max(1);

const tokenSchema = z.looseObject({
  type: z.literal("word"),
  value: z.string(),
  confidence,
  offset: durationSchema,
  duration: durationSchema,
  language: languageSchema.optional(),
});

const interpretationSchema = z.looseObject({
  type: z.literal("display"),
  transcript: z.string(),
  tokens: z.array(tokenSchema).refine(
    (tokens) => new Set(tokens.map(({ offset }) => parseDuration(offset))).size === tokens.length,
    { error: "expected a distinct offset for each token" },
  ).optional(),
});

/** Schema of a `transcript` entity's data: one result, interim or final, of one utterance. */
export const transcriptSchema = z.looseObject({
  /** The same for an utterance's interim and final results. */
  id: uuidSchema,
  /** 0 is the external channel, 1 the internal one. */
  channelId: z.union([z.literal(0), z.literal(1)]),
  isFinal: z.boolean(),
  /** Stream position, from the start of the session. */
  offset: durationSchema,
  duration: durationSchema,
  alternatives: z.array(z.looseObject({
    confidence,
    languages: z.array(languageSchema).optional(),
    interpretations: z.array(interpretationSchema),
  })),
});

/** Schema of an `agentassist` entity's data (experimental). */
export const agentAssistSchema = z.looseObject({
  id: uuidSchema,
  utterances: z.array(z.looseObject({
    id: uuidSchema,
    position: durationSchema,
    duration: durationSchema.optional(),
    text: z.string(),
    language: languageSchema,
    confidence,
    channel: z.enum(["external", "internal"]),
    isFinal: z.boolean(),
  })).optional(),
  suggestions: z.array(z.discriminatedUnion("type", [
    z.looseObject({
      type: z.literal("faq"),
      id: uuidSchema,
      confidence,
      position: durationSchema.optional(),
      question: z.string(),
      answer: z.string(),
    }),
    z.looseObject({
      type: z.literal("article"),
      id: uuidSchema,
      confidence,
      position: durationSchema.optional(),
      title: z.string(),
      excerpts: z.array(z.string()),
      documentUri: z.string(),
      metadata: z.record(z.string(), z.string()).optional(),
    }),
  ])).optional(),
});

/** Schema of a `bot_turn_response` entity's data (Audio Connector). */
export const botTurnResponseSchema = z.looseObject({
  disposition: z.enum(["match", "no_match", "no_input"]),
  text: z.string().optional(),
  confidence: confidence.optional(),
});

/** Schema of a `barge_in` entity's data (Audio Connector): nothing. */
export const bargeInSchema = z.looseObject({});

const DATA_SCHEMAS = {
  transcript: transcriptSchema,
  agentassist: agentAssistSchema,
  bot_turn_response: botTurnResponseSchema,
  barge_in: bargeInSchema,
} as const;

/** Types of the entities that have a schema here. */
export type KnownEntityType = keyof typeof DATA_SCHEMAS;

/** One entity of an `event`. Types that are unknown here carry any data. */
export type EventEntity =
  | { type: "transcript"; data: z.infer<typeof transcriptSchema> }
  | { type: "agentassist"; data: z.infer<typeof agentAssistSchema> }
  | { type: "bot_turn_response"; data: z.infer<typeof botTurnResponseSchema> }
  | { type: "barge_in"; data: z.infer<typeof bargeInSchema> }
  | { type: string; data: unknown };

function isKnownEntityType(type: string): type is KnownEntityType {
  return Object.hasOwn(DATA_SCHEMAS, type);
}

/** Schema of one entity: its data is checked if its type is known, and never changed. */
export const entitySchema: z.ZodType<EventEntity> = z.looseObject({
  type: z.string().min(1),
  data: z.unknown(),
}).superRefine((entity, context) => {
  if (!isKnownEntityType(entity.type)) return;
  const result = DATA_SCHEMAS[entity.type].safeParse(entity.data);
  for (const issue of result.error?.issues ?? []) {
    context.addIssue({ code: "custom", message: issue.message, path: ["data", ...issue.path] });
  }
});
