/**
 * What ten thousand sessions leave in the server's process, however they ended: nothing.
 */
import { assert, assertEquals, assertLess } from "@std/assert";
import { until } from "../helpers/deadline.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import { knockWith, type Target, upgrade } from "../helpers/knock.ts";
import { type MemoryReport, PINGS_AT_ONCE } from "../helpers/memory_server.ts";
import { Program, ROOT, TemporaryFolder } from "../helpers/program.ts";
import {
  HANDSHAKE,
  rawRequest,
  type RawSocket,
  requestHead,
  sendAndReset,
} from "../helpers/raw_socket.ts";
import { ENDPOINT, openParameters, requestHeaders } from "../helpers/wire_client.ts";

const WARM_UP = 2_000;
const SESSIONS = 10_000;
const AT_ONCE = 24;
/** Half of the time that the server leaves a silent peer, and a second. */
const SETTLING_MS = 16_000;

/**
 * How much the heap may grow from the 2,000th session to the last, in bytes. A leak of 1 KiB a
 * session would be twice as much; without any it is some 700 KiB: nonces, and addresses that failed.
 */
const MAX_HEAP_GROWTH = (SESSIONS - WARM_UP) * 512;
/**
 * And the process: it shows what the heap can't, such as buffers of sockets, but also what the
 * allocators keep after the busiest seconds, some 15 MB. So it finds leaks of whole buffers only.
 */
const MAX_RSS_GROWTH = (SESSIONS - WARM_UP) * 8 * 1024;

const AUDIO = new Uint8Array(1600).fill(0xFF);

/** A client's side of one session, over bare TCP. */
class Session implements AsyncDisposable {
  readonly id: string;
  readonly socket: RawSocket;
  #seq = 0;
  #serverseq = 0;

  private constructor(id: string, socket: RawSocket) {
    this.id = id;
    this.socket = socket;
  }

  static async connect(server: Target): Promise<Session> {
    const id = crypto.randomUUID();
    return new Session(id, await upgrade(server, { id }));
  }

  /** Upgraded, opened, and with some audio. */
  static async open(server: Target): Promise<Session> {
    const session = await Session.connect(server);
    await session.send("open", openParameters());
    await session.expect("opened");
    await session.socket.sendFrame(2, AUDIO);
    return session;
  }

  send(type: string, parameters: unknown = {}): Promise<void> {
    return this.socket.sendText(JSON.stringify({
      version: "2",
      id: this.id,
      type,
      seq: ++this.#seq,
      serverseq: this.#serverseq,
      position: "PT0S",
      parameters,
    }));
  }

  /** Reads up to the next message of a type. */
  async expect(type: string): Promise<void> {
    this.#serverseq = Number((await this.socket.message(type)).seq);
  }

  async close(reason: string): Promise<void> {
    await this.send("close", { reason });
    await this.expect("closed");
  }

  /** The WebSocket's goodbye, and the server's answer to it. */
  async sayGoodbye(): Promise<void> {
    await this.socket.sendFrame(8, new Uint8Array([0x03, 0xE8]));
    await this.socket.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.socket[Symbol.asyncDispose]();
  }
}

/** The ways in which sessions end. */
const WAYS: readonly ((server: Target, n: number) => Promise<void>)[] = [
  async function properly(server) {
    await using session = await Session.open(server);
    await session.close("end");
    await session.sayGoodbye();
  },
  async function droppedAfterUpgrade(server) {
    await using _session = await Session.connect(server);
  },
  async function droppedAfterOpened(server) {
    await using _session = await Session.open(server);
  },
  async function droppedWhileOpening(server) {
    await using session = await Session.connect(server);
    await session.send("open", openParameters());
  },
  async function droppedWithinAFrame(server) {
    await using session = await Session.open(server);
    await session.socket.write(frameBytes({ opcode: 2, payload: AUDIO }).subarray(0, 800));
  },
  async function badMessage(server) {
    await using session = await Session.open(server);
    await session.socket.sendText("{");
    await session.expect("disconnect");
  },
  async function badMessageThenClose(server) {
    await using session = await Session.open(server);
    await session.send("ping", null);
    await session.expect("disconnect");
    await session.close("disconnect");
    await session.sayGoodbye();
  },
  async function flood(server) {
    await using session = await Session.open(server);
    for (let i = 0; i < PINGS_AT_ONCE; i++) await session.send("ping");
    await session.expect("disconnect");
  },
  async function refused(server, n) {
    // Some fail often enough to be answered 429.
    const headers = { "X-Forwarded-For": `192.0.2.${n % 256}` };
    const { status } = await knockWith(server, { secret: new Uint8Array(32), headers });
    assert(status === 401 || status === 429, String(status));
  },
  async function reset(server) {
    const id = crypto.randomUUID();
    const headers = await requestHeaders(server.authority, { id });
    const open = { version: "2", id, type: "open", seq: 1, serverseq: 0, position: "PT0S" };
    const text = JSON.stringify({ ...open, parameters: openParameters() });
    await sendAndReset(
      server.addr.port,
      requestHead(ENDPOINT, { Host: server.authority, ...HANDSHAKE, ...headers }),
      frameBytes({ opcode: 1, payload: text }),
    );
  },
  async function goodbyeWithoutClose(server) {
    await using session = await Session.open(server);
    await session.sayGoodbye();
  },
  async function goodbyeUnanswered(server) {
    await using session = await Session.open(server);
    await session.close("end");
    while ((await session.socket.frame())?.opcode !== 8);
  },
];

/** A server in a process of its own. */
class MemoryServer implements Target, AsyncDisposable {
  readonly addr: Deno.NetAddr;
  readonly authority: string;
  readonly #program: Program;
  readonly #controlPort: number;
  readonly #pid: string;

  private constructor(program: Program, port: number, controlPort: number, pid: string) {
    this.addr = { transport: "tcp", hostname: "127.0.0.1", port };
    this.authority = `127.0.0.1:${port}`;
    this.#program = program;
    this.#controlPort = controlPort;
    this.#pid = pid;
  }

  static async start(folder: TemporaryFolder): Promise<MemoryServer> {
    const flags = ["--no-prompt", "--no-lock", "--v8-flags=--expose-gc", "--allow-net=127.0.0.1"];
    const program = new Program({
      args: [
        "run",
        ...flags,
        "--allow-read",
        `--allow-write=${folder.path}`,
        `--config=${ROOT}/deno.json`,
        `${ROOT}/tests/helpers/memory_server.ts`,
        folder.path,
      ],
      cwd: folder.path,
      // What is freed goes back to the system, where its allocator has these settings.
      env: { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "131072" },
    });
    const [, port, controlPort, pid = ""] = await program.waitFor(/(\d+) (\d+) (\d+)\n/, 60_000);
    return new MemoryServer(program, Number(port), Number(controlPort), pid);
  }

  /** What is left when all sessions have ended. */
  idle(): Promise<MemoryReport> {
    return until(async () => {
      const headers = { Host: "control", Connection: "close" };
      const { body } = await rawRequest(this.#controlPort, "/", headers);
      const report: MemoryReport = JSON.parse(body);
      return report.connectionCount === 0 && report.socketCount === 0 && report;
    }, "end of all sessions, and of their sockets");
  }

  /**
   * The same, when nothing is held any more that Deno holds for a while: of each WebSocket, the
   * timer that watched over its silence.
   */
  async settled(): Promise<MemoryReport> {
    let report = await this.idle();
    const endMs = performance.now() + SETTLING_MS;
    while (performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      report = await this.idle();
    }
    return report;
  }

  /** Sockets and recordings that are open, or `undefined` where the system doesn't tell. */
  async descriptors(): Promise<number | undefined> {
    try {
      const args = ["-l", `/proc/${this.#pid}/fd`];
      const { success, stdout } = await new Deno.Command("ls", { args }).output();
      if (!success) return undefined;
      const lines = new TextDecoder().decode(stdout).split("\n");
      return lines.filter((line) => line.includes("-> socket:") || /\.(wav|json)/.test(line))
        .length;
    } catch {
      return undefined;
    }
  }

  /** Some sessions, a few at a time. */
  async run(count: number): Promise<void> {
    let next = 0;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (next < count) {
        const n = next++;
        await WAYS[n % WAYS.length]?.(this, Math.floor(n / WAYS.length));
      }
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

Deno.test(`memory: ${SESSIONS} sessions that end in ${WAYS.length} ways leave nothing behind`, async (t) => {
  await using folder = await TemporaryFolder.make();
  await using server = await MemoryServer.start(folder);
  await server.run(WARM_UP);
  const early = await server.settled();
  const openBefore = await server.descriptors();
  await server.run(SESSIONS - WARM_UP);
  const late = await server.settled();

  await t.step("the heap is as it was", () => {
    assertLess(late.heapUsed - early.heapUsed, MAX_HEAP_GROWTH);
  });
  await t.step("the process is hardly larger", () => {
    assertLess(late.rss - early.rss, MAX_RSS_GROWTH);
  });
  await t.step({
    name: openBefore === undefined
      ? "no descriptor is left open (skipped: there is no /proc)"
      : "no descriptor is left open",
    ignore: openBefore === undefined,
    fn: async () => assertEquals(await server.descriptors(), openBefore),
  });
});
