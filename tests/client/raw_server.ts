/**
 * A server of bare TCP, which does to its client whatever a test wants: upgrades or not, says what
 * is no WebSocket frame, reads or not, leaves at any point.
 */
import { frameBytes } from "../helpers/frame_bytes.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a test reads of a message. */
interface TextMessage {
  readonly type: string;
  // deno-lint-ignore no-explicit-any
  readonly parameters: any;
}

/** One connection. */
export class RawPeer {
  readonly connection: Deno.TcpConn;
  #received = new Uint8Array();
  #seq = 0;
  #id = "";
  #clientseq = 0;

  constructor(connection: Deno.TcpConn) {
    this.connection = connection;
  }

  async write(bytes: Uint8Array | string): Promise<void> {
    let rest = typeof bytes === "string" ? encoder.encode(bytes) : bytes;
    while (rest.length > 0) rest = rest.subarray(await this.connection.write(rest));
  }

  /** Reads the connection request. */
  async readHead(): Promise<string> {
    let end = -1;
    while (end < 0) {
      end = decoder.decode(this.#received).indexOf("\r\n\r\n");
      if (end < 0) await this.#more();
    }
    const head = decoder.decode(this.#received.subarray(0, end));
    this.#received = this.#received.slice(end + 4);
    return head;
  }

  /** Reads the connection request, and accepts it. */
  async upgrade(): Promise<void> {
    const head = await this.readHead();
    this.#id = /^audiohook-session-id: *(\S+)/im.exec(head)?.[1] ?? "";
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? "";
    const hash = await crypto.subtle.digest("SHA-1", encoder.encode(key + GUID));
    await this.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        `Sec-WebSocket-Accept: ${new Uint8Array(hash).toBase64()}\r\n\r\n`,
    );
  }

  /** A text message with the next `seq`, as a frame. */
  frame(type: string, parameters: Record<string, unknown> = {}): Uint8Array {
    const [id, seq, clientseq] = [this.#id, ++this.#seq, this.#clientseq];
    const message = { version: "2", id, type, seq, clientseq, parameters };
    return frameBytes({ opcode: 1, masked: false, payload: JSON.stringify(message) });
  }

  async say(type: string, parameters: Record<string, unknown> = {}): Promise<void> {
    await this.write(this.frame(type, parameters));
  }

  /** Reads up to the next text message of a type; all else is passed over. */
  async until(type: string): Promise<TextMessage> {
    while (true) {
      const message = await this.#next();
      if (message.type === type) return message;
    }
  }

  /** Upgrades, and answers `open`. */
  async openSession(): Promise<void> {
    await this.upgrade();
    const { parameters } = await this.until("open");
    await this.say("opened", { media: [parameters.media[0]] });
  }

  /** Answers pings, and then `close`, and reads up to the end. */
  async serve(): Promise<void> {
    for (let type = ""; type !== "close";) {
      ({ type } = await this.#next());
      if (type === "ping") await this.say("pong");
    }
    await this.say("closed");
    await this.drain();
  }

  /** Reads all there is, up to the end. */
  async drain(): Promise<number> {
    let bytes = 0;
    const buffer = new Uint8Array(65_536);
    while (true) {
      const read = await this.connection.read(buffer).catch(() => null);
      if (read === null) return bytes;
      bytes += read;
    }
  }

  async #next(): Promise<TextMessage> {
    const message = JSON.parse(await this.#nextText());
    this.#clientseq = message.seq;
    return message;
  }

  async #nextText(): Promise<string> {
    while (true) {
      const head = await this.#take(2);
      const opcode = (head[0] ?? 0) & 15;
      let length = (head[1] ?? 0) & 127;
      if (length >= 126) {
        const bytes = await this.#take(length === 126 ? 2 : 8);
        length = Number(bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n));
      }
      const mask = await this.#take(4);
      const payload = await this.#take(length);
      if (opcode !== 1) continue;
      return decoder.decode(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#received.length < length) await this.#more();
    const taken = this.#received.slice(0, length);
    this.#received = this.#received.slice(length);
    return taken;
  }

  async #more(): Promise<void> {
    const buffer = new Uint8Array(65_536);
    const read = await this.connection.read(buffer);
    if (read === null) throw new Deno.errors.UnexpectedEof();
    const joined = new Uint8Array(this.#received.length + read);
    joined.set(this.#received);
    joined.set(buffer.subarray(0, read), this.#received.length);
    this.#received = joined;
  }
}

/** What is done with each connection, which is closed at the end of it. */
export type RawScript = (peer: RawPeer, index: number) => Promise<void>;

/** Runs until it is disposed of. */
export class RawServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #scripts: Promise<void>[] = [];
  readonly #connections: Deno.TcpConn[] = [];
  readonly #accepting: Promise<void>;
  /** How many connections there were. */
  count = 0;

  constructor(script: RawScript) {
    this.#accepting = this.#accept(script);
  }

  get url(): URL {
    return new URL(`ws://127.0.0.1:${this.#listener.addr.port}/hook`);
  }

  async #accept(script: RawScript): Promise<void> {
    for await (const connection of this.#listener) {
      this.#connections.push(connection);
      // The client may leave at any time.
      const run = script(new RawPeer(connection), this.count++).catch(() => {});
      this.#scripts.push(run.finally(() => close(connection)));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await this.#accepting;
    await Promise.all(this.#scripts);
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}
