/**
 * The server's side of the protocol, written by hand from protocol.md: says whatever a test wants,
 * right or wrong. Uses nothing of lib, so that both sides can't share a misreading.
 */
import { assertEquals } from "@std/assert";

/** A text message of the client. */
export interface Received {
  readonly version: string;
  readonly id: string;
  readonly type: string;
  readonly seq: number;
  readonly serverseq: number;
  readonly position: string;
  // deno-lint-ignore no-explicit-any
  readonly parameters: any;
}

/** One connection, and all that came on it. */
export class Peer {
  readonly socket: WebSocket;
  readonly received: Received[] = [];
  readonly frames: Uint8Array[] = [];
  /** Faults of the client's envelopes. */
  readonly faults: string[] = [];
  #sentSeq = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
  }

  /** The types that came, in order. */
  get types(): string[] {
    return this.received.map(({ type }) => type);
  }

  /** The first message of a type. */
  message(type: string): Received | undefined {
    return this.received.find((message) => message.type === type);
  }

  take(text: string): Received {
    const message: Received = JSON.parse(text);
    const expected = this.received.length + 1;
    if (message.version !== "2") this.faults.push(`version ${message.version}`);
    if (message.seq !== expected) this.faults.push(`seq ${message.seq}, not ${expected}`);
    if (!(message.serverseq <= this.#sentSeq)) this.faults.push(`serverseq ${message.serverseq}`);
    if (message.id !== (this.received[0]?.id ?? message.id)) this.faults.push("id changed");
    if (!/^PT\d+(\.\d+)?S$/.test(message.position)) this.faults.push(message.position);
    if (typeof message.parameters !== "object") this.faults.push(`${message.type}: no parameters`);
    this.received.push(message);
    return message;
  }

  /** Says something as the protocol wants it. */
  say(type: string, parameters: Record<string, unknown> = {}): void {
    this.raw(this.envelope(type, { parameters }));
  }

  /** An envelope that takes the next `seq`. */
  envelope(type: string, fields: Record<string, unknown>): string {
    return JSON.stringify({
      version: "2",
      id: this.received[0]?.id,
      type,
      seq: ++this.#sentSeq,
      clientseq: this.received.length,
      ...fields,
    });
  }

  raw(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  /** Answers as a server does that takes the first offer. */
  answer(message: Received): void {
    if (message.type === "open") this.say("opened", { media: [message.parameters.media[0]] });
    if (message.type === "ping") this.say("pong");
    if (message.type === "close") this.say("closed");
  }
}

/** What a server does with each text message. */
export type Script = (peer: Peer, message: Received) => void;

/** Runs until it is disposed of. */
export class ScriptedServer implements AsyncDisposable {
  readonly peers: Peer[] = [];
  readonly requests: Headers[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #closed: Promise<void>[] = [];

  constructor(script: Script = (peer, message) => peer.answer(message)) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      // A copy: they cannot be read once the connection is upgraded.
      this.requests.push(new Headers(request.headers));
      const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
      socket.binaryType = "arraybuffer";
      const peer = new Peer(socket);
      this.peers.push(peer);
      const closed = Promise.withResolvers<void>();
      this.#closed.push(closed.promise);
      socket.onclose = () => closed.resolve();
      socket.onerror = (event) => event.preventDefault();
      socket.onmessage = ({ data }) => {
        if (typeof data === "string") script(peer, peer.take(data));
        else peer.frames.push(new Uint8Array(data));
      };
      return response;
    });
  }

  get url(): URL {
    return new URL(`ws://127.0.0.1:${this.#server.addr.port}/hook`);
  }

  /** The only connection. */
  get peer(): Peer {
    const [peer] = this.peers;
    if (peer === undefined) throw new Error("Nobody connected");
    assertEquals(this.peers.length, 1);
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.peers) {
      if (socket.readyState === WebSocket.OPEN) socket.close();
    }
    await Promise.all(this.#closed);
    await this.#server.shutdown();
  }
}
