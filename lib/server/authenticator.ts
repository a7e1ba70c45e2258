/**
 * Who may connect: reads the connection request and verifies its signature, before the upgrade
 * (protocol sections 2 and 3).
 */
import { withDeadline } from "../app/deadline.ts";
import {
  isUuid,
  type Keyring,
  type NonceStore,
  type RefusalReason,
  type SignedRequest,
  verifySignature,
} from "../protocol/mod.ts";

/** How long a shared nonce store may take; Genesys Cloud waits for some seconds. */
const NONCE_TIMEOUT_MS = 3_000;

/** What the request says about itself, believed only once it is accepted. */
export interface ConnectionIdentity {
  readonly organizationId: string;
  readonly sessionId: string;
  /** Absent only where nothing had to be signed. */
  readonly correlationId: string | undefined;
}

/** Whether a request may connect. The reason of a refusal is for the log, not for the client. */
export type Authentication =
  | {
    readonly outcome: "accepted";
    readonly identity: ConnectionIdentity;
    /** Whether a secret was needed; with a key that signs nothing, the key is all. */
    readonly isSigned: boolean;
  }
  | {
    readonly outcome: "refused";
    readonly reason:
      | RefusalReason
      | "bad_organization_id"
      | "bad_session_id"
      | "replayed_nonce"
      | "nonce_store_failed";
    /** What the nonce store failed with. */
    readonly error?: unknown;
  };

/** What an {@link Authenticator} needs. */
export interface AuthenticatorOptions {
  /** API keys and client secrets. */
  readonly keyring: Keyring;
  /** Remembers nonces. */
  readonly nonces: NonceStore;
  /** Takes the place of the `Host` header, behind a proxy that changes it. */
  readonly publicAuthority?: string;
}

/** Decides about connection requests. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;

  /** @param options Kept for all requests. */
  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /**
   * Decides about one request.
   *
   * @param requestTarget Path and query, exactly as sent.
   * @param nowSeconds Present time, UNIX seconds.
   */
  async authenticate(
    requestTarget: string,
    headers: Headers,
    nowSeconds: number,
  ): Promise<Authentication> {
    const { keyring, nonces, publicAuthority } = this.#options;
    const request: SignedRequest = {
      requestTarget,
      authority: publicAuthority ?? headers.get("host") ?? "",
      header: (name) => headers.get(name),
    };
    const verification = await verifySignature(request, { keyring, nowSeconds });
    if (verification.outcome === "refused") return verification;

    const organizationId = headers.get("audiohook-organization-id") ?? "";
    if (!isUuid(organizationId)) return { outcome: "refused", reason: "bad_organization_id" };
    const sessionId = headers.get("audiohook-session-id") ?? "";
    if (!isUuid(sessionId)) return { outcome: "refused", reason: "bad_session_id" };
    const correlationId = headers.get("audiohook-correlation-id") ?? "";

    // Last, and only for what is genuine: nobody else can fill the store.
    if (verification.outcome === "verified") {
      const { apiKey, nonce, nonceValidUntilSeconds } = verification;
      try {
        const claim = nonces.claim(apiKey, nonce, nonceValidUntilSeconds, nowSeconds);
        const isFirst = typeof claim === "boolean"
          ? claim
          : await withDeadline(claim, NONCE_TIMEOUT_MS);
        if (isFirst === undefined) return { outcome: "refused", reason: "nonce_store_failed" };
        if (!isFirst) return { outcome: "refused", reason: "replayed_nonce" };
      } catch (error) {
        return { outcome: "refused", reason: "nonce_store_failed", error };
      }
    }
    return {
      outcome: "accepted",
      isSigned: verification.outcome === "verified",
      identity: {
        organizationId,
        sessionId,
        correlationId: isUuid(correlationId) ? correlationId : undefined,
      },
    };
  }
}
