/**
 * HTTP and WebSocket by hand, over TCP: for what `fetch` and `WebSocket` would not send, or would
 * tidy up, and for clients that vanish without a word.
 */
import { Socket } from "node:net";
import { within } from "./deadline.ts";
import { frameBytes } from "./frame_bytes.ts";

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

/** A TCP connection that speaks as it is told. By node:net, because Deno's own can't reset. */
export class RawSocket implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #closed = Promise.withResolvers<void>();
  #received = new Uint8Array();
  #heard = "";
  #hasEnded = false;
  #failure: Error | undefined;
  #onChange: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", (error) => this.#failure = error);
    socket.on("end", () => this.#end());
    socket.on("close", () => {
      this.#end();
      this.#closed.resolve();
    });
  }

  static async connect(port: number): Promise<RawSocket> {
    const socket = new Socket({ allowHalfOpen: true });
    const raw = new RawSocket(socket);
    const connected = Promise.withResolvers<void>();
    socket.once("connect", connected.resolve);
    void raw.#closed.promise.then(() => connected.reject(raw.#failure));
    socket.connect({ host: "127.0.0.1", port });
    socket.setNoDelay(true);
    await connected.promise;
    // Paused until somebody reads: else nothing could be left unread.
    return raw;
  }

  /** All that was read up to now, as text. */
  get heard(): string {
    return this.#heard;
  }

  /** Settles when the bytes are on their way; rejects if the connection is gone. */
  async write(data: string | Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.write(data, (error) => error ? reject(error) : resolve());
    await promise;
  }

  /** Sends a request without a body, exactly as given. */
  async request(
    target: string,
    headers: Readonly<Record<string, string>>,
    method = "GET",
  ): Promise<void> {
    await this.write(requestHead(target, headers, method));
  }

  /** Waits until the server says anything. */
  async answer(): Promise<void> {
    if (!await this.#more()) throw new Error("The connection ended without an answer");
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
    await this.write(frameBytes({ opcode, payload }));
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
    this.#socket.destroy();
  }

  /** The same by a reset: what is under way is lost. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Says that nothing more will be sent (FIN), and goes on reading. */
  finish(): void {
    this.#socket.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop();
    await this.#closed.promise;
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
    let chunk: Uint8Array | null;
    while ((chunk = this.#socket.read()) === null) {
      if (this.#hasEnded) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onChange = resolve;
      this.#socket.once("readable", resolve);
      await within(promise, "TCP read");
      this.#socket.off("readable", resolve);
    }
    this.#heard += decoder.decode(chunk);
    const joined = new Uint8Array(this.#received.length + chunk.length);
    joined.set(this.#received);
    joined.set(chunk, this.#received.length);
    this.#received = joined;
    return true;
  }

  #end(): void {
    this.#hasEnded = true;
    this.#onChange();
  }
}

/**
 * Sends these bytes one after the other, each when the server has said something to the one before,
 * and then resets the TCP connection, as the system of a client does that has crashed.
 */
export async function sendAndReset(
  port: number,
  ...parts: readonly (string | Uint8Array)[]
): Promise<void> {
  await using socket = await RawSocket.connect(port);
  for (const part of parts) {
    await socket.write(part);
    await socket.answer();
  }
  socket.reset();
}

/** The head of a request without a body, exactly as given. */
export function requestHead(
  target: string,
  headers: Readonly<Record<string, string>>,
  method = "GET",
): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`;
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
