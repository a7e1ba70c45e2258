/**
 * Texts and messages that are not what the protocol says (protocol section 4).
 */
import { type Json, NIL } from "../helpers/wire_client.ts";
import { BAD_DURATIONS, envelope, faulty, parameters, unreadable } from "./faulty.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import { MARK, type Row, takeDisconnect } from "./runner.ts";
import type { LineId } from "./table.ts";

const SIZE = /65,?535|size|large|long|exceed/i;

const badText = (line: LineId, name: string, text: string, info: RegExp): Row =>
  unreadable(line, name, (client) => client.sendText(text), info);

const noJson = (name: string, text: string, info: RegExp): Row =>
  badText("no JSON", name, text, info);

const without = (field: string): Row =>
  envelope("envelope", `no ${field}`, { [field]: undefined }, new RegExp(field));

const bad = (type: string, name: string, value: Json, info: RegExp): Row =>
  parameters("parameters", type, name, value, info);

const nest = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

export const MESSAGE_ROWS: readonly Row[] = [
  noJson("malformed JSON", `{"version":"2","id":"${MARK}`, /JSON/i),
  noJson("no text at all", "", /JSON|message/i),
  noJson("a word", MARK, /JSON|message/i),
  noJson("single quotes", `{'version':'2'}`, /JSON/i),
  noJson("a byte order mark", `\uFEFF{"version":"2"}`, /JSON|message/i),
  noJson("a number", "42", /message/i),
  noJson("null", "null", /message/i),
  noJson("a list", "[1,2,3]", /message/i),
  noJson("a text", `"${MARK}"`, /message/i),
  noJson("an empty object", "{}", /message|version/i),
  noJson("zero bytes", "\0\0\0\0", /JSON|message/i),

  badText("deep JSON", "brackets 100,000 deep", nest(100_000).slice(0, 65_000), /nested/),
  badText("deep JSON", "brackets never closed", "[".repeat(65_000), /nested/),
  badText("deep JSON", "objects never closed", '{"a":'.repeat(10_000), /nested/),
  unreadable("deep JSON", "in a message", (client) => {
    const text = JSON.stringify({
      version: "2",
      id: client.id,
      type: "ping",
      seq: client.seq + 1,
      serverseq: client.serverseq,
      position: "PT0S",
      parameters: { deep: "HERE" },
    });
    client.sendText(text.replace('"HERE"', nest(30_000)));
  }, /nested/),

  badText("large text", "65,536 bytes", "x".repeat(65_536), SIZE),
  badText("large text", "65,536 bytes in 3 each", "€".repeat(21_846), SIZE),
  badText("large text", "a megabyte", "x".repeat(1_000_000), SIZE),
  unreadable("large text", "a ping of 65,536 bytes", (client) => {
    const fill = 65_536 - JSON.stringify({ fill: "" }).length;
    client.send("ping", { fill: "x".repeat(fill) });
  }, SIZE),
  {
    line: "large text",
    name: "60 MB in one frame",
    async run(scene) {
      const session = await scene.connectRaw();
      await session.open();
      const payload = new Uint8Array(60_000_000).fill(0x78);
      session.seq++;
      await session.sendBytes(frameBytes({ opcode: 1, payload }));
      return await takeDisconnect(session, SIZE);
    },
  },

  ...["version", "type", "position", "parameters"].map(without),
  envelope("envelope", "version 1", { version: "1" }, /version/),
  envelope("envelope", "version as a number", { version: 2 }, /version/),
  envelope("envelope", "version marked", { version: MARK }, /version/),
  envelope("envelope", "a type that is a number", { type: 5 }, /type/),
  envelope("envelope", "an empty type", { type: "" }, /type/),
  envelope("envelope", "a type of 60,000 letters", { type: "x".repeat(60_000) }, /type/),
  envelope("envelope", "parameters null", { parameters: null }, /parameters/),
  envelope("envelope", "parameters a list", { parameters: [] }, /parameters/),
  envelope("envelope", "parameters a text", { parameters: MARK }, /parameters/),
  envelope("envelope", "position a number", { position: 1.5 }, /position/),

  envelope("id", "no id", { id: undefined }, /\bid\b/),
  envelope("id", "no UUID", { id: MARK }, /\bid\b/),
  envelope("id", "another session's", { id: crypto.randomUUID() }, /\bid\b/),
  envelope("id", "the nil id", { id: NIL }, /\bid\b/),

  ...[undefined, 0, -1, 2.5, "2", null].map((seq) =>
    unreadable(
      "seq",
      JSON.stringify(seq) ?? "none",
      (client) => client.send("ping", {}, { seq }),
      /seq/,
    )
  ),
  envelope("seq", "repeated", { seq: 1 }, /seq/),
  envelope("seq", "one too high", { seq: 3 }, /seq/),
  envelope("seq", "far too high", { seq: 1_000_000 }, /seq/),

  envelope("serverseq", "none", { serverseq: undefined }, /serverseq/),
  envelope("serverseq", "negative", { serverseq: -1 }, /serverseq/),
  envelope("serverseq", "a text", { serverseq: "1" }, /serverseq/),
  envelope("serverseq", "a fraction", { serverseq: 0.5 }, /serverseq/),
  envelope("serverseq", "too high by one", { serverseq: 2 }, /serverseq/),
  envelope("serverseq", "far too high", { serverseq: Number.MAX_SAFE_INTEGER }, /serverseq/),

  ...BAD_DURATIONS.flatMap((duration) => {
    const name = JSON.stringify(duration.slice(0, 20));
    const lost = { start: "PT0S", discarded: duration };
    return [
      envelope("duration", `position ${name}`, { position: duration }, /position/),
      parameters("duration", "ping", `rtt ${name}`, { rtt: duration }, /rtt/),
      parameters("duration", "discarded", `discarded ${name}`, lost, /discarded/),
    ];
  }),
  parameters("duration", "ping", "rtt a number", { rtt: 0.1 }, /rtt/),
  parameters("duration", "discarded", "a start", { start: MARK, discarded: "PT1S" }, /start/),
  parameters("duration", "resumed", "negative", { start: "PT0S", discarded: "PT-1S" }, /discarded/),
  parameters(
    "duration",
    "error",
    "a retryAfter",
    { code: 429, message: MARK, retryAfter: "soon" },
    /retryAfter/,
  ),
  ...["discarded", "resumed"].map((type): Row =>
    faulty({
      line: "endless stream",
      name: type,
      before: (client) => void client.send("discarded", { start: "PT0S", discarded: "PT2678400S" }),
      send: (client) => client.send(type, { start: "PT2678400S", discarded: "PT0.001S" }),
      info: /2678400/,
    })
  ),

  bad("discarded", "nothing", {}, /start|discarded/),
  bad("resumed", "nothing", {}, /start|discarded/),
  bad("update", "nothing", {}, /language/),
  bad("update", "no tag", { language: `${MARK} !` }, /language/),
  bad("update", "a number", { language: 5 }, /language/),
  bad("error", "nothing", {}, /code|message/),
  bad("error", "code 399", { code: 399, message: "x" }, /code/),
  bad("error", "code 10000", { code: 10_000, message: "x" }, /code/),
  bad("error", "code as text", { code: "400", message: "x" }, /code/),
  bad("dtmf", "nothing", {}, /digit/),
  bad("dtmf", "two digits", { digit: "12" }, /digit/),
  bad("dtmf", "no digit", { digit: MARK }, /digit/),
];
