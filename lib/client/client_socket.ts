/**
 * A WebSocket as Genesys Cloud has one, and as a bad network leaves it (protocol section 1).
 *
 * Deno's own client doesn't tell the HTTP status of a refused connection, can't drop a connection
 * or stop reading, and holds small messages back (Nagle's algorithm); the package `ws` does all of
 * that. Every wait has a deadline. Imports a neighbour.
 */
// @ts-types="ws/types"
import { WebSocket as WsSocket } from "ws";
import { parseRetryAfter } from "./retry_after.ts";

/** How a connection ended, or why there was none. */
export type ConnectionEnd =
  /** The server answered the connection request by another HTTP status than 101. */
  | {
    readonly how: "refused";
    readonly status: number;
    /** When it says to try again, seconds from now. */
    readonly retryAfterSeconds: number | undefined;
  }
  /**
   * No connection: nobody listens, an unknown name, a bad certificate, no answer in time. `code` is
   * the error's; `BAD_UPGRADE`: an answer that does not make a WebSocket, although it says so.
   */
  | { readonly how: "unreachable"; readonly why: string; readonly code: string | undefined }
  /** We ended it. */
  | { readonly how: "closed" }
  /**
   * The server or the network ended it. `code` is the WebSocket's; 1006: without a goodbye. `why`
   * is there if the server sent what is no WebSocket, which ends it as well.
   */
  | { readonly how: "lost"; readonly code: number; readonly why?: string };

/** What happens on a connection. */
export interface ClientSocketHandlers {
  /** The connection is there. */
  onOpen(): void;
  /** A text frame came. */
  onText(text: string): void;
  /** A binary frame came; its bytes are the handler's. */
  onBinary(bytes: Uint8Array): void;
  /** It is over, or never began. Called once, and last. */
  onEnd(end: ConnectionEnd): void;
}

/** Options of a {@link ClientSocket}. */
export interface ClientSocketOptions {
  /** `ws:` or `wss:`. */
  readonly url: URL;
  /** Headers of the connection request. */
  readonly headers: Readonly<Record<string, string>>;
  /** From the beginning to the end of the handshake; 10 s unless given. */
  readonly connectTimeoutMs?: number;
  /**
   * Masks frames by zeros, which costs less of our time where thousands of calls are made. A mask
   * protects proxies from what a page in a browser may send, and nothing here.
   */
  readonly hasZeroMask?: boolean;
}

/** Codes of the WebSocket for what a frame can be, besides wrong (1002). */
const FRAME_ERRORS: Readonly<Partial<Record<string, number>>> = {
  WS_ERR_INVALID_UTF8: 1007,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 1009,
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 1009,
};

const CONNECT_TIMEOUT_MS = 10_000;
/** From a goodbye, ours or the server's, to the end of the TCP connection, which is then dropped. */
const CLOSE_TIMEOUT_MS = 5_000;
/** More than the protocol allows, so that a server which sends too much can be told so. */
const MAX_RECEIVED_BYTES = 1024 * 1024;

/** One connection, from the request to its end. */
export class ClientSocket {
  readonly #socket: WsSocket;
  readonly #handlers: ClientSocketHandlers;
  readonly #connectTimer: ReturnType<typeof setTimeout>;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  #wasAnswered = false;
  #wasOpen = false;
  #isOver = false;

  /**
   * Begins to connect.
   *
   * @throws {Error} If the address or a header is not one.
   */
  constructor(options: ClientSocketOptions, handlers: ClientSocketHandlers) {
    this.#handlers = handlers;
    const { url, headers, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    const settings = {
      headers,
      // For the goodbyes that are not ours: the server's, and that after a frame which is none. The
      // package's own patience is 30 s; its types do not know of it.
      closeTimeout: CLOSE_TIMEOUT_MS,
      maxPayload: MAX_RECEIVED_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
      generateMask: options.hasZeroMask ? (mask: Uint8Array) => void mask.fill(0) : undefined,
    };
    const socket = new WsSocket(url, settings);
    this.#socket = socket;
    this.#connectTimer = setTimeout(() => {
      this.#finish({ how: "unreachable", why: "No answer in time", code: "ETIMEDOUT" });
      socket.terminate();
    }, connectTimeoutMs);
    // The answer is 101, and not yet looked at.
    socket.on("upgrade", () => this.#wasAnswered = true);
    socket.on("open", () => {
      clearTimeout(this.#connectTimer);
      this.#wasOpen = true;
      if (!this.#isOver) handlers.onOpen();
    });
    socket.on("message", (data: Uint8Array, isBinary) => {
      if (this.#isOver) return;
      if (isBinary) handlers.onBinary(data);
      else handlers.onText(data.toString());
    });
    socket.on("unexpected-response", (request, response) => {
      const { statusCode = 0, headers: { "retry-after": retryAfter = "" } } = response;
      const retryAfterSeconds = parseRetryAfter(retryAfter, Date.now());
      this.#finish({ how: "refused", status: statusCode, retryAfterSeconds });
      request.destroy();
    });
    socket.on("error", (error: Error & { readonly code?: string }) => {
      // Of an open connection, `close` tells the end, but not what was wrong with a frame.
      if (this.#wasOpen) {
        const code = FRAME_ERRORS[error.code ?? ""];
        if (code === undefined && !error.code?.startsWith("WS_ERR_")) return;
        this.#finish({ how: "lost", code: code ?? 1002, why: error.message });
        socket.terminate();
        return;
      }
      // The package has no code for what is wrong with an answer.
      const code = error.code ?? (this.#wasAnswered ? "BAD_UPGRADE" : undefined);
      this.#finish({ how: "unreachable", why: error.message, code });
    });
    socket.on("close", (code) => this.#finish({ how: "lost", code }));
  }

  /** Bytes that were sent, and that the network has not taken yet. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Sends a text frame or a binary one; without a connection, nothing happens. */
  send(frame: string | Uint8Array): void {
    if (this.#socket.readyState === WsSocket.OPEN) this.#socket.send(frame);
  }

  /** Stops reading, as a client does that hangs: what the server sends waits in the network. */
  stall(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  unstall(): void {
    this.#socket.resume();
  }

  /** Ends the connection by the WebSocket's goodbye, or before it is there. */
  close(): void {
    if (this.#isOver || this.#closeTimer !== undefined) return;
    if (this.#socket.readyState === WsSocket.CONNECTING) return this.drop();
    this.#closeTimer = setTimeout(() => this.drop(), CLOSE_TIMEOUT_MS);
    this.#socket.close();
  }

  /** Drops the TCP connection, as a network failure does; the WebSocket says no goodbye. */
  drop(): void {
    this.#finish({ how: "closed" });
    this.#socket.terminate();
  }

  /**
   * Resets the TCP connection (RST): what waits is thrown away. Before it is there, and over TLS,
   * where the runtime has no reset, it is dropped.
   */
  reset(): void {
    this.#finish({ how: "closed" });
    // Not part of the package's interface: its TCP socket, `null` before the handshake is over.
    const { _socket: tcp } = this.#socket as unknown as {
      readonly _socket: { resetAndDestroy(): void } | null;
    };
    if (tcp === null) this.#socket.terminate();
    else tcp.resetAndDestroy();
  }

  #finish(end: ConnectionEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#connectTimer);
    const isByUs = this.#closeTimer !== undefined;
    clearTimeout(this.#closeTimer);
    this.#handlers.onEnd(isByUs ? { how: "closed" } : end);
  }
}
