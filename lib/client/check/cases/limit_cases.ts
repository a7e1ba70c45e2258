/**
 * What is too much, too deep or too odd, and must not bring a server down (protocol section 1).
 *
 * Imports its neighbours.
 */
import { MAX_SENT_TEXT_BYTES } from "../../../protocol/mod.ts";
import type { CheckCase } from "../check_case.ts";
import type { CheckRun } from "../check_run.ts";

/** [ours] What is accepted beyond the limit. */
const GENEROUS_TEXT_BYTES = 65_535;

/** Sends a message of an unknown type, of so many bytes, which must be passed over. */
async function takesText(check: CheckRun, bytes: number): Promise<string> {
  const { session } = await check.open();
  const empty = session.message("future_message", { text: "" });
  session.send("future_message", { text: "x".repeat(bytes - empty.length) });
  await session.ping();
  await session.close();
  return `A text of ${bytes} bytes was passed over, as its type is not known`;
}

/** Sends an `open` with something odd in it, which the server may refuse. */
async function survivesOpen(check: CheckRun, spoil: (text: string) => string): Promise<string> {
  const session = await check.connect();
  const parameters = { ...check.usualOpen(session), customConfig: { odd: "PLACE" } };
  session.sendText(spoil(session.message("open", parameters)), "open", parameters);
  return await check.survived(session, "may-hang-up");
}

const DEPTH = 20_000;

/** The cases about limits. */
export const LIMIT_CASES: readonly CheckCase[] = [
  {
    name: "limits.largest-text",
    title: `A text of ${MAX_SENT_TEXT_BYTES} bytes is accepted`,
    sections: [1],
    run: async (check) => await takesText(check, MAX_SENT_TEXT_BYTES),
  },
  {
    name: "limits.generous-text",
    title: `A text of ${GENEROUS_TEXT_BYTES} bytes is accepted`,
    sections: [1],
    strength: "should",
    run: async (check) => await takesText(check, GENEROUS_TEXT_BYTES),
  },
  {
    name: "limits.text-beyond",
    title: "A text of 300,000 bytes is refused or ignored, and harms nobody else",
    sections: [1],
    async run(check) {
      const { session } = await check.open();
      session.send("future_message", { text: "x".repeat(300_000) });
      session.send("ping");
      return await check.survived(session, "may-hang-up");
    },
  },
  {
    name: "limits.frame-beyond",
    title: "A frame of audio of 300,000 bytes is refused or taken, and harms nobody else",
    sections: [1],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.sendAudio(150_000);
      session.send("ping");
      return await check.survived(session, "may-hang-up");
    },
  },
  {
    name: "limits.deep-json",
    title: `JSON of ${DEPTH} levels is refused or taken, and harms nobody else`,
    sections: [1, 4],
    run: async (check) =>
      await survivesOpen(
        check,
        (text) => text.replace('"PLACE"', "[".repeat(DEPTH) + "]".repeat(DEPTH)),
      ),
  },
  {
    name: "limits.huge-numbers",
    title: "Numbers beyond all measure are refused or taken, and harm nobody else",
    sections: [4],
    run: async (check) =>
      await survivesOpen(
        check,
        (text) => text.replace('"PLACE"', `[1e400,-1e400,1e-400,${"9".repeat(400)}]`),
      ),
  },
  {
    name: "limits.huge-seq",
    title: "A seq beyond all measure is an error, and harms nobody else",
    sections: [4],
    async run(check) {
      const { session } = await check.open();
      session.sendText(session.message("ping").replace(/"seq":\d+/, '"seq":1e300'));
      // What a server counts from here is anybody's guess: no `close` to be answered.
      const seen = await session.complaint();
      await session.hangUp();
      await check.proveAlive();
      return `${seen}; the next session works`;
    },
  },
  {
    name: "limits.duplicate-keys",
    title: "A key that comes twice in an object is refused or taken, and harms nobody else",
    sections: [4],
    run: async (check) =>
      await survivesOpen(check, (text) => text.replace('"PLACE"', '1,"odd":2,"__proto__":{"a":1}')),
  },
  {
    name: "limits.prototype-keys",
    title: "Names that mean something to a programming language are names like others",
    sections: [4],
    async run(check) {
      const { session } = await check.open();
      session.send("__proto__");
      session.send("constructor");
      session.send("hasOwnProperty", { toString: null });
      await session.ping();
      await session.close();
      return 'Three unknown types, then "pong" and "closed"';
    },
  },
  {
    name: "text.unicode",
    title: "Any letters are accepted in names",
    sections: [4, 5],
    async run(check) {
      const participant = {
        id: crypto.randomUUID(),
        ani: "sip:søren@example.com",
        aniName: "Zoë 🤖 محمد e\u0301 \u200d\ufeff\u2028",
        dnis: "",
      };
      const { session } = await check.open({ open: { participant } });
      await session.close();
      return 'Answered by "opened", and closed';
    },
  },
  {
    name: "text.half-characters",
    title: "Escaped zero bytes and halves of characters are refused or taken, and harm nobody else",
    sections: [4],
    run: async (check) =>
      await survivesOpen(check, (text) => text.replace("PLACE", "\\u0000 \\ud800 \\udfff\\ud83e")),
  },
];
