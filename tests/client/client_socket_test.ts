import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  ClientSocket,
  type ClientSocketOptions,
  type ConnectionEnd,
} from "../../lib/client/client_socket.ts";
import { CertificateAuthority } from "../helpers/certificates.ts";
import { Inbox, until, within } from "../helpers/deadline.ts";
import { frameBytes } from "../helpers/frame_bytes.ts";
import { TestServer } from "../helpers/test_server.ts";
import {
  acceptOf,
  type Answer,
  ByteServer,
  goodbye,
  type Line,
  saying,
  served,
  switching,
} from "./byte_server.ts";
import { ENDPOINT, openParameters, requestHeaders } from "../helpers/wire_client.ts";

/** Much more than anything takes, and less than any deadline of the socket's own. */
const SOON_MS = 4_000;

/** A client's socket, and all that its handlers were told. */
class Client implements Disposable {
  readonly socket: ClientSocket;
  readonly told: string[] = [];
  readonly texts = new Inbox<string>("text of the server");
  readonly frames = new Inbox<Uint8Array>("frame of the server");
  readonly ends: ConnectionEnd[] = [];
  readonly #open = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<ConnectionEnd>();

  constructor(url: URL, options: Partial<ClientSocketOptions> = {}) {
    this.socket = new ClientSocket({ url, headers: {}, ...options }, {
      onOpen: () => {
        this.told.push("open");
        this.#open.resolve();
      },
      onText: (text) => {
        this.told.push("text");
        this.texts.push(text);
      },
      onBinary: (bytes) => {
        this.told.push("binary");
        this.frames.push(bytes);
      },
      onEnd: (end) => {
        this.told.push("end");
        this.ends.push(end);
        this.#end.resolve(end);
      },
    });
  }

  async opened(): Promise<void> {
    await within(this.#open.promise, "the connection", SOON_MS);
  }

  async ended(timeoutMs = SOON_MS): Promise<ConnectionEnd> {
    return await within(this.#end.promise, "the end", timeoutMs);
  }

  [Symbol.dispose](): void {
    this.socket.drop();
  }
}

/** The end of a connection to a server that answers so. */
async function endOf(
  answer: Answer,
  options: Partial<ClientSocketOptions> = {},
): Promise<ConnectionEnd> {
  await using server = new ByteServer(answer);
  using client = new Client(server.url, options);
  const end = await client.ended();
  assertEquals(client.told.filter((what) => what === "end").length, 1);
  return end;
}

Deno.test("client socket: a refusal tells its status, and when to try again", async () => {
  const cases: [lines: string[], status: number, retryAfterSeconds: number | undefined][] = [
    [["HTTP/1.1 401 Unauthorized", "Content-Length: 0"], 401, undefined],
    [["HTTP/1.1 503 Service Unavailable", "Retry-After: 7", "Content-Length: 0"], 503, 7],
    [["HTTP/1.1 429 Too Many Requests", "Retry-After: 0", "Connection: close"], 429, 0],
    [["HTTP/1.1 503 No", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"], 503, 0],
    [["HTTP/1.1 503 No", "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"], 503, undefined],
    [["HTTP/1.1 503 No", "Retry-After: -5"], 503, undefined],
    [["HTTP/1.1 503 No", "Retry-After: 99999999999999999999"], 503, undefined],
    // Nobody follows it: the signature is for one address.
    [["HTTP/1.1 302 Found", "Location: ws://127.0.0.1:1/"], 302, undefined],
    [["HTTP/1.1 200 OK", "Content-Length: 5", "", "hello"], 200, undefined],
    [["HTTP/1.1 404 Not Found", "Content-Length: 1000000", "", "never all of it"], 404, undefined],
  ];
  for (const [lines, status, retryAfterSeconds] of cases) {
    assertEquals(
      await endOf(saying(...lines)),
      { how: "refused", status, retryAfterSeconds },
      lines[0],
    );
  }
});

Deno.test("client socket: nobody listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = new URL(`ws://127.0.0.1:${listener.addr.port}/`);
  listener.close();
  using client = new Client(url);
  const end = await client.ended();
  assert(end.how === "unreachable");
  assertEquals(end.code, "ECONNREFUSED");
  assertEquals(client.told, ["end"]);
});

Deno.test("client socket: over TLS, a certificate of nobody we know, and a server without TLS", async () => {
  const authority = await CertificateAuthority.create();
  const { cert, key } = await authority.issue();
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const handshake = (async () => {
    using tls = await listener.accept();
    await assertRejects(() => tls.handshake());
  })();
  const untrusted = new Client(new URL(`wss://127.0.0.1:${listener.addr.port}/`));
  const end = await untrusted.ended();
  assert(end.how === "unreachable");
  assertEquals(end.code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
  await within(handshake, "the end of the handshake");
  // A plain server hears a handshake, and answers in plain HTTP.
  await using server = new ByteServer((line) => line.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const url = new URL(server.url);
  url.protocol = "wss:";
  const plain = new Client(url);
  assertEquals((await plain.ended()).how, "unreachable");
  assertEquals([...untrusted.told, ...plain.told], ["end", "end"]);
});

Deno.test("client socket: a server that never answers, or never all of it, or drips, is given up", async () => {
  const silent = Promise.withResolvers<void>();
  const answers: Answer[] = [
    () => {},
    async (line) => {
      await line.head();
      await line.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
    },
    async (line) => {
      await line.head();
      await line.write("HTTP/1.1 503 No\r\nX-Long: ");
      await silent.promise;
    },
  ];
  for (const answer of answers) {
    await using server = new ByteServer(answer);
    using client = new Client(server.url, { connectTimeoutMs: 100 });
    const end = await client.ended();
    assertEquals(end, { how: "unreachable", why: "No answer in time", code: "ETIMEDOUT" });
    assertEquals(client.told, ["end"]);
    silent.resolve();
  }
});

Deno.test("client socket: what is no handshake is no connection", async () => {
  const answers: Record<string, Answer> = {
    "garbage": async (line) => {
      await line.head();
      await line.write(new Uint8Array(200).map((_, index) => index * 7));
    },
    "another protocol": async (line) => await line.write("SSH-2.0-OpenSSH_9.6\r\n"),
    "the end, at once": (line) => line.end(),
    "the end, after the request": async (line) => {
      await line.head();
      line.end();
    },
    "a wrong Sec-WebSocket-Accept": async (line) => {
      await line.head();
      await line.write(switching(acceptOf("another key")));
    },
    "no Sec-WebSocket-Accept": saying(
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
    ),
    "another upgrade": async (line) => {
      const key = (await line.head()).get("Sec-WebSocket-Key") ?? "";
      await line.write(switching(acceptOf(key)).replace("Upgrade: websocket", "Upgrade: h2c"));
    },
    "an extension that was not asked for": async (line) => {
      const key = (await line.head()).get("Sec-WebSocket-Key") ?? "";
      await line.write(
        switching(acceptOf(key)).replace(
          "\r\n\r\n",
          "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        ),
      );
    },
  };
  const codes: string[] = [];
  for (const [name, answer] of Object.entries(answers)) {
    const end = await endOf(answer);
    assertEquals(end.how, "unreachable", name);
    assert(end.how === "unreachable");
    assertMatch(end.why, /\S/, name);
    codes.push(end.code ?? "");
  }
  assertEquals(codes, [
    ...["HPE_INVALID_CONSTANT", "HPE_INVALID_CONSTANT", "ECONNRESET", "ECONNRESET"],
    ...["BAD_UPGRADE", "BAD_UPGRADE", "BAD_UPGRADE", "BAD_UPGRADE"],
  ]);
});

Deno.test("client socket: what the server says with its answer is heard, and what we say it hears", async () => {
  const heard: unknown[] = [];
  await using server = new ByteServer(async (line) => {
    await line.upgrade(new Uint8Array([...served("hello"), ...served(new Uint8Array([1, 2]), 2)]));
    const text = await line.frame();
    heard.push(text?.opcode, new TextDecoder().decode(text?.payload));
    const binary = await line.frame();
    heard.push(binary?.opcode, [...binary?.payload ?? []]);
    await line.write(goodbye(1000));
    // The answer to the goodbye.
    heard.push((await line.frame())?.opcode);
    line.end();
  });
  using client = new Client(server.url);
  client.socket.send("before the connection: nobody hears it");
  assertEquals(await client.texts.take(), "hello");
  assertEquals([...await client.frames.take()], [1, 2]);
  client.socket.send("text");
  client.socket.send(new Uint8Array([9, 0, 255]));
  assertEquals(await client.ended(), { how: "lost", code: 1000 });
  client.socket.send("after it: nobody hears it");
  await server.answered();
  assertEquals(heard, [1, "text", 2, [9, 0, 255], 8]);
  assertEquals(client.told, ["open", "text", "binary", "end"]);
});

Deno.test("client socket: the headers are sent as given, without cookies or compression", async () => {
  const request = Promise.withResolvers<Headers>();
  await using server = new ByteServer(async (line) => request.resolve(await line.head()));
  using client = new Client(server.url, {
    headers: { "X-API-KEY": "a-key", "Signature": "s=:AA==:" },
  });
  const headers = await within(request.promise, "the request");
  assertEquals(headers.get("x-api-key"), "a-key");
  assertEquals(headers.get("signature"), "s=:AA==:");
  assertEquals(headers.get("host"), server.url.host);
  assertEquals(headers.get("sec-websocket-extensions"), null);
  assertEquals(client.told, []);
});

Deno.test("client socket: the end tells the server's goodbye from a connection that is gone", async () => {
  const cases: [end: Answer, code: number][] = [
    [(line) => line.write(goodbye(1000)).then(() => line.end()), 1000],
    [(line) => line.write(goodbye(1011)).then(() => line.end()), 1011],
    [(line) => line.write(goodbye(4001)).then(() => line.end()), 4001],
    [(line) => line.write(served("", 8)).then(() => line.end()), 1005],
    [(line) => line.end(), 1006],
    // Half a frame, and the end.
    [(line) => line.write(served("cut off").slice(0, 4)).then(() => line.end()), 1006],
  ];
  for (const [end, code] of cases) {
    const seen = await endOf(async (line) => {
      await line.upgrade();
      await end(line);
    });
    assertEquals(seen, { how: "lost", code });
  }
});

Deno.test("client socket: frames that no server may send end the connection, and nothing of them is heard", async () => {
  const bad: Record<string, Uint8Array> = {
    "masked": frameBytes({ opcode: 1, payload: "masked" }),
    "compressed": frameBytes({ opcode: 1, payload: "deflated", rsv: 4, masked: false }),
    "reserved opcode": served("what", 3),
    "no UTF-8": served(new Uint8Array([0xff, 0xfe])),
    "over 1 MiB": served(new Uint8Array(1024 * 1024 + 1), 2),
    "over 1 MiB, it says": frameBytes({ opcode: 2, length: 1n << 40n, masked: false }),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    await using server = new ByteServer(async (line) => {
      await line.upgrade(served("before"));
      await line.write(bytes).catch(() => {});
      const frame = await line.frame().catch(() => undefined);
      if (frame !== undefined) assertEquals(frame.opcode, 8, name);
      line.end();
    });
    using client = new Client(server.url);
    const end = await client.ended();
    assert(end.how === "lost", name);
    assertEquals(client.told, ["open", "text", "end"], name);
  }
});

Deno.test("client socket: a message of 1 MiB is heard", async () => {
  await using server = new ByteServer((line) =>
    line.upgrade(served(new Uint8Array(1024 * 1024), 2))
  );
  using client = new Client(server.url);
  assertEquals((await client.frames.take()).length, 1024 * 1024);
});

Deno.test("client socket: close says goodbye, once, and is our end", async () => {
  const frames: (number | undefined)[] = [];
  await using server = new ByteServer(async (line) => {
    await line.upgrade();
    frames.push((await line.frame())?.opcode);
    await line.write(goodbye(1000));
    frames.push((await line.frame())?.opcode);
    line.end();
  });
  using client = new Client(server.url);
  await client.opened();
  client.socket.close();
  client.socket.close();
  assertEquals(await client.ended(), { how: "closed" });
  client.socket.close();
  client.socket.drop();
  client.socket.reset();
  await server.answered();
  assertEquals(frames, [8, undefined]);
  assertEquals(client.told, ["open", "end"]);
});

Deno.test("client socket: a close or a goodbye after which the server stays is dropped in the end", async () => {
  const stays = async (line: Line) => {
    await line.upgrade();
    assertEquals(await line.ending(), "end");
  };
  const saysGoodbye = async (line: Line) => {
    await line.upgrade(goodbye(1000));
    assertEquals(await line.ending(), "end");
  };
  const sendsTooMuch = async (line: Line) => {
    await line.upgrade(frameBytes({ opcode: 2, length: 1n << 40n, masked: false }));
    assertEquals(await line.ending(), "end");
  };
  await using closed = new ByteServer(stays);
  await using stalled = new ByteServer(stays);
  await using left = new ByteServer(saysGoodbye);
  await using flooded = new ByteServer(sendsTooMuch);
  using closing = new Client(closed.url);
  using stalling = new Client(stalled.url);
  using leaving = new Client(left.url);
  using drowning = new Client(flooded.url);
  for (const client of [closing, stalling, leaving, drowning]) await client.opened();
  closing.socket.close();
  stalling.socket.stall();
  stalling.socket.close();
  const ends = await Promise.all(
    [closing, stalling, leaving, drowning].map((client) => client.ended(10_000)),
  );
  assertEquals(ends.map(({ how }) => how), ["closed", "closed", "lost", "lost"]);
  for (const server of [closed, stalled, left, flooded]) await server.answered();
  for (const client of [closing, stalling, leaving, drowning]) {
    assertEquals(client.told, ["open", "end"]);
  }
});

Deno.test("client socket: drop is an end without a goodbye, reset is ECONNRESET to the server", async () => {
  for (const how of ["drop", "reset"] as const) {
    const seen = Promise.withResolvers<string>();
    await using server = new ByteServer(async (line) => {
      await line.upgrade();
      assertEquals((await line.frame())?.opcode, 1);
      seen.resolve(await line.ending());
    });
    using client = new Client(server.url);
    await client.opened();
    client.socket.send("hello");
    client.socket[how]();
    assertEquals(client.ends, [{ how: "closed" }], "told at once");
    // A reset overtakes what was said before, so the server may not have got its frame.
    const ending = await within(
      Promise.race([
        seen.promise,
        server.answered().then(() => seen.promise, (error) => {
          if (error instanceof Deno.errors.ConnectionReset) return "reset";
          throw error;
        }),
      ]),
      "the end, seen by the server",
    );
    assertEquals(ending, how === "drop" ? "end" : "reset");
    assertEquals(client.told, ["open", "end"]);
  }
});

Deno.test("client socket: close, drop and reset before there is a connection are its end", async () => {
  for (const how of ["close", "drop", "reset"] as const) {
    // At once, and while the server thinks about its answer.
    for (const isAtOnce of [true, false]) {
      const asked = Promise.withResolvers<void>();
      await using server = new ByteServer(async (line) => {
        if (isAtOnce) return;
        await line.head();
        asked.resolve();
        await line.ending();
      });
      using client = new Client(server.url);
      if (!isAtOnce) await within(asked.promise, "the request");
      client.socket[how]();
      assertEquals(client.ends, [{ how: "closed" }], how);
      client.socket[how]();
      if (!isAtOnce) await server.answered();
      assertEquals(client.told, ["end"], how);
    }
  }
});

Deno.test("client socket: nothing is told after the end, whatever the server still says", async () => {
  for (const how of ["drop", "reset"] as const) {
    await using server = new ByteServer(async (line) => {
      await line.upgrade();
      try {
        for (let count = 0; count < 1000; count++) await line.write(served(`message ${count}`));
      } catch (error) {
        assert(
          error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset,
        );
      }
    });
    using client = new Client(server.url);
    await client.texts.take();
    client.socket[how]();
    const told = client.told.length;
    await server.answered();
    assertEquals(client.told.length, told);
    assertEquals(client.told.at(-1), "end");
  }
});

Deno.test("client socket: a stalled client reads nothing until it goes on", async () => {
  const frame = served(new Uint8Array(60_000), 2);
  const COUNT = 400;
  let sent = 0;
  await using server = new ByteServer(async (line) => {
    await line.upgrade();
    assertEquals((await line.frame())?.opcode, 1);
    for (; sent < COUNT; sent++) await line.write(frame);
  });
  using client = new Client(server.url);
  await client.opened();
  client.socket.stall();
  client.socket.send("now");
  // The buffers of the system fill up, and then the server waits: it gets no further.
  let before = -1;
  await until(async () => {
    const isStuck = sent > 0 && sent === before;
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return isStuck;
  }, "a server that waits");
  assertLess(sent, COUNT);
  const heardWhileStalled = client.frames.size;
  assertLess(heardWhileStalled, 20);
  client.socket.unstall();
  await until(() => client.frames.size === COUNT, "all that was held up");
  await server.answered();
  assertEquals(client.ends, []);
});

Deno.test("client socket: what the network does not take is counted", async () => {
  await using server = new ByteServer((line) => line.upgrade());
  using client = new Client(server.url);
  await client.opened();
  assertEquals(client.socket.bufferedBytes, 0);
  for (let count = 0; count < 400; count++) client.socket.send(new Uint8Array(60_000));
  assertGreater(client.socket.bufferedBytes, 1_000_000);
});

Deno.test("client socket: what is no address or no header is an error at once", () => {
  const handlers = { onOpen() {}, onText() {}, onBinary() {}, onEnd() {} };
  const bad: Partial<ClientSocketOptions>[] = [
    { url: new URL("ftp://127.0.0.1/") },
    { url: new URL("ws://127.0.0.1:1/#fragment") },
    { headers: { "X-API-KEY": "two\r\nlines" } },
    { headers: { "X-API-KEY": "\u2603" } },
    { headers: { "no name": "x" } },
  ];
  for (const options of bad) {
    assertThrows(
      () =>
        new ClientSocket({ url: new URL("ws://127.0.0.1:1/"), headers: {}, ...options }, handlers),
      Error,
    );
  }
});

Deno.test("client socket: our server understands frames with a mask of zeros", async () => {
  await using server = await TestServer.start();
  for (const hasZeroMask of [true, false]) {
    const id = crypto.randomUUID();
    using client = new Client(new URL(`ws://${server.authority}${ENDPOINT}`), {
      headers: await requestHeaders(server.authority, { id }),
      hasZeroMask,
    });
    await client.opened();
    const say = (type: string, seq: number, parameters: unknown) => {
      const envelope = { version: "2", id, type, seq, serverseq: seq - 1, position: "PT0S" };
      client.socket.send(JSON.stringify({ ...envelope, parameters }));
    };
    say("open", 1, openParameters());
    assertEquals(JSON.parse(await client.texts.take()).type, "opened");
    client.socket.send(new Uint8Array(1600).fill(0x55));
    say("close", 2, { reason: "end" });
    assertEquals(JSON.parse(await client.texts.take()).type, "closed");
    client.socket.close();
    assertEquals(await client.ended(), { how: "closed" });
    const { wav } = await server.recording(id);
    assertEquals([...wav?.slice(-1600) ?? []], new Array(1600).fill(0x55));
  }
});
