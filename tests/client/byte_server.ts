/**
 * The server's side of a WebSocket, byte by byte: says what no server would, at any time. Uses
 * nothing of lib.
 */
import { assert } from "@std/assert";
import { createHash } from "node:crypto";
import { within } from "../helpers/deadline.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";

/** One connection of the server's side, byte by byte. */
export class Line {
  readonly #tcp: Deno.TcpConn;
  #received = new Uint8Array();

  constructor(tcp: Deno.TcpConn) {
    this.#tcp = tcp;
  }

  /** Reads until something is there; `undefined` at the end of the stream. */
  async #read(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(65_536);
    const bytes = await within(this.#tcp.read(buffer), "bytes of the client");
    if (bytes === null) return undefined;
    this.#received = new Uint8Array([...this.#received, ...buffer.subarray(0, bytes)]);
    return this.#received;
  }

  /** The head of the connection request, by lower-case names of headers. */
  async head(): Promise<Headers> {
    while (true) {
      const text = new TextDecoder().decode(this.#received);
      const end = text.indexOf("\r\n\r\n");
      if (end >= 0) {
        this.#received = this.#received.slice(end + 4);
        const lines = text.slice(0, end).split("\r\n").slice(1);
        return new Headers(lines.map((line) => line.split(/: (.*)/, 2) as [string, string]));
      }
      assert(await this.#read() !== undefined, "the client went away");
    }
  }

  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let sent = 0; sent < bytes.length;) sent += await this.#tcp.write(bytes.subarray(sent));
  }

  /** Makes a WebSocket of it; more may follow in the same packet. */
  async upgrade(more: Uint8Array = new Uint8Array()): Promise<void> {
    const key = (await this.head()).get("Sec-WebSocket-Key") ?? "";
    const answer = new TextEncoder().encode(switching(acceptOf(key)));
    await this.write(new Uint8Array([...answer, ...more]));
  }

  /** The next frame of the client, unmasked; `undefined` if the connection ends. */
  async frame(): Promise<{ opcode: number; payload: Uint8Array } | undefined> {
    while (true) {
      const [first = 0, second = 0] = this.#received;
      const length = second & 0x7f;
      assert(length < 126, "the frames of these tests are short");
      if (this.#received.length >= 6 + length && this.#received.length >= 6) {
        const mask = this.#received.slice(2, 6);
        const payload = this.#received.slice(6, 6 + length)
          .map((byte, index) => byte ^ (mask[index % 4] ?? 0));
        this.#received = this.#received.slice(6 + length);
        return { opcode: first & 0x0f, payload };
      }
      if (await this.#read() === undefined) return undefined;
    }
  }

  /** How the client ends the connection, from here. */
  async ending(): Promise<"end" | "reset"> {
    try {
      while (await this.#read() !== undefined);
      return "end";
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return "reset";
      throw error;
    }
  }

  end(): void {
    try {
      this.#tcp.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}

/** What answers a `Sec-WebSocket-Key`. */
export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** The answer that makes a WebSocket of a connection. */
export function switching(accept: string): string {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

/** A frame of a server: of text, unless it says otherwise. */
export function served(payload: string | Uint8Array, opcode = 1): Uint8Array<ArrayBuffer> {
  return frameBytes({ opcode, payload, masked: false });
}

/** The server's goodbye. */
export function goodbye(code: number): Uint8Array<ArrayBuffer> {
  return served(new Uint8Array([code >> 8, code & 0xff]), 8);
}

/** What a server does with a connection. */
export type Answer = (line: Line) => Promise<void> | void;

/** A server that does with every connection what a test says. */
export class ByteServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #lines: Line[] = [];
  readonly #answers: Promise<void>[] = [];
  readonly #accepting: Promise<void>;

  constructor(answer: Answer) {
    this.#accepting = (async () => {
      for await (const tcp of this.#listener) {
        const line = new Line(tcp);
        this.#lines.push(line);
        this.#answers.push((async () => await answer(line))());
      }
    })();
  }

  get url(): URL {
    return new URL(`ws://127.0.0.1:${this.#listener.addr.port}/hook`);
  }

  /** Settles when every answer was given; rejects if one could not be. */
  async answered(): Promise<void> {
    await within(Promise.all(this.#answers), "answers of the server");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const line of this.#lines) line.end();
    await Promise.allSettled(this.#answers);
  }
}

/** Answers the request by HTTP. */
export const saying = (...lines: readonly string[]): Answer => async (line) => {
  await line.head();
  await line.write(`${lines.join("\r\n")}\r\n\r\n`);
};
