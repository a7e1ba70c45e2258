/**
 * What one text message costs: read, written, and a `ping` from its text to the text of its `pong`,
 * without a WebSocket. JSON alone is the baseline.
 */
import { assert, assertEquals } from "@std/assert";
import {
  decodeClientText,
  encodeText,
  type EventEntity,
  type ServerMessage,
  ServerSession,
} from "../../lib/protocol/mod.ts";
import {
  CLIENT_MESSAGES,
  clientMessage,
  type Json,
  openParameters,
  ORGANIZATION_ID,
  serverMessage,
  SESSION_ID,
  STEREO,
  transcriptEntity,
} from "../helpers/protocol_wire.ts";
import { type Benchmark, benchmark, type BenchmarkGroup } from "./measure.ts";

/** A client pings every 5 s; and a session refuses messages that come far too fast. */
const PING_MS = 5_000;
/** How many different texts of one message take turns. */
const TEXTS = 64;

/** The groups: client messages read, server messages written, `ping` to `pong`. */
export function messageGroups(): BenchmarkGroup[] {
  return [decodeGroup(), encodeGroup(), pingGroup()];
}

function decodeGroup(): BenchmarkGroup {
  return {
    title: "Client messages read, with all of their parameters",
    benchmarks: Object.entries(CLIENT_MESSAGES).flatMap(([type, { full }]) =>
      decodeBenchmarks(type, full as { [key: string]: Json })
    ),
  };
}

/** Reads one kind of message, of which only the numbers differ. */
function decodeBenchmarks(type: string, parameters: { [key: string]: Json }): Benchmark[] {
  const messages = Array.from(
    { length: TEXTS },
    (_, i) =>
      clientMessage(type, parameters, {
        seq: 100 + i,
        serverseq: 10 + i,
        position: `PT${100 + i}.125S`,
      }),
  );
  const texts = messages.map((message) => JSON.stringify(message));
  const characters = texts[0]?.length ?? NaN;
  return [
    benchmark({
      what: `\`${type}\` (${characters} characters)`,
      run: (index) => decodeClientText(texts[index % TEXTS] as string),
      check(decoded, index) {
        assert(decoded.kind === "message", JSON.stringify(decoded));
        assertEquals(decoded.message as unknown, { type, parameters });
        assertEquals(decoded.envelope.seq, 100 + index % TEXTS);
      },
    }),
    benchmark({
      what: "baseline: `JSON.parse`",
      run: (index) => JSON.parse(texts[index % TEXTS] as string),
      check: (json, index) => assertEquals(json, messages[index % TEXTS]),
    }),
  ];
}

/** A final result of twelve words, as a transcriber reports it. */
function transcriptOf(words: readonly string[]): EventEntity {
  const entity = transcriptEntity(words.join(" ")) as EventEntity & {
    data: { alternatives: { interpretations: { tokens: unknown[] }[] }[] };
  };
  for (const { interpretations } of entity.data.alternatives) {
    for (const interpretation of interpretations) {
      interpretation.tokens = words.map((value, i) => ({
        type: "word",
        value,
        confidence: 0.875,
        offset: `PT${10 + i}.25S`,
        duration: "PT0.5S",
      }));
    }
  }
  return entity;
}

function encodeGroup(): BenchmarkGroup {
  const words = "thank you for calling how can I help you with this today".split(" ");
  const kinds: readonly { name: string; message: ServerMessage }[] = [
    { name: "`pong`", message: { type: "pong", parameters: {} } },
    { name: "`opened`", message: { type: "opened", parameters: { media: [STEREO] } } as never },
    {
      name: `\`event\` with a transcript of ${words.length} words`,
      message: { type: "event", parameters: { entities: [transcriptOf(words)] } },
    },
  ];
  return {
    title: "Server messages written",
    benchmarks: kinds.flatMap(({ name, message }) => encodeBenchmarks(name, message)),
  };
}

function encodeBenchmarks(name: string, message: ServerMessage): Benchmark[] {
  const whole = (index: number) =>
    serverMessage(message.type, message.parameters as { [key: string]: Json }, {
      seq: 1 + index,
      clientseq: index,
    });
  const check = (text: string, index: number) => assertEquals(JSON.parse(text), whole(index));
  const characters = JSON.stringify(whole(100)).length;
  return [
    benchmark({
      what: `${name} (${characters} characters)`,
      run: (index) =>
        encodeText("server", { id: SESSION_ID, seq: 1 + index, acknowledged: index }, message),
      check,
    }),
    benchmark({
      what: "baseline: `JSON.stringify`",
      run: (index) => JSON.stringify(whole(index)),
      check,
    }),
  ];
}

function pingGroup(): BenchmarkGroup {
  const session = new ServerSession({
    id: SESSION_ID,
    organizationId: ORGANIZATION_ID,
    nowMs: 0,
  });
  const open = clientMessage("open", openParameters({ media: [STEREO] }));
  session.receiveText(JSON.stringify(open), 0);
  session.opened({ media: STEREO } as never, 0);
  session.takeOutput();
  session.takeEvents();
  return {
    title: "`ping` to `pong`, text to text",
    benchmarks: [
      pingBenchmark("session: text in, text out", (text, index) => {
        session.receiveText(text, index * PING_MS);
        return session.takeOutput()[0];
      }),
      pingBenchmark("baseline: `JSON.parse`, `JSON.stringify`", (text) => {
        const { seq } = JSON.parse(text);
        return JSON.stringify(serverMessage("pong", {}, { seq, clientseq: seq }));
      }),
    ],
  };
}

/** Answers pings, whose texts are made before: each has the next number. */
function pingBenchmark(
  what: string,
  answer: (text: string, index: number) => string | Uint8Array | undefined,
): Benchmark {
  let texts: string[] = [];
  let first = 0;
  return benchmark({
    what,
    prepare(firstIndex, operations) {
      first = firstIndex;
      texts = Array.from(
        { length: operations },
        (_, i) =>
          JSON.stringify(clientMessage("ping", { rtt: "PT0.0231S" }, {
            // `open` and `opened` were the first.
            seq: 2 + first + i,
            serverseq: 1 + first + i,
            position: `PT${5 * (first + i)}.125S`,
          })),
      );
    },
    run: (index) => answer(texts[index - first] as string, index),
    check: (text, index) =>
      assertEquals(
        JSON.parse(String(text)),
        serverMessage("pong", {}, { seq: 2 + index, clientseq: 2 + index }),
      ),
  });
}
