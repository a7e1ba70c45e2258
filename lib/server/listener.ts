/**
 * `Deno.serve` that gets up again.
 *
 * One `accept` that fails, for want of file descriptors, ends `Deno.serve` for good, and nobody
 * could call any more: anybody who opens enough connections could bring that about.
 */
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

/** A listening socket, and the connections that came by it. */
export class Listener {
  readonly #options: ListenOptions;
  readonly #handler: Deno.ServeHandler<Deno.NetAddr>;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #watching: Promise<void>;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #isStopping = false;
  #failedMs = -Infinity;
  #retryMs = FIRST_RETRY_MS;

  /**
   * Listens.
   *
   * @throws {Deno.errors.AddrInUse} And other errors of `Deno.serve`, if it cannot.
   */
  constructor(options: ListenOptions, handler: Deno.ServeHandler<Deno.NetAddr>) {
    this.#handler = handler;
    this.#options = options;
    this.#server = this.#listen(options.port);
    // The same port from now on, if it was any.
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
    this.#isStopping = true;
    const stopping = Promise.allSettled([this.#server.shutdown(), this.#watching]);
    await withDeadline(stopping, timeoutMs);
    this.#stopped.resolve();
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    return Deno.serve({ ...this.#options, port, onListen: () => {} }, this.#handler);
  }

  /** Runs as long as the server does. */
  async #watch(): Promise<void> {
    while (!this.#isStopping) {
      try {
        return await this.#server.finished;
      } catch (error) {
        await this.#listenAgain(error);
      }
    }
  }

  async #listenAgain(failure: unknown): Promise<void> {
    const nowMs = performance.now();
    if (nowMs > this.#failedMs + CALM_MS) {
      this.#retryMs = FIRST_RETRY_MS;
      log.error(
        "No new connections can be accepted: too many are open (see ulimit -n); trying again",
        { error: failure },
      );
    }
    this.#failedMs = nowMs;
    while (!this.#isStopping) {
      await new Promise((resolve) => setTimeout(resolve, this.#retryMs));
      this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
      if (this.#isStopping) return;
      try {
        this.#server = this.#listen(this.#options.port);
        return;
      } catch {
        // As above; it is known by now.
      }
    }
  }
}
