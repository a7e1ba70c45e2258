/**
 * The gate before the upgrade: lets in whom the authenticator accepts, and gives all others the
 * same answer, whatever the cause (protocol section 3).
 *
 * Imports the authenticator; sees a request's headers, never its connection.
 */
import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import { TokenBucket } from "../protocol/mod.ts";
import type { Authentication, Authenticator, ConnectionIdentity } from "./authenticator.ts";
import type { FailureLimiter } from "./failure_limiter.ts";
import { textResponse } from "./text_response.ts";

const log = getLogger(["audiohook", "server"]);

/** The most refusals that are held back at a time; each keeps a TCP connection open. */
const MAX_HELD = 1000;
/** Lines about refusals in the log: a flood must not fill a disk. */
const LOG_RATE = { perSecond: 1, burst: 60 };

/** What a {@link Gate} is made of. */
export interface GateParts {
  readonly authenticator: Authenticator;
  readonly limiter: FailureLimiter;
  /** How long a refusal takes at least. */
  readonly failureDelayMs: number;
}

/** A request at the gate. */
export interface Knock {
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
  readonly #logBucket = new TokenBucket(LOG_RATE, performance.now());
  #unlogged = 0;
  /** Ends of the delays that are under way. */
  readonly #held = new Set<() => void>();

  /** @param parts Kept for all requests. */
  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Decides about one request. Never rejects. */
  async admit({ requestTarget, headers, address }: Knock): Promise<Admission> {
    const { authenticator, limiter } = this.#parts;
    const startMs = performance.now();
    const nowSeconds = Math.floor(Date.now() / 1000);
    const result = await authenticator.authenticate(requestTarget, headers, nowSeconds);
    if (result.outcome === "accepted") {
      // A valid signature gets in whatever else comes from its address, which may be that of many:
      // a proxy, or Genesys Cloud. A key that signs nothing can be guessed, so it waits its turn.
      if (result.isSigned || !limiter.isExhausted(address, performance.now())) {
        return { outcome: "admitted", identity: result.identity };
      }
      this.#log("Refused a connection: {reason}", { reason: "too_many_failures" });
      return { outcome: "refused", response: this.#tooMany() };
    }
    return { outcome: "refused", response: await this.#refuse(result, address, startMs) };
  }

  /** Answers all refusals that are held back, because the server stops. */
  release(): void {
    for (const end of this.#held) end();
  }

  async #refuse(
    { reason, error }: Extract<Authentication, { outcome: "refused" }>,
    address: string,
    startMs: number,
  ): Promise<Response> {
    const { limiter, failureDelayMs } = this.#parts;
    const count = limiter.fail(address, performance.now());
    if (count === "reached") {
      this.#log("Refused too many connections from {address}: it is answered 429 for now", {
        address,
        reason,
      });
    }
    if (count !== "within" || this.#held.size >= MAX_HELD) {
      if (count === "within") {
        this.#log("Refused too many connections at a time: {reason}", { reason });
      }
      return this.#tooMany();
    }
    this.#log(
      "Refused a connection: {reason}",
      error === undefined ? { reason } : { reason, error },
    );
    await this.#hold(failureDelayMs - (performance.now() - startMs));
    return new Response(null, { status: STATUS_CODE.Unauthorized });
  }

  #hold(restMs: number): Promise<void> {
    return new Promise((resolve) => {
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

  #log(message: string, properties: Record<string, unknown>): void {
    if (!this.#logBucket.tryTake(performance.now())) {
      this.#unlogged++;
      return;
    }
    if (this.#unlogged > 0) {
      log.warning("Refused {count} more connections, without a line for each", {
        count: this.#unlogged,
      });
      this.#unlogged = 0;
    }
    log.warning(message, properties);
  }
}
