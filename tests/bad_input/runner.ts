/**
 * Plays bad input to a server on which a recorded call is going on, and checks what comes back, what
 * the log says, that the call notices nothing, and that nothing is left behind.
 */
import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { until, within } from "../helpers/deadline.ts";
import { watchDefects } from "../helpers/defects.ts";
import { RawSocket } from "../helpers/raw_socket.ts";
import { TestApp } from "../helpers/test_app.ts";
import { TestServer, type TestServerOptions } from "../helpers/test_server.ts";
import { assertWav } from "../helpers/wav_check.ts";
import type { ConnectOptions, ServerText, WireClient } from "../helpers/wire_client.ts";
import { Bystander } from "./bystander.ts";
import { LogWatch } from "./log_watch.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import { RawSession } from "./raw_session.ts";
import { BAD_INPUT, type LineId } from "./table.ts";
import type { Line, Outcome } from "./table_line.ts";

/** Values of bad input have it; neither answers nor the log may repeat it. */
export const MARK = "Jordan-5551234567";

/** One way to send what a line of the table is about. */
export interface Row {
  readonly line: LineId;
  readonly name: string;
  /** What the server needs besides a recorder. */
  readonly server?: TestServerOptions;
  /** Sends it, and tells what came back. */
  readonly run: (scene: Scene) => Promise<Outcome>;
  /** Deno itself leaves something behind, which the test must not be blamed for. */
  readonly leaks?: true;
  /** What is kept of the last session that was connected; not checked unless given. */
  readonly recorded?: {
    /** Stereo µ-law. */
    readonly audio: Uint8Array;
    readonly isComplete: boolean;
  } | "nothing";
}

/** Where a row plays. */
export class Scene {
  readonly server: TestServer;
  readonly log: LogWatch;
  readonly bystander: Bystander;
  /** Is told of the bad sessions, and may hold them up. */
  readonly app: TestApp;
  /** Ids of the sessions that were connected. */
  readonly sessions: string[] = [];
  readonly #gates: Gates;
  readonly #clients: WireClient[] = [];
  readonly #sockets: RawSocket[] = [];

  constructor(
    parts: { server: TestServer; log: LogWatch; bystander: Bystander; app: TestApp; gates: Gates },
  ) {
    this.server = parts.server;
    this.log = parts.log;
    this.bystander = parts.bystander;
    this.app = parts.app;
    this.#gates = parts.gates;
  }

  /** A WebSocket, just connected. */
  async connect(options?: ConnectOptions): Promise<WireClient> {
    const client = await this.server.connect(options);
    this.#clients.push(client);
    this.sessions.push(client.id);
    return client;
  }

  /** A session over bare TCP, just connected. */
  async connectRaw(): Promise<RawSession> {
    const session = await RawSession.connect(this.server);
    this.#sockets.push(session.socket);
    this.sessions.push(session.id);
    return session;
  }

  /** A TCP connection on which nothing was said yet. */
  async tcp(): Promise<RawSocket> {
    const socket = await RawSocket.connect(this.server.addr.port);
    this.#sockets.push(socket);
    return socket;
  }

  /** From now on, the app is slow to open, or to close; gives what ends that. */
  hold(what: keyof Gates): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gates[what] = promise;
    return resolve;
  }

  /** All that came back, in words. */
  get heard(): string {
    const texts = this.#clients.flatMap(({ transcript }) => transcript)
      .filter(({ from }) => from === "server").map(({ text }) => text);
    return [...texts, ...this.#sockets.map(({ heard }) => heard)].join("\n");
  }

  /** The clients go, if they have not yet. */
  async leave(): Promise<void> {
    for (const socket of this.#sockets) await socket[Symbol.asyncDispose]();
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
  }
}

interface Gates {
  open: Promise<void> | undefined;
  close: Promise<void> | undefined;
}

/** A `disconnect` tells the fault, and repeats nothing. */
export function checkInfo({ parameters }: ServerText, fault: RegExp): void {
  const { info } = parameters;
  assert(typeof info === "string" && info.length > 5, "info tells the fault");
  assertMatch(info, fault);
  assertLess(info.length, 500);
}

/** The next message is a `disconnect` that tells the fault; its `close` is answered by `closed`. */
export async function takeDisconnect(session: RawSession, fault: RegExp): Promise<Outcome> {
  const disconnect = await session.expect("disconnect");
  checkInfo(disconnect, fault);
  await session.close("disconnect");
  return disconnectOutcome(disconnect);
}

/** The outcome that a `disconnect` is. */
export function disconnectOutcome({ parameters }: ServerText): Outcome {
  if (parameters.reason === "unauthorized") return "disconnect unauthorized";
  assertEquals(parameters.reason, "error");
  return "disconnect error";
}

/** The connection ends without another message; a Close is answered. */
export async function takeEnd(session: RawSession): Promise<Outcome> {
  const next = await session.next();
  assert(typeof next !== "object", `the connection ends, without ${JSON.stringify(next)}`);
  if (next === "close frame") await session.sendBytes(frameBytes({ opcode: 8 }));
  await session.socket.end();
  return "end";
}

/** Makes the test of a row. */
export function testRow(row: Row): void {
  const line = BAD_INPUT.find(({ id }) => id === row.line);
  assert(line !== undefined, row.line);
  Deno.test({
    name: `bad input: ${row.line}: ${row.name}`,
    sanitizeOps: row.leaks !== true,
    sanitizeResources: row.leaks !== true,
    fn: () => play(row, line),
  });
}

async function play(row: Row, line: Line): Promise<void> {
  using _defects = watchDefects();
  await using log = await LogWatch.start();
  const gates: Gates = { open: undefined, close: undefined };
  const app = new TestApp({ open: () => gates.open, close: () => gates.close });
  await using server = await TestServer.start({ ...row.server, apps: [app] });
  await using bystander = await Bystander.call(server);
  await app.nextCall();
  const scene = new Scene({ server, log, bystander, app, gates });
  try {
    assertEquals(await row.run(scene), line.outcome, "what comes back");
    await bystander.goOn();
  } finally {
    await scene.leave();
  }
  await until(
    () => server.server.connectionCount === 1 && server.server.socketCount === 1,
    "end of the connections",
  );
  await bystander.close();
  await server.idle();
  await within(server.recorder.finished(), "end of all recordings");
  await bystander.checkRecording(server);
  await checkRecorded(row, scene);
  await server.stop();
  log.check(line.log, scene.sessions, bystander.id);
  for (const text of [scene.heard, log.text]) {
    assert(!text.includes(MARK) && !text.includes("Jordan"), "what was sent is not repeated");
  }
}

async function checkRecorded({ recorded }: Row, { server, sessions }: Scene): Promise<void> {
  const id = sessions.at(-1);
  if (recorded === undefined || id === undefined) return;
  if (recorded === "nothing") {
    assertEquals((await server.files()).filter((name) => name.startsWith(id)), []);
    return;
  }
  const { wav, metadata } = await server.recording(id);
  assertWav(wav, { format: "PCMU", channels: 2, data: recorded.audio });
  assertEquals(metadata.isComplete, recorded.isComplete);
  assertEquals(metadata.closeReason !== null, recorded.isComplete);
}
