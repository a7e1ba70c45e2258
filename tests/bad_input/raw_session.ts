/**
 * A client's session over bare TCP: it can send what no WebSocket library would, at any point of a
 * correct session. `setNoDelay` makes it quick, too, which Deno's WebSocket is not.
 */
import { assertEquals } from "@std/assert";
import { frameBytes } from "../helpers/frame_bytes.ts";
import type { RawFrame, RawSocket } from "../helpers/raw_socket.ts";
import type { TestServer } from "../helpers/test_server.ts";
import { duration, type Json, openParameters, type ServerText } from "../helpers/wire_client.ts";

const decoder = new TextDecoder();

/** The client's side. Make it by `await using session = await RawSession.connect(…)`. */
export class RawSession implements AsyncDisposable {
  readonly id: string;
  readonly socket: RawSocket;
  /** The `seq` that was sent last. */
  seq = 0;
  /** The `seq` that was received last. */
  serverseq = 0;
  /** Position of the stream, if it is stereo µ-law. */
  samples = 0;

  /** @param socket Just upgraded, or about to be. */
  constructor(id: string, socket: RawSocket) {
    this.id = id;
    this.socket = socket;
  }

  static async connect(server: TestServer, id: string = crypto.randomUUID()): Promise<RawSession> {
    return new RawSession(id, await server.connectRaw(id));
  }

  /** The text of the next message, which is thereby counted. */
  text(type: string, parameters: Json = {}): string {
    return JSON.stringify({
      version: "2",
      id: this.id,
      type,
      seq: ++this.seq,
      serverseq: this.serverseq,
      position: duration(this.samples),
      parameters,
    });
  }

  /** Sends a message. */
  async send(type: string, parameters: Json = {}): Promise<void> {
    await this.socket.write(frameBytes({ opcode: 1, payload: this.text(type, parameters) }));
  }

  /** Sends audio in one frame, and moves the position. */
  async sendAudio(audio: Uint8Array): Promise<void> {
    this.samples += audio.length / 2;
    await this.socket.write(frameBytes({ opcode: 2, payload: audio }));
  }

  /** Sends bytes as they are; the server may have ended the connection already. */
  async sendBytes(...parts: readonly Uint8Array[]): Promise<void> {
    try {
      for (const part of parts) await this.socket.write(part);
    } catch {
      // What came back tells.
    }
  }

  /** The next text message or Close frame; `undefined` at the end of the connection. */
  async next(): Promise<ServerText | "close frame" | undefined> {
    while (true) {
      let frame: RawFrame | undefined;
      try {
        frame = await this.socket.frame();
      } catch (error) {
        if (error instanceof Error && /ended too early/.test(error.message)) return undefined;
        throw error;
      }
      if (frame === undefined) return undefined;
      if (frame.opcode === 8) return "close frame";
      if (frame.opcode !== 1) continue;
      const message: ServerText = JSON.parse(decoder.decode(frame.payload));
      assertEquals(message.id, this.id);
      assertEquals(message.seq, this.serverseq + 1, "the server counts its messages");
      this.serverseq = message.seq;
      return message;
    }
  }

  /** The next text message, which has to be of this type. */
  async expect(type: string): Promise<ServerText> {
    const message = await this.next();
    const isIt = typeof message === "object" && message.type === type;
    if (!isIt) throw new Error(`Expected "${type}", got ${JSON.stringify(message) ?? "the end"}`);
    return message;
  }

  /** Sends `open` and takes `opened`. */
  async open(): Promise<void> {
    await this.send("open", openParameters());
    await this.expect("opened");
  }

  /** A ping that is answered: all before it was counted, and nothing else was said about it. */
  async ping(): Promise<void> {
    await this.send("ping");
    assertEquals((await this.expect("pong")).clientseq, this.seq, "a pong acknowledges its ping");
  }

  /** Sends `close`, takes `closed`, and ends the connection by a Close frame. */
  async close(reason = "end"): Promise<void> {
    await this.send("close", { reason });
    assertEquals((await this.expect("closed")).clientseq, this.seq, "closed acknowledges close");
    await this.socket.write(frameBytes({ opcode: 8, payload: new Uint8Array([0x03, 0xE8]) }));
    assertEquals(await this.next(), "close frame");
    await this.socket.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.socket[Symbol.asyncDispose]();
  }
}
