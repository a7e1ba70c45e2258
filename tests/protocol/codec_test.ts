import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  decodeClientText,
  type DecodedText,
  decodeServerText,
  encodeText,
  MAX_SENT_TEXT_BYTES,
  TEXT_LIMITS,
} from "../../lib/protocol/codec.ts";
import { CLIENT_PARAMETERS, type ClientMessage } from "../../lib/protocol/client_messages.ts";
import { LocalProtocolError } from "../../lib/protocol/protocol_error.ts";
import { SERVER_PARAMETERS, type ServerMessage } from "../../lib/protocol/server_messages.ts";
import {
  agentAssistEntity,
  CLIENT_MESSAGES,
  clientMessage,
  type Json,
  type JsonObject,
  NIL,
  openParameters,
  OTHER_UUID,
  SERVER_MESSAGES,
  serverMessage,
  SESSION_ID,
  STEREO,
  transcriptEntity,
} from "../helpers/protocol_wire.ts";

type Decoded = DecodedText<ClientMessage | ServerMessage>;
type From = "client" | "server";

function decode(from: From, json: Json): Decoded {
  const text = JSON.stringify(json);
  return from === "client" ? decodeClientText(text) : decodeServerText(text);
}

const SPECS = { client: CLIENT_MESSAGES, server: SERVER_MESSAGES } as const;
const WRAP = { client: clientMessage, server: serverMessage } as const;
const BOTH = ["client", "server"] as const;

function assertInvalid(decoded: Decoded, what?: string): asserts decoded is Decoded & {
  kind: "invalid";
} {
  assertEquals(decoded.kind, "invalid", what);
}

function assertMessage(decoded: Decoded, what?: string): asserts decoded is Decoded & {
  kind: "message";
} {
  assertEquals(decoded.kind, "message", `${what} ${JSON.stringify(decoded)}`);
}

function without(object: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = object;
  return rest;
}

/** Paths of all values below a value, itself left out. */
function pathsOf(value: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== "object" || value === null) return [];
  const entries: [string | number, Json][] = Array.isArray(value)
    ? value.map((entry, index) => [index, entry])
    : Object.entries(value);
  return entries.flatMap(([key, entry]) => [[...path, key], ...pathsOf(entry, [...path, key])]);
}

function withValue(json: JsonObject, path: readonly (string | number)[], value: Json): JsonObject {
  const copy = structuredClone(json);
  // deno-lint-ignore no-explicit-any
  let at: any = copy;
  for (const key of path.slice(0, -1)) at = at[key];
  at[path.at(-1) ?? ""] = value;
  return copy;
}

Deno.test("codec: both directions know exactly the types of section 5", () => {
  assertEquals(Object.keys(CLIENT_PARAMETERS).toSorted(), Object.keys(CLIENT_MESSAGES).toSorted());
  assertEquals(Object.keys(SERVER_PARAMETERS).toSorted(), Object.keys(SERVER_MESSAGES).toSorted());
});

Deno.test("codec: the example of section 4 is read", () => {
  const text =
    `{"version":"2","id":"${SESSION_ID}","type":"ping","seq":2,"serverseq":1,"position":"PT1.2S","parameters":{}}`;
  assertEquals(decodeClientText(text), {
    kind: "message",
    envelope: { id: SESSION_ID, seq: 2, acknowledged: 1, position: "PT1.2S" },
    message: { type: "ping", parameters: {} },
  });
});

for (const from of BOTH) {
  for (const [type, spec] of Object.entries(SPECS[from])) {
    Deno.test(`codec: ${type} of the ${from} is read with all its parameters`, () => {
      const decoded = decode(from, WRAP[from](type, spec.full));
      assertMessage(decoded);
      assertEquals(decoded.message as unknown, { type, parameters: spec.full } as unknown);
    });

    Deno.test(`codec: ${type} of the ${from} is read with its required parameters only`, () => {
      const parameters = Object.fromEntries(
        spec.required.map((key) => [key, spec.full[key] ?? null]),
      );
      const decoded = decode(from, WRAP[from](type, parameters));
      assertMessage(decoded);
      assertEquals(decoded.message as unknown, { type, parameters } as unknown);
    });

    Deno.test(`codec: ${type} of the ${from} is read with fields that we don't know`, () => {
      const message = WRAP[from](type, { ...spec.full, added: { later: [1] } });
      const decoded = decode(from, { ...message, added: "later" });
      assertMessage(decoded);
    });

    Deno.test(`codec: ${type} of the ${from} without parameters is refused`, () => {
      for (const parameters of [undefined, null, [], "x", 1, true]) {
        const message = without(WRAP[from](type, spec.full), "parameters");
        const json = parameters === undefined ? message : { ...message, parameters };
        const decoded = decode(from, json);
        assertInvalid(decoded, JSON.stringify(parameters));
        assertEquals(decoded.seq, 1, "counting goes on");
      }
    });

    for (const key of spec.required) {
      Deno.test(`codec: ${type} of the ${from} without ${key} is refused, and counted`, () => {
        const decoded = decode(from, WRAP[from](type, without(spec.full, key), { seq: 7 }));
        assertInvalid(decoded);
        assertEquals(decoded.seq, 7);
      });
    }

    for (const key of Object.keys(spec.full)) {
      Deno.test(`codec: ${type} of the ${from} with ${key} of a wrong type is refused`, () => {
        // No parameter of any message may be null or a list of lists.
        for (const value of [null, [[]]]) {
          const parameters = { ...spec.full, [key]: value };
          const decoded = decode(from, WRAP[from](type, parameters, { seq: 7 }));
          assertInvalid(decoded, `${key}: ${JSON.stringify(value)}`);
          assertEquals(decoded.seq, 7);
        }
        const right = spec.full[key];
        for (const value of ["", 1, true, {}] as const) {
          if (typeof value === typeof right && !Array.isArray(right)) continue;
          const decoded = decode(from, WRAP[from](type, { ...spec.full, [key]: value }));
          assertInvalid(decoded, `${key}: ${JSON.stringify(value)}`);
        }
      });
    }

    Deno.test(`codec: ${type} of the ${from} is written with its envelope, and read again`, () => {
      const message = { type, parameters: spec.full } as unknown as ClientMessage | ServerMessage;
      const envelope = { id: SESSION_ID, seq: 3, acknowledged: 2, position: "PT1.5S" };
      const text = encodeText(from, envelope, message);
      assertEquals(
        JSON.parse(text),
        from === "client"
          ? {
            version: "2",
            id: SESSION_ID,
            type,
            seq: 3,
            serverseq: 2,
            position: "PT1.5S",
            parameters: spec.full,
          }
          : { version: "2", id: SESSION_ID, type, seq: 3, clientseq: 2, parameters: spec.full },
      );
      assertMessage(decode(from, JSON.parse(text)));
    });
  }

  Deno.test(`codec: a message of the ${from} without any envelope field is refused`, () => {
    const type = from === "client" ? "ping" : "pong";
    const message = WRAP[from](type, {}, { seq: 9 });
    for (const key of Object.keys(message)) {
      const decoded = decode(from, without(message, key));
      assertInvalid(decoded, key);
      assertEquals(decoded.seq, key === "seq" ? undefined : 9);
    }
  });

  Deno.test(`codec: a message of the ${from} with a wrong envelope field is refused`, () => {
    const acknowledged = from === "client" ? "serverseq" : "clientseq";
    const wrong: [string, Json[]][] = [
      ["version", ["1", "3", 2, "", "2.0", null]],
      ["id", ["", "x", 1, null, `${SESSION_ID}0`]],
      ["type", ["", 1, null, {}, []]],
      ["seq", [0, -1, 1.5, "1", null, 1e300]],
      [acknowledged, [-1, 1.5, "0", null]],
    ];
    if (from === "client") {
      wrong.push(["position", [
        "PT9e-7S",
        "PT-1S",
        "PTNaNS",
        "PT99999999999S",
        "1.2",
        1.2,
        null,
        "",
      ]]);
    }
    const message = WRAP[from](from === "client" ? "ping" : "pong", {});
    for (const [key, values] of wrong) {
      for (const value of values) {
        assertInvalid(decode(from, { ...message, [key]: value }), `${key}: ${value}`);
      }
    }
  });

  Deno.test(`codec: an unknown type of the ${from} is unknown, whatever its parameters`, () => {
    for (const type of ["hello", "toString", "constructor", "__proto__", "Ping", "audio"]) {
      const decoded = decode(from, WRAP[from](type, { any: [1, null] }, { seq: 4 }));
      assertEquals(decoded.kind, "unknown", type);
      assert(decoded.kind === "unknown");
      assertEquals(decoded.type, type);
      assertEquals(decoded.envelope.seq, 4);
    }
  });

  Deno.test(`codec: what is no JSON object is refused when the ${from} sends it`, () => {
    const read = from === "client" ? decodeClientText : decodeServerText;
    for (
      const text of [
        "",
        " ",
        "{",
        "null",
        "1",
        '"ping"',
        "[]",
        "[{}]",
        "{}",
        "undefined",
        '{"version":"2",}',
        "\u0000",
        "\ud800",
      ]
    ) {
      assertInvalid(read(text), text);
    }
  });

  Deno.test(`codec: a frame of the ${from} of 65,535 bytes is read, one more is refused`, () => {
    const read = from === "client" ? decodeClientText : decodeServerText;
    assertEquals(TEXT_LIMITS.maxTextBytes, 65_535);
    const type = from === "client" ? "ping" : "pong";
    for (const filler of ["x", "é", "€", "😀", "\u007f", "\u07ff", "\uffff"]) {
      const width = new TextEncoder().encode(filler).length;
      const bare = JSON.stringify({ ...WRAP[from](type, {}), added: "" });
      const room = 65_535 - bare.length;
      const padding = filler.repeat(Math.floor(room / width)) + "x".repeat(room % width);
      const text = bare.replace('"added":""', `"added":"${padding}"`);
      assertEquals(new TextEncoder().encode(text).length, 65_535);
      assertMessage(read(text), filler);
      assertInvalid(read(`${text} `), filler);
    }
  });

  Deno.test(`codec: nesting in a frame of the ${from} is bounded, and brackets in text are not`, () => {
    const type = from === "client" ? "ping" : "pong";
    const read = from === "client" ? decodeClientText : decodeServerText;
    const bare = JSON.stringify({ ...WRAP[from](type, {}), added: 0 });
    const nested = (depth: number) =>
      bare.replace('"added":0', `"added":${"[".repeat(depth)}${"]".repeat(depth)}`);
    assertMessage(read(nested(30)));
    assertInvalid(read(nested(5_000)));
    assertInvalid(read("[".repeat(60_000)));
    assertInvalid(read('{"a":'.repeat(12_000)));
    const inText = bare.replace('"added":0', `"added":"\\"${"[{".repeat(5_000)}\\\\"`);
    assertMessage(read(inText));
  });

  Deno.test(`codec: info about a frame of the ${from} never repeats a value from it`, () => {
    const marker = "ZqMarkerQz";
    let refused = 0;
    for (const [type, spec] of Object.entries(SPECS[from])) {
      const messages = [WRAP[from](type, spec.full)];
      if (type === "event") {
        messages.push(
          serverMessage("event", { entities: [agentAssistEntity()] }),
          serverMessage("event", {
            entities: [{
              type: "bot_turn_response",
              data: { disposition: "match", text: "yes", confidence: 1 },
            }],
          }),
        );
      }
      for (const message of messages) {
        for (const path of pathsOf(message)) {
          const values: Json[] = [
            marker,
            [marker],
            { [marker]: marker },
            { type: marker },
            [{ type: marker, [marker]: [marker] }],
            { type: "word", [marker]: { [marker]: 1 } },
            { [marker]: 1 },
          ];
          for (const value of values) {
            const decoded = decode(from, withValue(message, path, value));
            if (decoded.kind !== "invalid") continue;
            refused++;
            assertEquals(
              decoded.info.includes(marker),
              false,
              `${type} ${path.join(".")}: ${JSON.stringify(value)}: ${decoded.info}`,
            );
          }
        }
      }
      for (const text of [`{"${marker}`, marker, `{"a":${marker}}`]) {
        const decoded = from === "client" ? decodeClientText(text) : decodeServerText(text);
        assertInvalid(decoded);
        assertEquals(decoded.info.includes(marker), false);
      }
    }
    assert(refused > 50);
  });

  Deno.test(`codec: any frame of the ${from} is read or refused, and never throws`, () => {
    const read: (text: string) => Decoded = from === "client" ? decodeClientText : decodeServerText;
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "binary" }), fc.json(), fc.json({ stringUnit: "binary" })),
        (text) => {
          assert(["message", "unknown", "invalid"].includes(read(text).kind));
        },
      ),
      { numRuns: 2000 },
    );
    const types = Object.keys(SPECS[from]);
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.jsonValue(), (type, value) => {
        const message = WRAP[from](type, value as JsonObject);
        assert(["message", "invalid"].includes(decode(from, message).kind));
      }),
      { numRuns: 2000 },
    );
  });
}

Deno.test("codec: types of the other direction are unknown", () => {
  for (const type of Object.keys(SERVER_MESSAGES)) {
    assertEquals(decode("client", clientMessage(type, {})).kind, "unknown", type);
  }
  for (const type of Object.keys(CLIENT_MESSAGES)) {
    assertEquals(decode("server", serverMessage(type, {})).kind, "unknown", type);
  }
});

Deno.test("codec: identifiers of any version and the nil UUID are accepted in every place", () => {
  for (const uuid of [NIL, "9a1e7c5a-4f1b-fd2e-0f00-3c2b1a098765", SESSION_ID.toUpperCase()]) {
    const parameters = openParameters({
      organizationId: uuid,
      conversationId: uuid,
      participant: { id: uuid, ani: "", aniName: "", dnis: "" },
      continuedSessions: [{ id: uuid, serverseq: 0, clientseq: 0 }],
    });
    assertMessage(decode("client", clientMessage("open", parameters, { id: uuid })), uuid);
    assertMessage(decode("server", serverMessage("pong", {}, { id: uuid })), uuid);
  }
});

Deno.test("codec: language tags as found in the wild are accepted and kept", () => {
  for (const language of ["en-US", "en-us", "es-419", "cmn-CN", "es"]) {
    for (
      const message of [
        clientMessage("open", openParameters({ language })),
        clientMessage("update", { language }),
      ]
    ) {
      const decoded = decode("client", message);
      assertMessage(decoded);
      assertEquals((decoded.message.parameters as JsonObject).language, language);
    }
  }
});

Deno.test("codec: an open with parts of the participant missing or wrong is refused", () => {
  const participant = openParameters().participant as JsonObject;
  for (const key of ["id", "ani", "aniName", "dnis"]) {
    const parameters = openParameters({ participant: without(participant, key) });
    assertInvalid(decode("client", clientMessage("open", parameters)), key);
    const wrong = openParameters({ participant: { ...participant, [key]: 1 } });
    assertInvalid(decode("client", clientMessage("open", wrong)), key);
  }
});

Deno.test("codec: an open with a wrong continued session is refused", () => {
  const session = { id: OTHER_UUID, serverseq: 3, clientseq: 17 };
  for (const key of ["id", "serverseq", "clientseq"]) {
    for (const changed of [without(session, key), { ...session, [key]: null }]) {
      const parameters = openParameters({ continuedSessions: [session, changed] });
      assertInvalid(decode("client", clientMessage("open", parameters)), key);
    }
  }
});

Deno.test("codec: an open without media, and with offers that we can't use, is read", () => {
  const video: JsonObject = { type: "audio", format: "OPUS", channels: ["mixed"], rate: 48_000 };
  for (const media of [[], [STEREO], [video, STEREO]]) {
    const decoded = decode("client", clientMessage("open", openParameters({ media })));
    assertMessage(decoded);
    assertEquals((decoded.message.parameters as JsonObject).media, media);
  }
});

Deno.test("codec: offers keep fields that we don't know, to be repeated unchanged", () => {
  const media = [{ ...STEREO, ptime: 20, codec: { variant: ["x"] } }];
  const decoded = decode("client", clientMessage("open", openParameters({ media })));
  assertMessage(decoded);
  assertEquals((decoded.message.parameters as JsonObject).media, media);
});

Deno.test("codec: customConfig is any JSON object of up to 60,000 bytes", () => {
  const config = (bytes: number, filler: string): JsonObject => {
    const width = new TextEncoder().encode(filler).length;
    const room = bytes - '{"a":""}'.length;
    return { a: filler.repeat(Math.floor(room / width)) + "x".repeat(room % width) };
  };
  for (const filler of ["x", "€"]) {
    const fits = openParameters({ customConfig: config(60_000, filler) });
    assertMessage(decode("client", clientMessage("open", fits)), filler);
    const exceeds = openParameters({ customConfig: config(60_001, filler) });
    assertInvalid(decode("client", clientMessage("open", exceeds)), filler);
  }
  for (const customConfig of [{}, { a: { b: { c: [1, "2", null] } } }] as JsonObject[]) {
    const decoded = decode("client", clientMessage("open", openParameters({ customConfig })));
    assertMessage(decoded);
    assertEquals((decoded.message.parameters as JsonObject).customConfig, customConfig);
  }
  for (const customConfig of ["{}", [], 1, null]) {
    assertInvalid(decode("client", clientMessage("open", openParameters({ customConfig }))));
  }
});

Deno.test("codec: variables are maps of strings", () => {
  for (const inputVariables of [{}, { a: "", b: "x" }] as JsonObject[]) {
    assertMessage(decode("client", clientMessage("open", openParameters({ inputVariables }))));
  }
  for (const variables of [{ a: 1 }, { a: null }, { a: {} }, ["x"], "x"]) {
    const parameters = openParameters({ inputVariables: variables });
    assertInvalid(decode("client", clientMessage("open", parameters)));
    assertInvalid(
      decode("server", serverMessage("closed", { outputVariables: variables })),
    );
  }
});

Deno.test("codec: an error's code is any from 400 to 9999", () => {
  for (const code of [400, 405, 408, 409, 413, 415, 429, 500, 503, 418, 599, 9999]) {
    assertMessage(decode("client", clientMessage("error", { code, message: "x" })));
  }
  for (const code of [399, 10_000, 0, -1, 400.5, "400"]) {
    assertInvalid(decode("client", clientMessage("error", { code, message: "x" })));
  }
});

Deno.test("codec: every close reason of section 5 is read", () => {
  for (const reason of ["end", "error", "disconnect", "reconnect"]) {
    assertMessage(decode("client", clientMessage("close", { reason })));
  }
});

Deno.test("codec: every disconnect reason of section 5 is read, and no other", () => {
  for (const reason of ["completed", "unauthorized", "error", "rejected"]) {
    assertMessage(decode("server", serverMessage("disconnect", { reason })));
  }
  for (const reason of ["", "done", "COMPLETED"]) {
    assertInvalid(decode("server", serverMessage("disconnect", { reason })));
  }
});

Deno.test("codec: opened has no media or one", () => {
  assertMessage(decode("server", serverMessage("opened", { media: [] })));
  assertMessage(decode("server", serverMessage("opened", { media: [STEREO] })));
  assertInvalid(decode("server", serverMessage("opened", { media: [STEREO, STEREO] })));
});

Deno.test("codec: an event has at least one entity", () => {
  assertInvalid(decode("server", serverMessage("event", { entities: [] })));
  const unknown = { type: "mood", data: { any: [1] } };
  const decoded = decode(
    "server",
    serverMessage("event", { entities: [unknown, transcriptEntity("x")] }),
  );
  assertMessage(decoded);
  assertEquals(decoded.message.parameters as JsonObject, {
    entities: [unknown, transcriptEntity("x")],
  });
});

Deno.test("codec: bad durations in parameters are refused", () => {
  for (const duration of ["PT9e-7S", "PT-1S", "PT99999999999S", "PTNaNS", "1S", "P1D", 1, ""]) {
    for (
      const message of [
        clientMessage("resumed", { start: duration, discarded: "PT1S" }),
        clientMessage("resumed", { start: "PT1S", discarded: duration }),
        clientMessage("discarded", { start: duration, discarded: "PT1S" }),
        clientMessage("discarded", { start: "PT1S", discarded: duration }),
        clientMessage("ping", { rtt: duration }),
        clientMessage("error", { code: 429, message: "x", retryAfter: duration }),
      ]
    ) {
      assertInvalid(decode("client", message), JSON.stringify(message));
    }
    assertInvalid(decode("server", serverMessage("opened", { media: [], discardTo: duration })));
  }
});

Deno.test("codec: a dtmf digit is one of the keys", () => {
  for (const digit of "0123456789*#ABCD") {
    assertMessage(decode("client", clientMessage("dtmf", { digit })), digit);
  }
  assertInvalid(decode("client", clientMessage("dtmf", { digit: "" })));
});

Deno.test("codec: what would exceed 64,000 bytes is not written", () => {
  assertEquals(MAX_SENT_TEXT_BYTES, 64_000);
  const envelope = { id: SESSION_ID, seq: 1, acknowledged: 1 };
  for (const filler of ["x", "é", "€", "😀"]) {
    const write = (info: string) =>
      encodeText("server", envelope, { type: "reconnect", parameters: { info } });
    const width = new TextEncoder().encode(filler).length;
    const room = 64_000 - write("").length;
    const info = filler.repeat(Math.floor(room / width)) + "x".repeat(room % width);
    assertEquals(new TextEncoder().encode(write(info)).length, 64_000);
    const error = assertThrows(() => write(`${info}x`), LocalProtocolError);
    assertStringIncludes(error.message, "64000");
  }
});
