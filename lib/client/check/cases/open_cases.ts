/**
 * What `open` may say, and what `opened` answers (protocol section 6).
 *
 * Imports the protocol and its neighbours.
 */
import { NIL_UUID } from "../../../protocol/mod.ts";
import { advise, allOf, type CheckCase, fail, skip } from "../check_case.ts";
import { describeDisconnect } from "../check_inbox.ts";
import type { CheckRun } from "../check_run.ts";
import { DISCONNECT_MS, OPENED_MS } from "../check_session.ts";

/** Opens a session, which must succeed, and closes it. */
async function opens(
  check: CheckRun,
  open: Readonly<Record<string, unknown>>,
  envelope: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { session } = await check.open({ open, envelope });
  await session.close();
  return 'Answered by "opened", and closed';
}

function participant(parts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "", ...parts };
}

/** Largest `customConfig`, in bytes of JSON. */
const CONFIG_BYTES = 60_000;

/** `{"a":"…"}` of so many bytes. */
function configOf(bytes: number): Record<string, string> {
  return { a: "x".repeat(bytes - JSON.stringify({ a: "" }).length) };
}

/** Tags as they are found in the wild. */
const LANGUAGES = ["en-us", "es-419", "cmn-CN", "es", "zh-Hans-CN"];

/** UUIDs whose version or variant a narrow pattern refuses: versions 1, 7, 8, and none. */
const UUIDS = [
  "c232ab00-9414-11ec-b3c8-9f6bdeced846",
  "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
  "320c3d4d-cc00-875b-8ec9-32d5f69181c0",
  "ffffffff-ffff-ffff-ffff-ffffffffffff",
];

/** The cases about `open`. */
export const OPEN_CASES: readonly CheckCase[] = [
  {
    name: "open.answered-in-time",
    title: '"opened" comes within 5 s',
    sections: [6],
    async run(check) {
      const session = await check.connect();
      const startedMs = performance.now();
      await session.open(check.usualOpen(session));
      const tookMs = Math.round(performance.now() - startedMs);
      await session.close();
      return `"opened" after ${tookMs} ms`;
    },
  },
  {
    name: "open.nothing-before-open",
    title: "The server waits for open: it says nothing before",
    sections: [1, 6],
    async run(check) {
      const session = await check.connect();
      // Whatever comes now is found by the watch over every message.
      await session.waitForEnd(500);
      await session.open(check.usualOpen(session));
      await session.close();
      return 'Nothing came before "opened"';
    },
  },
  {
    name: "open.probe",
    title: "The connection probe, all of nil UUIDs and empty texts, is opened and closed",
    sections: [6],
    async run(check) {
      const session = await check.connect();
      session.send("open", {
        ...check.usualOpen(session),
        conversationId: NIL_UUID,
        participant: participant({ id: NIL_UUID }),
      });
      // Whatever a refusal says, it blocks the activation.
      const { parameters: opened } = await session.waitFor(["opened"], OPENED_MS);
      await session.close();
      const isEmpty = Array.isArray(opened.media) && opened.media.length === 0;
      return `Opened with ${isEmpty ? "no media, as is best" : "media"}, and closed`;
    },
  },
  {
    name: "open.empty-participant",
    title: "A participant of empty texts is accepted",
    sections: [6],
    run: async (check) => await opens(check, { participant: participant({}) }),
  },
  {
    name: "open.nil-participant",
    title: "A nil UUID is a UUID, outside of a probe too",
    sections: [4],
    run: async (check) => await opens(check, { participant: participant({ id: NIL_UUID }) }),
  },
  {
    name: "open.uuid-versions",
    title: "UUIDs of any version are accepted",
    sections: [4],
    async run(check) {
      await allOf(
        UUIDS.map((uuid) =>
          opens(check, { conversationId: uuid, participant: participant({ id: uuid }) })
        ),
      );
      return `${UUIDS.length} kinds of UUIDs were accepted`;
    },
  },
  {
    name: "open.session-id-version",
    title: "The session's own UUID may be of any version",
    sections: [2, 4],
    async run(check) {
      // Random, because a server may remember its sessions; version 7 rather than 4.
      const sessionId = crypto.randomUUID().replace(/^(.{14})4/, "$17");
      const { session } = await check.open({ request: { sessionId } });
      await session.close();
      return "Version 7 was accepted";
    },
  },
  {
    name: "open.unknown-fields",
    title: "Unknown fields in the message, its parameters and the participant are ignored",
    sections: [4],
    run: async (check) =>
      await opens(check, {
        futureField: { nested: [1, "two", null] },
        participant: participant({ futureField: true }),
      }, { futureField: "from a later version" }),
  },
  {
    name: "open.no-language",
    title: "The language may be absent",
    sections: [5],
    run: async (check) => await opens(check, { language: undefined }),
  },
  {
    name: "open.language-tags",
    title: "Language tags as found in the wild are no reason for an error",
    sections: [4],
    async run(check) {
      const refused: string[] = [];
      await allOf(LANGUAGES.map(async (language) => {
        const session = await check.connect();
        session.send("open", { ...check.usualOpen(session), language });
        const answer = await session.waitFor(["opened", "disconnect"], OPENED_MS);
        if (answer.type === "disconnect" && answer.parameters.reason === "error") {
          fail(`${language}: ${describeDisconnect(answer)}`);
        }
        if (answer.type === "disconnect") refused.push(language);
        await session.close();
      }));
      if (refused.length === LANGUAGES.length) skip("The server takes none of these languages");
      return `Accepted: ${LANGUAGES.filter((language) => !refused.includes(language)).join(", ")}`;
    },
  },
  {
    name: "open.supported-languages",
    title: "If asked for the supported languages, the server answers with their list",
    sections: [6],
    async run(check) {
      const { session, opened } = await check.open({ open: { supportedLanguages: true } });
      await session.close();
      const list = opened.supportedLanguages;
      if (!Array.isArray(list)) fail('"opened" has no list of supportedLanguages');
      return `${list.length} languages`;
    },
  },
  {
    name: "open.custom-config",
    title: `A customConfig of ${CONFIG_BYTES} bytes is accepted`,
    sections: [1, 5],
    async run(check) {
      const session = await check.connect();
      const customConfig = configOf(CONFIG_BYTES);
      session.send("open", { ...check.usualOpen(session), customConfig });
      const answer = await session.waitFor(["opened", "disconnect"], OPENED_MS);
      await session.close();
      if (answer.type === "opened") return 'Answered by "opened", and closed';
      const seen = describeDisconnect(answer);
      if (answer.parameters.reason === "error") fail(seen);
      skip(`The server wants another customConfig: ${seen}`);
    },
  },
  {
    name: "open.input-variables",
    title: "inputVariables of a call flow are accepted",
    sections: [5, 15],
    run: async (check) =>
      await opens(check, { inputVariables: { "a name": "a value", "Ünï": "", "n": "1" } }),
  },
  {
    name: "open.continued-sessions",
    title: "An open that lists predecessors is answered",
    sections: [6, 16],
    async run(check) {
      const session = await check.connect();
      const continuedSessions = [
        { id: crypto.randomUUID(), serverseq: 12, clientseq: 34 },
        { id: crypto.randomUUID(), serverseq: 2, clientseq: 3 },
      ];
      const open = { ...check.usualOpen(session), continuedSessions };
      session.send("open", open, { position: "PT12.5S" });
      const answer = await session.waitFor(["opened", "disconnect"], OPENED_MS);
      await session.close();
      if (answer.type === "opened") return 'Answered by "opened", and closed';
      const seen = describeDisconnect(answer);
      if (answer.parameters.reason === "error") fail(seen);
      if (answer.parameters.reason === "rejected") return `${seen}, which is allowed`;
      advise(`${seen}; "rejected" lets the client go back to its old session`);
    },
  },
  {
    name: "open.twice",
    title: "A second open is an error",
    sections: [4, 6],
    async run(check) {
      const { session } = await check.open();
      session.send("open", check.usualOpen(session));
      session.send("ping");
      const message = await session.waitFor(["disconnect", "pong"], DISCONNECT_MS);
      if (message.type === "pong") {
        await session.close();
        advise('It was ignored; "disconnect" tells the client that something is wrong');
      }
      if (message.parameters.reason !== "error") {
        fail(`${describeDisconnect(message)}; expected the reason "error"`);
      }
      await session.close("disconnect");
      return `${describeDisconnect(message)}, then "closed"`;
    },
  },
  {
    name: "open.missing-participant",
    title: "An open without a participant is an error",
    sections: [4, 5],
    async run(check) {
      const session = await check.connect();
      session.send("open", { ...check.usualOpen(session), participant: undefined });
      return await session.disconnected();
    },
  },
  {
    name: "open.media-of-a-wrong-type",
    title: "An open whose media is no list is an error",
    sections: [4, 6],
    async run(check) {
      const session = await check.connect();
      session.send("open", { ...check.usualOpen(session), media: "PCMU" });
      return await session.disconnected();
    },
  },
];
