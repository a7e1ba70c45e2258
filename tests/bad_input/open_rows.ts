/**
 * Bad `open` messages, and messages and audio at the wrong time (protocol sections 5 to 8).
 */
import { noise } from "../helpers/wav_check.ts";
import {
  EXTERNAL,
  type Json,
  L16_EXTERNAL,
  NIL,
  openParameters,
  probeParameters,
  STEREO,
} from "../helpers/wire_client.ts";
import { type Fault, faulty } from "./faulty.ts";
import { AUDIO, call } from "./frame_rows.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import { MARK, type Row, takeDisconnect } from "./runner.ts";
import type { LineId } from "./table.ts";

const badOpen = (
  name: string,
  value: Json,
  info: RegExp,
  line: LineId = "open parameters",
  envelope: Record<string, Json> = {},
): Row =>
  faulty({
    line,
    name: `open: ${name}`,
    stage: "connected",
    send: (client) => client.send("open", openParameters(value), envelope),
    info,
  });

const audio = (
  line: LineId,
  name: string,
  bytes: number,
  info: RegExp,
  more: Partial<Fault> = {},
): Row => faulty({ line, name, send: (client) => client.sendAudio(noise(bytes)), info, ...more });

/** After audio that is as it should be, which is all that is recorded. */
const audioAfter = (
  line: LineId,
  name: string,
  bytes: number,
  info: RegExp,
  then: Fault["before"] = () => {},
): Row =>
  audio(line, name, bytes, info, {
    before(client) {
      client.sendAudio(new Uint8Array(AUDIO));
      then(client);
    },
    recorded: { audio: AUDIO, isComplete: true },
  });

const SIZE = /64,?000|size|large|long|exceed/i;
const PART = /sample|multiple|audio/i;

export const OPEN_ROWS: readonly Row[] = [
  badOpen("no organizationId", { organizationId: undefined }, /organizationId/),
  badOpen("a conversationId that is no UUID", { conversationId: MARK }, /conversationId/),
  badOpen("no participant", { participant: undefined }, /participant/),
  badOpen(
    "a participant without numbers",
    { participant: { id: crypto.randomUUID(), aniName: MARK } },
    /participant|ani|dnis/,
  ),
  badOpen("no media", { media: undefined }, /media/),
  badOpen("media that are no list", { media: STEREO }, /media/),
  badOpen("an offer that is none", { media: [MARK] }, /media/),
  badOpen("1,000 offers", { media: Array(1000).fill(EXTERNAL) }, /media|exceed/),
  badOpen("a language that is no tag", { language: `${MARK} ?` }, /language/),
  badOpen("supportedLanguages a text", { supportedLanguages: "yes" }, /supportedLanguages/),
  badOpen("a customConfig that is no object", { customConfig: MARK }, /customConfig/),
  badOpen(
    "a customConfig of 60,001 bytes",
    { customConfig: { fill: "x".repeat(60_001 - '{"fill":""}'.length) } },
    /customConfig/,
  ),
  badOpen("input variables that are no texts", { inputVariables: { [MARK]: 1 } }, /inputVariables/),
  badOpen("continuedSessions marked", { continuedSessions: [MARK] }, /continuedSessions/),
  badOpen(
    "another organization",
    { organizationId: crypto.randomUUID() },
    /organizationId/,
    "other organization",
  ),
  badOpen("the nil organization", { organizationId: NIL }, /organizationId/, "other organization"),
  badOpen("another id than the request's", {}, /\bid\b/, "id", { id: crypto.randomUUID() }),
  badOpen("seq 2", {}, /seq/, "seq", { seq: 2 }),
  badOpen("serverseq 1", {}, /serverseq/, "serverseq", { serverseq: 1 }),

  ...["ping", "paused", "playback_started"].map((type): Row =>
    faulty({
      line: "wrong state",
      name: `${type} before open`,
      stage: "connected",
      send: (client) => client.send(type),
      info: new RegExp(type),
    })
  ),
  faulty({
    line: "wrong state",
    name: "ping before opened",
    stage: "opening",
    send: (client) => client.send("ping"),
    info: /ping/,
  }),
  faulty({
    line: "wrong state",
    name: "a second open, before opened",
    stage: "opening",
    send: (client) => client.send("open", openParameters()),
    info: /open/,
  }),
  faulty({
    line: "wrong state",
    name: "a second open",
    send: (client) => client.send("open", openParameters()),
    info: /open/,
  }),
  faulty({
    line: "wrong state",
    name: "a probe's open in a call",
    send: (client) => client.send("open", probeParameters()),
    info: /open/,
  }),

  audio("unexpected audio", "before open", 160, /audio/i, { stage: "connected" }),
  audio("unexpected audio", "before opened", 160, /audio/i, { stage: "opening" }),
  audioAfter(
    "unexpected audio",
    "while the client paused",
    160,
    /paused/i,
    (client) => void client.send("paused"),
  ),
  audio("unexpected audio", "where none was selected", 160, /audio/i, { media: [] }),

  audio("large audio", "64,001 bytes, mono", 64_001, SIZE, { media: [EXTERNAL] }),
  audioAfter("large audio", "64,002 bytes, stereo", 64_002, SIZE),
  audioAfter("large audio", "a megabyte", 1_000_000, SIZE),
  {
    line: "large audio",
    name: "60 MB in one frame",
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await session.sendBytes(frameBytes({ opcode: 2, payload: new Uint8Array(60_000_000) }));
      return await takeDisconnect(session, SIZE);
    },
  },
  audioAfter("part of a sample", "stereo", 161, PART),
  audio("part of a sample", "L16", 161, PART, { media: [L16_EXTERNAL] }),
  audioAfter("part of a sample", "one byte", 1, PART),
];
