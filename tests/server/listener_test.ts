/**
 * A listener whose sockets fail: when it tries again, and what it says of that. Sockets and time are
 * fakes.
 */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { Listener, type ListenerParts, type ListenOptions } from "../../lib/server/listener.ts";
import { Inbox, within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";

const OUT = "No new connections can be accepted for now";
const IN_AGAIN = "New connections are accepted again";
/** The port that a fake gets if it may have any. */
const FREE_PORT = 49_152;
const OPTIONS: ListenOptions = {
  hostname: "127.0.0.1",
  port: 0,
  onError: () => new Response(null, { status: 500 }),
};

/** What one call of `serve` made. */
class FakeServer {
  readonly addr: Deno.NetAddr;
  readonly options: ListenOptions;
  readonly handler: Deno.ServeHandler<Deno.NetAddr>;
  /** Rejects as `accept` does without descriptors. */
  readonly fail: () => void;
  readonly finished: Promise<void>;
  readonly #ended = Promise.withResolvers<void>();
  readonly #hangs: boolean;
  shutdowns = 0;

  constructor(
    options: ListenOptions,
    handler: Deno.ServeHandler<Deno.NetAddr>,
    hangs: boolean,
  ) {
    const { hostname, port } = options;
    this.addr = { transport: "tcp", hostname, port: port === 0 ? FREE_PORT : port };
    this.options = options;
    this.handler = handler;
    this.finished = this.#ended.promise;
    this.fail = () => this.#ended.reject(new Error("Too many open files (os error 24)"));
    this.#hangs = hangs;
  }

  shutdown(): Promise<void> {
    this.shutdowns++;
    if (this.#hangs) return new Promise(() => {});
    this.#ended.resolve();
    return Promise.resolve();
  }

  /** A request that came by a connection of this server. */
  async request(): Promise<Response> {
    const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 50_000 };
    return await this.handler(new Request("http://127.0.0.1/"), {
      remoteAddr,
      completed: Promise.resolve(),
    });
  }
}

/** A wait that the listener began. */
interface Wait {
  readonly ms: number;
  readonly signal: AbortSignal;
  readonly end: () => void;
}

/** Sockets and time, as a test wants them. */
class World {
  nowMs = 0;
  /** How many of the next calls of `serve` throw. */
  refusals = 0;
  /** Calls of `serve`. */
  tries = 0;
  /** Whether the shutdown of servers made from now on never settles. */
  hangs = false;
  readonly servers = new Inbox<FakeServer>("server");
  readonly waits = new Inbox<Wait>("wait of the listener");

  readonly parts: ListenerParts = {
    serve: (options, handler) => {
      this.tries++;
      if (this.refusals > 0) {
        this.refusals--;
        throw new Deno.errors.AddrInUse("Address already in use (os error 98)");
      }
      const server = new FakeServer(options, handler, this.hangs);
      this.servers.push(server);
      return server;
    },
    nowMs: () => this.nowMs,
    delay: (ms, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      this.waits.push({ ms, signal, end: resolve });
      return promise;
    },
  };

  listen(options: Partial<ListenOptions> = {}): Listener {
    return new Listener({ ...OPTIONS, ...options }, () => new Response("handled"), this.parts);
  }

  /** Ends the next wait, and gives its length. */
  async pass(): Promise<number> {
    const { ms, end } = await this.waits.take();
    this.nowMs += ms;
    end();
    return ms;
  }

  /** The wait is over, and the listener listens again. */
  async next(): Promise<FakeServer> {
    await this.pass();
    return await this.servers.take();
  }
}

Deno.test("listener: while it can't listen again, it waits longer each time, up to 5 s", async () => {
  await using logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  const first = await world.servers.take();
  world.refusals = 6;
  first.fail();
  const waits: number[] = [];
  for (let i = 0; i < 7; i++) waits.push(await world.pass());
  assertEquals(waits, [500, 1000, 2000, 4000, 5000, 5000, 5000]);
  await world.servers.take();
  assertEquals(logs.of(OUT).length, 1);
  assertEquals(world.tries, 8, "a refusal is tried again, and does not end it");
  await listener.shutdown(60_000);
});

Deno.test("listener: when what listens again fails at once, it waits longer each time, up to 5 s", async () => {
  await using _logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    const server = await world.servers.take();
    server.fail();
    waits.push(await world.pass());
  }
  assertEquals(waits, [500, 1000, 2000, 4000, 5000, 5000]);
  await world.servers.take();
  await listener.shutdown(60_000);
});

Deno.test("listener: the first failure is one line with its cause, those that follow are none", async () => {
  await using logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  let server = await world.servers.take();
  for (let i = 0; i < 20; i++) {
    server.fail();
    server = await world.next();
    // Each within a minute of the one before.
    world.nowMs += 50_000;
  }
  const [line, ...others] = logs.of(OUT);
  assertEquals(line?.level, "error");
  assertInstanceOf(line?.properties.error, Error);
  assertEquals(others, []);
  await listener.shutdown(60_000);
});

Deno.test("listener: after a minute without a failure, the next is a line, and the waits begin anew", async () => {
  await using logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  let server = await world.servers.take();
  for (let i = 0; i < 3; i++) {
    server.fail();
    server = await world.next();
  }
  // The third failure was before the wait of 2 s.
  world.nowMs += 58_000;
  server.fail();
  assertEquals(await world.pass(), 4000, "exactly a minute is not calm yet");
  server = await world.servers.take();
  assertEquals(logs.of(OUT).length, 1);
  world.nowMs += 56_001;
  server.fail();
  assertEquals(await world.pass(), 500);
  server = await world.servers.take();
  assertEquals(logs.of(OUT).length, 2);
  server.fail();
  assertEquals(await world.pass(), 1000);
  await world.servers.take();
  assertEquals(logs.of(OUT).length, 2);
  await listener.shutdown(60_000);
});

Deno.test("listener: the first request through the new server is said, once, and no other", async () => {
  await using logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  const first = await world.servers.take();
  await first.request();
  assertEquals(logs.of(IN_AGAIN), [], "nothing had failed");
  first.fail();
  const second = await world.next();
  await first.request();
  assertEquals(logs.of(IN_AGAIN), [], "a connection from before proves nothing");
  const response = await second.request();
  assertEquals(await response.text(), "handled");
  assertEquals(logs.of(IN_AGAIN).map(({ level }) => level), ["info"]);
  for (const server of [second, first, second]) await server.request();
  assertEquals(logs.of(IN_AGAIN).length, 1);
  // What fails soon after was not said, so its end is not said either.
  second.fail();
  const third = await world.next();
  await third.request();
  assertEquals([logs.of(OUT).length, logs.of(IN_AGAIN).length], [1, 1]);
  world.nowMs += 60_001;
  third.fail();
  const fourth = await world.next();
  await fourth.request();
  assertEquals([logs.of(OUT).length, logs.of(IN_AGAIN).length], [2, 2]);
  await listener.shutdown(60_000);
});

Deno.test("listener: any free port stays the same one, also after a failure", async () => {
  await using _logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen({ cert: "a certificate", key: "a key" });
  const first = await world.servers.take();
  assertEquals(first.options.port, 0);
  assertEquals(listener.addr.port, FREE_PORT);
  first.fail();
  const second = await world.next();
  const { hostname, port, cert, key, onError } = second.options;
  assertEquals({ hostname, port, cert, key, onError }, {
    ...OPTIONS,
    port: FREE_PORT,
    cert: "a certificate",
    key: "a key",
  });
  assertStrictEquals(listener.addr, second.addr);
  await listener.shutdown(60_000);
  assertEquals(second.shutdowns, 1, "what listens now is what stops");
});

Deno.test("listener: a port that can't be had at the start is an error of the start", () => {
  const world = new World();
  world.refusals = 1;
  let failure: unknown;
  try {
    world.listen();
  } catch (error) {
    failure = error;
  }
  assertInstanceOf(failure, Deno.errors.AddrInUse);
  assertEquals(world.tries, 1);
});

Deno.test("listener: shutdown ends a wait at once, and it does not listen again", async () => {
  await using _logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  const server = await world.servers.take();
  server.fail();
  const wait = await world.waits.take();
  assert(!wait.signal.aborted);
  const stopping = listener.shutdown(60_000);
  assert(wait.signal.aborted);
  await within(stopping, "shutdown");
  await within(listener.finished, "finished");
  assertEquals(world.tries, 1);
  assertEquals(world.waits.size, 0);
});

Deno.test("listener: shutdown in the moment when a wait ends, it does not listen again", async () => {
  await using _logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  const server = await world.servers.take();
  server.fail();
  const { end } = await world.waits.take();
  end();
  await within(listener.shutdown(60_000), "shutdown");
  assertEquals(world.tries, 1);
});

Deno.test("listener: a server that fails as it stops is not replaced", async () => {
  await using _logs = await LogRecords.watch();
  const world = new World();
  const listener = world.listen();
  const server = await world.servers.take();
  server.fail();
  await within(listener.shutdown(60_000), "shutdown");
  assertEquals(world.tries, 1);
  assertEquals(world.waits.size, 0);
});

Deno.test("listener: finished settles after shutdown, not before", async () => {
  const world = new World();
  const listener = world.listen();
  const server = await world.servers.take();
  const order: string[] = [];
  const finished = listener.finished.then(() => order.push("finished"));
  await Promise.resolve();
  order.push("shutdown");
  await within(listener.shutdown(60_000), "shutdown");
  await within(finished, "finished");
  assertEquals(order, ["shutdown", "finished"]);
  assertEquals(server.shutdowns, 1);
});

Deno.test("listener: a server whose shutdown never settles is waited for no longer than the timeout", async () => {
  const world = new World();
  world.hangs = true;
  const listener = world.listen();
  await within(listener.shutdown(20), "shutdown");
  await within(listener.finished, "finished");
});
