/**
 * Why there was no connection, in words for a person.
 *
 * Imports its neighbours.
 */
import type { ConnectionEnd } from "./client_socket.ts";
import { connectionHint } from "./connection_hints.ts";

/** Says why there was no connection; `undefined` if there was one. */
export function describeEnd(end: ConnectionEnd, url: URL): string | undefined {
  if (end.how === "lost" || end.how === "closed") return undefined;
  const why = end.how === "refused" ? `the server answered ${end.status}` : end.why;
  const hint = connectionHint(end);
  return `Cannot connect to ${url}: ${why}${hint === undefined ? "" : ` (${hint})`}`;
}
