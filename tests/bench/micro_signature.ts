/**
 * What it costs to sign a connection request, as a client does. What it costs to verify one is in
 * `verification.ts`.
 */
import { assertEquals } from "@std/assert";
import { createSignature, type SignedRequest } from "../../lib/protocol/mod.ts";
import { signatureBase } from "../../lib/protocol/signature_base.ts";
import { parseSignatureInput } from "../../lib/protocol/signature_input.ts";
import { API_KEY, ENDPOINT, newNonce, requestHeaders, SECRET } from "../helpers/wire_client.ts";
import { benchmark, type BenchmarkGroup } from "./measure.ts";

const HOST = "audiohook.example.com";
const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/** A signature, and the HMAC of a text of the same length. */
export async function signatureGroup(): Promise<BenchmarkGroup> {
  const options = { keyid: API_KEY, secret: SECRET, nonce: newNonce(), created: 1_800_000_000 };
  const headers = new Headers(await requestHeaders(HOST));
  const request: SignedRequest = {
    requestTarget: ENDPOINT,
    authority: HOST,
    header: (name) => headers.get(name),
  };
  const expected = await createSignature(request, options);
  const input = parseSignatureInput(expected["Signature-Input"], expected["Signature"]);
  if ("problem" in input) throw new Error(input.problem);
  const built = signatureBase(request, input.signatureParams);
  if ("problem" in built) throw new Error(built.problem);
  const base = new TextEncoder().encode(built.base);
  const importKey = () =>
    crypto.subtle.importKey("raw", new Uint8Array(SECRET), HMAC, false, ["sign"]);
  const key = await importKey();
  const check = (signature: ArrayBuffer) =>
    assertEquals(`sig1=:${new Uint8Array(signature).toBase64()}:`, expected["Signature"]);
  return {
    title: "A connection request signed",
    isAsync: true,
    benchmarks: [
      benchmark({
        what: "both headers",
        run: () => createSignature(request, options),
        check: (signature) => assertEquals(signature, expected),
      }),
      benchmark({
        what: "baseline: key imported, HMAC",
        run: async () => await crypto.subtle.sign("HMAC", await importKey(), base),
        check,
      }),
      benchmark({
        what: "baseline: HMAC only",
        run: () => crypto.subtle.sign("HMAC", key, base),
        check,
      }),
    ],
  };
}
