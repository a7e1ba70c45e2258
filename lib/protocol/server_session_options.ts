/**
 * How a server session begins, and the times that it keeps.
 *
 * Imports types only.
 */
import type { ServerTimeouts } from "./server_deadlines.ts";
import type { ServerOutboxRates } from "./server_outbox.ts";

/** Who the session belongs to, as its connection request said. */
export interface ServerSessionOptions {
  /** UUID of the session, from `Audiohook-Session-Id`. */
  readonly id: string;
  /** UUID of the organization, from `Audiohook-Organization-Id`. */
  readonly organizationId: string;
  /** Present time in milliseconds, on any clock that never goes back. */
  readonly nowMs: number;
  /** What differs from {@link SERVER_SESSION_LIMITS}. */
  readonly limits?: Partial<ServerSessionLimits>;
}

/** Times and rates of a server session. */
export interface ServerSessionLimits extends ServerOutboxRates, ServerTimeouts {}

/** The defaults. The client's own rates are not published; these are on the safe side. */
export const SERVER_SESSION_LIMITS = {
  openTimeoutMs: 10_000,
  openedTimeoutMs: 4_500,
  silenceTimeoutMs: 60_000,
  closeTimeoutMs: 5_000,
  closedTimeoutMs: 9_000,
  hangupTimeoutMs: 5_000,
  textRate: { perSecond: 5, burst: 20 },
  audioRate: { perSecond: 10, burst: 20 },
} as const satisfies ServerSessionLimits;
