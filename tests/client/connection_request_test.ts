import { assert, assertEquals, assertFalse, assertMatch, assertNotEquals } from "@std/assert";
import { connectionHeaders, type ConnectionRequest } from "../../lib/client/connection_request.ts";

const SECRET = new TextEncoder().encode("a client secret of some length, for tests");
const NOW = 1_700_000_000;

function request(url: string, clientSecret?: Uint8Array): ConnectionRequest {
  return {
    url: new URL(url),
    organizationId: "d7934305-0972-4844-938e-9060eef73d05",
    sessionId: "e160e428-53b2-487c-977d-96989bf5c99d",
    correlationId: "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    apiKey: "some/API+key==",
    ...(clientSecret ? { clientSecret } : {}),
  };
}

async function headersOf(url: string, clientSecret?: Uint8Array): Promise<Headers> {
  return new Headers(await connectionHeaders(request(url, clientSecret), NOW));
}

/** The signature base of protocol.md section 3, written down line by line. */
function signatureBase(headers: Headers, target: string, authority: string): string {
  const input = headers.get("Signature-Input") ?? "";
  const [, label, parameters = ""] = /^([a-z*][\w*.-]*)=(.*)$/.exec(input) ?? [];
  assert(label !== undefined, input);
  const [list = ""] = /^\(.*?\)/.exec(parameters) ?? [];
  const components = [...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name);
  const lines = components.map((name) => {
    if (name === "@request-target") return `"${name}": ${target}`;
    if (name === "@authority") return `"${name}": ${authority}`;
    return `"${name}": ${headers.get(name)}`;
  });
  return [...lines, `"@signature-params": ${parameters}`].join("\n");
}

async function hmac(secret: Uint8Array, text: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new Uint8Array(secret), algorithm, false, [
    "sign",
  ]);
  const bytes = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
  return new Uint8Array(bytes).toBase64();
}

Deno.test("connection request: has the headers of section 2", async () => {
  const headers = await headersOf("ws://127.0.0.1:8000/hook");
  assertEquals(headers.get("audiohook-organization-id"), "d7934305-0972-4844-938e-9060eef73d05");
  assertEquals(headers.get("audiohook-session-id"), "e160e428-53b2-487c-977d-96989bf5c99d");
  assertEquals(headers.get("audiohook-correlation-id"), "30b0e395-84d3-4570-ac13-9a62d8f514c0");
  assertEquals(headers.get("audiohook-retry-attempt"), "0");
  assertEquals(headers.get("x-api-key"), "some/API+key==");
});

Deno.test("connection request: without a secret, or with an empty one, it is not signed", async () => {
  for (const secret of [undefined, new Uint8Array()]) {
    const headers = await headersOf("ws://127.0.0.1:8000/hook", secret);
    assertFalse(headers.has("signature"));
    assertFalse(headers.has("signature-input"));
  }
});

for (
  const [url, target, authority] of [
    ["ws://127.0.0.1:8000/hook", "/hook", "127.0.0.1:8000"],
    ["wss://Example.COM/a/b?c=d&e=%20f", "/a/b?c=d&e=%20f", "example.com"],
    ["wss://example.com:443/", "/", "example.com"],
    ["ws://[::1]:9000/hook/connector-7", "/hook/connector-7", "[::1]:9000"],
  ] as const
) {
  Deno.test(`connection request: the signature for ${url} is that of section 3`, async () => {
    const headers = await headersOf(url, SECRET);
    const input = headers.get("signature-input") ?? "";
    const base = signatureBase(headers, target, authority);
    const expected = await hmac(SECRET, base);
    const [label] = input.split("=", 1);
    assertEquals(headers.get("signature"), `${label}=:${expected}:`);
    for (
      const component of [
        "@request-target",
        "@authority",
        "audiohook-organization-id",
        "audiohook-session-id",
        "audiohook-correlation-id",
        "x-api-key",
      ]
    ) {
      assert(input.includes(`"${component}"`), component);
    }
    assertMatch(input, /;keyid="some\/API\+key=="/);
    assertMatch(input, /;alg="hmac-sha256"/);
    assertMatch(input, new RegExp(`;created=${NOW}(;|$)`));
    const [, expires] = /;expires=(\d+)/.exec(input) ?? [];
    assert(Number(expires) > NOW && Number(expires) <= NOW + 10, input);
  });
}

Deno.test("connection request: the nonce has at least 22 base64 characters, and is never the same", async () => {
  const nonces = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const headers = await headersOf("ws://127.0.0.1:8000/hook", SECRET);
    const [, nonce = ""] = /;nonce="([^"]*)"/.exec(headers.get("signature-input") ?? "") ?? [];
    assertMatch(nonce, /^[A-Za-z0-9+/_-]{22,}={0,2}$/);
    nonces.add(nonce);
  }
  assertEquals(nonces.size, 20);
});

Deno.test("connection request: another secret makes another signature", async () => {
  const one = await headersOf("ws://127.0.0.1:8000/hook", SECRET);
  const other = await headersOf("ws://127.0.0.1:8000/hook", new Uint8Array(32));
  assertNotEquals(one.get("signature"), other.get("signature"));
  for (const value of one.values()) assertFalse(value.includes(SECRET.toBase64()));
});
