/**
 * Text frames to messages and back: JSON, envelope, parameters, and their limits (protocol
 * sections 1 and 4). Sequence numbers and states are the session's affair.
 *
 * Imports nothing but zod and its neighbours.
 */
import { z } from "zod";
import {
  CLIENT_PARAMETERS,
  type ClientMessage,
  type ClientMessageType,
} from "./client_messages.ts";
import type { EventEntity } from "./entities.ts";
import {
  type Envelope,
  type Enveloped,
  readable,
  readClientEnvelope,
  readServerEnvelope,
} from "./envelope.ts";
import { noParametersSchema } from "./json_shapes.ts";
import { LocalProtocolError } from "./protocol_error.ts";
import { describeProblem } from "./schema_problem.ts";
import {
  SERVER_PARAMETERS,
  type ServerMessage,
  type ServerMessageType,
} from "./server_messages.ts";
import type { Role } from "./transitions.ts";

export type { Envelope } from "./envelope.ts";

/** Largest text frame that is sent, in bytes (protocol section 1). */
export const MAX_SENT_TEXT_BYTES = 64_000;

/** Limits of a text frame that is accepted. */
export interface TextLimits {
  /** Its size, in bytes. */
  readonly maxTextBytes: number;
  /** How deep objects and arrays may be nested. */
  readonly maxJsonDepth: number;
}

/** The defaults. */
export const TEXT_LIMITS = { maxTextBytes: 65_535, maxJsonDepth: 64 } as const satisfies TextLimits;

/** One entity of any data: whoever takes the message looks at it. */
const anyEntitySchema: z.ZodType<EventEntity> = z.looseObject({
  type: z.string().min(1),
  data: z.unknown(),
});
const PARAMETERS_BUT_DATA = {
  ...SERVER_PARAMETERS,
  event: z.object({ entities: z.array(anyEntitySchema).min(1) }),
};

/** What a text frame turned out to be. */
export type DecodedText<M> =
  | { readonly kind: "message"; readonly envelope: Envelope; readonly message: M }
  /** A type that we don't know: to be counted, and otherwise ignored. */
  | { readonly kind: "unknown"; readonly envelope: Envelope; readonly type: string }
  /** A type that is not awaited; its parameters were not looked at. */
  | { readonly kind: "unexpected"; readonly envelope: Envelope; readonly type: string }
  /** Against the protocol; `seq` and `type` are there if they could be read. */
  | {
    readonly kind: "invalid";
    readonly info: string;
    /** Section of protocol.md that it breaks. */
    readonly section: string;
    readonly seq?: number;
    readonly type?: string;
  };

/**
 * Reads a text frame of the client.
 *
 * @param text The frame as the WebSocket delivered it.
 * @param isAwaited Tells of a type whether its parameters are worth reading; by default they are.
 * @returns The message, or what is wrong; it never throws.
 */
export function decodeClientText(
  text: string,
  limits: TextLimits = TEXT_LIMITS,
  isAwaited: (type: ClientMessageType) => boolean = () => true,
): DecodedText<ClientMessage> {
  const schemas: Schemas = { readEnvelope: readClientEnvelope, parameters: CLIENT_PARAMETERS };
  return decode<ClientMessage>(text, limits, schemas, isAwaited as (type: string) => boolean);
}

/**
 * Reads a text frame of the server.
 *
 * @param text The frame as the WebSocket delivered it.
 * @param isAwaited Tells of a type whether its parameters are worth reading; by default they are.
 * @param checksEntities Whether the data of entities is checked. A client does that later, because a
 * fault in it does not end the session.
 * @returns The message, or what is wrong; it never throws.
 */
export function decodeServerText(
  text: string,
  limits: TextLimits = TEXT_LIMITS,
  isAwaited: (type: ServerMessageType) => boolean = () => true,
  checksEntities = true,
): DecodedText<ServerMessage> {
  const parameters = checksEntities ? SERVER_PARAMETERS : PARAMETERS_BUT_DATA;
  const schemas: Schemas = { readEnvelope: readServerEnvelope, parameters };
  return decode<ServerMessage>(text, limits, schemas, isAwaited as (type: string) => boolean);
}

/**
 * Writes a text frame.
 *
 * @param sender Who sends it: it names the acknowledgement `serverseq` or `clientseq`.
 * @throws {LocalProtocolError} If the parameters are not as the type demands, or the frame would
 * exceed {@link MAX_SENT_TEXT_BYTES}.
 */
export function encodeText(
  sender: Role,
  envelope: Envelope,
  message: ClientMessage | ServerMessage,
): string {
  const schemas: Readonly<Record<string, z.ZodType>> = sender === "client"
    ? CLIENT_PARAMETERS
    : SERVER_PARAMETERS;
  const schema = schemas[message.type];
  if (schema !== noParametersSchema) {
    const checked = schema?.safeParse(message.parameters);
    if (!checked?.success) {
      const why = checked === undefined ? "" : `: ${describeProblem(checked.error)}`;
      throw new LocalProtocolError(`Cannot send "${message.type}"${why}`);
    }
  }
  const { id, seq, acknowledged, position } = envelope;
  // The client rejects a message without parameters, even if there are none.
  const { type, parameters } = message;
  const text = JSON.stringify(
    sender === "client"
      ? { version: "2", id, type, seq, serverseq: acknowledged, position, parameters }
      : { version: "2", id, type, seq, clientseq: acknowledged, parameters },
  );
  if (exceedsBytes(text, MAX_SENT_TEXT_BYTES)) {
    throw new LocalProtocolError(
      `Cannot send "${message.type}": it exceeds ${MAX_SENT_TEXT_BYTES} bytes`,
    );
  }
  return text;
}

/** How messages of one side are read. */
interface Schemas {
  readonly readEnvelope: (json: unknown) => Enveloped | z.ZodError;
  readonly parameters: Readonly<Record<string, z.ZodType>>;
}

function decode<M>(
  text: string,
  { maxTextBytes, maxJsonDepth }: TextLimits,
  schemas: Schemas,
  isAwaited: (type: string) => boolean,
): DecodedText<M> {
  if (exceedsBytes(text, maxTextBytes)) {
    return { kind: "invalid", info: `Message exceeds ${maxTextBytes} bytes`, section: "1" };
  }
  if (exceedsDepth(text, maxJsonDepth)) {
    const info = `Message is nested deeper than ${maxJsonDepth} levels`;
    return { kind: "invalid", info, section: "4" };
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { kind: "invalid", info: "Message is not valid JSON", section: "4" };
  }
  const read = schemas.readEnvelope(json);
  if (!("envelope" in read)) {
    const info = `Invalid message: ${describeProblem(read)}`;
    return { kind: "invalid", info, section: "4", ...readable(json) };
  }
  const { envelope, type, parameters } = read;
  if (!Object.hasOwn(schemas.parameters, type)) return { kind: "unknown", envelope, type };
  if (!isAwaited(type)) return { kind: "unexpected", envelope, type };
  const result = schemas.parameters[type]?.safeParse(parameters);
  if (!result?.success) {
    const why = result === undefined ? "" : `: ${describeProblem(result.error)}`;
    const info = `Invalid parameters of "${type}"${why}`;
    // Which media may be selected has a rule of its own.
    const isMedia = type === "opened" && result?.error.issues[0]?.path[0] === "media";
    return { kind: "invalid", info, section: isMedia ? "6.3" : "5", seq: envelope.seq, type };
  }
  return { kind: "message", envelope, message: { type, parameters: result.data } as M };
}

/** Tells whether a text takes more bytes in UTF-8, without encoding it where that's evident. */
function exceedsBytes(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  if (text.length * 3 <= limit) return false;
  return new TextEncoder().encode(text).length > limit;
}

/** Tells whether brackets nest deeper than a limit, outside of strings, before JSON is parsed. */
function exceedsDepth(text: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c /* \ */) i++;
      else if (code === 0x22 /* " */) inString = false;
    } else if (code === 0x22) {
      inString = true;
    } else if (code === 0x7b /* { */ || code === 0x5b /* [ */) {
      if (++depth > limit) return true;
    } else if (code === 0x7d /* } */ || code === 0x5d /* ] */) {
      depth--;
    }
  }
  return false;
}
