/**
 * The gate before the upgrade: lets in whom the authenticator accepts, and gives all others the
 * same answer, whatever the cause (protocol section 3).
 *
 * Imports what it is made of; sees a request's headers, never its connection.
 */
import { STATUS_CODE } from "@std/http/status";
import type { Authentication, Authenticator, ConnectionIdentity } from "./authenticator.ts";
import type { FailureLimiter } from "./failure_limiter.ts";
import type { RefusalLog } from "./refusal_log.ts";
import { textResponse } from "./text_response.ts";

/** The most refusals that are held back at a time; each keeps a TCP connection open. */
const MAX_HELD = 1000;

/** What a {@link Gate} is made of. */
export interface GateParts {
  readonly authenticator: Authenticator;
  readonly limiter: FailureLimiter;
  readonly refusals: RefusalLog;
  /** How long a refusal takes at least. */
  readonly failureDelayMs: number;
}

/** What the gate sees of a connection request. */
export interface ConnectionRequest {
  /** Path and query, exactly as sent. */
  readonly requestTarget: string;
  readonly headers: Headers;
  /** Who it comes from, for counting failures. */
  readonly address: string;
}

/** Who may enter, or what the others are answered. */
export type Admission =
  | { readonly outcome: "admitted"; readonly identity: ConnectionIdentity }
  | { readonly outcome: "refused"; readonly response: Response };

/** Decides, delays, counts and logs. */
export class Gate {
  readonly #parts: GateParts;
  /** Ends of the delays that are under way. */
  readonly #held = new Set<() => void>();
  #isReleased = false;

  /** @param parts Kept for all requests. */
  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Decides about one request. Never rejects. */
  async admit({ requestTarget, headers, address }: ConnectionRequest): Promise<Admission> {
    const { authenticator, limiter, refusals } = this.#parts;
    const startMs = performance.now();
    const nowSeconds = Math.floor(Date.now() / 1000);
    const result = await authenticator.authenticate(requestTarget, headers, nowSeconds);
    if (result.outcome === "accepted") {
      // A valid signature gets in whatever else comes from its address, which may be that of many:
      // a proxy, or Genesys Cloud. A key that signs nothing can be guessed, so it waits its turn.
      if (result.isSigned || !limiter.isExhausted(address, performance.now())) {
        return { outcome: "admitted", identity: result.identity };
      }
      refusals.write("warning", "Refused a connection: {reason}", { reason: "too_many_failures" });
      return { outcome: "refused", response: this.#tooMany() };
    }
    return { outcome: "refused", response: await this.#refuse(result, address, startMs) };
  }

  /** Answers all refusals that are held back, because the server stops. */
  release(): void {
    this.#isReleased = true;
    for (const end of this.#held) end();
  }

  async #refuse(
    { reason, error }: Extract<Authentication, { outcome: "refused" }>,
    address: string,
    startMs: number,
  ): Promise<Response> {
    const { limiter, refusals, failureDelayMs } = this.#parts;
    const count = limiter.fail(address, performance.now());
    if (count === "reached") {
      refusals.write(
        "warning",
        "Refused too many connections from {address}: it is answered 429 for now",
        { address, reason },
      );
    }
    if (count !== "within" || this.#held.size >= MAX_HELD) {
      if (count === "within") {
        refusals.write("warning", "Refused too many connections at a time: {reason}", { reason });
      }
      return this.#tooMany();
    }
    refusals.write(
      "warning",
      "Refused a connection: {reason}",
      error === undefined ? { reason } : { reason, error },
    );
    await this.#hold(failureDelayMs - (performance.now() - startMs));
    return new Response(null, { status: STATUS_CODE.Unauthorized });
  }

  async #hold(restMs: number): Promise<void> {
    if (this.#isReleased) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#held.delete(end);
        resolve();
      };
      const timer = setTimeout(end, Math.max(0, restMs));
      this.#held.add(end);
    });
  }

  #tooMany(): Response {
    const { retryAfterSeconds } = this.#parts.limiter;
    return textResponse(STATUS_CODE.TooManyRequests, "Too many failed requests", {
      "retry-after": String(retryAfterSeconds),
    });
  }
}
