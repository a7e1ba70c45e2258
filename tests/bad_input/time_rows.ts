/**
 * Clients that wait too long (protocol sections 6, 11, 13 and 14).
 */
import { assertEquals } from "@std/assert";
import { AUDIO, call } from "./frame_rows.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import type { RawSession } from "./raw_session.ts";
import { checkInfo, MARK, type Row, type Scene, takeEnd } from "./runner.ts";
import { until } from "../helpers/deadline.ts";

// The bystander has to be quicker, on a busy machine too.
const NO_OPEN: Row["server"] = { sessionLimits: { openTimeoutMs: 600, closeTimeoutMs: 200 } };
const SILENCE: Row["server"] = { sessionLimits: { silenceTimeoutMs: 1500, closeTimeoutMs: 200 } };
const NO_HANGUP: Row["server"] = { sessionLimits: { hangupTimeoutMs: 600 } };

/** The server says its goodbye; a Close would count as the rest of the frame that is not finished. */
async function takeGoodbye(session: RawSession, fault: RegExp): Promise<"disconnect error, end"> {
  checkInfo(await session.expect("disconnect"), fault);
  assertEquals(await session.next(), "close frame");
  session.socket.finish();
  await session.socket.end();
  return "disconnect error, end";
}

/** Nobody is silent but who should be. */
async function meanwhile<T>(
  { bystander }: Scene,
  work: Promise<T>,
  act: () => Promise<void> = async () => {},
): Promise<T> {
  let isOver = false;
  const end = () => isOver = true;
  work.then(end, end);
  while (!isOver) {
    await act();
    await bystander.goOn();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return await work;
}

export const TIME_ROWS: readonly Row[] = [
  ...([
    ["a Ping of WebSocket alone", frameBytes({ opcode: 9 })],
    ["part of a frame", frameBytes({ opcode: 1, payload: MARK, length: 1000n })],
  ] as const).flatMap(([name, bytes]): Row[] => [
    {
      line: "no open",
      name,
      server: NO_OPEN,
      recorded: "nothing",
      async run(scene) {
        const session = await scene.connectRaw();
        await session.sendBytes(bytes);
        return await takeGoodbye(session, /open/);
      },
    },
    {
      line: "silence",
      name,
      server: SILENCE,
      recorded: { audio: AUDIO, isComplete: false },
      async run(scene) {
        const session = await call(scene);
        await session.sendBytes(bytes);
        return await meanwhile(scene, takeGoodbye(session, /received/));
      },
    },
  ]),
  {
    line: "no ping",
    name: "digits, while paused",
    server: SILENCE,
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await session.send("paused");
      const disconnect = session.expect("disconnect");
      await meanwhile(scene, disconnect, () => session.send("dtmf", { digit: "1" }));
      checkInfo(await disconnect, /ping/);
      await session.close("disconnect");
      return "disconnect error";
    },
  },
  {
    line: "no close",
    name: "after a disconnect of ours",
    server: { sessionLimits: { closeTimeoutMs: 200 } },
    recorded: { audio: AUDIO, isComplete: false },
    async run(scene) {
      const session = await call(scene);
      (await scene.app.nextCall()).disconnect("completed");
      await session.expect("disconnect");
      return await takeEnd(session);
    },
  },
  {
    line: "no hangup",
    name: "after closed",
    server: NO_HANGUP,
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await session.send("close", { reason: "end" });
      await session.expect("closed");
      return await takeEnd(session);
    },
  },
  {
    line: "no goodbye",
    name: "after closed",
    server: NO_HANGUP,
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await session.send("close", { reason: "end" });
      await session.expect("closed");
      assertEquals(await session.next(), "close frame");
      const { server } = scene.server;
      await until(() => server.connectionCount === 1, "end of the session");
      await scene.bystander.goOn();
      assertEquals(server.socketCount, 2);
      return "none";
    },
  },
];
