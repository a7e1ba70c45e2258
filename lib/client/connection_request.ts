/**
 * The headers of a connection request, signed like Genesys Cloud does (protocol sections 2 and 3).
 *
 * Imports the protocol.
 */
import { createSignature } from "../protocol/mod.ts";

/** Who connects. */
export interface ConnectionRequest {
  /** Address of the server, `ws:` or `wss:`. */
  readonly url: URL;
  /** UUIDs. */
  readonly organizationId: string;
  readonly sessionId: string;
  readonly correlationId: string;
  /** Value of `X-API-KEY`. */
  readonly apiKey: string;
  /** Signs the request; without it, the request is not signed. */
  readonly clientSecret?: Uint8Array;
  /** How often the call was tried before; 0 unless given. */
  readonly retryAttempt?: number;
}

/** How long a signature is valid. */
export const SIGNATURE_LIFETIME_SECONDS = 10;

/**
 * Makes the headers.
 *
 * @param nowSeconds Present time, UNIX seconds.
 */
export async function connectionHeaders(
  request: ConnectionRequest,
  nowSeconds: number,
): Promise<Record<string, string>> {
  const { url, apiKey, clientSecret, retryAttempt = 0 } = request;
  const headers = {
    "Audiohook-Organization-Id": request.organizationId,
    "Audiohook-Session-Id": request.sessionId,
    "Audiohook-Correlation-Id": request.correlationId,
    "Audiohook-Retry-Attempt": String(retryAttempt),
    "X-API-KEY": apiKey,
  };
  if (clientSecret === undefined || clientSecret.length === 0) return headers;
  const lookup = new Headers(headers);
  const signature = await createSignature({
    requestTarget: url.pathname + url.search,
    authority: url.host,
    header: (name) => lookup.get(name),
  }, {
    keyid: apiKey,
    secret: clientSecret,
    nonce: crypto.getRandomValues(new Uint8Array(16)).toBase64(),
    created: nowSeconds,
    expires: nowSeconds + SIGNATURE_LIFETIME_SECONDS,
  });
  return { ...headers, ...signature };
}
