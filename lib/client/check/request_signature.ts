/**
 * Signatures of connection requests, the wrong ones included: whatever is asked for is signed
 * properly, so that a refusal has one reason only (protocol section 3).
 *
 * `createSignature` of the protocol cannot leave a parameter out; this can. Imports the protocol.
 */
import { requiredComponents, type SignedRequest } from "../../protocol/mod.ts";
import { signatureBase } from "../../protocol/signature_base.ts";

/** A value of a signature's parameter. */
export type SignatureParameter = string | number;

/** How a request is signed. */
export interface RequestSignatureOptions {
  readonly secret: Uint8Array;
  /** What is covered; what is required, unless given. */
  readonly components?: readonly string[];
  /** In this order. */
  readonly parameters: Readonly<Record<string, SignatureParameter>>;
}

/** How long a signature is valid. */
export const LIFETIME_SECONDS = 10;

/** The parameters of a proper signature. */
export function usualParameters(
  apiKey: string,
  nowSeconds: number,
): Record<string, SignatureParameter> {
  return {
    keyid: apiKey,
    nonce: crypto.getRandomValues(new Uint8Array(16)).toBase64(),
    alg: "hmac-sha256",
    created: nowSeconds,
    expires: nowSeconds + LIFETIME_SECONDS,
  };
}

/**
 * Makes the two headers.
 *
 * @throws {Error} If a component is not in the request.
 */
export async function requestSignature(
  request: SignedRequest,
  { secret, components = requiredComponents, parameters }: RequestSignatureOptions,
): Promise<Record<string, string>> {
  const built = signatureBase(request, [
    components.map((name) => [name, new Map()]),
    new Map(Object.entries(parameters)),
  ]);
  if ("problem" in built) throw new Error(`Cannot sign the request: ${built.problem}`);
  const [signatureParams = ""] = built.base.split(`\n"@signature-params": `).slice(-1);
  return {
    "Signature-Input": `sig1=${signatureParams}`,
    "Signature": `sig1=:${await hmac(secret, built.base)}:`,
  };
}

async function hmac(secret: Uint8Array, text: string): Promise<string> {
  const key = await crypto.subtle.importKey(
    "raw",
    new Uint8Array(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const bytes = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
  return new Uint8Array(bytes).toBase64();
}
