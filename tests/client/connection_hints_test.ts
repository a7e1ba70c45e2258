// What `call` and `check` tell a person to do about a connection that there was not: the same.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runChecks } from "../../lib/client/check/run_checks.ts";
import { connectionHint } from "../../lib/client/connection_hints.ts";
import { CertificateAuthority } from "../helpers/certificates.ts";
import { within } from "../helpers/deadline.ts";
import { type Answer, ByteServer, saying } from "./byte_server.ts";
import { startCall } from "./some_call.ts";

/** What both say of the connection to an address. */
async function said(url: URL): Promise<readonly [call: string, check: string]> {
  const { failure } = await startCall(url, { maxRetries: 0 }).outcome;
  const clientSecret = new TextEncoder().encode("what both sides know");
  const run = runChecks({ url, apiKey: "a-key", clientSecret, only: "open.answered-in-time" });
  const { problem } = await within(run, "the end of the check", 60_000);
  return [failure ?? "", problem ?? ""];
}

const refusal = (status: number, ...more: string[]): Answer =>
  saying(`HTTP/1.1 ${status} Text`, "Content-Length: 0", "Connection: close", ...more);

const REFUSED: Readonly<Record<number, RegExp>> = {
  200: /not as a WebSocket server/,
  301: /address that it redirects to/,
  307: /address that it redirects to/,
  400: /does not understand/,
  401: /API key or the client secret/,
  403: /lets nobody in/,
  404: /nothing is at this path/,
  426: /nothing that takes WebSockets/,
  502: /a proxy cannot reach/,
  503: /the server is full/,
};

for (const [status, hint] of Object.entries(REFUSED)) {
  Deno.test(`connection hints: of ${status}, call and check say the same`, async () => {
    await using server = new ByteServer(refusal(Number(status)));
    const [call, check] = await said(server.url);
    assertMatch(call, new RegExp(`^Cannot connect to .*: the server answered ${status} \\(.*\\)$`));
    assertMatch(call, hint);
    assertStringIncludes(call, check.replace(/^HTTP \d+ /, ""));
    assertMatch(check, hint);
  });
}

Deno.test("connection hints: a status that nobody knows has none", async () => {
  await using server = new ByteServer(refusal(418));
  const [call, check] = await said(server.url);
  assertMatch(call, /: the server answered 418$/);
  assertEquals(check, "HTTP 418");
});

Deno.test("connection hints: when to try again is what the server says, or is not told", async () => {
  const inAnHour = new Date(Date.now() + 3_600_000).toUTCString();
  await using dated = new ByteServer(refusal(429, `Retry-After: ${inAnHour}`));
  const [call, check] = await said(dated.url);
  assertMatch(call, /answered 429 \(it asks to try again in 3(600|59\d) s\)$/);
  assertMatch(check, /^The server is busy: HTTP 429, again in 3(600|59\d) s$/);
  await using undated = new ByteServer(refusal(429));
  const [later, busy] = await said(undated.url);
  assertMatch(later, /answered 429 \(.*try again later\)$/);
  assertEquals(busy, "The server is busy: HTTP 429");
});

Deno.test("connection hints: of what is no server, and of another one, call and check say the same", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nobody = new URL(`ws://127.0.0.1:${listener.addr.port}/`);
  listener.close();
  await using mail = new ByteServer((line) => line.write("220 mail.example.com ESMTP\r\n"));
  const cases: [url: URL, hint: RegExp][] = [
    [nobody, /nobody listens/],
    [mail.url, /speaks no HTTP/],
  ];
  for (const [url, hint] of cases) {
    for (const text of await said(url)) assertMatch(text, hint);
  }
});

Deno.test("connection hints: of a certificate of nobody we know, call and check say the same", async () => {
  const { cert, key } = await (await CertificateAuthority.create()).issue();
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const accepting = (async () => {
    for (let count = 0; count < 2; count++) {
      using tls = await listener.accept();
      await tls.handshake().catch(() => {});
    }
  })();
  for (const text of await said(new URL(`wss://127.0.0.1:${listener.addr.port}/`))) {
    assertMatch(text, /certificate.*of an authority/);
  }
  await accepting;
});

Deno.test("connection hints: of a connection that there was, and of what nobody knows, nothing", () => {
  assertEquals(connectionHint({ how: "lost", code: 1006 }), undefined);
  assertEquals(connectionHint({ how: "closed" }), undefined);
  assertEquals(connectionHint({ how: "unreachable", why: "odd", code: "EODD" }), undefined);
  assertEquals(connectionHint({ how: "unreachable", why: "odd", code: undefined }), undefined);
});
