/**
 * Genesys Cloud by hand: a plain WebSocket that sends what a test writes down, and checks of every
 * message of the server what section 4 of the protocol promises. Knows nothing of lib's sessions.
 */
import { assert, assertEquals } from "@std/assert";
import { createSignature } from "../../lib/protocol/signature.ts";
import { Inbox, within } from "./deadline.ts";

export const API_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh";
export const SECRET: Uint8Array<ArrayBuffer> = new TextEncoder().encode("a secret of us two only");
export const UNSIGNED_KEY = "key-without-a-secret";
export const ORGANIZATION_ID = "d7934305-0972-4844-938e-9060eef73d05";
export const CORRELATION_ID = "e160e428-53e2-487c-977d-96989bf5c99d";
export const CONVERSATION_ID = "090eaa2f-72fa-480a-83e0-8667ff89c0ec";
export const PARTICIPANT_ID = "883efee8-3d6c-4537-b500-6d7ca4b92fa0";
export const NIL = "00000000-0000-0000-0000-000000000000";
export const ENDPOINT = "/api/v1/audiohook/ws";

// deno-lint-ignore no-explicit-any
export type Json = any;

/** A text message of the server. */
export interface ServerText {
  readonly version: string;
  readonly id: string;
  readonly type: string;
  readonly seq: number;
  readonly clientseq: number;
  readonly parameters: Record<string, Json>;
}

const audio = (format: string, ...channels: string[]) => ({
  type: "audio",
  format,
  channels,
  rate: 8000,
});

export const STEREO = audio("PCMU", "external", "internal");
export const INVERTED = audio("PCMU", "internal", "external");
export const EXTERNAL = audio("PCMU", "external");
export const INTERNAL = audio("PCMU", "internal");
export const L16_EXTERNAL = audio("L16", "external");
export const L16_STEREO = audio("L16", "external", "internal");

/** Parameters of `open`, as Genesys Cloud sends them. */
export function openParameters(more: Record<string, Json> = {}): Record<string, Json> {
  return {
    organizationId: ORGANIZATION_ID,
    conversationId: CONVERSATION_ID,
    participant: {
      id: PARTICIPANT_ID,
      ani: "tel:+15551234567",
      aniName: "Jordan Example",
      dnis: "tel:+18005550100",
    },
    media: [STEREO, EXTERNAL, INTERNAL],
    language: "en-US",
    ...more,
  };
}

/** Parameters of the `open` of a connection probe. */
export function probeParameters(): Record<string, Json> {
  return openParameters({
    conversationId: NIL,
    participant: { id: NIL, ani: "", aniName: "", dnis: "" },
  });
}

/** How to connect; what is absent is as it should be. */
export interface ConnectOptions {
  readonly id?: string;
  readonly apiKey?: string;
  /** Empty: not signed. */
  readonly secret?: Uint8Array;
  /** What is signed as the authority. */
  readonly authority?: string;
  readonly target?: string;
  readonly nonce?: string;
  /** UNIX seconds. */
  readonly created?: number;
  readonly expires?: number | null;
  readonly components?: readonly string[];
  /** Replace or (by `undefined`) remove headers before the request is signed. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Connects by TLS, trusting whom this trusts. */
  readonly tlsClient?: Deno.HttpClient;
}

/** A fresh nonce. */
export function newNonce(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toBase64();
}

/** The AudioHook headers of a connection request. */
export async function requestHeaders(
  authority: string,
  options: ConnectOptions = {},
): Promise<Record<string, string>> {
  const { id = crypto.randomUUID(), apiKey = API_KEY, secret = SECRET } = options;
  const now = Math.floor(Date.now() / 1000);
  const { created = now, expires = created + 10 } = options;
  const all: Record<string, string | undefined> = {
    "Audiohook-Organization-Id": ORGANIZATION_ID,
    "Audiohook-Session-Id": id,
    "Audiohook-Correlation-Id": CORRELATION_ID,
    "Audiohook-Retry-Attempt": "0",
    "X-API-KEY": apiKey,
    ...options.headers,
  };
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(all)) if (value !== undefined) headers[name] = value;
  if (secret.length === 0) return headers;
  const lookup = new Headers(headers);
  const signature = await createSignature({
    requestTarget: options.target ?? ENDPOINT,
    authority: options.authority ?? authority,
    header: (name) => lookup.get(name),
  }, {
    keyid: apiKey,
    secret,
    nonce: options.nonce ?? newNonce(),
    created,
    ...(expires === null ? {} : { expires }),
    ...(options.components === undefined ? {} : { components: options.components }),
  });
  return { ...headers, ...signature };
}

/** `PT<seconds>S` of a number of samples, exactly. */
export function duration(samples: number): string {
  const text = (samples * 125).toString().padStart(7, "0");
  return `PT${text.slice(0, -6)}.${text.slice(-6)}S`;
}

/** The client's side of a session. Make it by `await using client = await WireClient.connect(…)`. */
export class WireClient implements AsyncDisposable {
  readonly id: string;
  readonly socket: WebSocket;
  /** The `seq` that was sent last. */
  seq = 0;
  /** The `seq` that was received last. */
  serverseq = 0;
  /** Position of the stream. */
  samples = 0;
  /** The client does not count like the server: `clientseq` is not checked. */
  miscounts = false;
  /** Bytes of a sample of all channels, once open. */
  sampleFrameBytes = 1;
  /** Every text message of the server, for ever. */
  readonly history: ServerText[] = [];
  /** Every text frame of both sides, in this side's order. */
  readonly transcript: { readonly from: "client" | "server"; readonly text: string }[] = [];
  readonly #texts = new Inbox<ServerText>("message of the server");
  readonly #frames = new Inbox<Uint8Array>("audio of the server");
  readonly #ended = Promise.withResolvers<CloseEvent>();
  #failure: unknown;
  #lastClientseq = 0;

  private constructor(id: string, socket: WebSocket) {
    this.id = id;
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#ended.resolve(event);
    socket.onerror = (event) => event.preventDefault();
  }

  /** Connects to a server of this machine; rejects if it refuses. */
  static async connect(
    { addr }: { readonly addr: Deno.NetAddr },
    options: ConnectOptions = {},
  ): Promise<WireClient> {
    const { id = crypto.randomUUID() } = options;
    const authority = `127.0.0.1:${addr.port}`;
    const headers = await requestHeaders(authority, { ...options, id });
    const scheme = options.tlsClient === undefined ? "ws" : "wss";
    const url = `${scheme}://${authority}${options.target ?? ENDPOINT}`;
    const socket = new WebSocket(url, { headers, client: options.tlsClient });
    const client = new WireClient(id, socket);
    const opened = new Promise<boolean>((resolve) => {
      socket.onopen = () => resolve(true);
      void client.ended.then(() => resolve(false));
    });
    if (!await within(opened, "connection")) throw new Error("The connection was refused");
    return client;
  }

  /** When the connection is over. */
  get ended(): Promise<CloseEvent> {
    return this.#ended.promise;
  }

  /** Sends a message; the envelope's fields can be replaced, or removed by `undefined`. */
  send(type: string, parameters: Json = {}, envelope: Record<string, Json> = {}): number {
    this.sendText(JSON.stringify({
      version: "2",
      id: this.id,
      type,
      seq: this.seq + 1,
      serverseq: this.serverseq,
      position: duration(this.samples),
      parameters,
      ...envelope,
    }));
    this.seq = typeof envelope.seq === "number" ? envelope.seq : this.seq + 1;
    return this.seq;
  }

  /** Sends a text frame that is not counted here. */
  sendText(text: string): void {
    this.transcript.push({ from: "client", text });
    this.socket.send(text);
  }

  /** Sends audio, and moves the position. */
  sendAudio(bytes: Uint8Array<ArrayBuffer>): void {
    this.samples += Math.floor(bytes.length / this.sampleFrameBytes);
    this.socket.send(bytes);
  }

  /** The next text message, whatever it is. */
  async next(timeoutMs?: number): Promise<ServerText> {
    const message = await this.#texts.take(timeoutMs);
    if (this.#failure !== undefined) throw this.#failure;
    return message;
  }

  /** The next text message, which has to be of this type. */
  async expect(type: string, timeoutMs?: number): Promise<ServerText> {
    let message: ServerText;
    try {
      message = await this.next(timeoutMs);
    } catch (error) {
      throw this.#failure ?? new Error(`Expected "${type}"`, { cause: error });
    }
    assertEquals(message.type, type, `expected "${type}", got ${JSON.stringify(message)}`);
    return message;
  }

  /** The next binary frame. */
  nextAudio(timeoutMs?: number): Promise<Uint8Array> {
    return this.#frames.take(timeoutMs);
  }

  /** Binary frames that were not taken yet. */
  get waitingAudio(): number {
    return this.#frames.size;
  }

  /** Sends `open` and takes `opened`. */
  async open(more: Record<string, Json> = {}): Promise<ServerText> {
    this.send("open", openParameters(more));
    const opened = await this.expect("opened");
    const [media] = opened.parameters.media;
    if (media !== undefined) {
      this.sampleFrameBytes = media.channels.length * (media.format === "L16" ? 2 : 1);
    }
    return opened;
  }

  /** A ping that is answered: all before it was counted, and nothing else was said about it. */
  async ping(): Promise<void> {
    const seq = this.send("ping");
    const pong = await this.expect("pong");
    assertEquals(pong.clientseq, seq, "a pong acknowledges its ping");
  }

  /** Sends `close`, takes `closed`, and ends the connection, as a good client does. */
  async close(reason = "end", timeoutMs?: number): Promise<ServerText> {
    const seq = this.send("close", { reason });
    const closed = await this.expect("closed", timeoutMs);
    if (!this.miscounts) assertEquals(closed.clientseq, seq, "a closed acknowledges its close");
    await this.hangUp();
    return closed;
  }

  /** Ends the WebSocket, with its goodbye but without the protocol's. */
  async hangUp(): Promise<void> {
    this.socket.close();
    await within(this.ended, "end of the WebSocket");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hangUp();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #receive(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      this.#frames.push(new Uint8Array(data));
      return;
    }
    try {
      this.transcript.push({ from: "server", text: String(data) });
      const message = JSON.parse(String(data));
      this.#check(message, String(data));
      this.serverseq = message.seq;
      this.history.push(message);
      this.#texts.push(message);
    } catch (error) {
      this.#failure ??= error;
      this.#texts.push({ type: "FAILED", parameters: {} } as ServerText);
    }
  }

  /** Section 4: what every message of the server has to be. */
  #check(message: Json, text: string): void {
    assert(new TextEncoder().encode(text).length <= 64_000, "at most 64,000 bytes");
    assertEquals(message.version, "2");
    assertEquals(message.id, this.id);
    assertEquals(typeof message.type, "string");
    assertEquals(message.seq, this.serverseq + 1, `seq of ${text}`);
    assert(Number.isInteger(message.clientseq), `clientseq of ${text}`);
    if (!this.miscounts) {
      assert(message.clientseq <= this.seq, `clientseq ${message.clientseq} of ${this.seq} sent`);
      assert(message.clientseq >= this.#lastClientseq, "clientseq does not go back");
      this.#lastClientseq = message.clientseq;
    }
    assert(!("position" in message), "the server's messages have no position");
    assert(!("serverseq" in message), "the server's messages have no serverseq");
    assertEquals(typeof message.parameters, "object", "parameters are always there");
    assert(message.parameters !== null && !Array.isArray(message.parameters));
  }
}
