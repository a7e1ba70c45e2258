/**
 * The envelope of a message (protocol section 4): read from JSON, before anybody looks at the
 * parameters.
 *
 * Imports nothing but zod and its neighbours.
 */
import { z } from "zod";
import { durationSchema, parseDuration } from "./duration.ts";
import { isUuid, uuidSchema } from "./identifiers.ts";
import { isObject, objectSchema } from "./json_shapes.ts";

/** What surrounds a message, alike for both directions. */
export interface Envelope {
  /** The session's UUID. */
  readonly id: string;
  /** Number of this message among the sender's, from 1. */
  readonly seq: number;
  /** Highest number that the sender has received: `serverseq` or `clientseq`. */
  readonly acknowledged: number;
  /** Stream position, of client messages only. */
  readonly position?: string;
}

/** A message whose parameters were not looked at. */
export interface Enveloped {
  readonly envelope: Envelope;
  readonly type: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

const MAX_TYPE_LENGTH = 128;

const seq = z.number().int().nonnegative();
const common = {
  version: z.literal("2"),
  id: uuidSchema,
  type: z.string().min(1).max(MAX_TYPE_LENGTH),
  seq: seq.positive(),
  parameters: objectSchema,
};
const CLIENT_ENVELOPE = z.object({ ...common, serverseq: seq, position: durationSchema });
const SERVER_ENVELOPE = z.object({ ...common, clientseq: seq });

/** The envelope of a client's message, or what is wrong with it. */
export function readClientEnvelope(json: unknown): Enveloped | z.ZodError {
  if (isObject(json)) {
    const { position } = json;
    const evident = evidentEnvelope(json, json.serverseq);
    if (evident && typeof position === "string" && parseDuration(position) !== undefined) {
      return { ...evident, envelope: { ...evident.envelope, position } };
    }
  }
  const { data, error } = CLIENT_ENVELOPE.safeParse(json);
  if (data === undefined) return error;
  const { id, seq, serverseq, position, type, parameters } = data;
  return { envelope: { id, seq, acknowledged: serverseq, position }, type, parameters };
}

/** The envelope of a server's message, or what is wrong with it. */
export function readServerEnvelope(json: unknown): Enveloped | z.ZodError {
  const evident = isObject(json) ? evidentEnvelope(json, json.clientseq) : undefined;
  if (evident !== undefined) return evident;
  const { data, error } = SERVER_ENVELOPE.safeParse(json);
  if (data === undefined) return error;
  const { id, seq, clientseq, type, parameters } = data;
  return { envelope: { id, seq, acknowledged: clientseq }, type, parameters };
}

/** What can be read of a message whose envelope is not as it should be. */
export function readable(json: unknown): { seq?: number; type?: string } {
  const seq = z.object({ seq: common.seq }).safeParse(json).data;
  const type = z.object({ type: common.type }).safeParse(json).data;
  return { ...seq, ...type };
}

/**
 * Nearly every message is evidently as it should be, and that is seen in a fraction of the time
 * that a schema takes, which is most of the time that a ping takes. `undefined` if it is not
 * evident: then the schema decides, and says what is wrong.
 */
function evidentEnvelope(
  json: Readonly<Record<string, unknown>>,
  acknowledged: unknown,
): Enveloped | undefined {
  const { version, id, type, seq, parameters } = json;
  return version === "2" && typeof id === "string" && isUuid(id) &&
      typeof type === "string" && type.length > 0 && type.length <= MAX_TYPE_LENGTH &&
      isCount(seq) && seq > 0 && isCount(acknowledged) && isObject(parameters)
    ? { envelope: { id, seq, acknowledged }, type, parameters }
    : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
