/**
 * Frames that a WebSocket library would not send, in a call that is recorded up to them.
 */
import { assertEquals } from "@std/assert";
import { ENDPOINT, openParameters, requestHeaders } from "../helpers/wire_client.ts";
import { HANDSHAKE } from "../helpers/raw_socket.ts";
import { concat, noise } from "../helpers/wav_check.ts";
import { frameBytes, type FrameShape } from "../helpers/frame_bytes.ts";
import { RawSession } from "./raw_session.ts";
import { MARK, type Row, type Scene, takeEnd } from "./runner.ts";
import type { LineId } from "./table.ts";

/** What comes in each call before the bad frame. */
export const AUDIO: Uint8Array = noise(1600, 3);

const encoder = new TextEncoder();

/** In a call, with some audio behind it. */
export async function call(scene: Scene): Promise<RawSession> {
  const session = await scene.connectRaw();
  await session.open();
  await session.sendAudio(AUDIO);
  await session.ping();
  return session;
}

/** The connection ends by it, and the call is recorded up to it. */
const fatal = (line: LineId, name: string, ...frames: readonly FrameShape[]): Row => ({
  line,
  name,
  recorded: { audio: AUDIO, isComplete: false },
  async run(scene) {
    const session = await call(scene);
    await session.sendBytes(...frames.map(frameBytes));
    return await takeEnd(session);
  },
});

/** The same before `open`. */
const early = (name: string, frame: FrameShape): Row => ({
  line: "early frame",
  name,
  recorded: "nothing",
  async run(scene) {
    const session = await scene.connectRaw();
    await session.sendBytes(frameBytes(frame));
    return await takeEnd(session);
  },
});

/** It is taken, and the call goes on to its end. */
const fine = (
  line: LineId,
  name: string,
  send: (session: RawSession, scene: Scene) => Promise<void>,
  audio: Uint8Array = AUDIO,
): Row => ({
  line,
  name,
  recorded: { audio, isComplete: true },
  async run(scene) {
    const session = await call(scene);
    await send(session, scene);
    await session.ping();
    await session.close();
    return "goes on";
  },
});

const MARKED = { opcode: 1, payload: MARK } as const;
const START = { ...MARKED, fin: false } as const;

/** A Close with a code, and a reason: without the mark, because the Close that answers repeats it. */
function close(code: number, reason: string | Uint8Array = "bye"): FrameShape {
  const text = typeof reason === "string" ? encoder.encode(reason) : reason;
  return { opcode: 8, payload: concat(new Uint8Array([code >> 8, code & 0xFF]), text) };
}

const INVALID: Readonly<Record<string, readonly number[]>> = {
  "a lone continuation byte": [0x80],
  "a character cut off": [0xE2, 0x82],
  "a character cut off by another": [0xC3, 0x28],
  "an overlong slash": [0xC0, 0xAF],
  "half a surrogate pair": [0xED, 0xA0, 0x80],
  "beyond U+10FFFF": [0xF4, 0x90, 0x80, 0x80],
  "0xFF": [0xFF],
};

const LENGTHS: Readonly<Record<string, bigint>> = {
  "64 MiB": 2n ** 26n,
  "4 GiB": 2n ** 32n,
  "2^62": 2n ** 62n,
  "2^63": 2n ** 63n,
  "2^64 - 1": 2n ** 64n - 1n,
};

const CODES = [0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

export const FRAME_ROWS: readonly Row[] = [
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
    fatal("reserved bits", `opcode ${opcode}`, { ...MARKED, opcode })
  ),
  ...[1, 2, 4, 7].flatMap((rsv) =>
    [1, 2, 9].map((opcode) =>
      fatal("reserved bits", `bits ${rsv} with opcode ${opcode}`, { ...MARKED, opcode, rsv })
    )
  ),

  ...[8, 9].flatMap((opcode) =>
    [126, 70_000].map((bytes) =>
      fatal("bad control frame", `opcode ${opcode}, ${bytes} bytes`, {
        opcode,
        payload: noise(bytes),
      })
    )
  ),
  ...[8, 9, 10].map((opcode) =>
    fatal("bad control frame", `opcode ${opcode}, in fragments`, { ...START, opcode })
  ),

  fatal("bad fragments", "a continuation of nothing", { ...MARKED, opcode: 0 }),
  fatal("bad fragments", "an unfinished continuation of nothing", { ...START, opcode: 0 }),
  fatal("bad fragments", "a continuation of a whole Ping", { opcode: 9 }, { ...MARKED, opcode: 0 }),
  fatal("bad fragments", "text within text", START, MARKED),
  fatal("bad fragments", "audio within text", START, { opcode: 2, payload: noise(160) }),

  ...Object.entries(INVALID).flatMap(([name, bytes]) => {
    const payload = concat(encoder.encode(MARK), new Uint8Array(bytes));
    return [
      fatal("invalid UTF-8", name, { opcode: 1, payload }),
      fatal(
        "invalid UTF-8",
        `${name}, between fragments`,
        { opcode: 1, payload, fin: false },
        { ...START, opcode: 0 },
      ),
    ];
  }),

  ...Object.entries(LENGTHS).flatMap(([name, length]) =>
    [1, 2].map((opcode) =>
      fatal("huge length", `${name}, opcode ${opcode}`, { ...MARKED, opcode, length })
    )
  ),
  fatal("huge length", "a Ping of 2^40", { opcode: 9, length: 2n ** 40n }),

  fatal("bad close frame", "one byte", { opcode: 8, payload: new Uint8Array([3]) }),
  ...CODES.map((code) => fatal("bad close frame", `code ${code}`, close(code))),
  ...Object.entries(INVALID).map(([name, bytes]) =>
    fatal("bad close frame", `a reason with ${name}`, close(1000, new Uint8Array(bytes)))
  ),

  ...([
    ["no code", { opcode: 8 }],
    ["code 1000", close(1000)],
    ["code 1011", close(1011)],
    ["code 3000", close(3000)],
    ["code 4999", close(4999)],
    ["a reason of 123 bytes", close(1001, "x".repeat(123))],
  ] as const).map(([name, frame]): Row => ({
    line: "close frame",
    name,
    recorded: { audio: AUDIO, isComplete: false },
    async run(scene) {
      const session = await call(scene);
      await session.sendBytes(frameBytes(frame));
      assertEquals(await session.next(), "close frame");
      return await takeEnd(session);
    },
  })),

  ...[1, 2, 9].flatMap((opcode) =>
    (["finish", "drop", "reset"] as const).map((how): Row => ({
      line: "short frame",
      name: `10 bytes of ${opcode === 9 ? 100 : 1000}, opcode ${opcode}, ${how}`,
      recorded: { audio: AUDIO, isComplete: false },
      async run(scene) {
        const session = await call(scene);
        const length = opcode === 9 ? 100n : 1000n;
        await session.sendBytes(frameBytes({ opcode, payload: MARK.slice(0, 10), length }));
        await scene.bystander.goOn();
        session.socket[how]();
        if (how === "finish") return await takeEnd(session);
        await scene.log.said("The connection of {sessionId} ended while {state}");
        return "end";
      },
    }))
  ),

  early("opcode 3", { ...MARKED, opcode: 3 }),
  early("a reserved bit", { ...MARKED, rsv: 4 }),
  early("a continuation", { ...MARKED, opcode: 0 }),
  early("no UTF-8", { opcode: 1, payload: new Uint8Array([0xFF]) }),
  early("2^62 bytes", { ...MARKED, length: 2n ** 62n }),
  early("a Close of one byte", { opcode: 8, payload: new Uint8Array([3]) }),
  early("a Close", close(1000)),

  fine("odd frames", "text without a mask", async (session) => {
    const payload = session.text("ping");
    await session.sendBytes(frameBytes({ opcode: 1, payload, masked: false }));
    assertEquals((await session.expect("pong")).clientseq, session.seq);
  }),
  fine("odd frames", "audio without a mask", async (session) => {
    session.samples += 160;
    await session.sendBytes(frameBytes({ opcode: 2, payload: noise(320), masked: false }));
  }, concat(AUDIO, noise(320))),
  fine("odd frames", "a message in fragments, with Pings between", async (session) => {
    const payload = encoder.encode(session.text("ping", { note: "é€😀" }));
    for (let at = 0; at < payload.length; at += 7) {
      // Cuts characters, too.
      const part = payload.slice(at, at + 7);
      const fin = at + 7 >= payload.length;
      await session.sendBytes(
        frameBytes({ opcode: at === 0 ? 1 : 0, payload: part, fin }),
        ...(fin ? [] : [frameBytes({ opcode: 9 }), frameBytes({ opcode: 10 })]),
      );
    }
    assertEquals((await session.expect("pong")).clientseq, session.seq);
  }),
  fine("odd frames", "audio in fragments, of which some are empty", async (session) => {
    session.samples += 160;
    const payload = noise(320);
    await session.sendBytes(
      frameBytes({ opcode: 2, fin: false }),
      frameBytes({ opcode: 0, payload: payload.slice(0, 7), fin: false }),
      frameBytes({ opcode: 0, fin: false }),
      frameBytes({ opcode: 0, payload: payload.slice(7), fin: false }),
      frameBytes({ opcode: 0 }),
    );
  }, concat(AUDIO, noise(320))),
  ...([2, 8] as const).map((lengthBytes) =>
    fine("odd frames", `a length in ${lengthBytes} bytes`, async (session) => {
      const payload = session.text("ping").replace(/\s/g, "");
      await session.sendBytes(
        frameBytes({ opcode: 2, lengthBytes }),
        frameBytes({ opcode: 9, payload: "", lengthBytes: 1 }),
        frameBytes({ opcode: 1, payload, lengthBytes }),
      );
      assertEquals((await session.expect("pong")).clientseq, session.seq);
    })
  ),
  {
    line: "odd frames",
    name: "in the packet of the handshake",
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const id = crypto.randomUUID();
      scene.sessions.push(id);
      const { authority } = scene.server;
      const headers = { Host: authority, ...HANDSHAKE, ...await requestHeaders(authority, { id }) };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const session = new RawSession(id, await scene.tcp());
      await session.sendBytes(concat(
        encoder.encode(`GET ${ENDPOINT} HTTP/1.1\r\n${lines.join("")}\r\n`),
        frameBytes({ opcode: 1, payload: session.text("open", openParameters()) }),
      ));
      assertEquals((await session.socket.response()).status, 101);
      await session.expect("opened");
      await session.sendAudio(AUDIO);
      await session.close();
      return "goes on";
    },
  },

  ...[126, 70_000].map((bytes) =>
    fine("odd frames", `a Pong of ${bytes} bytes that nobody asked for`, async (session) => {
      await session.sendBytes(frameBytes({ opcode: 10, payload: noise(bytes) }));
    })
  ),
  fine(
    "odd frames",
    "a message in fragments within one that is never finished",
    async (session) => {
      const payload = encoder.encode(session.text("ping"));
      await session.sendBytes(
        frameBytes({ opcode: 2, payload: noise(320), fin: false }),
        frameBytes({ opcode: 1, payload: payload.slice(0, 9), fin: false }),
        frameBytes({ opcode: 0, payload: payload.slice(9) }),
      );
      assertEquals((await session.expect("pong")).clientseq, session.seq);
    },
  ),

  fine("trickle", "a message", async (session) => {
    for (const byte of frameBytes({ opcode: 1, payload: session.text("ping") })) {
      await session.sendBytes(new Uint8Array([byte]));
    }
    assertEquals((await session.expect("pong")).clientseq, session.seq);
  }),
  fine("trickle", "audio, with time between", async (session, scene) => {
    session.samples += 25;
    for (const byte of frameBytes({ opcode: 2, payload: noise(50) })) {
      await session.sendBytes(new Uint8Array([byte]));
      await scene.bystander.goOn();
    }
  }, concat(AUDIO, noise(50))),
];
