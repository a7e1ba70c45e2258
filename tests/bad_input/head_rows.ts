/**
 * Requests whose heads are odd, broken, or never finished: Deno deals with them, not we.
 */
import { assertEquals } from "@std/assert";
import { API_KEY, ENDPOINT } from "../helpers/wire_client.ts";
import { answer, head, type Headers, headersFor, latin1, START } from "./http_request.ts";
import { RawSession } from "./raw_session.ts";
import { MARK, type Row } from "./runner.ts";
import type { LineId } from "./table.ts";

/** A request that is accepted, and the session that follows. */
const odd = (
  name: string,
  start: (authority: string) => string,
  change: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes,
): Row => ({
  line: "odd request",
  name,
  async run(scene) {
    const id = crypto.randomUUID();
    const headers = await headersFor(scene, { id });
    const socket = await scene.tcp();
    scene.sessions.push(id);
    await socket.write(change(head(start(scene.server.authority), headers)));
    assertEquals(await answer(socket), "HTTP 101");
    const session = new RawSession(id, socket);
    await session.open();
    await session.close();
    return "goes on";
  },
});

/** A request that Deno refuses by itself. */
const broken = (
  line: LineId,
  name: string,
  bytes: (headers: Headers) => Uint8Array | string,
): Row => ({
  line,
  name,
  async run(scene) {
    const made = bytes(await headersFor(scene));
    const socket = await scene.tcp();
    await socket.write(typeof made === "string" ? latin1(made) : made);
    const outcome = await answer(socket);
    await socket.end();
    return `${outcome as `HTTP ${number}`}, end`;
  },
});

const brokenHead = (name: string, more: string): Row =>
  broken("broken head", name, (headers) => head(START, headers, more));

const body = (name: string, more: string, rest: string): Row =>
  broken(
    "body",
    name,
    (headers) => new Uint8Array([...head(START, headers, more), ...latin1(rest)]),
  );

export const HEAD_ROWS: readonly Row[] = [
  odd("line ends without CR", () => START, (bytes) => bytes.filter((byte) => byte !== 0x0D)),
  odd("HTTP/1.0", () => `GET ${ENDPOINT} HTTP/1.0`),
  odd("scheme and authority", (authority) => `GET http://${authority}${ENDPOINT} HTTP/1.1`),
  odd("the scheme ws", (authority) => `GET ws://${authority}${ENDPOINT} HTTP/1.1`),
  odd("another authority", () => `GET http://${MARK}.example${ENDPOINT} HTTP/1.1`),

  broken("no HTTP", "a line", () => `${MARK}\r\n\r\n`),
  broken("no HTTP", "bytes", () => `\xFF\xFE\0\x01${MARK}`),
  broken("no HTTP", "zeros", () => new Uint8Array(1000)),
  broken(
    "no HTTP",
    "TLS",
    () => new Uint8Array([...Uint8Array.fromHex("16030100c8010000c40303"), ...new Uint8Array(193)]),
  ),
  broken("no HTTP", "HTTP/3", (headers) => head(`GET ${ENDPOINT} HTTP/3.0`, headers)),
  broken("no HTTP", "a WebSocket's frame", () => new Uint8Array([0x81, 0x82, 0, 0, 0, 0, 1, 2])),

  brokenHead("NUL", `X: ${MARK}\0\r\n`),
  brokenHead("a bare CR", `X: ${MARK}\rY: z\r\n`),
  brokenHead("a folded line", `X: y\r\n ${MARK}\r\n`),
  brokenHead("no colon", `${MARK}\r\n`),
  brokenHead("a name of spaces", `  : ${MARK}\r\n`),
  brokenHead("two Host", `Host: ${MARK}\r\n`),
  broken(
    "broken head",
    "é in the target",
    (headers) => head(`GET ${ENDPOINT}?\xE9 HTTP/1.1`, headers),
  ),
  broken(
    "broken head",
    "a space in the target",
    (headers) => head(`GET ${ENDPOINT} ${MARK} HTTP/1.1`, headers),
  ),

  broken(
    "large head",
    "120 headers more",
    (headers) => head(START, headers, `X: ${MARK}\r\n`.repeat(120)),
  ),
  broken(
    "large head",
    "a value of 66 KB",
    (headers) => head(START, headers, `X: ${"x".repeat(67_584)}\r\n`),
  ),
  broken(
    "large head",
    "a target of 66 KB",
    (headers) => head(`GET ${ENDPOINT}?${"x".repeat(67_584)} HTTP/1.1`, headers),
  ),
  broken(
    "large head",
    "a name of 66 KB",
    (headers) => head(START, headers, `${"x".repeat(67_584)}: y\r\n`),
  ),

  body("5 bytes", "Content-Length: 5\r\n", "hello"),
  body("5 bytes that don't come", "Content-Length: 5\r\n", ""),
  body("a negative length", "Content-Length: -1\r\n", ""),
  body("a length of words", `Content-Length: ${MARK}\r\n`, ""),
  body("two lengths", "Content-Length: 1\r\nContent-Length: 2\r\n", "xx"),
  body("a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
  body("chunks", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),

  {
    line: "second request",
    name: "another handshake",
    async run(scene) {
      const socket = await scene.tcp();
      const first = await headersFor(scene);
      scene.sessions.push(first["Audiohook-Session-Id"] ?? "");
      const second = await headersFor(scene);
      await socket.write(new Uint8Array([...head(START, first), ...head(START, second)]));
      assertEquals(await answer(socket), "HTTP 101");
      await socket.end();
      return "HTTP 101, end";
    },
  },
  ...["", "GET", `${START}\r\nHost: x`, `${START}\r\nX-API-KEY: ${API_KEY}\r\nX: ${MARK}`].map(
    (start): Row => ({
      line: "unfinished head",
      name: `${start.length} bytes`,
      async run(scene) {
        const socket = await scene.tcp();
        if (start !== "") await socket.write(start);
        await scene.bystander.goOn();
        assertEquals(socket.heard, "");
        return "none";
      },
    }),
  ),
  {
    line: "unfinished head",
    name: "a byte now and then",
    async run(scene) {
      const socket = await scene.tcp();
      for (const char of `GET /${MARK}`) {
        await socket.write(char);
        await scene.bystander.goOn();
      }
      assertEquals(socket.heard, "");
      return "none";
    },
  },
];
