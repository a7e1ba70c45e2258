/**
 * How long `opened` and `pong` take, against a bare WebSocket server in the same run, alternating;
 * and what one audio frame costs. `deno task bench` prints it; BENCHMARKS.md has a result.
 */
import { AudioFrame, Recorder } from "../../lib/app/mod.ts";
import { ServerSession } from "../../lib/protocol/mod.ts";
import { FileRecordingStore } from "../../lib/storage/mod.ts";

const ROUNDS = 5;
const SESSIONS_PER_ROUND = 40;
const PINGS_PER_ROUND = 40;
/** Deno's client holds a small frame back until the one before is acknowledged, 40 ms at most. */
const AFTER_FRAME_MS = 60;
const BACKGROUND_CALLS = 100;
const FRAME = new Uint8Array(1600).fill(0xff);
const MEDIA = { type: "audio", format: "PCMU", channels: ["external", "internal"], rate: 8000 };
const ORGANIZATION = "6f3a2b1c-0000-4000-8000-000000000001";

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a program, and waits until its output matches; the first group is its port. */
async function startProgram(
  args: string[],
  env: Record<string, string>,
  pattern: RegExp,
  path: string,
): Promise<Server> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    env,
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream());
  let output = "";
  const reader = lines.getReader();
  let match: RegExpExecArray | null = null;
  while (match === null) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The server did not start: ${output}`);
    output += value;
    match = pattern.exec(output);
  }
  void (async () => {
    while (!(await reader.read()).done);
  })();
  return {
    url: `ws://127.0.0.1:${match[1]}${path}`,
    async stop() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** One connection: sends text, and gives the time until the next text comes. */
class Probe {
  readonly #socket: WebSocket;
  readonly #id: string;
  #seq = 0;
  #serverseq = 0;
  #onText: (() => void) | undefined;

  private constructor(socket: WebSocket, id: string) {
    this.#socket = socket;
    this.#id = id;
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return;
      this.#serverseq++;
      this.#onText?.();
    };
  }

  static async connect(url: string): Promise<Probe> {
    const id = crypto.randomUUID();
    const headers = {
      "x-api-key": "bench",
      "audiohook-organization-id": ORGANIZATION,
      "audiohook-session-id": id,
      "audiohook-correlation-id": crypto.randomUUID(),
    };
    const socket = new WebSocket(url, { headers });
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error(`Cannot connect to ${url}`));
    });
    return new Probe(socket, id);
  }

  ask(type: string, parameters: unknown): Promise<number> {
    const text = JSON.stringify({
      version: "2",
      id: this.#id,
      type,
      seq: ++this.#seq,
      serverseq: this.#serverseq,
      position: "PT0S",
      parameters,
    });
    const { promise, resolve } = Promise.withResolvers<number>();
    const startMs = performance.now();
    this.#onText = () => resolve(performance.now() - startMs);
    this.#socket.send(text);
    return promise;
  }

  open(): Promise<number> {
    return this.ask("open", {
      organizationId: ORGANIZATION,
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: [MEDIA],
    });
  }

  ping(): Promise<number> {
    return this.ask("ping", {});
  }

  sendFrame(): void {
    this.#socket.send(FRAME);
  }

  async close(): Promise<void> {
    await this.ask("close", { reason: "end" });
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await closed;
  }
}

interface Times {
  readonly opened: number[];
  readonly pong: number[];
}

async function measure(url: string, times: Times): Promise<void> {
  for (let i = 0; i < SESSIONS_PER_ROUND; i++) {
    const probe = await Probe.connect(url);
    times.opened.push(await probe.open());
    await probe.close();
  }
  const probe = await Probe.connect(url);
  await probe.open();
  for (let i = 0; i < PINGS_PER_ROUND; i++) {
    probe.sendFrame();
    await delay(AFTER_FRAME_MS);
    times.pong.push(await probe.ping());
  }
  await probe.close();
}

/** Keeps calls running in real time until it is told to stop. */
async function runCalls(url: string, count: number): Promise<() => Promise<void>> {
  const probes: Probe[] = [];
  for (let i = 0; i < count; i++) {
    const probe = await Probe.connect(url);
    await probe.open();
    probes.push(probe);
  }
  const timer = setInterval(() => {
    for (const probe of probes) probe.sendFrame();
  }, 100);
  return async () => {
    clearInterval(timer);
    await Promise.all(probes.map((probe) => probe.close()));
  };
}

function row(name: string, values: number[]): string {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (fraction: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? 0).toFixed(2);
  const cells = [name, String(values.length), at(0), at(0.5), at(0.99), at(1)];
  return `| ${cells.join(" | ")} |`;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function compareLatency(ours: Server, bare: Server, title: string): Promise<void> {
  const oursTimes: Times = { opened: [], pong: [] };
  const bareTimes: Times = { opened: [], pong: [] };
  await measure(ours.url, { opened: [], pong: [] });
  await measure(bare.url, { opened: [], pong: [] });
  for (let round = 0; round < ROUNDS; round++) {
    await measure(ours.url, oursTimes);
    await measure(bare.url, bareTimes);
  }
  print(`\n${title}, milliseconds:\n`);
  print("| what | n | min | median | p99 | max |\n|---|---|---|---|---|---|");
  print(row("`open` to `opened`", oursTimes.opened));
  print(row("bare server, first text to its answer", bareTimes.opened));
  print(row("`ping` to `pong`", oursTimes.pong));
  print(row("bare server, later text to its answer", bareTimes.pong));
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Runs work on many frames, without a turn of the event loop in a run; returns cost per frame. */
async function perFrame(
  work: (bytes: ArrayBuffer) => void,
): Promise<{ ns: number; bytes: number }> {
  // 3.2 MB: less than the recorder lets wait for the disk.
  const count = 2_000;
  const { buffer } = FRAME;
  const samples: { ns: number; bytes: number }[] = [];
  for (let run = -20; run < 21; run++) {
    const heapBefore = Deno.memoryUsage().heapUsed;
    const startMs = performance.now();
    for (let i = 0; i < count; i++) work(buffer);
    const ns = (performance.now() - startMs) * 1e6 / count;
    const bytes = (Deno.memoryUsage().heapUsed - heapBefore) / count;
    if (run >= 0) samples.push({ ns, bytes });
    await delay(20);
  }
  const median = (values: number[]) => values.sort((one, other) => one - other)[10] ?? 0;
  return {
    ns: median(samples.map((sample) => sample.ns)),
    bytes: median(samples.map((sample) => sample.bytes)),
  };
}

async function measureFrames(folder: string): Promise<void> {
  const id = crypto.randomUUID();
  const session = new ServerSession({ id, organizationId: ORGANIZATION, nowMs: 0 });
  const participant = { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" };
  const conversationId = crypto.randomUUID();
  const parameters = { organizationId: ORGANIZATION, conversationId, participant, media: [MEDIA] };
  session.receiveText(
    JSON.stringify({
      version: "2",
      id,
      type: "open",
      seq: 1,
      serverseq: 0,
      position: "PT0S",
      parameters,
    }),
    0,
  );
  session.opened({ media: MEDIA }, 0);
  const { media } = session;
  if (media === undefined) throw new Error("Expected a session with audio");
  const recorder = new Recorder(new FileRecordingStore(folder));
  const handler = recorder.open(
    {
      sessionId: id,
      organizationId: ORGANIZATION,
      conversationId,
      participant,
      get positionSamples() {
        return session.positionSamples;
      },
    } as Parameters<Recorder["open"]>[0],
  );
  handler.opened?.(media);
  let lastView: Uint8Array | undefined;
  const view = await perFrame((buffer) => lastView = new Uint8Array(buffer));
  const accept = await perFrame((buffer) => session.receiveAudio(new Uint8Array(buffer), 0));
  const target = new Uint8Array(16_000);
  let offset = 0;
  const copy = await perFrame((buffer) => {
    target.set(new Uint8Array(buffer), offset);
    offset = (offset + 1600) % 16_000;
  });
  const full = await perFrame((buffer) => {
    const bytes = new Uint8Array(buffer);
    const position = session.receiveAudio(bytes, 0);
    handler.audio?.(new AudioFrame(bytes, position, media));
  });
  if (lastView?.length !== FRAME.length) throw new Error("Expected the view to be made");
  print("\nOne stereo frame of 100 ms (1,600 bytes), median of 21 runs of 2,000:\n");
  print("| what | ns | bytes of heap |\n|---|---|---|");
  const line = (name: string, { ns, bytes }: { ns: number; bytes: number }) =>
    print(`| ${name} | ${ns.toFixed(0)} | ${bytes.toFixed(0)} |`);
  line("baseline: a view on the socket's buffer", view);
  line("baseline: a view, and one copy of its bytes", copy);
  line("session: view, state, geometry, position", accept);
  line("session and recorder: the same, handed to the recorder", full);
  await handler.close?.({ how: "lost" });
  handler.ended?.();
  await recorder.finished();
}

const folder = await Deno.makeTempDir();
try {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const bareProgram = new URL("./bare_server.ts", import.meta.url).pathname;
  const ours = await startProgram(
    ["run", "-A", main],
    { PORT: "0", DATA_DIR: folder, AUDIOHOOK_KEYS: '{"bench":""}', LOG_FORMAT: "json" },
    /Listening for AudioHook on ws:\/\/127\.0\.0\.1:(\d+)/,
    "/api/v1/audiohook/ws",
  );
  const bare = await startProgram(["run", "-A", bareProgram], {}, /^(\d+)\n/, "/");
  try {
    await compareLatency(ours, bare, "Idle");
    const stop = await runCalls(ours.url, BACKGROUND_CALLS);
    await compareLatency(ours, bare, `While ${BACKGROUND_CALLS} other calls are recorded`);
    await stop();
  } finally {
    await ours.stop();
    await bare.stop();
  }
  await measureFrames(folder);
} finally {
  await Deno.remove(folder, { recursive: true });
}
