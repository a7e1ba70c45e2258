/**
 * Frames of audio (protocol sections 1, 6 and 7).
 *
 * Imports the protocol and its neighbours.
 */
import { bytesPerSampleFrame, MAX_AUDIO_FRAME_BYTES } from "../../../protocol/mod.ts";
import { type CheckCase, skip } from "../check_case.ts";
import type { CheckRun } from "../check_run.ts";
import type { CheckSession } from "../check_session.ts";

/** Sends audio, after which the session must be as well as before. */
async function takes(check: CheckRun, speak: (session: CheckSession) => void): Promise<string> {
  const session = await check.openForAudio();
  speak(session);
  await session.ping();
  await session.close();
  return 'Accepted: then "pong" and "closed"';
}

function times(count: number, act: (index: number) => void): void {
  for (let index = 0; index < count; index++) act(index);
}

/** The cases about audio. */
export const AUDIO_CASES: readonly CheckCase[] = [
  {
    name: "audio.usual-frames",
    title: "Frames of 100 ms are accepted",
    sections: [7],
    needs: "audio",
    run: async (check) => await takes(check, (session) => times(10, () => session.sendAudio(800))),
  },
  {
    name: "audio.odd-frames",
    title: "Frames of any whole number of samples are accepted",
    sections: [4, 7],
    needs: "audio",
    run: async (check) =>
      await takes(check, (session) => {
        for (const samples of [1, 799, 7, 801, 1600, 13, 4001]) session.sendAudio(samples);
      }),
  },
  {
    name: "audio.one-sample-frames",
    title: "Frames of a single sample are accepted",
    sections: [4, 7],
    needs: "audio",
    run: async (check) => await takes(check, (session) => times(200, () => session.sendAudio(1))),
  },
  {
    name: "audio.largest-frame",
    title: `A frame of ${MAX_AUDIO_FRAME_BYTES} bytes is accepted`,
    sections: [1],
    needs: "audio",
    run: async (check) =>
      await takes(check, (session) => {
        const frameBytes = bytesPerSampleFrame(session.requireMedia());
        session.sendAudio(Math.floor(MAX_AUDIO_FRAME_BYTES / frameBytes));
      }),
  },
  {
    name: "audio.empty-frame",
    title: "An empty frame harms nobody",
    sections: [7],
    needs: "audio",
    run: async (check) => await takes(check, (session) => times(3, () => session.sendAudio(0))),
  },
  {
    name: "audio.catching-up",
    title: "20 s of audio that arrive at once are accepted",
    sections: [6],
    needs: "audio",
    run: async (check) =>
      await takes(check, (session) => {
        session.sendDiscarded(80_000);
        times(200, () => session.sendAudio(800));
      }),
  },
  {
    name: "audio.part-of-a-sample",
    title: "A frame with part of a sample is an error",
    sections: [7],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      const frameBytes = bytesPerSampleFrame(session.requireMedia());
      if (frameBytes === 1) skip("In the selected format, every byte is a sample");
      session.sendBytes(new Uint8Array(1600 * frameBytes + 1).fill(0xff));
      return await session.disconnected();
    },
  },
  {
    name: "audio.after-close",
    title: "Audio after close is ignored",
    sections: [7],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.sendAudio(800);
      session.send("close", { reason: "end" });
      times(5, () => session.sendAudio(800));
      const answer = await session.waitFor(["closed"], 10_000);
      return `"${answer.type}", without a word about the audio`;
    },
  },
];
