/**
 * One connection to a real server: a request by bytes, perhaps frames after it, and an end.
 */
import { assert, assertEquals } from "@std/assert";
import { within } from "../helpers/deadline.ts";
import { SentFrames } from "../helpers/protocol_wire.ts";

/**
 * How a client leaves: when all is said, with what it was sent unread (which resets the connection),
 * or at any moment after the first answer. Before that, Deno would keep its descriptor for ever.
 */
export type Leaving = "finish" | "reset" | "drop";

/** What a connection sends. */
export interface Sending {
  readonly head: Uint8Array;
  readonly frames: readonly Uint8Array[];
  readonly leaving: Leaving;
  /** Of the session that the request asks for. */
  readonly sessionId: string;
}

/** Longer, nothing that the client waits for may take: most of it is up to the server's closing. */
const PATIENCE_MS = 10_000;
/** How long it waits for an answer that need not come. */
const SOON_MS = 100;

/** What may be answered (README, "Security"), with what hyper answers by itself. */
const STATUSES = [101, 400, 401, 404, 405, 413, 414, 426, 429, 431, 503];

/** Errors of a connection that the server has ended. */
function isEnded(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionAborted;
}

/** What comes from the server, as it comes. */
class Answer {
  readonly #chunks: Uint8Array[] = [];
  #onChange = Promise.withResolvers<void>();
  /** Settles at the end of the connection. */
  readonly ended: Promise<void>;

  /** @param once Whether only what comes first is read. */
  constructor(conn: Deno.TcpConn, once: boolean) {
    this.ended = this.#read(conn, once);
  }

  async #read(conn: Deno.TcpConn, once: boolean): Promise<void> {
    try {
      for (;;) {
        const chunk = new Uint8Array(16_384);
        const count = await conn.read(chunk);
        if (count === null) return;
        this.#chunks.push(chunk.subarray(0, count));
        this.#onChange.resolve();
        if (once) return;
        this.#onChange = Promise.withResolvers();
      }
    } catch (error) {
      if (!isEnded(error)) throw error;
    }
  }

  /** Waits a little for something to come. */
  async more(timeoutMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, timeoutMs));
    await Promise.race([this.#onChange.promise, this.ended, late]);
    clearTimeout(timer);
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#chunks.flatMap((chunk) => [...chunk]));
  }
}

/** The text frames in what a server sent after its 101; the last one may be cut off. */
function textsIn(bytes: Uint8Array): string[] {
  const texts: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 2 <= bytes.length;) {
    const [first, second] = [view.getUint8(at), view.getUint8(at + 1)];
    assertEquals(second & 0x80, 0, "a server does not mask");
    assertEquals(first & 0x70, 0, "reserved bits are zero");
    let length = second & 0x7f;
    at += 2;
    const lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0;
    if (at + lengthBytes > bytes.length) break;
    if (lengthBytes === 2) length = view.getUint16(at);
    if (lengthBytes === 8) length = Number(view.getBigUint64(at));
    at += lengthBytes;
    if (at + length > bytes.length) break;
    if ((first & 0x0f) === 1) {
      texts.push(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(at, at + length)));
    }
    at += length;
  }
  return texts;
}

/** What an answer came to: places for the tally. */
function judge(answer: Uint8Array, { sessionId, head }: Sending): string[] {
  const text = new TextDecoder("latin1").decode(answer);
  const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(text)?.[1] ?? NaN);
  if (Number.isNaN(status)) {
    // HTTP/2 begins without an upgrade, if a client asks for it.
    assert(new TextDecoder().decode(head).includes("PRI "), `not HTTP: ${text.slice(0, 99)}`);
    return ["HTTP/2"];
  }
  // An edit may have made it a request for something that is there.
  const isContinued = status === 100 && /expect/i.test(new TextDecoder().decode(head));
  assert(isContinued || STATUSES.includes(status), `status ${status}`);
  const end = text.indexOf("\r\n\r\n");
  if (status !== 101 || end < 0) return [String(status)];
  const frames = new SentFrames("server", sessionId).read(textsIn(answer.subarray(end + 4)));
  const types = frames.map((frame) => frame instanceof Uint8Array ? "audio" : frame.type);
  return [...new Set(["101", ...types.map((type) => `sent ${type}`)])];
}

/**
 * Connects, sends all, and leaves.
 *
 * @returns What it came to.
 */
export async function tryConnection(port: number, sending: Sending): Promise<string[]> {
  const opening = Deno.connect({ hostname: "127.0.0.1", port });
  const conn = await within(opening, "TCP connection", PATIENCE_MS);
  try {
    return await within(talk(conn, sending), "end of a connection", PATIENCE_MS);
  } finally {
    conn.close();
  }
}

async function talk(conn: Deno.TcpConn, sending: Sending): Promise<string[]> {
  const { head, frames, leaving } = sending;
  const answer = new Answer(conn, leaving === "reset");
  await writeAll(conn, [head]);
  if (answer.isEmpty) await answer.more(isComplete(head) ? PATIENCE_MS / 2 : SOON_MS);
  if (answer.isEmpty) return ["no answer"];
  const [first, ...others] = frames;
  if (first !== undefined) {
    await writeAll(conn, [first]);
    await answer.more(SOON_MS);
  }
  await writeAll(conn, others);
  if (leaving !== "finish") return [leaving];
  // Nothing is answered any more once the goodbye is there.
  for (let i = 0; i < 3; i++) await answer.more(SOON_MS / 5);
  try {
    await conn.closeWrite();
  } catch (error) {
    if (!isEnded(error)) throw error;
  }
  await answer.ended;
  return judge(answer.bytes, sending);
}

/** Only a whole request is sure to have an answer; hyper waits for more after some line ends. */
function isComplete(head: Uint8Array): boolean {
  const text = new TextDecoder("latin1").decode(head).trimStart();
  return /\r?\n\r?\n/.test(text) && !/\n\r(?!\n)/.test(text);
}

async function writeAll(conn: Deno.TcpConn, parts: readonly Uint8Array[]): Promise<void> {
  try {
    for (const bytes of parts) {
      for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
    }
  } catch (error) {
    if (!isEnded(error)) throw error;
  }
}
