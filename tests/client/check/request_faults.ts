/**
 * Servers that let in whom they should not, or refuse as they should not (protocol section 3).
 */
import type { Fault } from "./fault.ts";
import { API_KEY, SECRET } from "./broken_server.ts";
import { type ConnectionRequest, GoodVerifier, REQUIRED, type Signed } from "./good_verifier.ts";

export const REQUEST_FAULTS = {
  "unsigned-accepted": {
    section: 3,
    wrong: "lets in whoever does not sign, though the key has a secret",
    cases: ["auth.unsigned"],
    verifier: class extends GoodVerifier {
      override acceptsUnsigned(): boolean {
        return true;
      }
    },
  },
  "any-signature": {
    section: 3,
    wrong: "does not compare the signature",
    cases: ["auth.wrong-signature", "auth.short-signature"],
    verifier: class extends GoodVerifier {
      override matches(): Promise<boolean> {
        return Promise.resolve(true);
      }
    },
  },
  "signature-prefix": {
    section: 3,
    wrong: "compares as many bytes of the signature as there are: a short one passes",
    cases: ["auth.short-signature"],
    verifier: class extends GoodVerifier {
      override async matches(
        signed: Signed,
        request: ConnectionRequest,
        secret: Uint8Array<ArrayBuffer>,
      ): Promise<boolean> {
        const expected = await this.signature(signed, request, secret);
        return expected !== undefined &&
          signed.bytes.every((byte, index) => byte === expected[index]);
      }
    },
  },
  "short-signature-crash": {
    section: 3,
    wrong: "dies of a signature of another length, and all sessions with it",
    cases: ["auth.short-signature", "auth.alg-none"],
    isContagious: true,
    crashesOn: ({ headers }) => {
      const base64 = /:(.*):/.exec(headers.get("signature") ?? "")?.[1];
      return base64 !== undefined && base64.length !== 44;
    },
  },
  "key-only": {
    section: 3,
    wrong: "checks only that the key is known",
    cases: ["auth.wrong-signature", "auth.unsigned", "auth.expired", "auth.keyid-mismatch"],
    verifier: class extends GoodVerifier {
      override accepts({ headers }: ConnectionRequest): Promise<boolean> {
        return Promise.resolve(headers.get("x-api-key") === API_KEY);
      }
    },
  },
  "unknown-key-accepted": {
    section: 3,
    wrong: "verifies with its only secret, whatever key it is",
    cases: ["auth.unknown-key"],
    verifier: class extends GoodVerifier {
      override secretOf(): Uint8Array<ArrayBuffer> {
        return SECRET;
      }
    },
  },
  "keyid-unchecked": {
    section: 3,
    wrong: "lets keyid be another key than X-API-KEY",
    cases: ["auth.keyid-mismatch"],
    verifier: class extends GoodVerifier {
      override isOfKey(): boolean {
        return true;
      }
    },
  },
  "nonce-optional": {
    section: 3,
    wrong: "lets in a signature without a nonce",
    cases: ["auth.no-nonce"],
    verifier: class extends GoodVerifier {
      override hasNonce({ nonce }: Signed): boolean {
        return nonce === undefined || super.hasNonce({ nonce } as Signed);
      }
      override isNew(signed: Signed): boolean {
        return signed.nonce === undefined || super.isNew(signed);
      }
    },
  },
  "nonce-short": {
    section: 3,
    wrong: "lets in a signature with a nonce of any length",
    cases: ["auth.short-nonce"],
    verifier: class extends GoodVerifier {
      override hasNonce({ nonce }: Signed): boolean {
        return typeof nonce === "string";
      }
    },
  },
  "parameters-unknown": {
    section: 3,
    wrong: "lets in a signature with parameters that it does not know",
    cases: ["auth.unknown-parameter"],
    verifier: class extends GoodVerifier {
      override knowsParameters(): boolean {
        return true;
      }
    },
  },
  "component-twice": {
    section: 3,
    wrong: "lets a signature cover a component twice",
    cases: ["auth.duplicate-component"],
    verifier: class extends GoodVerifier {
      override coversOnce(): boolean {
        return true;
      }
    },
  },
  "component-unknown": {
    section: 3,
    wrong: "takes a component that it does not know for an empty one",
    cases: ["auth.unknown-component"],
    verifier: class extends GoodVerifier {
      override valueOf(name: string, target: string, headers: Map<string, string>): string {
        return super.valueOf(name, target, headers) ?? "";
      }
    },
  },
  "two-signatures": {
    section: 3,
    wrong: "takes the first of several signatures",
    cases: ["auth.two-signatures"],
    verdict: "advice",
    verifier: class extends GoodVerifier {
      override takesSeveral(): boolean {
        return true;
      }
    },
  },
  "alg-unchecked": {
    section: 3,
    wrong: "does not look at alg",
    cases: ["auth.other-alg"],
    verdict: "advice",
    verifier: class extends GoodVerifier {
      override isOfAlgorithm(): boolean {
        return true;
      }
    },
  },
  "created-optional": {
    section: 3,
    wrong: "lets in a signature without its time",
    cases: ["auth.no-created"],
    verdict: "advice",
    verifier: class extends GoodVerifier {
      override isTimely(signed: Signed, now: number): boolean {
        return Number.isNaN(signed.created) || super.isTimely(signed, now);
      }
    },
  },
  "alg-none": {
    section: 3,
    wrong: "does not verify when alg is another one",
    cases: ["auth.alg-none"],
    verifier: class extends GoodVerifier {
      override isOfAlgorithm(): boolean {
        return true;
      }
      override async matches(
        signed: Signed,
        request: ConnectionRequest,
        secret: Uint8Array<ArrayBuffer>,
      ): Promise<boolean> {
        return !super.isOfAlgorithm(signed) || await super.matches(signed, request, secret);
      }
    },
  },
  "components-in-its-order": {
    section: 3,
    wrong: "builds the signature's base in an order of its own",
    cases: ["auth.component-order"],
    verifier: class extends GoodVerifier {
      override signature(
        signed: Signed,
        request: ConnectionRequest,
        secret: Uint8Array<ArrayBuffer>,
      ): Promise<Uint8Array<ArrayBuffer> | undefined> {
        const others = signed.components.filter((name) => !REQUIRED.includes(name));
        const components = [...REQUIRED, ...others];
        return super.signature({ ...signed, components }, request, secret);
      }
    },
  },
  "query-unsigned": {
    section: 3,
    wrong: "leaves the query out of @request-target",
    cases: ["request.query"],
    verifier: class extends GoodVerifier {
      override accepts(request: ConnectionRequest): Promise<boolean> {
        return super.accepts({ ...request, target: request.target.replace(/\?.*/, "") });
      }
    },
  },
  "header-case": {
    section: 2,
    wrong: "finds headers only by their names as written in the specification",
    cases: ["request.lower-case-headers", "request.upper-case-headers"],
    verifier: class extends GoodVerifier {
      override async accepts(request: ConnectionRequest): Promise<boolean> {
        return request.names.includes("Audiohook-Session-Id") && await super.accepts(request);
      }
    },
  },
  "retry-attempt-needed": {
    section: 2,
    wrong: "refuses requests without Audiohook-Retry-Attempt",
    cases: ["request.no-retry-attempt"],
    verifier: class extends GoodVerifier {
      override async accepts(request: ConnectionRequest): Promise<boolean> {
        return request.headers.has("audiohook-retry-attempt") && await super.accepts(request);
      }
    },
  },
  "session-id-4-only": {
    section: 4,
    wrong: "refuses session ids that are no UUIDs of version 4",
    cases: ["open.session-id-version"],
    verifier: class extends GoodVerifier {
      override async accepts(request: ConnectionRequest): Promise<boolean> {
        const id = request.headers.get("audiohook-session-id") ?? "";
        return id[14] === "4" && await super.accepts(request);
      }
    },
  },
  "components-unchecked": {
    section: 3,
    wrong: "lets a signature leave out what it has to cover",
    cases: [
      "auth.missing-component-request-target",
      "auth.missing-component-authority",
      "auth.missing-component-audiohook-session-id",
      "auth.missing-component-x-api-key",
    ],
    verifier: class extends GoodVerifier {
      override coversEnough(): boolean {
        return true;
      }
    },
  },
  "more-components-refused": {
    section: 3,
    wrong: "refuses a signature that covers more than it has to",
    cases: ["auth.extra-component"],
    verifier: class extends GoodVerifier {
      override coversEnough(signed: Signed): boolean {
        return super.coversEnough(signed) && signed.components.length === 6;
      }
    },
  },
  "expired-accepted": {
    section: 3,
    wrong: "looks at no time of the signature",
    cases: ["auth.expired", "auth.too-old", "auth.created-in-the-future"],
    verifier: class extends GoodVerifier {
      override isTimely(): boolean {
        return true;
      }
    },
  },
  "expires-unchecked": {
    section: 3,
    wrong: "looks at created, but not at expires",
    cases: ["auth.expired"],
    verifier: class extends GoodVerifier {
      override isTimely(signed: Signed, now: number): boolean {
        return super.isTimely({ ...signed, expires: Infinity }, now);
      }
    },
  },
  "age-unchecked": {
    section: 3,
    wrong: "believes expires, however old the signature is",
    cases: ["auth.too-old"],
    verifier: class extends GoodVerifier {
      override isTimely({ created, expires }: Signed, now: number): boolean {
        return created <= now + 3 && expires >= now - 3;
      }
    },
  },
  "future-accepted": {
    section: 3,
    wrong: "lets created be in the future",
    cases: ["auth.created-in-the-future"],
    verifier: class extends GoodVerifier {
      override isTimely(signed: Signed, now: number): boolean {
        return super.isTimely({ ...signed, created: Math.min(signed.created, now) }, now);
      }
    },
  },
  "skew-subtracted": {
    section: 3,
    wrong: "subtracts the skew from the age: 7 s in place of 13",
    cases: ["auth.nine-seconds-old"],
    verifier: class extends GoodVerifier {
      override isTimely(signed: Signed, now: number): boolean {
        return super.isTimely(signed, now) && now - signed.created <= 7;
      }
    },
  },
  "replay-accepted": {
    section: 3,
    wrong: "takes a nonce twice",
    cases: ["auth.replayed"],
    verdict: "advice",
    verifier: class extends GoodVerifier {
      override isNew(): boolean {
        return true;
      }
    },
  },
  "refusal-with-detail": {
    section: 3,
    wrong: "says in the body of its 401 what is wrong",
    cases: ["auth.refusals-look-alike"],
    verdict: "advice",
    refusal: { status: "401 Unauthorized", body: '{"error":"signature mismatch"}' },
  },
  "refusal-by-403": {
    section: 3,
    wrong: "refuses with 403",
    cases: ["auth.wrong-signature", "auth.unsigned", "auth.unknown-key"],
    verdict: "advice",
    refusal: { status: "403 Forbidden", body: "" },
  },
  "refusal-by-500": {
    section: 3,
    wrong: "fails when it should refuse: 500",
    cases: ["auth.wrong-signature", "auth.unsigned", "auth.unknown-key"],
    refusal: { status: "500 Internal Server Error", body: "" },
  },
  "refusal-by-drop": {
    section: 3,
    wrong: "refuses by dropping the connection",
    cases: ["auth.wrong-signature", "auth.unsigned", "auth.unknown-key"],
    refusal: undefined,
  },
} satisfies Record<string, Fault>;
