/**
 * Which of the offers a server may select (protocol section 6).
 *
 * Whether what it selects is one of the offers is looked at in every session; here the offers are
 * unusual. Imports the protocol and its neighbours.
 */
import { type MediaOffer, SAMPLE_RATE } from "../../../protocol/mod.ts";
import type { CheckCase } from "../check_case.ts";
import { describeDisconnect } from "../check_inbox.ts";
import type { CheckRun } from "../check_run.ts";
import { OPENED_MS } from "../check_session.ts";
import { EXTERNAL, INTERNAL, pcmu, STEREO } from "../open_parameters.ts";

const UNKNOWN_OFFERS: readonly MediaOffer[] = [
  { type: "video", format: "H264", rate: 90_000 },
  { type: "audio", format: "PCMU", channels: ["external", "supervisor"], rate: SAMPLE_RATE },
  { type: "audio", format: "FUTURE", channels: ["external"], rate: 48_000, bits: 24 },
  {},
];

/** Opens a session with offers, of which one is selected, or none. */
async function selects(check: CheckRun, media: readonly MediaOffer[]): Promise<string> {
  const { session, opened } = await check.open({ open: { media } });
  await session.close();
  return `Selected ${describeMedia(opened.media)}`;
}

/** The same, where a server may refuse. */
async function selectsOrRefuses(check: CheckRun, media: readonly MediaOffer[]): Promise<string> {
  const session = await check.connect();
  session.send("open", { ...check.usualOpen(session), media });
  const answer = await session.waitFor(["opened", "disconnect"], OPENED_MS);
  await session.close();
  if (answer.type === "disconnect") return `Refused by ${describeDisconnect(answer)}`;
  return `Selected ${describeMedia(answer.parameters.media)}`;
}

/** What was selected; whatever it is, a server may have sent it. */
function describeMedia(media: unknown): string {
  const [selected] = Array.isArray(media) ? media as unknown[] : [];
  if (typeof selected !== "object" || selected === null) return "no audio";
  const { format, channels } = selected as Readonly<Record<string, unknown>>;
  return `${JSON.stringify(format)} ${JSON.stringify(channels)}`;
}

/** The cases about media. */
export const MEDIA_CASES: readonly CheckCase[] = [
  {
    name: "open.media-is-one-of-the-offers",
    title: "The selected media is one of the offers, unchanged",
    sections: [6],
    run: async (check) =>
      await selectsOrRefuses(check, [pcmu("internal", "external"), INTERNAL, EXTERNAL]),
  },
  {
    name: "open.media-in-the-offered-channel-order",
    title: "Channels that are offered in the opposite order are not turned round",
    sections: [6],
    run: async (check) => await selectsOrRefuses(check, [pcmu("internal", "external")]),
  },
  {
    name: "open.media-with-unknown-fields",
    title: "An offer with unknown fields is understood, and comes back with all of them",
    sections: [4, 6],
    run: async (check) =>
      await selects(check, [STEREO, EXTERNAL].map((offer) => ({ ...offer, ptime: 20, x: {} }))),
  },
  {
    name: "open.media-among-unknown-offers",
    title: "Offers of unknown kinds do not spoil the others",
    sections: [4, 6],
    run: async (check) => await selects(check, [...UNKNOWN_OFFERS, STEREO, EXTERNAL]),
  },
  {
    name: "open.media-external-only",
    title: "A session of the customer's channel alone is answered",
    sections: [6, 15],
    run: async (check) => await selectsOrRefuses(check, [EXTERNAL]),
  },
  {
    name: "open.media-linear",
    title: "A session of linear audio alone is answered",
    sections: [6],
    run: async (check) =>
      await selectsOrRefuses(
        check,
        [STEREO, EXTERNAL].map((offer) => ({ ...offer, format: "L16" })),
      ),
  },
  {
    name: "open.media-none-supported",
    title: "Without an offer that it knows, a server selects nothing, or refuses",
    sections: [6],
    run: async (check) => await selectsOrRefuses(check, UNKNOWN_OFFERS),
  },
  {
    name: "open.media-none-offered",
    title: "Without any offer, a server selects nothing, or refuses",
    sections: [6],
    run: async (check) => await selectsOrRefuses(check, []),
  },
  {
    name: "open.media-none-but-audio",
    title: "Audio in a session without media is an error",
    sections: [7],
    async run(check) {
      const session = await check.connect();
      session.send("open", { ...check.usualOpen(session), media: [] });
      const answer = await session.waitFor(["opened", "disconnect"], OPENED_MS);
      if (answer.type === "opened") {
        session.sendBytes(new Uint8Array(160).fill(0xff));
        return await session.disconnected();
      }
      await session.close();
      return `Refused by ${describeDisconnect(answer)}`;
    },
  },
  {
    name: "open.audio-before-opened",
    title: "Audio before the session is open is an error",
    sections: [6, 7],
    async run(check) {
      const session = await check.connect();
      session.sendBytes(new Uint8Array(1600).fill(0xff));
      return await session.disconnected();
    },
  },
];
