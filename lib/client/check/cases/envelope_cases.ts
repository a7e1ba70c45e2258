/**
 * Messages that break the envelope's rules, and those that only seem to (protocol section 4).
 *
 * The envelopes of the server are looked at in every session. Imports its neighbours.
 */
import type { CheckCase } from "../check_case.ts";
import type { CheckRun } from "../check_run.ts";
import type { CheckSession } from "../check_session.ts";

/** Does something wrong in an open session, which must end by `disconnect` and `closed`. */
async function ends(check: CheckRun, spoil: (session: CheckSession) => void): Promise<string> {
  const { session } = await check.open();
  spoil(session);
  return await session.disconnected();
}

/** A field of the envelope that is left out of a message, or is wrong in it. */
interface Field {
  readonly name: string;
  readonly title: string;
  readonly envelope: (session: CheckSession) => Readonly<Record<string, unknown>>;
  readonly strength?: "should";
}

/** Every message has these (section 4). */
const REQUIRED = ["seq", "type", "id", "parameters", "version", "serverseq", "position"] as const;

const FIELDS: readonly Field[] = [
  {
    name: "envelope.seq-gap",
    title: "A message whose seq leaves a gap is an error",
    envelope: ({ sentSeq }) => ({ seq: sentSeq + 5 }),
  },
  {
    name: "envelope.seq-repeated",
    title: "A message whose seq was used already is an error",
    envelope: ({ sentSeq }) => ({ seq: sentSeq }),
  },
  {
    name: "envelope.seq-text",
    title: "A seq that is a text is an error",
    envelope: ({ sentSeq }) => ({ seq: String(sentSeq + 1) }),
  },
  {
    name: "envelope.serverseq-beyond",
    title: "A serverseq above what the server has sent is an error",
    envelope: () => ({ serverseq: 1000 }),
  },
  {
    name: "envelope.wrong-id",
    title: "A message with the id of another session is an error",
    envelope: () => ({ id: crypto.randomUUID() }),
  },
  {
    name: "envelope.wrong-version",
    title: 'A version other than "2" is an error',
    envelope: () => ({ version: "3" }),
    // Not among what section 4 has ended by `disconnect`; a version that is missing is.
    strength: "should",
  },
  ...REQUIRED.map((field) => ({
    name: `envelope.missing-${field}`,
    title: `A message without ${field} is an error`,
    envelope: () => ({ [field]: undefined }),
  })),
];

/** Texts that are no messages. */
const NO_MESSAGES: readonly { name: string; title: string; text: string }[] = [
  { name: "envelope.malformed-json", title: "Malformed JSON is an error", text: '{"version":"2",' },
  { name: "envelope.not-an-object", title: "JSON that is no object is an error", text: "[1,2]" },
  { name: "envelope.null", title: "JSON that is null is an error", text: "null" },
  { name: "envelope.empty-text", title: "An empty text is an error", text: "" },
];

/** The cases about the envelope. */
export const ENVELOPE_CASES: readonly CheckCase[] = [
  ...FIELDS.map(({ name, title, envelope, strength }): CheckCase => ({
    name,
    title: `${title}, and close is still answered`,
    sections: [4],
    strength,
    run: async (check) =>
      await ends(check, (session) => session.send("ping", {}, envelope(session))),
  })),
  ...NO_MESSAGES.map(({ name, title, text }): CheckCase => ({
    name,
    title: `${title}, and close is still answered`,
    sections: [4],
    run: async (check) => await ends(check, (session) => session.sendText(text)),
  })),
  {
    name: "envelope.open-with-a-wrong-seq",
    title: "The first message has the seq 1, or the session is refused",
    sections: [4],
    async run(check) {
      const session = await check.connect();
      session.send("open", check.usualOpen(session), { seq: 2 });
      return await session.disconnected();
    },
  },
  {
    name: "envelope.close-with-a-wrong-seq",
    title: "A close with a wrong seq is answered by closed all the same",
    sections: [4, 13],
    async run(check) {
      const { session } = await check.open();
      session.send("close", { reason: "end" }, { seq: session.sentSeq + 3 });
      await session.closed();
      return 'Answered by "closed"';
    },
  },
  {
    name: "envelope.unknown-type",
    title: "A message of an unknown type is counted and ignored",
    sections: [4],
    async run(check) {
      const { session } = await check.open();
      session.send("future_message", { anything: [1, 2, 3] });
      session.send("toString");
      await session.ping();
      await session.close();
      return 'Two unknown types, then "pong" and "closed"';
    },
  },
  {
    name: "envelope.unknown-fields",
    title: "Unknown fields in any message are ignored",
    sections: [4],
    async run(check) {
      const { session } = await check.open();
      session.send("ping", { futureField: {} }, { futureField: [null] });
      await session.waitFor(["pong"], 5_000);
      session.send("close", { reason: "end", futureField: 1 }, { futureField: true });
      await session.closed();
      return '"pong", then "closed"';
    },
  },
  {
    name: "envelope.field-order",
    title: "The fields of a message may come in any order, with spaces between them",
    sections: [4],
    async run(check) {
      const { session } = await check.open();
      const fields = Object.entries(JSON.parse(session.message("ping"))).toReversed();
      session.sendText(`\n ${JSON.stringify(Object.fromEntries(fields), null, 2)}\r\n`, "ping");
      await session.waitFor(["pong"], 5_000);
      await session.close();
      return '"pong", then "closed"';
    },
  },
  {
    name: "envelope.serverseq-behind",
    title: "A client that has not yet received the last messages is in order",
    sections: [4],
    async run(check) {
      const { session } = await check.open();
      session.send("ping", {}, { serverseq: 0 });
      await session.waitFor(["pong"], 5_000);
      await session.close();
      return '"pong", then "closed"';
    },
  },
];
