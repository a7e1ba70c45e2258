/**
 * Lets in who has the admin token: `Authorization: Bearer <token>` (RFC 6750, section 2.1).
 *
 * Imports hashing and its neighbours; failures are counted by who is handed in.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import { errorResponse } from "./api_error.ts";

const log = getLogger(["audiohook", "api"]);

/** Counts wrong tokens by address, so that guessing is not free. */
export interface FailedTries {
  /** How long an address that is beyond has to wait for its next try, in seconds. */
  readonly retryAfterSeconds: number;
  /** An address tried a wrong token. `reached`: that was one too many, and the first such. */
  readonly fail: (address: string) => "within" | "reached" | "beyond";
}

const EXPECTED = "Expected the header Authorization: Bearer <admin token>";

/** Decides who may use the API. */
export class AdminGate {
  readonly #expected: Uint8Array;
  readonly #tries: FailedTries;

  /**
   * @param token The admin token.
   * @throws {TypeError} If there is none: everybody would have it.
   */
  constructor(token: string, tries: FailedTries) {
    if (token === "") throw new TypeError("Expected an admin token, got none");
    this.#expected = digest(token);
    this.#tries = tries;
  }

  /** The refusal; `undefined` for who may enter. */
  check(headers: Headers, address: string): Response | undefined {
    const said = headers.get("authorization");
    // Not a guess: a browser that was sent here, or a check that something answers.
    if (said === null) return unauthorized();
    const [, token = ""] = /^bearer +([^ ]+)$/i.exec(said) ?? [];
    // Of digests, whose lengths are the same whatever the token's is. The right one gets in whatever
    // others have tried: the address may be a proxy's, and no number of tries finds such a token.
    if (timingSafeEqual(digest(token), this.#expected)) return undefined;
    const count = this.#tries.fail(address);
    if (count === "within") return unauthorized();
    if (count === "reached") {
      log.warning("Too many wrong admin tokens from {address}: it is answered 429 for now", {
        address,
      });
    }
    const { retryAfterSeconds } = this.#tries;
    return errorResponse(
      "too_many_failures",
      `Too many wrong tokens from this address: try again in ${retryAfterSeconds} s`,
      { "retry-after": String(retryAfterSeconds) },
    );
  }
}

function unauthorized(): Response {
  return errorResponse("unauthorized", EXPECTED, { "www-authenticate": "Bearer" });
}

function digest(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}
