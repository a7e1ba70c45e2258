/**
 * Messages of the client: their parameters (protocol section 5).
 *
 * Objects are stripped of fields that we don't know: the protocol grows by adding them.
 * Imports nothing but zod and its neighbours.
 */
import { z } from "zod";
import { durationSchema } from "./duration.ts";
import { languageSchema, uuidSchema } from "./identifiers.ts";
import {
  noParametersSchema,
  objectSchema,
  shortListSchema,
  stringMapSchema,
} from "./json_shapes.ts";
import { mediaOfferSchema } from "./media.ts";

/** Largest `customConfig`, in bytes of JSON (protocol section 1). */
export const MAX_CUSTOM_CONFIG_BYTES = 60_000;

const text = new TextEncoder();

const customConfigSchema = objectSchema.refine(
  (config) => text.encode(JSON.stringify(config)).length <= MAX_CUSTOM_CONFIG_BYTES,
  { error: `expected at most ${MAX_CUSTOM_CONFIG_BYTES} bytes of JSON` },
);

/** Schema of the customer, or other participant, whose audio is offered. */
export const participantSchema = z.object({
  id: uuidSchema,
  /** Number of the caller. */
  ani: z.string(),
  /** Name of the caller. */
  aniName: z.string(),
  /** Number that was called. */
  dnis: z.string(),
});

/** Schema of a predecessor of a session, for reconnection. */
export const continuedSessionSchema = z.object({
  id: uuidSchema,
  serverseq: z.number().int().nonnegative(),
  clientseq: z.number().int().nonnegative(),
});

const lostAudio = z.object({ start: durationSchema, discarded: durationSchema });

/** Parameters of each client message. */
export const CLIENT_PARAMETERS = {
  open: z.object({
    organizationId: uuidSchema,
    conversationId: uuidSchema,
    participant: participantSchema,
    media: shortListSchema(mediaOfferSchema, 64),
    language: languageSchema.optional(),
    supportedLanguages: z.boolean().optional(),
    continuedSessions: shortListSchema(continuedSessionSchema, 256).optional(),
    customConfig: customConfigSchema.optional(),
    inputVariables: stringMapSchema.optional(),
  }),
  ping: z.object({ rtt: durationSchema.optional() }),
  paused: noParametersSchema,
  resumed: lostAudio,
  discarded: lostAudio,
  update: z.object({ language: languageSchema }),
  // The reasons are `end`, `error`, `disconnect`, `reconnect`. One that we don't know closes too:
  // a `close` must be answered by `closed` whatever it says.
  close: z.object({ reason: z.string().min(1).max(64) }),
  error: z.object({
    code: z.number().int().min(400).max(9999),
    message: z.string(),
    retryAfter: durationSchema.optional(),
  }),
  dtmf: z.object({ digit: z.string().regex(/^[0-9*#A-Da-d]$/, { error: "expected one digit" }) }),
  playback_started: noParametersSchema,
  playback_completed: noParametersSchema,
} as const;

/** Type names of the client's messages. */
export type ClientMessageType = keyof typeof CLIENT_PARAMETERS;

/** Parameters of one client message. */
export type ClientParameters<T extends ClientMessageType> = z.infer<(typeof CLIENT_PARAMETERS)[T]>;

/** Any client message, without its envelope. */
export type ClientMessage = {
  [T in ClientMessageType]: { readonly type: T; readonly parameters: ClientParameters<T> };
}[ClientMessageType];

/** Parameters of `open`. */
export type OpenParameters = ClientParameters<"open">;

/** The customer, or other participant, whose audio is offered. */
export type Participant = z.infer<typeof participantSchema>;
