import { assert, assertEquals } from "@std/assert";
import { entitySchema } from "../../lib/protocol/entities.ts";
import {
  agentAssistEntity,
  type Json,
  type JsonObject,
  OTHER_UUID,
  transcriptEntity,
} from "../helpers/protocol_wire.ts";

function accepts(entity: unknown): boolean {
  return entitySchema.safeParse(entity).success;
}

/** Changes one value, by its path; `undefined` takes it away. */
function change(entity: JsonObject, path: readonly (string | number)[], value?: Json): JsonObject {
  const copy = structuredClone(entity);
  // deno-lint-ignore no-explicit-any
  let at: any = copy;
  for (const key of path.slice(0, -1)) at = at[key];
  const last = path.at(-1) ?? "";
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

const ALTERNATIVE = ["data", "alternatives", 0];
const INTERPRETATION = [...ALTERNATIVE, "interpretations", 0];
const TOKEN = [...INTERPRETATION, "tokens", 0];

Deno.test("entities: each type of section 12 and 15 is accepted as it is", () => {
  for (
    const entity of [
      transcriptEntity("hello"),
      agentAssistEntity(),
      { type: "agentassist", data: { id: OTHER_UUID } },
      {
        type: "bot_turn_response",
        data: { disposition: "match", text: "yes", confidence: 0.7 },
      },
      { type: "bot_turn_response", data: { disposition: "no_match" } },
      { type: "bot_turn_response", data: { disposition: "no_input" } },
      { type: "barge_in", data: {} },
    ]
  ) {
    const result = entitySchema.safeParse(entity);
    assert(result.success, JSON.stringify(result.error));
    assertEquals(result.data as unknown, entity as unknown);
  }
});

Deno.test("entities: an unknown type passes through with any data", () => {
  for (const data of [{}, { a: { b: [null, 1, "x"] } }, [1], "text", 0, null]) {
    const entity = { type: "sentiment", data };
    assertEquals(entitySchema.parse(entity) as unknown, entity as unknown);
  }
});

Deno.test("entities: unknown fields in known types pass through", () => {
  const entity = change(transcriptEntity("hello"), ["data", "speaker"], { name: "x" });
  const nested = change(entity, [...TOKEN, "pitch"], 440);
  assertEquals(entitySchema.parse(nested) as unknown, nested as unknown);
});

Deno.test("entities: an entity without a type, or that is no object, is refused", () => {
  for (const entity of [{ data: {} }, { type: 1, data: {} }, null, "x", [], { type: "" }]) {
    assertEquals(accepts(entity), false, JSON.stringify(entity));
  }
});

Deno.test("entities: a transcript without a field that it needs is refused", () => {
  for (
    const path of [
      ["data"],
      ["data", "id"],
      ["data", "channelId"],
      ["data", "isFinal"],
      ["data", "offset"],
      ["data", "duration"],
      ["data", "alternatives"],
      [...ALTERNATIVE, "confidence"],
      [...ALTERNATIVE, "interpretations"],
      [...INTERPRETATION, "type"],
      [...INTERPRETATION, "transcript"],
      [...TOKEN, "type"],
      [...TOKEN, "value"],
      [...TOKEN, "confidence"],
      [...TOKEN, "offset"],
      [...TOKEN, "duration"],
    ]
  ) {
    assertEquals(accepts(change(transcriptEntity("hello"), path)), false, path.join("."));
  }
});

Deno.test("entities: a transcript without an optional field is accepted", () => {
  for (
    const path of [
      [...ALTERNATIVE, "languages"],
      [...INTERPRETATION, "tokens"],
      [...TOKEN, "language"],
    ]
  ) {
    assertEquals(accepts(change(transcriptEntity("hello"), path)), true, path.join("."));
  }
});

Deno.test("entities: a transcript with a wrong value is refused", () => {
  const wrong: [readonly (string | number)[], Json][] = [
    [["data", "id"], "not-a-uuid"],
    [["data", "channelId"], 2],
    [["data", "channelId"], "0"],
    [["data", "channelId"], -1],
    [["data", "isFinal"], "true"],
    [["data", "offset"], 1.5],
    [["data", "offset"], "PT9e-7S"],
    [["data", "duration"], "PT-1S"],
    [[...ALTERNATIVE, "confidence"], 1.01],
    [[...ALTERNATIVE, "confidence"], -0.01],
    [[...INTERPRETATION, "type"], "lexical"],
    [[...TOKEN, "type"], "letter"],
    [[...TOKEN, "confidence"], 2],
  ];
  for (const [path, value] of wrong) {
    const entity = change(transcriptEntity("hello"), path, value);
    assertEquals(accepts(entity), false, `${path.join(".")}: ${value}`);
  }
});

Deno.test("entities: confidence 0 and 1, and channel 1, are accepted", () => {
  for (const confidence of [0, 1]) {
    const entity = change(transcriptEntity("hello"), [...ALTERNATIVE, "confidence"], confidence);
    assertEquals(accepts(entity), true);
  }
  assertEquals(accepts(change(transcriptEntity("hello"), ["data", "channelId"], 1)), true);
});

Deno.test("entities: tokens of one result with the same offset are refused", () => {
  const token = { type: "word", value: "a", confidence: 1, duration: "PT0.1S" };
  const tokens = (offsets: string[]) =>
    change(
      transcriptEntity("a b"),
      [...INTERPRETATION, "tokens"],
      offsets.map((offset) => ({ ...token, offset })),
    );
  assertEquals(accepts(tokens(["PT1S", "PT1.1S"])), true);
  assertEquals(accepts(tokens(["PT1S", "PT1S"])), false);
  assertEquals(accepts(tokens(["PT1S", "PT1.0S"])), false, "the same offset, written otherwise");
});

Deno.test("entities: an agentassist with a wrong or missing field is refused", () => {
  const missing = [
    ["data", "id"],
    ["data", "utterances", 0, "id"],
    ["data", "utterances", 0, "position"],
    ["data", "utterances", 0, "text"],
    ["data", "utterances", 0, "language"],
    ["data", "utterances", 0, "confidence"],
    ["data", "utterances", 0, "channel"],
    ["data", "utterances", 0, "isFinal"],
    ["data", "suggestions", 0, "type"],
    ["data", "suggestions", 0, "id"],
    ["data", "suggestions", 0, "confidence"],
    ["data", "suggestions", 0, "question"],
    ["data", "suggestions", 0, "answer"],
    ["data", "suggestions", 1, "title"],
    ["data", "suggestions", 1, "excerpts"],
    ["data", "suggestions", 1, "documentUri"],
  ];
  for (const path of missing) {
    assertEquals(accepts(change(agentAssistEntity(), path)), false, path.join("."));
  }
  const optional = [
    ["data", "utterances"],
    ["data", "suggestions"],
    ["data", "utterances", 0, "duration"],
    ["data", "suggestions", 0, "position"],
    ["data", "suggestions", 1, "position"],
    ["data", "suggestions", 1, "metadata"],
  ];
  for (const path of optional) {
    assertEquals(accepts(change(agentAssistEntity(), path)), true, path.join("."));
  }
  const wrong: [readonly (string | number)[], Json][] = [
    [["data", "utterances", 0, "channel"], 0],
    [["data", "utterances", 0, "channel"], "both"],
    [["data", "suggestions", 0, "type"], "joke"],
    [["data", "suggestions", 1, "excerpts"], "one"],
  ];
  for (const [path, value] of wrong) {
    assertEquals(accepts(change(agentAssistEntity(), path, value)), false, path.join("."));
  }
});

Deno.test("entities: a bot's response needs one of the three dispositions", () => {
  const response = (data: JsonObject) => ({ type: "bot_turn_response", data });
  assertEquals(accepts(response({})), false);
  assertEquals(accepts(response({ disposition: "maybe" })), false);
  assertEquals(accepts(response({ disposition: "match", text: 1 })), false);
  assertEquals(accepts(response({ disposition: "match", confidence: 2 })), false);
});

Deno.test("entities: a type named like a property of objects is just unknown", () => {
  for (const type of ["constructor", "__proto__", "toString"]) {
    assertEquals(accepts({ type, data: 1 }), true);
  }
});
