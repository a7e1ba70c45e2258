/**
 * Clients that send too much or read too little, and a disk that is full.
 */
import { assertEquals, assertRejects } from "@std/assert";
import type { RecordingFiles, RecordingStore } from "../../lib/storage/mod.ts";
import { until } from "../helpers/deadline.ts";
import { FaultyStore } from "../helpers/faulty_store.ts";
import { concat, noise } from "../helpers/wav_check.ts";
import { AUDIO, call } from "./frame_rows.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import type { RawSession } from "./raw_session.ts";
import { checkInfo, type Row, type Scene, takeDisconnect, takeEnd } from "./runner.ts";

const TOO_SLOW = "The client of {sessionId} does not read: {bufferedAmount} bytes wait for it";

const SLOW: Row["server"] = {
  maxBufferedBytes: 65_536,
  sessionLimits: { textRate: { perSecond: 1e6, burst: 1e6 } },
};

/** So many messages that need no answer, at once. */
async function sendMany(session: RawSession, count: number): Promise<void> {
  const frames = Array.from(
    { length: count },
    () => frameBytes({ opcode: 1, payload: session.text("dtmf", { digit: "1" }) }),
  );
  await session.sendBytes(concat(...frames));
}

/** An app sends as fast as the client should read, which does not. */
async function fill(scene: Scene, isEnough: () => boolean): Promise<void> {
  const live = await scene.app.nextCall();
  const entity = { type: "note", data: { text: "x".repeat(60_000) } };
  await until(() => {
    try {
      if (!isEnough()) live.sendEvent(entity);
    } catch {
      // The session is over, but not yet done with.
    }
    return isEnough();
  }, "client that is too slow");
}

/** Works for the session that comes first, which is the bystander's; for others, it is as made. */
class HalfFaultyStore implements RecordingStore {
  readonly #files: RecordingStore;
  readonly #faulty: RecordingStore;
  #first: string | undefined;

  constructor(files: RecordingStore, faulty: RecordingStore) {
    this.#files = files;
    this.#faulty = faulty;
  }

  create(
    ...[day, sessionId, onSync]: Parameters<RecordingStore["create"]>
  ): Promise<RecordingFiles> {
    this.#first ??= sessionId;
    const store = sessionId === this.#first ? this.#files : this.#faulty;
    return store.create(day, sessionId, onSync);
  }
}

const fullDisk = (mode: "is full" | "writes halves"): Row => {
  let faulty: FaultyStore | undefined;
  return {
    line: "full disk",
    name: `it ${mode} for a while`,
    server: {
      store: (files) => new HalfFaultyStore(files, faulty = new FaultyStore(files, mode)),
    },
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await until(() => (faulty?.faults ?? 0) > 0, "fault of the storage");
      await session.ping();
      faulty?.become("works");
      await session.close();
      await scene.log.said("Recordings are written again, after {seconds} s");
      return "goes on";
    },
  };
};

export const LOAD_ROWS: readonly Row[] = [
  {
    line: "many messages",
    name: "700 digits",
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await sendMany(session, 700);
      return await takeDisconnect(session, /messages a second/);
    },
  },
  {
    line: "many messages",
    name: "nine, of 60,000 letters each",
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      const text = "x".repeat(60_000);
      for (let i = 0; i < 9; i++) {
        const payload = session.text("dtmf", { digit: "1", text });
        await session.sendBytes(frameBytes({ opcode: 1, payload }));
      }
      return await takeDisconnect(session, /characters of text a second/);
    },
  },
  {
    line: "many frames",
    name: "15,300 empty ones",
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      const frame = frameBytes({ opcode: 2 });
      await session.sendBytes(concat(...Array<Uint8Array>(15_300).fill(frame)));
      return await takeDisconnect(session, /frames a second/);
    },
  },
  {
    line: "flood",
    name: "1,400 digits",
    recorded: { audio: AUDIO, isComplete: false },
    async run(scene) {
      const session = await call(scene);
      await sendMany(session, 1400);
      checkInfo(await session.expect("disconnect"), /messages a second/);
      await takeEnd(session);
      return "disconnect error, end";
    },
  },
  {
    line: "audio ahead",
    name: "4 s at once, where 1 s may be",
    server: { sessionLimits: { maxAudioAheadMs: 1000 } },
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await session.sendAudio(noise(64_000));
      return await takeDisconnect(session, /ahead of real time/);
    },
  },
  {
    line: "slow reader",
    name: "it reads again later",
    server: SLOW,
    recorded: { audio: AUDIO, isComplete: true },
    async run(scene) {
      const session = await call(scene);
      await fill(scene, () => scene.log.has(TOO_SLOW));
      await scene.bystander.goOn();
      while (true) {
        const message = await session.next();
        if (typeof message !== "object") throw new Error(`No disconnect, but ${message}`);
        if (message.type === "event") continue;
        assertEquals(message.type, "disconnect");
        checkInfo(message, /bytes wait/);
        await session.close("disconnect");
        return "disconnect error";
      }
    },
  },
  {
    line: "no reader",
    name: "it never reads",
    server: SLOW,
    recorded: { audio: AUDIO, isComplete: false },
    async run(scene) {
      await call(scene);
      await fill(scene, () => scene.server.server.connectionCount === 1);
      return "none";
    },
  },
  {
    line: "many bad clients",
    name: "ten that miscount, ten that can't sign",
    async run(scene) {
      const counts = Array.from({ length: 10 }, async (_, index) => {
        const client = await scene.connect();
        await client.open();
        client.send("ping", {}, { seq: 99 + index });
        checkInfo(await client.expect("disconnect"), /seq/);
        await client.close("disconnect");
      });
      const secret = new Uint8Array(32).fill(1);
      const signs = Array.from(
        { length: 10 },
        () => assertRejects(() => scene.connect({ secret }), Error, "refused"),
      );
      for (let i = 0; i < 20; i++) await scene.bystander.goOn();
      await Promise.all([...counts, ...signs]);
      return "disconnect error";
    },
  },
  fullDisk("is full"),
  fullDisk("writes halves"),
];
