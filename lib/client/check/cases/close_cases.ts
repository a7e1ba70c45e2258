/**
 * How a session ends (protocol sections 1 and 13).
 *
 * Imports its neighbours.
 */
import { advise, allOf, type CheckCase, fail } from "../check_case.ts";
import type { CheckRun } from "../check_run.ts";
import type { CheckSession } from "../check_session.ts";
import { describeEnd } from "../check_wire.ts";

/** How long the connection is watched after `closed`. */
const LINGER_MS = 1_500;
/** In which a server notices that a connection is gone. */
const NOTICE_MS = 500;
/** As many sessions at once, each of which must be as if it were alone. */
const SESSIONS = 20;

/** Ends a connection in some way; a session beside it, and the next one, must not notice. */
async function harmsNobody(check: CheckRun, end: () => void | Promise<void>): Promise<string> {
  const { session: bystander } = await check.open();
  await end();
  // A server learns of the end a little later.
  await bystander.waitForEnd(NOTICE_MS);
  await bystander.ping();
  await bystander.close();
  await check.proveAlive();
  return "A session beside it goes on, and the next one works";
}

/** Loses an open session. */
async function loses(check: CheckRun, end: (session: CheckSession) => void): Promise<string> {
  const { session } = await check.open();
  if (session.media !== undefined && !session.isPausedByServer) session.sendAudio(800);
  return await harmsNobody(check, () => end(session));
}

async function closesFor(check: CheckRun, reason: string): Promise<string> {
  const { session } = await check.open();
  await session.close(reason);
  return 'Answered by "closed"';
}

/** The cases about the end. */
export const CLOSE_CASES: readonly CheckCase[] = [
  {
    name: "close.answered-in-time",
    title: "close is answered by closed within 10 s",
    sections: [13],
    async run(check) {
      const { session } = await check.open();
      const startedMs = performance.now();
      await session.close();
      return `"closed" after ${Math.round(performance.now() - startedMs)} ms`;
    },
  },
  {
    name: "close.hanging-up-is-the-clients",
    title: "closed is the last message, and the server leaves it to the client to hang up",
    sections: [1, 13],
    async run(check) {
      const { session } = await check.open();
      await session.close();
      if (await session.waitForEnd(LINGER_MS)) {
        if (session.flood !== undefined) fail(session.flood);
        const end = session.end === undefined ? "" : describeEnd(session.end);
        fail(`${end} right after "closed"; that is for the client to do`);
      }
      return `The connection was still there ${LINGER_MS} ms after "closed"`;
    },
  },
  {
    name: "close.while-opening",
    title: "A close that follows open at once is answered by closed, with or without opened",
    sections: [13],
    async run(check) {
      const session = await check.connect();
      session.send("open", check.usualOpen(session));
      session.send("close", { reason: "end" });
      await session.closed();
      await session.waitForEnd(300);
      return 'Answered by "closed"';
    },
  },
  {
    name: "close.before-open",
    title: "A close without open is answered by closed",
    sections: [13],
    async run(check) {
      const session = await check.connect();
      await session.close();
      return 'Answered by "closed"';
    },
  },
  ...["disconnect", "error", "reconnect"].map((reason): CheckCase => ({
    name: `close.reason-${reason}`,
    title: `A close with the reason ${reason} is answered by closed`,
    sections: [5, 13],
    run: async (check) => await closesFor(check, reason),
  })),
  {
    name: "close.unknown-reason",
    title: "A close with a reason that nobody knows is answered by closed",
    sections: [4, 13],
    run: async (check) => await closesFor(check, "future_reason"),
  },
  {
    name: "close.after-audio",
    title: "A close right after audio is answered by closed",
    sections: [13],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      for (let frame = 0; frame < 50; frame++) session.sendAudio(800);
      await session.close();
      return 'Answered by "closed"';
    },
  },
  {
    name: "close.stays-until-then",
    title: "A session in which nothing happens for a while is not ended by the server",
    sections: [1],
    async run(check) {
      const { session } = await check.open();
      await session.waitForEnd(2_500);
      await session.ping();
      await session.close();
      return 'After 2.5 s of silence, "pong" and "closed"';
    },
  },
  {
    name: "lost.dropped",
    title: "A connection that is dropped without close harms nobody else",
    sections: [13],
    run: async (check) => await loses(check, (session) => session.drop()),
  },
  {
    name: "lost.reset",
    title: "A connection that is reset harms nobody else",
    sections: [13],
    run: async (check) => await loses(check, (session) => session.reset()),
  },
  {
    name: "lost.goodbye-without-close",
    title: "A WebSocket that is closed without close harms nobody else",
    sections: [13],
    async run(check) {
      const { session } = await check.open();
      return await harmsNobody(check, () => session.hangUp());
    },
  },
  {
    name: "lost.before-open",
    title: "A connection that is dropped before open harms nobody else",
    sections: [13],
    async run(check) {
      const session = await check.connect();
      return await harmsNobody(check, () => session.drop());
    },
  },
  {
    name: "sessions.many-at-once",
    title: `${SESSIONS} sessions at once do not disturb one another`,
    sections: [1],
    async run(check) {
      const connected = await allOf(
        Array.from({ length: SESSIONS }, async () => await check.attempt()),
      );
      const sessions = connected.filter(({ end }) => end === undefined);
      if (sessions.length < 2) fail(`${sessions.length} of ${SESSIONS} connections were made`);
      // Each must know its own numbers, and end for itself.
      await allOf(sessions.map(async (session) => {
        await session.open(check.usualOpen(session));
        await session.ping();
        await session.close();
      }));
      if (sessions.length < SESSIONS) {
        advise(`${sessions.length} of ${SESSIONS} sessions were accepted; those were in order`);
      }
      return `${SESSIONS} sessions were opened, each answered its own "ping", and closed`;
    },
  },
];
