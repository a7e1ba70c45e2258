/**
 * Bad connection requests. More of those that are answered 401 are in
 * `tests/server/connection_request_test.ts`.
 */
import { assertEquals } from "@std/assert";
import type { TestServerOptions } from "../helpers/test_server.ts";
import { type ConnectOptions, ENDPOINT, newNonce, UNSIGNED_KEY } from "../helpers/wire_client.ts";
import {
  answer,
  ask,
  head,
  type Headers,
  headersFor,
  START,
  withHeaders,
  without,
} from "./http_request.ts";
import { MARK, type Row, type Scene } from "./runner.ts";
import type { LineId } from "./table.ts";
import type { Outcome } from "./table_line.ts";

const NOBODY = new Uint8Array();
const WRONG = new Uint8Array(32).fill(1);

/** Which version it is to be is said. */
const otherVersion = (name: string, change: (headers: Headers) => Headers): Row => ({
  line: "other version",
  name,
  async run(scene) {
    const socket = await scene.tcp();
    await socket.write(head(START, change(await headersFor(scene))));
    const { status, headers } = await socket.response();
    assertEquals(headers.get("sec-websocket-version"), "13");
    return `HTTP ${status}`;
  },
});

const refused = (
  name: string,
  options: () => ConnectOptions,
  change: (headers: Headers) => Headers = (headers) => headers,
): Row => ({
  line: "refused",
  name,
  run: async (scene) => await ask(scene, head(START, change(await headersFor(scene, options())))),
});

/** A valid signature, but no valid request. */
const asked = (
  line: LineId,
  name: string,
  start: string,
  change: (headers: Headers) => Headers = (headers) => headers,
): Row => ({
  line,
  name,
  run: async (scene) => await ask(scene, head(start, change(await headersFor(scene)))),
});

const seconds = () => Math.floor(Date.now() / 1000);

const FEW_FAILURES: TestServerOptions = { maxAuthFailuresPerMinute: 2 };

async function failTwice(scene: Scene): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const headers = await headersFor(scene, { secret: WRONG });
    assertEquals(await ask(scene, head(START, headers)), "HTTP 401");
  }
}

export const REQUEST_ROWS: readonly Row[] = [
  refused("another secret", () => ({ secret: WRONG })),
  refused("an unknown key", () => ({ apiKey: MARK, secret: WRONG })),
  refused("no signature", () => ({ secret: NOBODY })),
  refused("a key of forbidden characters", () => ({
    secret: NOBODY,
    headers: { "X-API-KEY": `${MARK} ${MARK}` },
  })),
  refused("too old", () => ({ created: seconds() - 20, expires: null })),
  refused("of the future", () => ({ created: seconds() + 30 })),
  refused("a short nonce", () => ({ nonce: "c2hvcnQ=" })),
  refused("a session that is no UUID", () => ({
    headers: { "Audiohook-Session-Id": `../../${MARK}` },
  })),
  refused("an organization that is no UUID", () => ({
    headers: { "Audiohook-Organization-Id": MARK },
  })),
  refused("another Host than signed", () => ({}), withHeaders({ Host: `${MARK}.example` })),
  refused("no Host", () => ({}), without("Host")),
  refused("a signature that is none", () => ({}), withHeaders({ Signature: `((${MARK}` })),
  refused(
    "a bad handshake, and a bad signature",
    () => ({ secret: WRONG }),
    without("Sec-WebSocket-Key"),
  ),
  {
    line: "refused",
    name: "a nonce that was used",
    async run(scene) {
      const nonce = newNonce();
      const first = await headersFor(scene, { nonce });
      assertEquals(await ask(scene, head(START, first)), "HTTP 101");
      scene.sessions.push(first["Audiohook-Session-Id"] ?? "");
      return await ask(scene, head(START, await headersFor(scene, { nonce })));
    },
  },
  {
    line: "refused too often",
    name: "a wrong signature",
    server: FEW_FAILURES,
    async run(scene) {
      await failTwice(scene);
      const outcome = await ask(
        scene,
        head(START, await headersFor(scene, { apiKey: MARK, secret: WRONG })),
      );
      // From the same address, with what nobody can guess.
      const client = await scene.connect();
      await client.open();
      await client.close();
      return outcome;
    },
  },
  {
    line: "refused too often",
    name: "a key that signs nothing",
    server: FEW_FAILURES,
    async run(scene) {
      await failTwice(scene);
      await ask(scene, head(START, await headersFor(scene, { secret: WRONG })));
      const options = { apiKey: UNSIGNED_KEY, secret: NOBODY };
      return await ask(scene, head(START, await headersFor(scene, options)));
    },
  },
  {
    line: "too many sessions",
    name: "one more",
    server: { maxSessions: 2 },
    async run(scene) {
      const client = await scene.connect();
      await client.open();
      const outcome = await ask(scene, head(START, await headersFor(scene)));
      await client.close();
      return outcome;
    },
  },

  {
    line: "many refusals",
    name: "one after 1,000",
    // Long enough for all to be there before the first is answered.
    server: { authFailureDelayMs: 4_000 },
    async run(scene) {
      const bytes = head(START, await headersFor(scene, { secret: NOBODY }));
      const answers: Promise<Outcome>[] = [];
      for (let i = 0; i < 1001; i++) {
        const socket = await scene.tcp();
        await socket.write(bytes);
        answers.push(answer(socket));
      }
      const client = await scene.connect();
      await client.hangUp();
      await scene.bystander.goOn();
      // They were dealt with in no certain order.
      const outcomes = await Promise.all(answers);
      const refused = outcomes.filter((outcome) => outcome === "HTTP 401");
      assertEquals(refused.length, 1000);
      return outcomes.find((outcome) => outcome !== "HTTP 401") ?? "none";
    },
  },

  asked("no upgrade", "a plain GET", START, without("Upgrade", "Connection")),
  asked("no upgrade", "another protocol", START, withHeaders({ Upgrade: MARK })),
  {
    line: "no upgrade",
    name: "HTTP/2",
    async run({ server }) {
      using client = Deno.createHttpClient({ http1: false, http2: true });
      const response = await fetch(`http://${server.authority}${ENDPOINT}?${MARK}`, { client });
      await response.body?.cancel();
      return `HTTP ${response.status}`;
    },
  },
  otherVersion("8", withHeaders({ "Sec-WebSocket-Version": "8" })),
  otherVersion("none", without("Sec-WebSocket-Version")),
  otherVersion("a word", withHeaders({ "Sec-WebSocket-Version": MARK })),
  asked("bad handshake", "no key", START, without("Sec-WebSocket-Key")),
  asked("bad handshake", "a key of words", START, withHeaders({ "Sec-WebSocket-Key": MARK })),
  asked(
    "bad handshake",
    "a key of 15 bytes",
    START,
    withHeaders({ "Sec-WebSocket-Key": new Uint8Array(15).toBase64() }),
  ),
  asked(
    "bad handshake",
    "a key of 10 KB",
    START,
    withHeaders({ "Sec-WebSocket-Key": "A".repeat(10_000) }),
  ),
  asked("bad handshake", "no Connection", START, without("Connection")),
  asked("bad handshake", "keep-alive", START, withHeaders({ Connection: "keep-alive" })),
  ...["POST", "PUT", "DELETE", "OPTIONS", "BREW"].map((method) =>
    asked("other method", method, `${method} ${ENDPOINT} HTTP/1.1`)
  ),
  ...[
    "/",
    `/${MARK}`,
    `${ENDPOINT}x`,
    "/api/v1/audiohook/x/../ws",
    "/api/v1/audiohook/%2e/ws",
    `${ENDPOINT}#${MARK}`,
    `/?${ENDPOINT}`,
  ].map((target) => asked("other path", target.replace(MARK, "…"), `GET ${target} HTTP/1.1`)),
  asked("other path", "*", "OPTIONS * HTTP/1.1"),
  asked("other path", "CONNECT", "CONNECT 127.0.0.1:1 HTTP/1.1"),
];
