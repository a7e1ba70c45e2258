import { assert, assertEquals, assertRejects } from "@std/assert";
import { SerializeError } from "structured-headers";
import { Keyring } from "../../lib/protocol/keyring.ts";
import {
  createSignature,
  type RefusalReason,
  requiredComponents,
  type SignatureHeaders,
  type Verification,
  verifySignature,
} from "../../lib/protocol/signature.ts";
import type { SignedRequest } from "../../lib/protocol/signature_base.ts";
import testdata from "../testdata/signature.json" with { type: "json" };

const [documented] = testdata.vectors;
assert(documented?.now !== undefined && documented.requestTarget !== undefined);
const created = 1641013200;
const expires = 3282026430;
const nonce = "VGhpc0lzQVVuaXF1ZU5vbmNl";
const secret = fromBase64(documented.key);
const vectorHeaders: Readonly<Record<string, string | undefined>> = { ...documented.headers };
const apiKey = header("x-api-key");
const signatureInput = header("signature-input");
const keyring = await Keyring.create(new Map([[apiKey, secret]]));

function header(name: string): string {
  return vectorHeaders[name] ?? "";
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

interface Changes {
  requestTarget?: string;
  authority?: string;
  /** Values in place of the vector's; `null` leaves a header out. */
  headers?: Record<string, string | null>;
}

/** The request of the documentation, changed. */
function request(changes: Changes = {}): SignedRequest {
  const headers = new Map(Object.entries({ ...vectorHeaders, ...changes.headers }));
  return {
    requestTarget: changes.requestTarget ?? documented?.requestTarget ?? "",
    authority: changes.authority ?? header("host"),
    header: (name) => headers.get(name.toLowerCase()) ?? null,
  };
}

/** Signs a signature base written down here: a second opinion on how one is built. */
async function sign(base: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(base));
  return `sig1=:${toBase64(new Uint8Array(signature))}:`;
}

/** The documentation's request with other signature parameters, and a signature that fits them. */
async function signedWith(
  parameters: string,
  components: readonly string[] = requiredComponents,
  changes: Changes = {},
): Promise<SignedRequest> {
  const changed = request(changes);
  const lines = components.map((name) => {
    if (name === "@request-target") return `"${name}": ${changed.requestTarget}`;
    if (name === "@authority") return `"${name}": ${changed.authority}`;
    return `"${name}": ${changed.header(name)}`;
  });
  const params = `(${components.map((name) => `"${name}"`).join(" ")})${parameters}`;
  const signature = await sign([...lines, `"@signature-params": ${params}`].join("\n"));
  const headers = { ...changes.headers, "signature-input": `sig1=${params}`, signature };
  return request({ ...changes, headers });
}

function verify(signed: SignedRequest, nowSeconds = created + 3): Promise<Verification> {
  return verifySignature(signed, { keyring, nowSeconds });
}

async function assertRefused(
  signed: SignedRequest | Promise<SignedRequest>,
  reason: RefusalReason,
  nowSeconds?: number,
): Promise<void> {
  assertEquals(await verify(await signed, nowSeconds), { outcome: "refused", reason });
}

const verified: Verification = {
  outcome: "verified",
  apiKey,
  nonce,
  nonceValidUntilSeconds: created + 13,
};

/** Parameters as in the documentation, changed; `undefined` leaves one out. */
function parameters(changes: Record<string, string | undefined> = {}): string {
  const all = {
    keyid: `"${apiKey}"`,
    nonce: `"${nonce}"`,
    alg: '"hmac-sha256"',
    created: String(created),
    ...changes,
  };
  return Object.entries(all)
    .map(([name, value]) => value === undefined ? "" : `;${name}=${value}`)
    .join("");
}

Deno.test("verifySignature: the documentation's example is verified", async () => {
  assertEquals(await verify(request(), documented.now), verified);
});

Deno.test("createSignature: gives the documentation's example", async () => {
  const options = { keyid: apiKey, secret, nonce, created, expires };
  const unsigned = request({ headers: { "signature": null, "signature-input": null } });
  assertEquals<SignatureHeaders>(await createSignature(unsigned, options), {
    "Signature-Input": signatureInput,
    "Signature": header("signature"),
  });
});

Deno.test("createSignature: other components and no expires are verified too", async () => {
  const components = ["x-extra", ...requiredComponents.toReversed()];
  const changes = { headers: { "x-extra": "more" }, authority: "Example.com:443" };
  const options = { keyid: apiKey, secret, nonce, created, components };
  const made = await createSignature(request(changes), options);
  assertEquals(made["Signature-Input"].includes("expires"), false);
  const signed = {
    "signature-input": made["Signature-Input"],
    "signature": made["Signature"],
  };
  assertEquals(
    await verify(request({ ...changes, headers: { ...changes.headers, ...signed } })),
    verified,
  );
});

Deno.test("createSignature: what cannot be signed throws", async () => {
  const options = { keyid: apiKey, secret, nonce, created };
  const make = (changes: Partial<Parameters<typeof createSignature>[1]>) => () =>
    createSignature(request(), { ...options, ...changes });
  await assertRejects(make({ secret: new Uint8Array() }), TypeError, "Send it unsigned");
  await assertRejects(make({ components: ["x-absent"] }), TypeError, "absent_component");
  await assertRejects(make({ components: ["@method"] }), TypeError, "unknown_component");
  await assertRejects(make({ created: 1.5 }), TypeError, "whole UNIX seconds");
  await assertRejects(make({ expires: NaN }), TypeError, "whole UNIX seconds");
  await assertRejects(make({ nonce: "caf\u00e9" }), SerializeError);
});

Deno.test("verifySignature: the Host's case and default port do not matter", async () => {
  for (const authority of ["AudioHook.Example.com:443", "audiohook.example.com:80"]) {
    assertEquals(await verify(request({ authority })), verified);
  }
  await assertRefused(request({ authority: "audiohook.example.com:8080" }), "mismatch");
});

Deno.test("verifySignature: headers with spaces around them and folds are verified", async () => {
  const headers = {
    "audiohook-session-id": ` \t${header("audiohook-session-id")} `,
    "x-api-key": ` ${apiKey}\t`,
    "signature": ` ${header("signature")} `,
    "signature-input": `${signatureInput.replace('" "', '"\r\n \t"').replace(";", "; ")}  `,
  };
  assertEquals(await verify(request({ headers })), verified);

  const base = documented.base.replace(header("audiohook-session-id"), "two words");
  const folded = { "audiohook-session-id": "two \r\n\t words", "signature": await sign(base) };
  assertEquals(await verify(request({ headers: folded })), verified);
});

Deno.test("verifySignature: a further header may be covered if it is there", async () => {
  const components = [...requiredComponents, "x-extra"];
  const there = { headers: { "x-extra": "more" } };
  assertEquals(await verify(await signedWith(parameters(), components, there)), verified);
  await assertRefused(signedWith(parameters(), components), "absent_component");
});

Deno.test("verifySignature: any order of components and parameters, and any label", async () => {
  const { keyid, ...others } = {
    keyid: `;keyid="${apiKey}"`,
    rest: parameters({ keyid: undefined }),
  };
  const signed = await signedWith(others.rest + keyid, requiredComponents.toReversed());
  assertEquals(await verify(signed), verified);

  const relabelled = {
    "signature-input": signatureInput.replace("sig1", "*a.b-c_1"),
    "signature": header("signature").replace("sig1", "*a.b-c_1"),
  };
  assertEquals(await verify(request({ headers: relabelled })), verified);
});

Deno.test("verifySignature: a request that was changed after signing is a mismatch", async () => {
  await assertRefused(request({ requestTarget: "/api/v1/voicebiometrics/ws?" }), "mismatch");
  await assertRefused(request({ requestTarget: "/api/v1/voicebiometrics/wS" }), "mismatch");
  await assertRefused(request({ authority: "audiohook.example.org" }), "mismatch");
  for (const name of requiredComponents.slice(2, 5)) {
    const headers = { [name]: "b6aa9b2c-9b4e-4d0f-8f0e-0b7ef5c4b0e1" };
    await assertRefused(request({ headers }), "mismatch");
  }
  const later = signatureInput.replace(`created=${created}`, `created=${created + 1}`);
  await assertRefused(request({ headers: { "signature-input": later } }), "mismatch");
});

Deno.test("verifySignature: a required header that is absent is refused", async () => {
  for (const name of requiredComponents.slice(2, 5)) {
    await assertRefused(request({ headers: { [name]: null } }), "absent_component");
  }
});

Deno.test("verifySignature: every flipped bit of the signature is a mismatch", async () => {
  const signature = fromBase64(header("signature").slice("sig1=:".length, -1));
  assertEquals(signature.byteLength, 32);
  for (let bit = 0; bit < 256; bit++) {
    const flipped = signature.with(bit >> 3, (signature[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
    const headers = { signature: `sig1=:${toBase64(flipped)}:` };
    await assertRefused(request({ headers }), "mismatch");
  }
});

Deno.test("verifySignature: a signature of any other length is refused, its prefix too", async () => {
  const signature = fromBase64(header("signature").slice("sig1=:".length, -1));
  for (const length of [0, 2, 31, 33, 64]) {
    const other = new Uint8Array(length);
    other.set(signature.subarray(0, length));
    const headers = { signature: `sig1=:${toBase64(other)}:` };
    await assertRefused(request({ headers }), "bad_signature_length");
  }
});

Deno.test("verifySignature: X-API-KEY must be there and keep its pattern", async () => {
  await assertRefused(request({ headers: { "x-api-key": null } }), "missing_api_key");
  for (const bad of ["", "a b", "a=b", "a===", "=", "caf\u00e9", `${apiKey}, ${apiKey}`, "a\nb"]) {
    await assertRefused(request({ headers: { "x-api-key": bad } }), "bad_api_key");
  }
  await assertRefused(request({ headers: { "x-api-key": "a".repeat(257) } }), "bad_api_key");
  await assertRefused(request({ headers: { "x-api-key": "a".repeat(256) } }), "keyid_mismatch");
});

Deno.test("verifySignature: an unknown key is refused, names of Object's members too", async () => {
  for (const unknown of ["unknown", "__proto__", "constructor", "toString"]) {
    const keyid = parameters({ keyid: `"${unknown}"` });
    const headers = { "x-api-key": unknown };
    await assertRefused(signedWith(keyid, requiredComponents, { headers }), "unknown_key");
  }
  const noKeys = { keyring: await Keyring.create(new Map()), nowSeconds: created };
  const reason = "unknown_key";
  assertEquals(await verifySignature(request(), noKeys), { outcome: "refused", reason });
});

Deno.test("verifySignature: another key's secret is a mismatch", async () => {
  const swapped = await Keyring.create(
    new Map([[apiKey, new Uint8Array(32)], ["another", secret]]),
  );
  assertEquals(
    await verifySignature(request(), { keyring: swapped, nowSeconds: created }),
    { outcome: "refused", reason: "mismatch" },
  );
});

Deno.test("verifySignature: a key with an empty secret passes, whatever is signed", async () => {
  const options = {
    keyring: await Keyring.create(new Map([[apiKey, new Uint8Array()]])),
    nowSeconds: NaN,
  };
  const requests = [
    request(),
    request({ headers: { "signature": null, "signature-input": null } }),
    request({ headers: { "signature": "?", "signature-input": "?" } }),
  ];
  for (const unsigned of requests) {
    assertEquals(await verifySignature(unsigned, options), { outcome: "unsigned", apiKey });
  }
});

Deno.test("verifySignature: a key with a secret does not pass without a signature", async () => {
  const neither = { "signature": null, "signature-input": null };
  await assertRefused(request({ headers: neither }), "missing_signature_input");
  await assertRefused(request({ headers: { "signature": null } }), "missing_signature");
  await assertRefused(request({ headers: { "signature": " " } }), "missing_signature");
  await assertRefused(request({ headers: { "signature-input": null } }), "missing_signature_input");
  await assertRefused(request({ headers: { "signature-input": "" } }), "missing_signature_input");
});

Deno.test("verifySignature: what signature_input.ts refuses is refused, though signed", async () => {
  await assertRefused(signedWith(`${parameters()};tag="app"`), "unknown_parameter");
  await assertRefused(signedWith(parameters({ keyid: undefined })), "bad_keyid");
  await assertRefused(signedWith(parameters({ nonce: '"short"' })), "bad_nonce");
  await assertRefused(signedWith(parameters({ alg: '"none"' })), "bad_alg");
  await assertRefused(signedWith(parameters({ created: undefined })), "missing_created");
  await assertRefused(signedWith(parameters({ created: "1641013200.5" })), "bad_created");
  await assertRefused(signedWith(parameters({ expires: '"never"' })), "bad_expires");
});

Deno.test("verifySignature: alg and expires may be absent", async () => {
  assertEquals(await verify(await signedWith(parameters({ alg: undefined }))), verified);
});

Deno.test("verifySignature: keyid must equal X-API-KEY to the letter", async () => {
  for (const keyid of ['""', `"${apiKey}="`, `"${apiKey.toLowerCase()}"`]) {
    await assertRefused(signedWith(parameters({ keyid })), "keyid_mismatch");
  }
});

Deno.test("verifySignature: a signature that leaves out a required component is refused", async () => {
  for (const left of requiredComponents) {
    const components = requiredComponents.filter((name) => name !== left);
    await assertRefused(signedWith(parameters(), components), "missing_component");
  }
  await assertRefused(signedWith(parameters(), []), "missing_component");
});

Deno.test("verifySignature: unknown, repeated and parametrised components are refused", async () => {
  const instead = (by: string) =>
    request({ headers: { "signature-input": signatureInput.replace('"x-api-key"', by) } });
  await assertRefused(instead('"x-api-key" "@method"'), "unknown_component");
  await assertRefused(instead('"x-api-key" "@query-param";name="a"'), "component_parameter");
  await assertRefused(instead('"X-API-KEY"'), "unknown_component");
  await assertRefused(instead("x-api-key"), "unknown_component");
  await assertRefused(instead('"x-api-key";bs'), "component_parameter");
  await assertRefused(instead('"x-api-key" "x-api-key"'), "duplicate_component");
});

Deno.test("verifySignature: a line break smuggled into a covered value is refused", async () => {
  const headers = { "audiohook-session-id": 'a\n"x-forged": b' };
  await assertRefused(request({ headers }), "bad_component_value");
});

Deno.test("verifySignature: created may be 3 s ahead, not 4", async () => {
  assertEquals(await verify(request(), created - 3), verified);
  await assertRefused(request(), "created_in_future", created - 4);
  await assertRefused(request(), "created_in_future", created - 3.001);
});

Deno.test("verifySignature: a signature may be 13 s old, not 14", async () => {
  assertEquals(await verify(request(), created + 13), verified);
  await assertRefused(request(), "too_old", created + 14);
  await assertRefused(request(), "too_old", created + 13.001);
  await assertRefused(signedWith(parameters({ created: "-1641013200" })), "too_old");
});

Deno.test("verifySignature: expires may have passed by 3 s, not 4", async () => {
  const signed = await signedWith(parameters({ expires: String(created + 5) }));
  const shorter = { ...verified, nonceValidUntilSeconds: created + 8 };
  assertEquals(await verify(signed, created + 8), shorter);
  await assertRefused(signed, "expired", created + 9);
  await assertRefused(signed, "expired", created + 8.001);
  await assertRefused(signedWith(parameters({ expires: "-1" })), "expired");
});

Deno.test("verifySignature: other limits of time are kept as exactly", async () => {
  const limits = { keyring, clockSkewSeconds: 1, maxAgeSeconds: 60 };
  const at = (nowSeconds: number) => verifySignature(request(), { ...limits, nowSeconds });
  const longer = { ...verified, nonceValidUntilSeconds: created + 61 };
  assertEquals(await at(created - 1), longer);
  assertEquals(await at(created - 2), { outcome: "refused", reason: "created_in_future" });
  assertEquals(await at(created + 61), longer);
  assertEquals(await at(created + 62), { outcome: "refused", reason: "too_old" });
});

Deno.test("verifySignature: a time that is not a number refuses", async () => {
  await assertRefused(request(), "created_in_future", NaN);
  await assertRefused(request(), "expired", Infinity);
  await assertRefused(signedWith(parameters()), "too_old", Infinity);
});

Deno.test("verifySignature: at nonceValidUntilSeconds the request passes, after it not", async () => {
  const requests = [request(), await signedWith(parameters({ expires: String(created + 2) }))];
  for (const signed of requests) {
    const first = await verify(signed, created);
    assert(first.outcome === "verified");
    assertEquals(await verify(signed, first.nonceValidUntilSeconds), first);
    const late = await verify(signed, first.nonceValidUntilSeconds + 1);
    assertEquals(late.outcome, "refused");
  }
});
