/**
 * The server that the upgrade is fuzzed against, a session that nothing must happen to, and what
 * the log says.
 */
import { assertEquals } from "@std/assert";
import { configure, reset } from "@logtape/logtape";
import type { App } from "../../lib/app/app.ts";
import { NOWHERE } from "../helpers/nowhere_store.ts";
import { until } from "../helpers/deadline.ts";
import { rawRequest } from "../helpers/raw_socket.ts";
import { TestServer } from "../helpers/test_server.ts";
import type { WireClient } from "../helpers/wire_client.ts";

/** Then the bystander makes room for another: sessions have rates, which are not the point. */
const MAX_PINGS = 200;

/** Does as callers say, so that more than the protocol's own answers are sent. */
const OBEDIENT: App = {
  name: "obedient",
  supportedLanguages: ["en-US"],
  open: (call) => ({
    opened: () => call.sendEvent({ type: "hello", data: {} }),
    dtmf: (digit) => {
      if (digit === "1") call.pause();
      else if (digit === "2") call.resume();
      else if (digit === "3") call.disconnect("completed");
      else if (call.media?.channels.length === 1) call.play(new Uint8Array(1600));
    },
    close: () => ({ outputVariables: { a: "b" } }),
  }),
};

export class UpgradeServer implements AsyncDisposable {
  readonly #server: TestServer;
  readonly #fatal: string[];
  #bystander: WireClient | undefined;
  #pings = 0;

  private constructor(server: TestServer, fatal: string[]) {
    this.#server = server;
    this.#fatal = fatal;
  }

  static async start(): Promise<UpgradeServer> {
    const fatal: string[] = [];
    await configure({
      reset: true,
      sinks: {
        fatal: ({ properties, rawMessage }) => fatal.push(Deno.inspect([rawMessage, properties])),
      },
      loggers: [
        { category: ["logtape"], lowestLevel: "fatal" },
        { category: ["audiohook"], lowestLevel: "fatal", sinks: ["fatal"] },
      ],
    });
    const server = await TestServer.start({
      apps: [OBEDIENT],
      authFailureDelayMs: 0,
      // A connection whose client left in the middle of the upgrade ends by these.
      sessionLimits: { openTimeoutMs: 1000, closeTimeoutMs: 500, hangupTimeoutMs: 500 },
      store: () => NOWHERE,
    });
    return new UpgradeServer(server, fatal);
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get authority(): string {
    return this.#server.authority;
  }

  /** Makes sure that the server is as well as before. */
  async check(): Promise<void> {
    const { status } = await rawRequest(this.port, "/healthz", { Host: this.authority });
    assertEquals(status, 200, "/healthz");
    if (this.#bystander === undefined || this.#pings > MAX_PINGS) await this.#renew();
    this.#pings++;
    // It checks all numbers by itself.
    await this.#bystander?.ping();
    await until(() => this.#server.server.connectionCount <= 1, "end of all connections but one");
    assertEquals(this.#fatal.splice(0), [], "the log has a defect");
  }

  async #renew(): Promise<void> {
    await this.#bystander?.close();
    this.#bystander = await this.#server.connect();
    this.#pings = 0;
    await this.#bystander.open();
    // The event of the app.
    await this.#bystander.expect("event");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#bystander?.close();
    } finally {
      await this.#server[Symbol.asyncDispose]();
      await reset();
    }
  }
}
