/**
 * What one audio frame costs on its way from the socket's buffer to the recorder. Time passes by
 * 100 ms a frame, as in a call: a session refuses audio that comes faster.
 */
import { assertEquals } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { AudioFrame, type CallHandler, Recorder } from "../../lib/app/mod.ts";
import { wavHeaderBytes } from "../../lib/audio/mod.ts";
import { type Media, ServerSession } from "../../lib/protocol/mod.ts";
import { FileRecordingStore } from "../../lib/storage/mod.ts";
import { filesBelow, TemporaryFolder } from "../helpers/program.ts";
import { clientMessage } from "../helpers/protocol_wire.ts";
import {
  CONVERSATION_ID,
  openParameters,
  ORGANIZATION_ID,
  STEREO,
} from "../helpers/wire_client.ts";
import { benchmark, type BenchmarkGroup } from "./measure.ts";
import { FRAME } from "./probe.ts";

const FRAME_MS = 100;
const FRAME_SAMPLES = 800;
const CHUNK_BYTES = 10 * FRAME.length;
/** 1.6 MB: less than the recorder lets wait for the disk. */
const MOST_RECORDED_FRAMES = 1_000;
/** In which the disk takes them: {@link openRecording} makes sure that it did. */
const DISK_MS = 60;

/** A session that is open, with audio. */
function openSession(id: string): { session: ServerSession; media: Media } {
  const session = new ServerSession({ id, organizationId: ORGANIZATION_ID, nowMs: 0 });
  const parameters = openParameters({ media: [STEREO] });
  session.receiveText(JSON.stringify(clientMessage("open", parameters, { id })), 0);
  session.opened({ media: STEREO }, 0);
  const { media } = session;
  if (media === undefined) throw new Error("Expected a session with audio");
  return { session, media };
}

/** A recording to files, of a session that is open; `finish` ends it, and checks the files. */
async function openRecording(): Promise<{
  session: ServerSession;
  media: Media;
  handler: CallHandler;
  finish(): Promise<void>;
}> {
  const folder = await TemporaryFolder.make();
  const id = crypto.randomUUID();
  const { session, media } = openSession(id);
  const store = new FileRecordingStore(folder.path);
  const recorder = new Recorder({
    async create(day, sessionId) {
      const files = await store.create(day, sessionId);
      // There are no other recordings to wait for.
      files.hurry();
      return files;
    },
  });
  const handler: CallHandler | undefined = recorder.open(
    {
      sessionId: id,
      organizationId: ORGANIZATION_ID,
      conversationId: CONVERSATION_ID,
      participant: openParameters().participant,
      get positionSamples() {
        return session.positionSamples;
      },
    } as Parameters<Recorder["open"]>[0],
  );
  if (handler === undefined) throw new Error("Expected a recording");
  handler.opened?.(media);
  return {
    session,
    media,
    handler,
    async finish() {
      await using files = folder;
      await handler.close?.({ how: "closed", reason: "end" });
      handler.ended?.();
      await recorder.finished();
      await store[Symbol.asyncDispose]();
      const [path] = (await filesBelow(files.path)).filter((name) => name.endsWith(".wav"));
      if (path === undefined) throw new Error("Expected a recording");
      const { size } = await Deno.stat(files.join(path));
      assertEquals(size, wavHeaderBytes("PCMU") + 2 * session.positionSamples, "bytes of the file");
      const json = await Deno.readTextFile(files.join(path.replace(/\.wav$/, ".json")));
      assertEquals(
        JSON.parse(json).gaps,
        [],
        "what was measured is another way than the usual one",
      );
    },
  };
}

/** A frame on its way, up to the session, and up to the recorder. */
export async function frameGroup(): Promise<BenchmarkGroup> {
  const { buffer } = FRAME;
  const target = new Uint8Array(CHUNK_BYTES);
  const accepting = openSession(crypto.randomUUID());
  const recording = await openRecording();
  const checkView = (view: Uint8Array) => assertEquals(view, FRAME);
  const checkPosition = (positionSamples: number, index: number) =>
    assertEquals(positionSamples, index * FRAME_SAMPLES);
  return {
    title: "One stereo frame of 100 ms (1,600 bytes)",
    benchmarks: [
      benchmark({
        what: "baseline: a view on the socket's buffer",
        run: () => new Uint8Array(buffer),
        check: checkView,
      }),
      benchmark({
        what: "baseline: a view, and one copy of its bytes",
        run(index) {
          const bytes = new Uint8Array(buffer);
          target.set(bytes, index % 10 * FRAME.length);
          return bytes;
        },
        check(bytes, index) {
          checkView(bytes);
          checkView(target.subarray(index % 10 * FRAME.length).subarray(0, FRAME.length));
        },
      }),
      benchmark({
        what: "session: view, state, pace, geometry, position",
        run: (index) => accepting.session.receiveAudio(new Uint8Array(buffer), index * FRAME_MS),
        check: checkPosition,
      }),
      benchmark({
        what: "session and recorder: the same, handed to the recorder",
        run(index) {
          const bytes = new Uint8Array(buffer);
          const positionSamples = recording.session.receiveAudio(bytes, index * FRAME_MS);
          recording.handler.audio?.(new AudioFrame(bytes, positionSamples, recording.media));
          return positionSamples;
        },
        check: checkPosition,
        settle: () => delay(DISK_MS),
        mostOperations: MOST_RECORDED_FRAMES,
      }),
    ],
    finish: recording.finish,
  };
}
