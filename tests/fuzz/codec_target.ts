/**
 * Fuzz target: the codec, by messages of both sides that were valid once.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  decodeClientText,
  type DecodedText,
  decodeServerText,
  encodeText,
  LocalProtocolError,
  MAX_SENT_TEXT_BYTES,
  TEXT_LIMITS,
} from "../../lib/protocol/mod.ts";
import {
  agentAssistEntity,
  CLIENT_MESSAGES,
  clientMessage,
  type JsonObject,
  SERVER_MESSAGES,
  serverMessage,
  transcriptEntity,
} from "../helpers/protocol_wire.ts";
import type { FuzzTarget, Tally } from "./fuzz_target.ts";
import { pick } from "./hostile_values.ts";
import { ANY_NUMBER, EDIT, type Edit, mutatedText } from "./mutations.ts";

/** In values and names of fields: what is said about a fault may not repeat it. */
const MARK = "Jordan5551234567";

interface CodecInput {
  readonly message: number;
  readonly edits: readonly Edit[];
  /** Whether values and unknown fields are marked, which would make most of them wrong. */
  readonly isMarked: boolean;
  readonly markAt: number;
}

type Side = "client" | "server";

const MESSAGES: readonly { readonly from: Side; readonly json: string }[] = [
  ...Object.entries(CLIENT_MESSAGES).map(([type, { full }]) => ({
    from: "client" as const,
    json: JSON.stringify(clientMessage(type, full)),
  })),
  ...Object.entries(SERVER_MESSAGES).map(([type, { full }]) => ({
    from: "server" as const,
    json: JSON.stringify(serverMessage(type, full)),
  })),
  ...([
    agentAssistEntity(),
    transcriptEntity("two words"),
    { type: "bot_turn_response", data: { disposition: "match", text: "x", confidence: 0.5 } },
    { type: "barge_in", data: {} },
    { type: "not_known_here", data: [1] },
  ] as JsonObject[]).map((entity) => ({
    from: "server" as const,
    json: JSON.stringify(serverMessage("event", { entities: [entity] })),
  })),
];

function textOf({ message, edits, isMarked, markAt }: CodecInput): string {
  const { json } = pick(MESSAGES, message);
  if (!isMarked) return mutatedText(JSON.parse(json), edits);
  const places = [...json.matchAll(/"(?=[:,}\]])/g)];
  const { index } = pick(places, markAt);
  return mutatedText(JSON.parse(json.slice(0, index) + MARK + json.slice(index)), edits);
}

/** A field named `__proto__` must not give a message other methods than it should have. */
function assertPlain(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const prototype = Object.getPrototypeOf(value);
  const plain = Array.isArray(value) ? Array.prototype : Object.prototype;
  assert(prototype === plain || prototype === null, "an object has a foreign prototype");
  for (const key of Object.keys(value)) assertPlain((value as JsonObject)[key]);
}

function decode(from: Side, text: string): DecodedText<Parameters<typeof encodeText>[2]> {
  return from === "client" ? decodeClientText(text) : decodeServerText(text);
}

/** What was understood can be written, and then says the same. */
function assertRoundTrip(
  from: Side,
  { envelope, message }: DecodedText<Parameters<typeof encodeText>[2]> & { kind: "message" },
): "encoded" | "too large" {
  let text: string;
  try {
    text = encodeText(from, envelope, message);
  } catch (error) {
    assert(error instanceof LocalProtocolError, `encodeText threw ${error}`);
    const bytes = new TextEncoder().encode(JSON.stringify(message)).length;
    assert(bytes > MAX_SENT_TEXT_BYTES - 1000, error.message);
    return "too large";
  }
  assert(new TextEncoder().encode(text).length <= MAX_SENT_TEXT_BYTES);
  // As JSON: it has no -0, and no way to tell a field without a value from no field.
  const again = decode(from, text);
  assertEquals(JSON.stringify(again), JSON.stringify({ kind: "message", envelope, message }));
  return "encoded";
}

function run(input: CodecInput, tally: Tally): void {
  const text = textOf(input);
  const { from } = pick(MESSAGES, input.message);
  const decoded = decode(from, text);
  tally.reached(decoded.kind);
  switch (decoded.kind) {
    case "message":
      assertPlain(decoded.message);
      tally.reached(`${from} ${decoded.message.type}`);
      tally.reached(assertRoundTrip(from, decoded));
      break;
    case "unknown":
    case "unexpected":
      assertEquals(typeof decoded.type, "string");
      break;
    case "invalid":
      assert(decoded.info.length < 500, `info has ${decoded.info.length} characters`);
      assert(!decoded.info.includes(MARK), `info repeats what was sent: ${decoded.info}`);
      assert(decoded.seq === undefined || Number.isSafeInteger(decoded.seq) && decoded.seq > 0);
      if (decoded.info.startsWith("Invalid parameters")) tally.reached("invalid parameters");
      break;
    default:
      throw new Error(`a text is of no known kind: ${decoded satisfies never}`);
  }
  if (text.length > TEXT_LIMITS.maxTextBytes) assertEquals(decoded.kind, "invalid");
}

export const codecTarget: FuzzTarget<CodecInput> = {
  name: "codec",
  input: "one text frame",
  arbitrary: fc.record({
    message: ANY_NUMBER,
    edits: fc.array(EDIT, { maxLength: 3 }),
    isMarked: fc.nat(3).map((number) => number === 1),
    markAt: ANY_NUMBER,
  }),
  batch: 2000,
  mustReach: {
    message: 0.25,
    invalid: 0.25,
    unknown: 0.01,
    encoded: 0.25,
    "too large": 0.0001,
    "invalid parameters": 0.1,
    ...Object.fromEntries(
      Object.keys(CLIENT_MESSAGES).map((type) => [`client ${type}`, 0.002]),
    ),
    ...Object.fromEntries(
      Object.keys(SERVER_MESSAGES).map((type) => [`server ${type}`, 0.002]),
    ),
  },
  run,
  describe: (input) => `${pick(MESSAGES, input.message).from}: ${JSON.stringify(textOf(input))}`,
};
