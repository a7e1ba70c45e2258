/**
 * Messages of the server: their parameters (protocol section 5).
 *
 * Imports nothing but zod and its neighbours.
 */
import { z } from "zod";
import { durationSchema } from "./duration.ts";
import { entitySchema } from "./entities.ts";
import { languageSchema } from "./identifiers.ts";
import { noParametersSchema } from "./json_shapes.ts";
import { mediaOfferSchema } from "./media.ts";

/** Schema of what a bot hands back to the call flow (Audio Connector). */
export const outputVariablesSchema = z.record(z.string(), z.string());

/** Parameters of each server message. */
export const SERVER_PARAMETERS = {
  opened: z.object({
    media: z.array(mediaOfferSchema).max(1),
    startPaused: z.boolean().optional(),
    discardTo: durationSchema.optional(),
    supportedLanguages: z.array(languageSchema).optional(),
  }),
  pong: noParametersSchema,
  pause: noParametersSchema,
  resume: noParametersSchema,
  updated: noParametersSchema,
  event: z.object({ entities: z.array(entitySchema).min(1) }),
  disconnect: z.object({
    reason: z.enum(["completed", "unauthorized", "error", "rejected"]),
    info: z.string().optional(),
    outputVariables: outputVariablesSchema.optional(),
  }),
  reconnect: z.object({ info: z.string().optional() }),
  closed: z.object({ outputVariables: outputVariablesSchema.optional() }),
} as const;

/** Type names of the server's messages. */
export type ServerMessageType = keyof typeof SERVER_PARAMETERS;

/** Parameters of one server message. */
export type ServerParameters<T extends ServerMessageType> = z.infer<(typeof SERVER_PARAMETERS)[T]>;

/** Any server message, without its envelope. */
export type ServerMessage = {
  [T in ServerMessageType]: { readonly type: T; readonly parameters: ServerParameters<T> };
}[ServerMessageType];

/** Values that a bot hands back to the call flow (Audio Connector). */
export type OutputVariables = z.infer<typeof outputVariablesSchema>;
