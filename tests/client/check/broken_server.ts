/**
 * A server with one fault, or none: the reference by which the conformance checker is checked. Uses
 * nothing of lib. What it does wrong is in the tables of faults beside.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
// @ts-types="ws/types"
import { type WebSocket, WebSocketServer } from "ws";
import { GoodSession, type Surroundings } from "./good_session.ts";
import { type ConnectionRequest, GoodVerifier } from "./good_verifier.ts";

export const API_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh";
export const SECRET: Uint8Array<ArrayBuffer> = new TextEncoder().encode("what both sides know");

/** How a refusal looks from outside. */
export interface Refusal {
  readonly status: string;
  readonly body: string;
}

/** The parts of a server that a fault may replace. */
export interface Parts {
  readonly session?: new (surroundings: Surroundings) => GoodSession;
  readonly verifier?: new (secrets: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) => GoodVerifier;
  /**
   * `undefined`: the connection is dropped without an answer; `disconnect`: after the upgrade, as a
   * server does that cannot tell before.
   */
  readonly refusal?: Refusal | "disconnect" | undefined;
  /** Whether a request that is refused takes the whole process with it. */
  readonly crashesOn?: (request: ConnectionRequest) => boolean;
}

const REFUSAL: Refusal = { status: "401 Unauthorized", body: "" };
const REFUSAL_DELAY_MS = 100;
/** Larger messages end the connection. */
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Runs until it is disposed of. Make it by {@link BrokenServer.start}. */
export class BrokenServer implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #server: Server = createServer();
  readonly #upgrader = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_PAYLOAD_BYTES,
    perMessageDeflate: false,
  });
  readonly #sockets = new Set<Duplex>();
  readonly #verifier: GoodVerifier;
  readonly #waiting = new Map<ReturnType<typeof setTimeout>, () => void>();
  #numberOfAll = 0;

  private constructor(parts: Parts) {
    this.#parts = parts;
    const Verifier = parts.verifier ?? GoodVerifier;
    this.#verifier = new Verifier(new Map([[API_KEY, SECRET]]));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("request", (_request, response) => {
      response.writeHead(426, { Connection: "close", Upgrade: "websocket" }).end();
    });
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Starts a server on a free port. */
  static async start(parts: Parts = {}): Promise<BrokenServer> {
    const server = new BrokenServer(parts);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): URL {
    const { port } = this.#server.address() as AddressInfo;
    return new URL(`ws://127.0.0.1:${port}/hook`);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): Promise<void> {
    const headers = joined(request.rawHeaders);
    const asked: ConnectionRequest = {
      target: request.url ?? "",
      headers,
      names: request.rawHeaders.filter((_, index) => index % 2 === 0),
      nowSeconds: Math.floor(Date.now() / 1000),
    };
    const isAccepted = await this.#verifier.accepts(asked);
    const refusal = "refusal" in this.#parts ? this.#parts.refusal : REFUSAL;
    if (!isAccepted && this.#parts.crashesOn?.(asked)) {
      this.#crash();
      return void socket.destroy();
    }
    if (!isAccepted && refusal !== "disconnect") return await this.#refuse(socket, refusal);
    if (socket.destroyed) return;
    this.#upgrader.handleUpgrade(request, socket, Buffer.from(head), (webSocket) => {
      const Session = this.#parts.session ?? GoodSession;
      const session = new Session({
        socket: webSocket,
        sessionId: headers.get("audiohook-session-id") ?? "",
        organizationId: headers.get("audiohook-organization-id") ?? "",
        crash: () => this.#crash(),
        connections: () => this.#upgrader.clients.size,
        nextOfAll: () => ++this.#numberOfAll,
      });
      this.#drive(webSocket, session);
      if (!isAccepted) session.disconnect("unauthorized", "Not signed as it should be");
    });
  }

  #drive(webSocket: WebSocket, session: GoodSession): void {
    webSocket.on("message", (data: Uint8Array, isBinary) => {
      try {
        if (isBinary) session.onAudio(data);
        else session.onText(data.toString());
      } catch {
        // A fault fell over its own feet: the session is lost, as it would be elsewhere.
        webSocket.terminate();
      }
    });
    webSocket.on("error", () => {});
    webSocket.on("close", () => session.end());
  }

  async #refuse(socket: Duplex, refusal: Refusal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, REFUSAL_DELAY_MS);
    this.#waiting.set(timer, resolve);
    await promise;
    this.#waiting.delete(timer);
    if (refusal === undefined) return void socket.destroy();
    const { status, body } = refusal;
    const head = [`HTTP/1.1 ${status}`, `Content-Length: ${body.length}`, "Connection: close"];
    socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  }

  /** Who is about to connect finds the next process. */
  #crash(): void {
    for (const webSocket of this.#upgrader.clients) webSocket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [timer, done] of this.#waiting) {
      clearTimeout(timer);
      done();
    }
    for (const socket of this.#sockets) socket.destroy();
    this.#upgrader.close();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Headers by lower-case names. */
function joined(rawHeaders: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = String(rawHeaders[index]).toLowerCase();
    const value = String(rawHeaders[index + 1]).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}
