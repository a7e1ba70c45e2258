/**
 * HTTP and WebSocket by hand, over TCP: for what `fetch` and `WebSocket` would not send, or would
 * tidy up, and for clients that vanish without a word.
 */
import { within } from "./deadline.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What an HTTP server answered. */
export interface RawResponse {
  readonly status: number;
  /** By lower-case name, in the order of the wire. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** One frame of a WebSocket. */
export interface RawFrame {
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** The headers of a correct WebSocket handshake, without `Host`. */
export const HANDSHAKE: Readonly<Record<string, string>> = {
  "Upgrade": "websocket",
  "Connection": "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** A TCP connection that speaks as it is told. */
export class RawSocket implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;
  #received = new Uint8Array();
  #isOpen = true;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async connect(port: number): Promise<RawSocket> {
    return new RawSocket(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
  }

  /** Sends a request without a body, exactly as given. */
  async request(
    target: string,
    headers: Readonly<Record<string, string>>,
    method = "GET",
  ): Promise<void> {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    await this.write(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
  }

  /** Reads an answer. */
  async response(): Promise<RawResponse> {
    let end = -1;
    while ((end = decoder.decode(this.#received).indexOf("\r\n\r\n")) < 0) {
      if (!await this.#more()) throw new Error("The connection ended within a response's head");
    }
    const head = decoder.decode(await this.#take(end + 4));
    const [statusLine = "", ...lines] = head.trimEnd().split("\r\n");
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const length = Number(headers.get("content-length") ?? 0);
    const body = decoder.decode(await this.#take(length));
    return { status: Number(statusLine.split(" ")[1]), headers, body };
  }

  /** Sends a frame, masked as a client has to. */
  async sendFrame(opcode: number, payload: Uint8Array): Promise<void> {
    const size = payload.length;
    const head = size < 126
      ? [0x80 | size]
      : size < 65_536
      ? [0x80 | 126, size >> 8, size & 0xFF]
      : [0x80 | 127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 0xFF, (size >> 8) & 0xFF, size & 0xFF];
    // A mask of zeros leaves the payload as it is.
    await this.write(new Uint8Array([0x80 | opcode, ...head, 0, 0, 0, 0, ...payload]));
  }

  sendText(text: string): Promise<void> {
    return this.sendFrame(1, encoder.encode(text));
  }

  /** Reads a frame; `undefined` at the end of the connection. */
  async frame(): Promise<RawFrame | undefined> {
    if (this.#received.length === 0 && !await this.#more()) return undefined;
    const [first = 0, second = 0] = await this.#take(2);
    let size = second & 0x7F;
    if (size === 126) {
      const [high = 0, low = 0] = await this.#take(2);
      size = high * 256 + low;
    } else if (size === 127) {
      const bytes = await this.#take(8);
      size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));
    }
    return { opcode: first & 0x0F, payload: await this.#take(size) };
  }

  /** Reads text frames up to the next message of a type. */
  async message(type: string): Promise<Record<string, unknown>> {
    while (true) {
      const frame = await this.frame();
      if (frame === undefined) throw new Error(`The connection ended before "${type}"`);
      if (frame.opcode !== 1) continue;
      const message = JSON.parse(decoder.decode(frame.payload));
      if (message.type === type) return message;
    }
  }

  /** Settles when the server ends the TCP connection. */
  async end(timeoutMs?: number): Promise<void> {
    await within(
      (async () => {
        while (await this.#more());
      })(),
      "end of the TCP connection",
      timeoutMs,
    );
  }

  /** Ends the TCP connection, without a WebSocket's goodbye. */
  drop(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#conn.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    await Promise.resolve();
  }

  async #take(size: number): Promise<Uint8Array> {
    while (this.#received.length < size) {
      if (!await this.#more()) throw new Error("The connection ended too early");
    }
    const taken = this.#received.slice(0, size);
    this.#received = this.#received.slice(size);
    return taken;
  }

  async #more(): Promise<boolean> {
    const chunk = new Uint8Array(65_536);
    let count: number | null;
    try {
      count = await within(this.#conn.read(chunk), "TCP read");
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return false;
      throw error;
    }
    if (count === null) return false;
    const joined = new Uint8Array(this.#received.length + count);
    joined.set(this.#received);
    joined.set(chunk.subarray(0, count), this.#received.length);
    this.#received = joined;
    return true;
  }
}

/** One request on a connection of its own. */
export async function rawRequest(
  port: number,
  target: string,
  headers: Readonly<Record<string, string>>,
  method = "GET",
): Promise<RawResponse> {
  await using socket = await RawSocket.connect(port);
  await socket.request(target, headers, method);
  return await socket.response();
}
