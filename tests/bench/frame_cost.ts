/**
 * What one audio frame costs on its way from the socket's buffer to the recorder: time and heap.
 */
import { setTimeout as delay } from "node:timers/promises";
import { AudioFrame, Recorder } from "../../lib/app/mod.ts";
import { ServerSession } from "../../lib/protocol/mod.ts";
import { FileRecordingStore } from "../../lib/storage/mod.ts";
import { TemporaryFolder } from "../helpers/program.ts";
import {
  CONVERSATION_ID,
  openParameters,
  ORGANIZATION_ID,
  STEREO,
} from "../helpers/wire_client.ts";
import { median } from "./distribution.ts";
import { FRAME } from "./probe.ts";
import { printTable } from "./table.ts";

const WARM_UP_RUNS = 20;
const RUNS = 21;
/** 3.2 MB: less than the recorder lets wait for the disk. */
const FRAMES_PER_RUN = 2_000;
const CHUNK_BYTES = 10 * FRAME.length;

interface Cost {
  readonly ns: number;
  readonly bytes: number;
}

/** Runs work on many frames, without a turn of the event loop in a run; returns cost per frame. */
async function perFrame(work: (bytes: ArrayBuffer) => void): Promise<Cost> {
  const { buffer } = FRAME;
  const costs: Cost[] = [];
  for (let run = -WARM_UP_RUNS; run < RUNS; run++) {
    const heapBefore = Deno.memoryUsage().heapUsed;
    const startMs = performance.now();
    for (let i = 0; i < FRAMES_PER_RUN; i++) work(buffer);
    const ns = (performance.now() - startMs) * 1e6 / FRAMES_PER_RUN;
    const bytes = (Deno.memoryUsage().heapUsed - heapBefore) / FRAMES_PER_RUN;
    if (run >= 0) costs.push({ ns, bytes });
    // The disk may write, and the next run begins with an empty queue.
    await delay(20);
  }
  return {
    ns: median(costs.map((cost) => cost.ns)),
    bytes: median(costs.map((cost) => cost.bytes)),
  };
}

/** A session that is open, with audio. */
function openSession(id: string): ServerSession {
  const session = new ServerSession({ id, organizationId: ORGANIZATION_ID, nowMs: 0 });
  const open = {
    version: "2",
    id,
    type: "open",
    seq: 1,
    serverseq: 0,
    position: "PT0S",
    parameters: openParameters({ media: [STEREO] }),
  };
  session.receiveText(JSON.stringify(open), 0);
  session.opened({ media: STEREO }, 0);
  return session;
}

await using folder = await TemporaryFolder.make();
const id = crypto.randomUUID();
const session = openSession(id);
const { media } = session;
if (media === undefined) throw new Error("Expected a session with audio");
const recorder = new Recorder(new FileRecordingStore(folder.path));
const handler = recorder.open(
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
handler.opened?.(media);

let lastView: Uint8Array | undefined;
const view = await perFrame((buffer) => lastView = new Uint8Array(buffer));
if (lastView?.length !== FRAME.length) throw new Error("Expected the view to be made");
const accept = await perFrame((buffer) => session.receiveAudio(new Uint8Array(buffer), 0));
const target = new Uint8Array(CHUNK_BYTES);
let offset = 0;
const copy = await perFrame((buffer) => {
  target.set(new Uint8Array(buffer), offset);
  offset = (offset + FRAME.length) % CHUNK_BYTES;
});
const full = await perFrame((buffer) => {
  const bytes = new Uint8Array(buffer);
  const position = session.receiveAudio(bytes, 0);
  handler.audio?.(new AudioFrame(bytes, position, media));
});
const cells = ({ ns, bytes }: Cost) => [ns.toFixed(0), bytes.toFixed(0)];
printTable(
  `One stereo frame of 100 ms (1,600 bytes), median of ${RUNS} runs of ${FRAMES_PER_RUN}`,
  ["what", "ns", "bytes of heap"],
  [
    ["baseline: a view on the socket's buffer", ...cells(view)],
    ["baseline: a view, and one copy of its bytes", ...cells(copy)],
    ["session: view, state, geometry, position", ...cells(accept)],
    ["session and recorder: the same, handed to the recorder", ...cells(full)],
  ],
);
await handler.close?.({ how: "lost" });
handler.ended?.();
await recorder.finished();
