/**
 * Connections that end where they should not, by FIN and by RST.
 */
import { assertEquals } from "@std/assert";
import { until } from "../helpers/deadline.ts";
import { HANDSHAKE } from "../helpers/raw_socket.ts";
import { noise } from "../helpers/wav_check.ts";
import { ENDPOINT, openParameters, requestHeaders } from "../helpers/wire_client.ts";
import { AUDIO, call } from "./frame_rows.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import type { RawSession } from "./raw_session.ts";
import { MARK, type Row, type Scene, takeEnd } from "./runner.ts";
import type { LineId } from "./table.ts";

/** `drop` sends FIN, or RST if there is something unread; `reset` sends RST. */
const ENDS = ["drop", "reset"] as const;

const LOST = "The connection of {sessionId} ended while {state}";

/** Ends the connection where `prepare` leaves it. */
const lost = (
  line: LineId,
  name: string,
  prepare: (scene: Scene) => Promise<RawSession>,
  recorded: Row["recorded"],
  after: (scene: Scene) => Promise<void> | void = () => {},
): Row[] =>
  ENDS.map((how): Row => ({
    line,
    name: `${name}, ${how}`,
    recorded,
    async run(scene) {
      const session = await prepare(scene);
      session.socket[how]();
      await after(scene);
      await until(() => scene.server.server.socketCount === 1, "end of the connection");
      return "none";
    },
  }));

const inCall = (
  name: string,
  prepare: (session: RawSession, scene: Scene) => Promise<void>,
  recorded: Row["recorded"] = { audio: AUDIO, isComplete: false },
): Row[] =>
  lost("lost in a call", name, async (scene) => {
    const session = await call(scene);
    await prepare(session, scene);
    return session;
  }, recorded);

async function requestBytes({ server, sessions }: Scene, secret?: Uint8Array): Promise<string> {
  const id = crypto.randomUUID();
  sessions.push(id);
  const target = `${ENDPOINT}?${MARK}`;
  const options = { id, target, ...(secret && { secret }) };
  const headers = await requestHeaders(server.authority, options);
  const lines = Object.entries({ Host: server.authority, ...HANDSHAKE, ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${target} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

const inRequest: Readonly<Record<string, string>> = {
  "at once": "",
  "in the first line": "GET /",
  "in the head": `GET ${ENDPOINT} HTTP/1.1\r\nHost: ${MARK}`,
  "after a whole request": "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
};

export const LOST_ROWS: readonly Row[] = [
  ...Object.entries(inRequest).flatMap(([name, text]) =>
    [...ENDS, "finish" as const].map((how): Row => ({
      line: "lost in a request",
      name: `${name}, ${how}`,
      async run(scene) {
        const socket = await scene.tcp();
        if (text !== "") await socket.write(text);
        await scene.bystander.goOn();
        socket[how]();
        if (how === "finish") await socket.end();
        return "none";
      },
    }))
  ),
  ...ENDS.map((how): Row => ({
    line: "lost while refused",
    name: how,
    server: { authFailureDelayMs: 200 },
    async run(scene) {
      const socket = await scene.tcp();
      await socket.write(await requestBytes(scene, new Uint8Array(32)));
      await scene.log.said("Refused a connection: {reason}");
      socket[how]();
      return "none";
    },
  })),
  // It takes some turns to hit all moments. In one of them, Deno waits for ever.
  ...([["drop", 0], ["reset", 0], ["reset", 2]] as const).map(([how, delayMs]): Row => ({
    line: "lost in the upgrade",
    name: `${how}, after ${delayMs} ms`,
    server: { sessionLimits: { openTimeoutMs: 600, closeTimeoutMs: 200 } },
    leaks: true,
    recorded: "nothing",
    async run(scene) {
      const socket = await scene.tcp();
      await socket.write(await requestBytes(scene));
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      socket[how]();
      return "none";
    },
  })),

  ...lost(
    "lost outside of a call",
    "before open",
    (scene) => scene.connectRaw(),
    "nothing",
  ),
  ...lost("lost outside of a call", "after closed", async (scene) => {
    const session = await call(scene);
    await session.send("close", { reason: "end" });
    await session.expect("closed");
    return session;
  }, { audio: AUDIO, isComplete: true }),

  ...ENDS.map((how): Row => ({
    line: "lost in a call",
    name: `while opening, ${how}`,
    recorded: "nothing",
    async run(scene) {
      const go = scene.hold("open");
      const session = await scene.connectRaw();
      await session.send("open", openParameters());
      await scene.app.nextCall();
      session.socket[how]();
      await scene.log.said(LOST);
      go();
      return "none";
    },
  })),
  ...inCall("between frames", async () => {}),
  ...inCall("within a frame's head", (session) => session.sendBytes(new Uint8Array([0x82]))),
  ...inCall(
    "within audio",
    (session) => session.sendBytes(frameBytes({ opcode: 2, payload: noise(100), length: 1600n })),
  ),
  ...inCall(
    "within text",
    (session) => session.sendBytes(frameBytes({ opcode: 1, payload: MARK, length: 100n })),
  ),
  ...inCall(
    "within a message in fragments",
    (session) => session.sendBytes(frameBytes({ opcode: 1, payload: MARK, fin: false })),
  ),
  ...inCall("while paused", async (session) => {
    await session.send("paused");
    await session.ping();
  }),
  ...inCall("after disconnect", async (session, scene) => {
    (await scene.app.nextCall()).disconnect("completed");
    await session.expect("disconnect");
  }),
  ...ENDS.map((how): Row => ({
    line: "lost in a call",
    name: `while closing, ${how}`,
    // All that the client had to send came.
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const go = scene.hold("close");
      const session = await call(scene);
      await session.send("close", { reason: "end" });
      await scene.app.told("close");
      session.socket[how]();
      await scene.log.said(LOST);
      go();
      return "none";
    },
  })),

  ...([
    ["between frames", new Uint8Array()],
    ["within audio", frameBytes({ opcode: 2, payload: noise(100), length: 1600n })],
    ["within a message in fragments", frameBytes({ opcode: 1, payload: MARK, fin: false })],
  ] as const).map(([name, bytes]): Row => ({
    line: "half-open",
    name,
    recorded: { audio: AUDIO, isComplete: false },
    async run(scene) {
      const session = await call(scene);
      await session.sendBytes(bytes);
      session.socket.finish();
      return await takeEnd(session);
    },
  })),
  {
    line: "half-open",
    name: "with a ping under way",
    recorded: { audio: AUDIO, isComplete: false },
    async run(scene) {
      const session = await call(scene);
      await session.send("ping");
      session.socket.finish();
      const next = await session.next();
      if (typeof next !== "object") return "end";
      assertEquals(next.type, "pong");
      return await takeEnd(session);
    },
  },
];
