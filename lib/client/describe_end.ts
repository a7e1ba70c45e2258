/**
 * Why there was no connection, in words for a person.
 *
 * Imports types only.
 */
import type { ConnectionEnd } from "./client_socket.ts";

const CONNECT_HINT =
  "Does a server listen there, and does it know the key, the secret and this address?";
const CERTIFICATE_HINT = "Is this host one of the certificate's names, and the certificate valid " +
  "now, and of a known authority? DENO_CERT=FILE in the environment makes one known";

/** The names that OpenSSL gives to what may be wrong with a certificate; some say it in words. */
const CERTIFICATE_CODES =
  /cert|^UNABLE_TO_VERIFY_LEAF_SIGNATURE$|^INVALID_(CA|PURPOSE)$|^HOSTNAME_MISMATCH$/i;

/** Whether there is no connection because of the server's certificate: no retry makes it good. */
export function isCertificateFault(end: ConnectionEnd & { readonly how: "unreachable" }): boolean {
  return CERTIFICATE_CODES.test(end.code ?? end.why);
}

/** Says why there was no connection; `undefined` if there was one. */
export function describeEnd(end: ConnectionEnd, url: URL): string | undefined {
  switch (end.how) {
    case "refused": {
      const { status, retryAfterSeconds } = end;
      const later = retryAfterSeconds === undefined
        ? CONNECT_HINT
        : `It asks to try again in ${retryAfterSeconds} s`;
      return `Cannot connect to ${url}: the server answered ${status}. ${later}`;
    }
    case "unreachable": {
      const hint = isCertificateFault(end) ? CERTIFICATE_HINT : CONNECT_HINT;
      return `Cannot connect to ${url}: ${end.why}. ${hint}`;
    }
    case "lost":
    case "closed":
      return undefined;
  }
}
