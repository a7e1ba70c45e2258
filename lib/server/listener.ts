/**
 * `Deno.serve` that gets up again.
 *
 * One `accept` that fails, for want of file descriptors, ends `Deno.serve` for good, and nobody
 * could call any more: anybody who opens enough connections could bring that about.
 */
import { setTimeout as wait } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { withDeadline } from "../app/deadline.ts";

const log = getLogger(["audiohook", "server"]);

/** How long to wait before listening again; longer each time, as each failure costs some memory. */
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [500, 5_000];
/** After such a time without a failure, the next one is news. */
const CALM_MS = 60_000;

/** Where and how to listen. */
export interface ListenOptions {
  readonly hostname: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly cert?: string;
  readonly key?: string;
  /** Answers a request whose handler failed. */
  readonly onError: (error: unknown) => Response;
}

/** What a {@link Listener} asks of the world. */
export interface ListenerParts {
  readonly serve: (
    options: ListenOptions & { readonly onListen: () => void },
    handler: Deno.ServeHandler<Deno.NetAddr>,
  ) => Pick<Deno.HttpServer<Deno.NetAddr>, "addr" | "finished" | "shutdown">;
  /** Present time, on any clock that never goes back. */
  readonly nowMs: () => number;
  /** Settles after a time; rejects at once if aborted. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const REAL_PARTS: ListenerParts = {
  serve: (options, handler) => Deno.serve(options, handler),
  nowMs: () => performance.now(),
  delay: (ms, signal) => wait(ms, undefined, { signal }),
};

/** A listening socket, and the connections that came by it. */
export class Listener {
  readonly #options: ListenOptions;
  readonly #handler: Deno.ServeHandler<Deno.NetAddr>;
  readonly #parts: ListenerParts;
  readonly #stopping = new AbortController();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #watching: Promise<void>;
  #server: ReturnType<ListenerParts["serve"]>;
  #failedMs = -Infinity;
  #retryMs = FIRST_RETRY_MS;
  /** Whether the log says that nobody can connect. */
  #isOut = false;

  /**
   * Listens.
   *
   * @throws {Deno.errors.AddrInUse} And other errors of `Deno.serve`, if it cannot.
   */
  constructor(
    options: ListenOptions,
    handler: Deno.ServeHandler<Deno.NetAddr>,
    parts: ListenerParts = REAL_PARTS,
  ) {
    this.#handler = handler;
    this.#parts = parts;
    this.#options = options;
    this.#server = this.#listen();
    // The same port from now on, also if it was to be any.
    this.#options = { ...options, port: this.#server.addr.port };
    this.#watching = this.#watch();
  }

  /** Where it listens. */
  get addr(): Deno.NetAddr {
    return this.#server.addr;
  }

  /** Settles when it has stopped. */
  get finished(): Promise<void> {
    return this.#stopped.promise;
  }

  /**
   * Stops, and closes all connections that are left.
   *
   * Deno waits for them without end, if a client vanished in the moment of its upgrade, or stalls
   * in the TLS handshake: then they stay, and keep the event loop alive.
   */
  async shutdown(timeoutMs: number): Promise<void> {
    this.#stopping.abort();
    const stopping = Promise.allSettled([this.#server.shutdown(), this.#watching]);
    await withDeadline(stopping, timeoutMs);
    this.#stopped.resolve();
  }

  #listen(): ReturnType<ListenerParts["serve"]> {
    // A request proves that connections come in again: one by this server, not by an earlier one.
    let isFirst = true;
    return this.#parts.serve({ ...this.#options, onListen: () => {} }, (request, info) => {
      if (isFirst) this.#onRequest();
      isFirst = false;
      return this.#handler(request, info);
    });
  }

  #onRequest(): void {
    if (!this.#isOut) return;
    this.#isOut = false;
    log.info("New connections are accepted again");
  }

  /** Runs as long as the server does. */
  async #watch(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        return await this.#server.finished;
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        this.#onFailure(error);
        await this.#listenAgain();
      }
    }
  }

  #onFailure(error: unknown): void {
    const nowMs = this.#parts.nowMs();
    if (nowMs > this.#failedMs + CALM_MS) {
      this.#retryMs = FIRST_RETRY_MS;
      this.#isOut = true;
      log.error(
        "No new connections can be accepted for now; running calls go on. If too many files are " +
          "open, allow more (ulimit -n), or let a proxy end idle connections",
        { error },
      );
    }
    this.#failedMs = nowMs;
  }

  async #listenAgain(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#parts.delay(this.#retryMs, signal).catch(() => {});
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
      if (signal.aborted) return;
      try {
        this.#server = this.#listen();
        return;
      } catch {
        // For the same reason; it is known by now.
      }
    }
  }
}
