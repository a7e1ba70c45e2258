/**
 * Servers that are none: the checker says what is wrong, and never hangs.
 */
import { assert, assertEquals, assertFalse, assertLess, assertMatch } from "@std/assert";
import type { CheckReport } from "../../../lib/client/check/check_report.ts";
import { runChecks } from "../../../lib/client/check/run_checks.ts";
import { within } from "../../helpers/deadline.ts";
import { ByteServer, served } from "../byte_server.ts";
import { API_KEY, BrokenServer, SECRET } from "./broken_server.ts";
import { GoodSession, type Message } from "./good_session.ts";

/** What bounds a case, and something for a busy machine. */
const HANG_MS = 60_000;
/** None of these servers answers in time, whatever the time is. */
const TIMEOUT_SCALE = 0.2;

async function check(port: number, only = "open.probe"): Promise<CheckReport> {
  const run = runChecks({
    url: new URL(`ws://127.0.0.1:${port}/audiohook`),
    apiKey: "some-key",
    clientSecret: new Uint8Array(16),
    only,
    timeoutScale: TIMEOUT_SCALE,
  });
  return await within(run, "run of the checker", HANG_MS);
}

/** A listener that does something with each connection, until it is disposed of. */
class Listener implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections: Deno.TcpConn[] = [];
  readonly #accepting: Promise<void>;

  constructor(serve: (connection: Deno.TcpConn) => void) {
    this.#accepting = this.#accept(serve);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // The test closed it.
      }
    }
  }

  async #accept(serve: (connection: Deno.TcpConn) => void): Promise<void> {
    for await (const connection of this.#listener) {
      this.#connections.push(connection);
      serve(connection);
    }
  }
}

/** A WebSocket server of Deno's. */
function webSocketServer(serve: (socket: WebSocket) => void): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onerror = () => {};
    serve(socket);
    return response;
  });
}

Deno.test("check: a server that is not there is reported at once", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const report = await check(port, "");
  assertMatch(report.problem ?? "", /nobody listens/);
  assertEquals(report.results, []);
});

Deno.test("check: a listener that never answers is given up, and nothing else is tried", async () => {
  await using listener = new Listener(() => {});
  const report = await check(listener.port);
  assertMatch(report.problem ?? "", /[Nn]o answer in time/);
  assertLess(report.tookMs, 30_000);
});

Deno.test("check: a listener that drops every connection is reported at once", async () => {
  await using listener = new Listener((connection) => connection.close());
  const report = await check(listener.port);
  assertMatch(report.problem ?? "", /^No connection/);
});

Deno.test("check: a listener that speaks another language is reported at once", async () => {
  await using listener = new Listener((connection) => {
    void connection.write(new TextEncoder().encode("220 mail.example.com ESMTP\r\n"))
      .catch(() => {});
  });
  const report = await check(listener.port);
  assertMatch(report.problem ?? "", /^No connection/);
});

Deno.test("check: a web server without WebSockets is reported at once", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("hello"),
  );
  assertMatch((await check(server.addr.port)).problem ?? "", /^HTTP 200/);
});

Deno.test("check: a server that accepts and says nothing fails, case by case", async () => {
  await using server = webSocketServer(() => {});
  const report = await check(server.addr.port, "open.answered,open.probe,auth.wrong");
  assertEquals(report.problem, undefined);
  assertEquals(report.results.map(({ verdict }) => verdict), ["fail", "fail", "fail"]);
  for (const { seen } of report.results) assertMatch(seen, /^No "opened".* within 1\.0 s/);
});

Deno.test("check: a server that drops every session fails, case by case", async () => {
  await using server = webSocketServer((socket) => {
    socket.onmessage = () => socket.close();
  });
  const report = await check(server.addr.port, "open.answered,envelope.malformed");
  for (const { verdict, seen } of report.results) {
    assertEquals(verdict, "fail");
    assertMatch(seen, /^The server ended the connection/);
  }
});

Deno.test("check: a server that floods is cut off, and the transcript stays short", async () => {
  await using server = webSocketServer((socket) => {
    socket.onopen = () => {
      const timer = setInterval(() => {
        if (socket.readyState !== WebSocket.OPEN) return clearInterval(timer);
        for (let count = 0; count < 500; count++) socket.send(`{"noise":${count}}`);
      }, 1);
      socket.onclose = () => clearInterval(timer);
    };
  });
  const report = await check(server.addr.port, "open.answered,ping.answered");
  assertEquals(report.results.length, 2);
  for (const { verdict, seen, transcript } of report.results) {
    assertEquals(verdict, "fail");
    assertMatch(seen, /sent 5001 frames/);
    assert(transcript.length < 400, String(transcript.length));
    assertMatch(transcript.at(-1)?.text ?? "", /more lines were not kept/);
  }
});

Deno.test("check: a server that floods with audio is cut off as well", async () => {
  await using server = webSocketServer((socket) => {
    socket.onopen = () => {
      const timer = setInterval(() => {
        if (socket.readyState !== WebSocket.OPEN) return clearInterval(timer);
        for (let count = 0; count < 20; count++) socket.send(new Uint8Array(64_000));
      }, 1);
      socket.onclose = () => clearInterval(timer);
    };
  });
  const [result] = (await check(server.addr.port, "open.answered")).results;
  assertEquals(result?.verdict, "fail");
  assertMatch(result?.seen ?? "", /audio before "opened".*bytes, in one session/);
  assertLess(result?.transcript.length ?? Infinity, 20);
});

/** A frame of a WebSocket, to be sent beside those that its library makes. */
const UNREADABLE: readonly [name: string, frame: Uint8Array, seen: RegExp][] = [
  ["no UTF-8", served(new Uint8Array([0xff, 0xfe])), /^The server sent what is no WebSocket: \S/],
  ["a reserved bit", new Uint8Array([0xc1, 0]), /^The server sent what is no WebSocket: \S/],
  ["3 MB", served("x".repeat(3_000_000)), /^The server sent too much in one message: \S/],
];

for (const [name, frame, said] of UNREADABLE) {
  Deno.test(`check: a server that sends ${name} is told so, and not that it hung up`, async () => {
    await using server = new ByteServer(async (line) => {
      await line.upgrade();
      // The first message, which is longer than what is read here whole.
      await line.frame().catch(() => {});
      await line.write(frame).catch(() => {});
    });
    const report = await check(Number(server.url.port), "open.answered,limits.deep-json");
    assertEquals(report.results.length, 2);
    for (const { verdict, seen, transcript } of report.results) {
      assertEquals(verdict, "fail");
      assertMatch(seen, said);
      assertEquals(seen.match(/The server sent/g)?.length, 1, seen);
      assertMatch(transcript.map(({ text }) => text).join("\n"), new RegExp(said.source, "m"));
      assertFalse(seen.includes("The server ended the connection"), seen);
    }
  });
}

Deno.test("check: a server that floods after closed is told so, and not that it hung up", async () => {
  await using server = await BrokenServer.start({
    session: class extends GoodSession {
      override onClose(message: Message): void {
        super.onClose(message);
        for (let count = 0; count < 6_000; count++) this.transmit('{"noise":1}');
      }
    },
  });
  const { results: [result] } = await runChecks({
    url: server.url,
    apiKey: API_KEY,
    clientSecret: SECRET,
    only: "close.hanging-up",
  });
  assertEquals(result?.verdict, "fail");
  assertMatch(result?.seen ?? "", /sent 5001 frames, \d+ bytes, in one session$/);
  assertFalse(result?.seen.includes("that is for the client to do"));
});

Deno.test("check: a server that answers every connection by 503 is reported at once", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(null, { status: 503, headers: { "Retry-After": "30" } }),
  );
  const report = await check(server.addr.port);
  assertMatch(report.problem ?? "", /busy: HTTP 503, again in 30 s/);
});
