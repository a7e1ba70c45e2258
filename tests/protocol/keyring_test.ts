import { assert, assertEquals } from "@std/assert";
import { isApiKey, Keyring } from "../../lib/protocol/keyring.ts";

const data = new TextEncoder().encode("signed");

async function signature(secret: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]);
  return crypto.subtle.sign("HMAC", key, data);
}

function hmacLength(key: CryptoKey): number {
  assert("length" in key.algorithm && typeof key.algorithm.length === "number");
  return key.algorithm.length;
}

Deno.test("keyring: a known key verifies with its own secret", async () => {
  const secrets = new Map([["a", new Uint8Array([1, 2])], ["b", new Uint8Array([3])]]);
  const keyring = await Keyring.create(secrets);
  for (const [apiKey, secret] of secrets) {
    const entry = keyring.lookup(apiKey);
    assert(entry.kind === "signed");
    assert(await crypto.subtle.verify("HMAC", entry.key, await signature(secret), data));
    assertEquals(entry.key.extractable, false);
  }
});

Deno.test("keyring: later changes of the given map and its bytes are without effect", async () => {
  const secret = new Uint8Array([1, 2]);
  const secrets = new Map([["a", secret]]);
  const keyring = await Keyring.create(secrets);
  const expected = await signature(new Uint8Array([1, 2]));
  secret.fill(0);
  secrets.clear();
  const entry = keyring.lookup("a");
  assert(entry.kind === "signed");
  assert(await crypto.subtle.verify("HMAC", entry.key, expected, data));
});

Deno.test("keyring: a key with an empty secret is unsigned", async () => {
  const keyring = await Keyring.create(new Map([["a", new Uint8Array()]]));
  assertEquals(keyring.lookup("a"), { kind: "unsigned" });
});

Deno.test("keyring: names of Object's members are keys like any other", async () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
  const empty = await Keyring.create(new Map());
  for (const name of names) assertEquals(empty.lookup(name).kind, "unknown");
  const full = await Keyring.create(new Map(names.map((name) => [name, new Uint8Array([1])])));
  for (const name of names) assertEquals(full.lookup(name).kind, "signed");
});

Deno.test("keyring: the decoy is as long as the first secret, or 32 bytes", async () => {
  const decoyLength = async (secrets: [string, Uint8Array][]) => {
    const entry = (await Keyring.create(new Map(secrets))).lookup("unknown");
    assert(entry.kind === "unknown");
    return hmacLength(entry.key) / 8;
  };
  assertEquals(await decoyLength([]), 32);
  assertEquals(await decoyLength([["a", new Uint8Array()]]), 32);
  assertEquals(
    await decoyLength([["a", new Uint8Array()], ["b", new Uint8Array(48)], ["c", data]]),
    48,
  );
  assertEquals(await decoyLength([["a", new Uint8Array(100_000)]]), 65_536);
});

Deno.test("keyring: the decoy is random", async () => {
  const entry = (await Keyring.create(new Map())).lookup("unknown");
  assert(entry.kind === "unknown");
  // It cannot be read; the one guess worth making is that its bytes were never filled in.
  const zeros = await signature(new Uint8Array(32));
  assertEquals(await crypto.subtle.verify("HMAC", entry.key, zeros, data), false);
});

Deno.test("isApiKey: base64 and base64url with their padding, up to 256 characters", () => {
  for (const good of ["a", "aA0+/_-", "a=", "a==", "a".repeat(256), "__proto__"]) {
    assert(isApiKey(good), good);
  }
  const bad = ["", "=", "a===", "a=b", "a b", " a", "a\n", "caf\u00e9", "a".repeat(257)];
  for (const text of bad) assertEquals(isApiKey(text), false, text);
});
