/**
 * One connection to a server that is measured: sends text, and takes the time until the next text
 * comes. Checks little, because what it does is measured too: `WireClient` is what tests use.
 */
import { ClientSocket } from "../../lib/client/client_socket.ts";
import {
  duration,
  ENDPOINT,
  openParameters,
  requestHeaders,
  STEREO,
} from "../helpers/wire_client.ts";

/** 100 ms of stereo. */
export const FRAME: Uint8Array<ArrayBuffer> = new Uint8Array(1600).fill(0xff);
const FRAME_SAMPLES = 800;

/** How long a session may wait for an answer. */
const TIMEOUT_MS = 10_000;

/** Waits for one answer at a time. */
export class Probe {
  /** When it began to connect, by `performance.now()`. */
  readonly startedMs: number;
  readonly #socket: ClientSocket;
  readonly #id: string;
  readonly #connected = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #seq = 0;
  #serverseq = 0;
  #samples = 0;
  #answer: PromiseWithResolvers<number> | undefined;

  private constructor(url: URL, headers: Readonly<Record<string, string>>, id: string) {
    this.#id = id;
    this.startedMs = performance.now();
    this.#socket = new ClientSocket({ url, headers, hasZeroMask: true }, {
      onOpen: () => this.#connected.resolve(),
      onText: (text) => this.#receive(text, performance.now()),
      onBinary: () => {},
      onEnd: () => {
        this.#connected.reject(new Error(`Cannot connect to ${url}`));
        this.#answer?.reject(new Error("The connection ended before the answer"));
        this.#ended.resolve();
      },
    });
  }

  /** Connects by a signed request; the time of the signature does not count. */
  static async connect(url: URL): Promise<Probe> {
    const id = crypto.randomUUID();
    const headers = await requestHeaders(url.host, { id, target: ENDPOINT });
    const probe = new Probe(url, headers, id);
    await probe.#connected.promise;
    return probe;
  }

  /** The time to `opened`, milliseconds. */
  open(): Promise<number> {
    return this.#ask("open", openParameters({ media: [STEREO] }));
  }

  /** The time to `pong`, milliseconds. */
  ping(): Promise<number> {
    return this.#ask("ping", {});
  }

  /** Sends 100 ms of audio. */
  sendFrame(): void {
    this.#socket.send(FRAME);
    this.#samples += FRAME_SAMPLES;
  }

  /** Ends the session, and the connection. */
  async close(): Promise<void> {
    await this.#ask("close", { reason: "end" });
    this.#socket.close();
    await this.#ended.promise;
  }

  async #ask(type: string, parameters: unknown): Promise<number> {
    const text = JSON.stringify({
      version: "2",
      id: this.#id,
      type,
      seq: ++this.#seq,
      serverseq: this.#serverseq,
      position: duration(this.#samples),
      parameters,
    });
    const answer = Promise.withResolvers<number>();
    this.#answer = answer;
    const timer = setTimeout(() => answer.reject(new Error(`No answer to ${type}`)), TIMEOUT_MS);
    const sentMs = performance.now();
    this.#socket.send(text);
    try {
      return await answer.promise - sentMs;
    } finally {
      clearTimeout(timer);
      this.#answer = undefined;
    }
  }

  #receive(text: string, nowMs: number): void {
    this.#serverseq++;
    const { type } = JSON.parse(text);
    if (type === "disconnect") this.#answer?.reject(new Error(`The server ended it: ${text}`));
    else this.#answer?.resolve(nowMs);
  }
}
