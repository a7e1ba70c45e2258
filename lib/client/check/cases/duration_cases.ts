/**
 * Durations that are none, and lost audio (protocol sections 4 and 9).
 *
 * Imports its neighbours.
 */
import type { CheckCase } from "../check_case.ts";

const BAD: readonly { name: string; what: string; text: unknown }[] = [
  { name: "absurd", what: "A duration of thousands of years", text: "PT99999999999S" },
  { name: "negative", what: "A negative duration", text: "PT-1S" },
  { name: "nan", what: "A duration that is not a number", text: "PTNaNS" },
  { name: "exponent", what: "A duration with an exponent", text: "PT1e3S" },
  { name: "number", what: "A duration that is a number in place of a text", text: 1.5 },
];

/** Samples of a lost second. */
const SECOND = 8000;

/** The cases about durations. */
export const DURATION_CASES: readonly CheckCase[] = [
  ...BAD.map(({ name, what, text }): CheckCase => ({
    name: `duration.${name}`,
    title: `${what} is an error`,
    sections: [4, 9],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.send("discarded", { start: "PT0S", discarded: text });
      return await session.disconnected();
    },
  })),
  {
    name: "duration.bad-position",
    title: "A position that is no duration is an error",
    sections: [4],
    async run(check) {
      const { session } = await check.open();
      session.send("ping", {}, { position: "1.5" });
      return await session.disconnected();
    },
  },
  {
    name: "duration.many-digits",
    title: "A duration of one sample, and one of many digits, are durations",
    sections: [4, 11],
    async run(check) {
      const { session } = await check.open();
      for (const rtt of ["PT0.000125S", "PT0.0001250S", "PT0.012345678901234S", "PT1S"]) {
        await session.ping({ rtt });
      }
      await session.close();
      return 'Each "ping" was answered';
    },
  },
  {
    name: "discarded.before-audio",
    title: "Audio may be reported lost before the first frame",
    sections: [6, 9],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.sendDiscarded(SECOND + 1);
      session.sendAudio(800);
      await session.ping();
      await session.close();
      return "Accepted";
    },
  },
  {
    name: "discarded.between-frames",
    title: "Audio may be reported lost at any time, and again and again, and none of it",
    sections: [9],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      for (const samples of [1, 0, SECOND, 123]) {
        session.sendAudio(800);
        session.sendDiscarded(samples);
      }
      session.sendAudio(800);
      await session.ping();
      await session.close();
      return "Four reports were accepted";
    },
  },
  {
    name: "discarded.an-hour",
    title: "An hour that is reported lost brings the server into no trouble",
    sections: [9],
    needs: "audio",
    async run(check) {
      const session = await check.openForAudio();
      session.sendDiscarded(3600 * SECOND);
      session.sendAudio(800);
      session.send("ping");
      return await check.survived(session, "must-disconnect");
    },
  },
];
