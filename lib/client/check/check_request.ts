/**
 * The connection requests of the checker: a proper one, and whatever a case changes about it
 * (protocol sections 2 and 3).
 *
 * Imports its neighbours and the protocol.
 */
import { requiredComponents } from "../../protocol/mod.ts";
import { SIGNATURE_LIFETIME_SECONDS } from "../connection_request.ts";
import { type SignatureParameter, signComponents } from "./check_signature.ts";

/** Whom the checker asks, and as whom. */
export interface CheckTarget {
  /** `ws:` or `wss:`. */
  readonly url: URL;
  readonly apiKey: string;
  /** Empty: requests are not signed. */
  readonly clientSecret: Uint8Array;
  /** UUID. */
  readonly organizationId: string;
}

/** Headers by their names. */
export type Headers = Readonly<Record<string, string>>;

/** What a case changes about a proper request. */
export interface RequestChanges {
  readonly url?: URL;
  readonly organizationId?: string;
  readonly sessionId?: string;
  readonly apiKey?: string;
  readonly clientSecret?: Uint8Array;
  /** Headers before they are signed. */
  readonly headers?: (headers: Headers) => Headers;
  /** The address that is signed; that which is asked, unless given. */
  readonly signedUrl?: URL;
  /** What is covered, in this order; what the request does not have is signed as empty. */
  readonly components?: readonly string[];
  /** Parameters of the signature. */
  readonly parameters?: (
    parameters: Readonly<Record<string, SignatureParameter>>,
  ) => Readonly<Record<string, SignatureParameter>>;
  /** Headers after they are signed. */
  readonly signedHeaders?: (headers: Headers) => Headers;
}

/** A connection request that is ready to be sent. */
export interface CheckRequest {
  readonly url: URL;
  readonly organizationId: string;
  readonly sessionId: string;
  readonly headers: Headers;
}

/**
 * Makes a connection request.
 *
 * @param nowSeconds Present time, UNIX seconds.
 */
export async function checkRequest(
  target: CheckTarget,
  changes: RequestChanges,
  nowSeconds: number,
): Promise<CheckRequest> {
  const {
    url = target.url,
    apiKey = target.apiKey,
    clientSecret = target.clientSecret,
    organizationId = target.organizationId,
    sessionId = crypto.randomUUID(),
  } = changes;
  const unchanged = (headers: Headers) => headers;
  const headers = (changes.headers ?? unchanged)({
    "Audiohook-Organization-Id": organizationId,
    "Audiohook-Session-Id": sessionId,
    "Audiohook-Correlation-Id": crypto.randomUUID(),
    "Audiohook-Retry-Attempt": "0",
    "X-API-KEY": apiKey,
  });
  const { signedHeaders = unchanged, signedUrl = url, parameters } = changes;
  const { components = requiredComponents } = changes;
  if (clientSecret.length === 0) {
    return { url, organizationId, sessionId, headers: signedHeaders(headers) };
  }
  const usual = usualParameters(apiKey, nowSeconds);
  const lookup = new globalThis.Headers(headers);
  const valueOf = (name: string) => {
    if (name === "@request-target") return signedUrl.pathname + signedUrl.search;
    if (name === "@authority") return signedUrl.host;
    return name.startsWith("@") ? "" : lookup.get(name) ?? "";
  };
  // Whatever is asked for is signed properly, so that a refusal has one reason only.
  const signature = await signComponents(
    components.map((name) => [name, valueOf(name)]),
    parameters?.(usual) ?? usual,
    clientSecret,
  );
  return {
    url,
    organizationId,
    sessionId,
    headers: signedHeaders({ ...headers, ...signature }),
  };
}

/** The parameters of a proper signature. */
function usualParameters(
  apiKey: string,
  nowSeconds: number,
): Record<string, SignatureParameter> {
  return {
    keyid: apiKey,
    nonce: crypto.getRandomValues(new Uint8Array(16)).toBase64(),
    alg: "hmac-sha256",
    created: nowSeconds,
    expires: nowSeconds + SIGNATURE_LIFETIME_SECONDS,
  };
}

/** Header names whose values are not shown. */
const SECRET_HEADERS: Readonly<Record<string, string>> = {
  "x-api-key": "[API key]",
  "signature": "[signature]",
};

/** A request in words, without its secrets. */
export function describeRequest({ url, headers }: CheckRequest): string {
  const shown = Object.entries(headers).map(([name, value]) =>
    `${name}: ${SECRET_HEADERS[name.toLowerCase()] ?? value}`
  );
  return [`GET ${url.pathname}${url.search} at ${url.host}`, ...shown].join(" | ");
}
