/**
 * When a call is tried again, and after how long (protocol section 14).
 *
 * Retried: connections that fail or are lost, late answers to the connection request, to `open` and
 * to `ping`, and `disconnect` with `error`. A certificate that is wrong is not, nor an upgrade that
 * failed: by an answer that is no WebSocket server's, or by an HTTP status, with one exception. 503
 * with `Retry-After` is an honest server's word that it will be back, and is taken by it. Imports
 * its neighbours.
 */
import type { ConnectionEnd } from "./client_socket.ts";
import { neverHeals } from "./connection_hints.ts";

/** That a call may be tried again. */
export interface Retry {
  /** What went wrong. */
  readonly why: string;
  /** The server asked for so much time. */
  readonly atLeastMs?: number;
}

/** The most retries there are. */
export const MAX_RETRIES = 5;
const FIRST_DELAY_MS = 1_000;
/** Who asks for more is not waited for. */
const MAX_RETRY_AFTER_SECONDS = 60;

/**
 * The time before a retry: twice as long each time, and up to half of it by chance, so that not all
 * clients of a server come back at once.
 *
 * @param attempt From 1.
 */
export function backoffMs(attempt: number): number {
  const longest = FIRST_DELAY_MS * 2 ** (attempt - 1);
  return longest * (0.5 + Math.random() / 2);
}

/** Whether a connection that ended so is tried again. */
export function retryAfterEnd(end: ConnectionEnd): Retry | undefined {
  switch (end.how) {
    case "refused": {
      const { status, retryAfterSeconds = Infinity } = end;
      if (status !== 503 || retryAfterSeconds > MAX_RETRY_AFTER_SECONDS) return undefined;
      return { why: "The server is busy (503)", atLeastMs: retryAfterSeconds * 1000 };
    }
    case "unreachable":
      return neverHeals(end) ? undefined : { why: `Cannot connect: ${end.why}` };
    case "lost":
      return { why: "The connection was lost" };
    case "closed":
      return undefined;
  }
}
