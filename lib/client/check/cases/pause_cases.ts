/**
 * The two pauses (protocol section 8).
 *
 * Imports its neighbours.
 */
import { type CheckCase, skip } from "../check_case.ts";

/** A short pause, in samples. */
const PAUSE_SAMPLES = 1600;

/** The cases about pauses. */
export const PAUSE_CASES: readonly CheckCase[] = [
  {
    name: "pause.client-pause",
    title: "The client may pause and resume unprompted, and audio goes on",
    sections: [8],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.sendAudio(800);
      session.pause();
      await session.ping();
      session.resume();
      await session.untilAudioFlows();
      session.sendAudio(800);
      await session.ping();
      await session.close();
      return 'A "pong" during the pause, one after it, then "closed"';
    },
  },
  {
    name: "pause.before-audio",
    title: "The client may pause before the first frame",
    sections: [8],
    async run(check) {
      const { session } = await check.open();
      session.pause();
      await session.ping();
      session.resume();
      await session.ping();
      await session.close();
      return "Accepted";
    },
  },
  {
    name: "pause.redundant-paused",
    title: "A second paused in a row, and a second resumed, are harmless",
    sections: [8, 17],
    async run(check) {
      const { session } = await check.open();
      session.pause();
      session.send("paused");
      session.resume();
      session.send("resumed", session.lost(0));
      await session.ping();
      await session.close();
      return 'Accepted: then "pong" and "closed"';
    },
  },
  {
    name: "pause.resumed-with-discarded",
    title: "resumed tells how much was dropped, and discarded may follow",
    sections: [8, 9],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.sendAudio(800);
      session.send("paused");
      session.send("resumed", session.lost(PAUSE_SAMPLES));
      session.sendDiscarded(800);
      session.sendAudio(800);
      await session.ping();
      await session.close();
      return "Accepted";
    },
  },
  {
    name: "pause.audio-while-paused",
    title: "Audio during the client's own pause is an error",
    sections: [7, 8],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.pause();
      session.sendAudio(800);
      return await session.disconnected();
    },
  },
  {
    name: "pause.resumed-without-discarded",
    title: "A resumed that does not tell what was dropped is an error",
    sections: [4, 8],
    async run(check) {
      const { session } = await check.open();
      session.send("paused");
      session.send("resumed");
      return await session.disconnected();
    },
  },
  {
    name: "pause.close-while-paused",
    title: "A session that is paused can be closed",
    sections: [8, 13],
    async run(check) {
      const { session } = await check.open();
      session.pause();
      await session.close();
      return 'Answered by "closed"';
    },
  },
  {
    name: "pause.client-pause-outlives-server-resume",
    title: "A resume that is answered by paused leaves the client's own pause",
    sections: [8],
    needs: "audio",
    async run(check) {
      const { session } = await check.open();
      session.requireMedia();
      if (!session.isPausedByServer) await session.seen("pause", 1_000);
      if (!session.isPausedByServer) skip("The server did not pause the session");
      session.pause();
      if (await session.seen("resume", 4_000) === undefined) {
        skip("The server did not resume the session within 4 s");
      }
      await session.ping();
      session.resume();
      await session.untilAudioFlows();
      session.sendAudio(800);
      await session.ping();
      await session.close();
      return 'Its "resume" was answered by "paused"; audio came when the client resumed';
    },
  },
];
