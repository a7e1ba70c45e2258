/**
 * What to do about a connection that there was not: hints for a person, by the server's HTTP status
 * or the error's code.
 *
 * Imports types only.
 */
import type { ConnectionEnd } from "./client_socket.ts";

type Refused = ConnectionEnd & { readonly how: "refused" };
type Unreachable = ConnectionEnd & { readonly how: "unreachable" };

/** What a server may say of a key; it never says which of these it is. */
export const UNAUTHORIZED_HINT =
  "the API key or the client secret is not the server's, the clocks differ, or a proxy changes " +
  "Host or the path, which are signed";

const NO_WEBSOCKET = "something answers at this path, but not as a WebSocket server does";
const MOVED =
  "the server is at another address, where nobody follows it: the signature is for this " +
  "one; name the address that it redirects to";

const STATUS_HINTS: Readonly<Record<number, string>> = {
  101: NO_WEBSOCKET,
  200: NO_WEBSOCKET,
  204: NO_WEBSOCKET,
  301: MOVED,
  302: MOVED,
  303: MOVED,
  307: MOVED,
  308: MOVED,
  400:
    "the server, or a proxy before it, does not understand the request; a port for TLS wants wss:",
  401: UNAUTHORIZED_HINT,
  403: "the server, or a proxy before it, lets nobody in from here",
  404: "nothing is at this path",
  405: NO_WEBSOCKET,
  426: "nothing that takes WebSockets is at this path",
  429: "the server is busy, or there were too many failures from here; try again later",
  500: "the server failed; its log may tell why",
  502: "a proxy cannot reach the server behind it",
  503: "the server is full, or about to stop; try again later",
  504: "a proxy has no answer of the server behind it",
};

const ERROR_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens at this address; is the server started?",
  ENOTFOUND: "there is no such host",
  ECONNRESET: "the connection was dropped before there was an answer",
  ETIMEDOUT: "does a server listen there, and does no firewall hold the connection up?",
  BAD_UPGRADE: "the answer to the request is not a WebSocket server's",
};

const CERTIFICATE_HINT = "is this host one of the certificate's names, and the certificate valid " +
  "now, and of a known authority? DENO_CERT=FILE in the environment makes the certificate of an " +
  "authority known; one that signed itself has to say CA:FALSE";
const NO_HTTP_HINT = "what listens there speaks no HTTP; a port for TLS wants wss:";
const NO_TLS_HINT =
  "what listens there speaks no TLS, or another version; without TLS, it wants ws:";

/** The names that OpenSSL gives to what may be wrong with a certificate; some say it in words. */
const CERTIFICATE_CODES =
  /cert|^UNABLE_TO_VERIFY_LEAF_SIGNATURE$|^INVALID_(CA|PURPOSE)$|^HOSTNAME_MISMATCH$/i;
/** Of the HTTP parser: what came is no HTTP, or more than anybody needs. */
const HTTP_CODES = /^HPE_/;
const TLS_CODES = /^ERR_SSL_/;

/** Says what to do about the end of a connection that never was, if something is known. */
export function connectionHint(end: ConnectionEnd): string | undefined {
  switch (end.how) {
    case "refused":
      return hintOfRefusal(end);
    case "unreachable":
      if (isCertificateFault(end)) return CERTIFICATE_HINT;
      if (end.code === undefined) return undefined;
      if (HTTP_CODES.test(end.code)) return NO_HTTP_HINT;
      return TLS_CODES.test(end.code) ? NO_TLS_HINT : ERROR_HINTS[end.code];
    case "lost":
    case "closed":
      return undefined;
  }
}

/**
 * Whether no retry makes it good: the certificate is wrong, or what answers there is no WebSocket
 * server.
 */
export function neverHeals(end: Unreachable): boolean {
  const { code = "" } = end;
  return isCertificateFault(end) || HTTP_CODES.test(code) || TLS_CODES.test(code) ||
    code === "BAD_UPGRADE";
}

function isCertificateFault({ code, why }: Unreachable): boolean {
  return CERTIFICATE_CODES.test(code ?? why);
}

function hintOfRefusal({ status, retryAfterSeconds }: Refused): string | undefined {
  if (retryAfterSeconds === undefined) return STATUS_HINTS[status];
  return `it asks to try again in ${retryAfterSeconds} s`;
}
