/**
 * `ping`, `update`, `error`, and what a voice bot gets (protocol sections 5, 10, 11 and 15).
 *
 * That the clientseq of `pong` is the seq of the `ping` is looked at in every session. Imports its
 * neighbours.
 */
import { advise, CaseEnd, type CheckCase, fail, skip } from "../check_case.ts";
import { describeDisconnect } from "../check_inbox.ts";
import type { CheckRun } from "../check_run.ts";
import { type CheckSession, OPENED_MS, PONG_MS } from "../check_session.ts";
import { EXTERNAL } from "../open_parameters.ts";

async function survivesError(
  check: CheckRun,
  parameters: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { session } = await check.open();
  session.send("error", parameters);
  await session.ping();
  await session.close();
  return 'Then "pong" and "closed"';
}

/** Opens a session as a voice bot gets it, which a server that is none may refuse. */
async function openBot(check: CheckRun): Promise<CheckSession> {
  const session = await check.connect();
  session.send("open", { ...check.usualOpen(session), media: [EXTERNAL] });
  const answer = await session.waitFor(["opened", "disconnect"], OPENED_MS);
  if (answer.type === "opened") return session;
  await session.close("disconnect");
  skip(`The server takes no session of this channel alone: ${describeDisconnect(answer)}`);
}

/** The cases about single messages. */
export const PING_CASES: readonly CheckCase[] = [
  {
    name: "ping.answered",
    title: "A ping is answered by pong, whose clientseq is the ping's seq",
    sections: [11],
    async run(check) {
      const { session } = await check.open();
      const startedMs = performance.now();
      await session.ping();
      const tookMs = (performance.now() - startedMs).toFixed(1);
      await session.ping({ rtt: "PT0.0123S" });
      await session.close();
      return `"pong" after ${tookMs} ms`;
    },
  },
  {
    name: "ping.two-at-once",
    title: "Two pings at once are answered one by one",
    sections: [11],
    async run(check) {
      const { session } = await check.open();
      session.send("ping");
      session.send("ping");
      await session.waitFor(["pong"], PONG_MS);
      await session.waitFor(["pong"], PONG_MS);
      await session.close();
      return 'Two "pong", each with the seq of its "ping"';
    },
  },
  {
    name: "ping.among-other-messages",
    title: "No message after the ping is counted in the pong",
    sections: [11],
    async run(check) {
      const { session } = await check.open();
      session.send("ping");
      session.send("paused");
      session.send("resumed", session.lost(0));
      await session.waitFor(["pong"], PONG_MS);
      await session.close();
      return '"pong" with the seq of its "ping"';
    },
  },
  {
    name: "ping.during-audio",
    title: "pong comes within 5 s while audio comes in",
    sections: [11],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      let worstMs = 0;
      for (let round = 0; round < 5; round++) {
        await session.untilAudioFlows();
        for (let frame = 0; frame < 10; frame++) session.sendAudio(800);
        const startedMs = performance.now();
        await session.ping();
        worstMs = Math.max(worstMs, performance.now() - startedMs);
      }
      await session.close();
      return `5 "pong", each within ${worstMs.toFixed(1)} ms`;
    },
  },
  {
    name: "update.answered",
    title: "An update is answered by updated, pause or disconnect",
    sections: [10],
    async run(check) {
      const { session } = await check.open();
      session.send("update", { language: "de-DE" });
      const answer = await session.waitFor(["updated", "pause", "disconnect"], 3_000)
        .catch((error: unknown) => {
          // No server has to answer at once: only what does not work any more is a failure.
          if (error instanceof CaseEnd && session.end === undefined) return undefined;
          throw error;
        });
      if (answer?.type === "disconnect" && answer.parameters.reason === "error") {
        fail(describeDisconnect(answer));
      }
      if (answer?.type !== "disconnect") await session.ping();
      await session.close();
      if (answer === undefined) {
        advise('No answer; "updated" tells the client that the language is another now');
      }
      return `Answered by "${answer.type}"`;
    },
  },
  {
    name: "error.rate-limited",
    title: "An error 429 with retryAfter is no reason to end, and delays no pong",
    sections: [5, 12],
    run: async (check) =>
      await survivesError(check, { code: 429, message: "Too many", retryAfter: "PT8S" }),
  },
  {
    name: "error.unknown-code",
    title: "An error of an unknown code is accepted",
    sections: [5],
    run: async (check) => await survivesError(check, { code: 4711, message: "" }),
  },
  {
    name: "bot.dtmf",
    title: "dtmf is accepted in a session of the customer's channel alone",
    sections: [15],
    async run(check) {
      const session = await openBot(check);
      for (const digit of ["1", "#", "*"]) session.send("dtmf", { digit });
      await session.ping();
      await session.close();
      return 'Accepted: then "pong" and "closed"';
    },
  },
  {
    name: "bot.playback",
    title: "playback_started and playback_completed are accepted in such a session",
    sections: [15],
    async run(check) {
      const session = await openBot(check);
      session.send("playback_started");
      session.send("playback_completed");
      await session.ping();
      await session.close();
      return 'Accepted: then "pong" and "closed"';
    },
  },
];
