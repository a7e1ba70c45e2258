/**
 * The signature of a connection request: made by a client, verified by a server.
 *
 * Implements section 3 of `protocol.md`, except for replay (`nonce_store.ts`) and for what the
 * outside sees of a refusal, which is the server's. Imports `structured-headers` and its neighbours
 * only; time is an argument, HMAC is WebCrypto's.
 */

import {
  type BareItem,
  type InnerList,
  serializeDictionary,
  serializeInnerList,
} from "structured-headers";
import { isApiKey, type Keyring } from "./keyring.ts";
import {
  normaliseHeaderValue,
  signatureBase,
  type SignatureBaseProblem,
  type SignedRequest,
} from "./signature_base.ts";
import {
  parseSignatureInput,
  type SignatureInput,
  type SignatureInputProblem,
} from "./signature_input.ts";

/** The components that every signature has to cover, in the specification's order. */
export const requiredComponents = [
  "@request-target",
  "@authority",
  "audiohook-organization-id",
  "audiohook-session-id",
  "audiohook-correlation-id",
  "x-api-key",
] as const;

/** The label of the signatures we make. Those we verify may have any. */
const label = "sig1";
const hmacSha256Length = 32;

/** What {@linkcode createSignature} needs besides the request. */
export interface CreateSignatureOptions {
  /** The API key; the request carries it as `X-API-KEY`. */
  readonly keyid: string;
  /** The client secret's bytes (decoded from base64), at least one. */
  readonly secret: Uint8Array;
  /** Fresh for every request: 22 or more characters of base64 from 128 random bits or more. */
  readonly nonce: string;
  /** UNIX seconds, a whole number. */
  readonly created: number;
  /** UNIX seconds, a whole number. */
  readonly expires?: number;
  /** What to cover, in this order: the six required components by default. */
  readonly components?: readonly string[];
}

/** The two headers that a signed request carries besides its own. */
export interface SignatureHeaders {
  readonly "Signature-Input": string;
  readonly "Signature": string;
}

/**
 * Signs a connection request, as Genesys Cloud does. The values are signed as they are given, so
 * that a simulator can make signatures that a server has to refuse.
 *
 * @throws {TypeError} if a component is unknown, listed twice, or not in the request; if the secret
 * is empty (send such a request unsigned); if a time is not a whole number
 * @throws {SerializeError} (of `structured-headers`) if `keyid` or `nonce` is not printable ASCII
 */
export async function createSignature(
  request: SignedRequest,
  options: CreateSignatureOptions,
): Promise<SignatureHeaders> {
  const { keyid, secret, nonce, created, expires, components = requiredComponents } = options;
  if (secret.byteLength === 0) {
    throw new TypeError("Cannot sign the request: the secret is empty. Send it unsigned.");
  }
  if (!Number.isInteger(created) || !Number.isInteger(expires ?? created)) {
    throw new TypeError("Cannot sign the request: created and expires must be whole UNIX seconds");
  }
  const parameters = new Map<string, BareItem>([
    ["keyid", keyid],
    ["nonce", nonce],
    ["alg", "hmac-sha256"],
    ["created", created],
  ]);
  if (expires !== undefined) parameters.set("expires", expires);
  const signatureParams: InnerList = [components.map((name) => [name, new Map()]), parameters];
  const base = baseToSign(request, signatureParams);
  const key = await crypto.subtle.importKey(
    "raw",
    new Uint8Array(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(base));
  return {
    "Signature-Input": `${label}=${serializeInnerList(signatureParams)}`,
    "Signature": serializeDictionary(new Map([[label, [signature, new Map()]]])),
  };
}

function baseToSign(request: SignedRequest, signatureParams: InnerList): string {
  const built = signatureBase(request, signatureParams);
  if ("base" in built) return built.base;
  const names = signatureParams[0].map(([name]) => String(name)).join(" ");
  throw new TypeError(`Cannot sign the request: ${built.problem} among the components ${names}`);
}

/**
 * Why a request was refused, for the log; the outside sees none of it.
 *
 * - `missing_api_key`, `bad_api_key`: no `X-API-KEY`, or one that breaks its pattern
 * - `unknown_key`: the signature was sound in form, the API key is not in the keyring
 * - `missing_component`: one of the {@linkcode requiredComponents} is not covered
 * - `keyid_mismatch`: `keyid` is not the value of `X-API-KEY`
 * - `created_in_future`, `expired`, `too_old`: the signature's time is not ours; check both clocks
 * - `bad_signature_length`: not the 32 bytes of HMAC-SHA256
 * - `mismatch`: another secret, or a request that was changed on its way: behind a proxy most often
 *   its `Host` or path
 */
export type RefusalReason =
  | "missing_api_key"
  | "bad_api_key"
  | "unknown_key"
  | SignatureInputProblem
  | SignatureBaseProblem
  | "missing_component"
  | "keyid_mismatch"
  | "created_in_future"
  | "expired"
  | "too_old"
  | "bad_signature_length"
  | "mismatch";

/**
 * The outcome of {@linkcode verifySignature}:
 *
 * - `verified`: signed with the API key's secret, and fresh. Claim `nonce` in a `NonceStore` next:
 *   until then the request may be a replay. `nonceValidUntilSeconds` is the last moment (UNIX
 *   seconds) at which the same request would be verified again.
 * - `unsigned`: the API key's secret is empty; nothing else counts.
 * - `refused`: answer 401.
 */
export type Verification =
  | {
    readonly outcome: "verified";
    readonly apiKey: string;
    readonly nonce: string;
    readonly nonceValidUntilSeconds: number;
  }
  | { readonly outcome: "unsigned"; readonly apiKey: string }
  | { readonly outcome: "refused"; readonly reason: RefusalReason };

/** What {@linkcode verifySignature} needs besides the request. */
export interface VerifySignatureOptions {
  readonly keyring: Keyring;
  /** The present time, in UNIX seconds. */
  readonly nowSeconds: number;
  /** How far the client's clock may be off, either way: 3 by default. */
  readonly clockSkewSeconds?: number;
  /** How old a signature may be, besides the skew: 10 by default. */
  readonly maxAgeSeconds?: number;
}

/**
 * Verifies the signature of a connection request (`protocol.md`, section 3). Bad input is a
 * refusal, never an exception. Does not look for replays: see {@linkcode Verification}.
 *
 * @example A signed request
 * ```ts
 * import { createSignature, Keyring, verifySignature } from "@audiohook/server";
 * import { assertEquals } from "@std/assert";
 *
 * const apiKey = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh";
 * const secret = new TextEncoder().encode("a secret of the two of us");
 * const headers = new Headers({
 *   "Audiohook-Organization-Id": "d7934305-0972-4844-938e-9060eef73d05",
 *   "Audiohook-Session-Id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
 *   "Audiohook-Correlation-Id": "e160e428-53e2-487c-977d-96989bf5c99d",
 *   "X-API-KEY": apiKey,
 * });
 * const request = {
 *   requestTarget: "/audiohook",
 *   authority: "audiohook.example.com",
 *   header: (name: string) => headers.get(name),
 * };
 *
 * // The client:
 * const signature = await createSignature(request, {
 *   keyid: apiKey,
 *   secret,
 *   nonce: "VGhpc0lzQVVuaXF1ZU5vbmNl",
 *   created: 1641013200,
 * });
 * for (const [name, value] of Object.entries(signature)) headers.set(name, value);
 *
 * // The server, three seconds later:
 * const keyring = await Keyring.create(new Map([[apiKey, secret]]));
 * assertEquals(await verifySignature(request, { keyring, nowSeconds: 1641013203 }), {
 *   outcome: "verified",
 *   apiKey,
 *   nonce: "VGhpc0lzQVVuaXF1ZU5vbmNl",
 *   nonceValidUntilSeconds: 1641013213,
 * });
 * ```
 */
export async function verifySignature(
  request: SignedRequest,
  options: VerifySignatureOptions,
): Promise<Verification> {
  const apiKeyHeader = request.header("x-api-key");
  if (apiKeyHeader === null) return refused("missing_api_key");
  const apiKey = normaliseHeaderValue(apiKeyHeader);
  if (apiKey === undefined || !isApiKey(apiKey)) return refused("bad_api_key");
  const entry = options.keyring.lookup(apiKey);
  const key = entry.kind === "unsigned" ? options.keyring.decoy : entry.key;
  const verification = await verifyWith(key, apiKey, request, options);
  // Not before: time must not tell which keys are known, nor which need no signature.
  if (entry.kind === "unsigned") return { outcome: "unsigned", apiKey };
  if (entry.kind === "signed" || verification.outcome === "refused" && isFormal(verification)) {
    return verification;
  }
  return refused("unknown_key");
}

/** Whether a refusal came before the HMAC, so that nothing was asked of the key. */
function isFormal({ reason }: Extract<Verification, { outcome: "refused" }>): boolean {
  return reason !== "mismatch" && reason !== "bad_signature_length";
}

async function verifyWith(
  key: CryptoKey,
  apiKey: string,
  request: SignedRequest,
  { nowSeconds, clockSkewSeconds = 3, maxAgeSeconds = 10 }: VerifySignatureOptions,
): Promise<Verification> {
  const input = parseSignatureInput(request.header("signature-input"), request.header("signature"));
  if ("problem" in input) return refused(input.problem);
  if (input.keyid !== apiKey) return refused("keyid_mismatch");
  const built = signatureBase(request, input.signatureParams);
  if ("problem" in built) return refused(built.problem);
  if (!requiredComponents.every((name) => built.covered.has(name))) {
    return refused("missing_component");
  }
  const staleness = judgeTime(input, nowSeconds, clockSkewSeconds, maxAgeSeconds);
  if (staleness !== undefined) return refused(staleness);

  const hasRightLength = input.signature.byteLength === hmacSha256Length;
  // WebCrypto compares in constant time. A signature of another length is refused below, after the
  // same work.
  const matches = await crypto.subtle.verify(
    "HMAC",
    key,
    hasRightLength ? input.signature : new Uint8Array(hmacSha256Length),
    new TextEncoder().encode(built.base),
  );
  if (!hasRightLength) return refused("bad_signature_length");
  if (!matches) return refused("mismatch");
  const { nonce, created, expires = Infinity } = input;
  const nonceValidUntilSeconds = Math.min(created + maxAgeSeconds, expires) + clockSkewSeconds;
  return { outcome: "verified", apiKey, nonce, nonceValidUntilSeconds };
}

function refused(reason: RefusalReason): Verification {
  return { outcome: "refused", reason };
}

/**
 * The skew widens every limit; the official sample narrows the age by it, so that its 10 s are 7.
 * Written so that a time that is not a number is refused.
 */
function judgeTime(
  { created, expires = Infinity }: SignatureInput,
  nowSeconds: number,
  clockSkewSeconds: number,
  maxAgeSeconds: number,
): "created_in_future" | "expired" | "too_old" | undefined {
  if (!(created <= nowSeconds + clockSkewSeconds)) return "created_in_future";
  if (!(expires >= nowSeconds - clockSkewSeconds)) return "expired";
  if (!(nowSeconds - created <= maxAgeSeconds + clockSkewSeconds)) return "too_old";
  return undefined;
}
