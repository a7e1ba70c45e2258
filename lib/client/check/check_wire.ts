/**
 * One connection of a case: what goes over it is recorded, what comes is bounded, and every wait
 * ends.
 *
 * Imports its neighbours.
 */
import { ClientSocket, type ConnectionEnd } from "../client_socket.ts";
import type { CheckClock } from "./check_clock.ts";
import { type CheckRequest, describeRequest } from "./check_request.ts";
import type { Transcript } from "./transcript.ts";

/** More frames than that on one connection are a flood. */
const MAX_RECEIVED_FRAMES = 5_000;
const MAX_RECEIVED_BYTES = 8 * 1024 * 1024;
/** From the request to the HTTP answer. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** From our goodbye to the end of the connection, which is then dropped. */
const GOODBYE_MS = 500;
/** The WebSocket's code for a message beyond what is taken. */
const TOO_LARGE = 1009;

/** What {@link CheckWire} needs. */
export interface CheckWireOptions {
  readonly request: CheckRequest;
  /** Which connection of the case it is, from 1. */
  readonly connection: number;
  readonly clock: CheckClock;
  readonly transcript: Transcript;
}

/** What comes over the wire. */
export interface CheckWireHandlers {
  onText(text: string): void;
  onBinary(bytes: Uint8Array): void;
  /** What came cannot be read, which ended the connection. */
  onUnreadable(what: string): void;
}

/** One connection. */
export class CheckWire {
  readonly #options: CheckWireOptions;
  readonly #handlers: CheckWireHandlers;
  readonly #socket: ClientSocket;
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  #end: ConnectionEnd | undefined;
  #flood: string | undefined;
  #frames = 0;
  #bytes = 0;
  #wake: () => void = () => {};

  /** Begins to connect; wait for {@link CheckWire.connected} next. */
  constructor(options: CheckWireOptions, handlers: CheckWireHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const { request, clock } = options;
    this.#note("sent", describeRequest(request));
    this.#socket = new ClientSocket({
      url: request.url,
      headers: request.headers,
      connectTimeoutMs: clock.bounded(clock.scale(CONNECT_TIMEOUT_MS)),
    }, {
      onOpen: () => {
        this.#note("received", "101 Switching Protocols");
        this.#opened.resolve();
      },
      onText: (text) => this.#onText(text),
      onBinary: (bytes) => this.#onBinary(bytes),
      onEnd: (end) => this.#onEnd(end),
    });
  }

  /** How the connection ended, if it did. */
  get end(): ConnectionEnd | undefined {
    return this.#end;
  }

  /** Of a server that sent more than anybody can want, how much it was. */
  get flood(): string | undefined {
    return this.#flood;
  }

  /** Settles when there is a connection, or none to come. */
  async connected(): Promise<void> {
    await Promise.race([this.#opened.promise, this.#ended.promise]);
  }

  /** Sends a text frame. */
  sendText(text: string): void {
    this.#note("sent", text);
    this.#socket.send(text);
  }

  /** Sends a binary frame. */
  sendBytes(bytes: Uint8Array): void {
    this.#options.transcript.addAudio(this.#options.connection, "sent", bytes.length);
    this.#socket.send(bytes);
  }

  /** Waits until something holds, but no longer than a time; tells whether it does. */
  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const endsMs = performance.now() + withinMs;
    while (!holds()) {
      const leftMs = endsMs - performance.now();
      if (leftMs <= 0) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, leftMs);
      this.#wake = resolve;
      await promise;
      clearTimeout(timer);
    }
    return true;
  }

  /** Drops the connection, as a network failure does. */
  drop(): void {
    this.#note("note", "the connection is dropped");
    this.#socket.drop();
  }

  /** Resets the connection. */
  reset(): void {
    this.#note("note", "the connection is reset");
    this.#socket.reset();
  }

  /** Ends the connection, whatever is going on. Never throws, never hangs. */
  async hangUp(): Promise<void> {
    if (this.#end === undefined) this.#socket.close();
    if (!(await this.until(() => this.#end !== undefined, GOODBYE_MS))) this.#socket.drop();
    await this.#ended.promise;
  }

  #onText(text: string): void {
    if (!this.#count(text.length)) return;
    this.#note("received", text);
    this.#handlers.onText(text);
    this.#wake();
  }

  #onBinary(bytes: Uint8Array): void {
    if (!this.#count(bytes.length)) return;
    this.#options.transcript.addAudio(this.#options.connection, "received", bytes.length);
    this.#handlers.onBinary(bytes);
    this.#wake();
  }

  #onEnd(end: ConnectionEnd): void {
    this.#end = end;
    this.#note(end.how === "closed" ? "note" : "received", describeEnd(end));
    const unreadable = unreadableOf(end);
    if (unreadable !== undefined) this.#handlers.onUnreadable(unreadable);
    this.#ended.resolve();
    this.#wake();
  }

  /** Whether the frame is within what a connection may get. */
  #count(bytes: number): boolean {
    if (this.#flood !== undefined) return false;
    this.#frames++;
    this.#bytes += bytes;
    if (this.#frames <= MAX_RECEIVED_FRAMES && this.#bytes <= MAX_RECEIVED_BYTES) return true;
    this.#flood = `The server sent ${this.#frames} frames, ${this.#bytes} bytes, in one session`;
    this.#note("note", this.#flood);
    this.#socket.drop();
    this.#wake();
    return false;
  }

  #note(direction: "sent" | "received" | "note", text: string): void {
    this.#options.transcript.add(this.#options.connection, direction, text);
  }
}

/** What the server sent that ended the connection, because it cannot be read. */
function unreadableOf(end: ConnectionEnd): string | undefined {
  if (end.how !== "lost" || end.why === undefined) return undefined;
  const what = end.code === TOO_LARGE ? "too much in one message" : "what is no WebSocket";
  return `${what}: ${end.why}`;
}

/** The end of a connection in words. */
export function describeEnd(end: ConnectionEnd): string {
  const unreadable = unreadableOf(end);
  if (unreadable !== undefined) return `The server sent ${unreadable}`;
  switch (end.how) {
    case "refused":
      return `HTTP ${end.status}`;
    case "unreachable":
      return `No connection: ${end.why || end.code || "the reason is not known"}`;
    case "closed":
      return "The connection was ended by the checker";
    case "lost":
      return `The server ended the connection (WebSocket code ${end.code})`;
  }
}
