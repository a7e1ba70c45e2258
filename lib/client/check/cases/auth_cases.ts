/**
 * Who may connect: signatures that are wrong in one way each (protocol section 3).
 *
 * Imports its neighbours.
 */
import { requiredComponents } from "../../../protocol/mod.ts";
import { type CheckCase, fail, skip } from "../check_case.ts";
import type { Headers, RequestChanges } from "../check_request.ts";
import {
  type SignatureParameter,
  withSecondSignature,
  withShortSignature,
} from "../check_signature.ts";

type Parameters = Readonly<Record<string, SignatureParameter>>;

/** Farther off than any server's allowance for clocks that differ. */
const FAR_SECONDS = 120;

/** More than clocks may differ, and less than a signature's greatest age. */
const NEAR_SECONDS = 9;

function later(parameters: Parameters, seconds: number): Parameters {
  return {
    ...parameters,
    created: Number(parameters.created) + seconds,
    expires: Number(parameters.expires) + seconds,
  };
}

function without(name: string): (values: Parameters) => Parameters {
  return (values) => Object.fromEntries(Object.entries(values).filter(([key]) => key !== name));
}

function unsigned(headers: Headers): Headers {
  const { Signature: _, "Signature-Input": __, ...rest } = headers;
  return rest;
}

function randomBase64(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toBase64();
}

/** A key that no server knows. */
function otherKey(): string {
  return randomBase64(24);
}

function otherSecret(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

interface Refusal {
  readonly name: string;
  readonly title: string;
  /** What a server does that opens the session. */
  readonly accepted: string;
  readonly strength?: "should";
  /** @param url The server's. */
  readonly changes: (url: URL) => RequestChanges;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: "auth.wrong-signature",
    title: "A request signed with another secret is refused",
    accepted: "anybody can connect who knows the API key",
    changes: () => ({ clientSecret: otherSecret() }),
  },
  {
    name: "auth.unsigned",
    title: "A request without a signature is refused, if the key has a secret",
    accepted: "the signature is not asked for",
    changes: () => ({ signedHeaders: unsigned }),
  },
  {
    name: "auth.expired",
    title: "A signature that has expired is refused",
    accepted: `it expired ${NEAR_SECONDS} s ago`,
    changes: () => ({
      parameters: (usual) => ({
        ...usual,
        created: Number(usual.created) - NEAR_SECONDS,
        expires: Number(usual.created) - NEAR_SECONDS,
      }),
    }),
  },
  {
    name: "auth.too-old",
    title: "A signature that was made long ago is refused, even if it expires late",
    accepted: `it was made ${FAR_SECONDS} s ago`,
    changes: () => ({
      parameters: (usual) => ({
        ...usual,
        created: Number(usual.created) - FAR_SECONDS,
        expires: Number(usual.created) + FAR_SECONDS,
      }),
    }),
  },
  {
    name: "auth.created-in-the-future",
    title: "A signature from the future is refused",
    accepted: `it will be made in ${FAR_SECONDS} s`,
    changes: () => ({ parameters: (usual) => later(usual, FAR_SECONDS) }),
  },
  ...requiredComponents.map((component) => ({
    name: `auth.missing-component-${component.replace("@", "")}`,
    title: `A signature that does not cover ${component} is refused`,
    accepted: `${component} could be anything`,
    changes: () => ({ components: requiredComponents.filter((name) => name !== component) }),
  })),
  {
    name: "auth.short-signature",
    title: "A signature that is too short is refused, and does not crash the server",
    accepted: "only the beginning of the signature is compared",
    changes: () => ({ signedHeaders: withShortSignature }),
  },
  {
    name: "auth.no-nonce",
    title: "A signature without a nonce is refused",
    accepted: "the nonce is not asked for",
    changes: () => ({ parameters: without("nonce") }),
  },
  {
    name: "auth.short-nonce",
    title: "A signature whose nonce has less than 128 bits is refused",
    accepted: "its nonce has 96 bits",
    changes: () => ({ parameters: (usual) => ({ ...usual, nonce: randomBase64(12) }) }),
  },
  {
    name: "auth.no-created",
    title: "A signature that does not say when it was made is refused",
    accepted: "its age cannot be known",
    strength: "should",
    changes: () => ({ parameters: without("created") }),
  },
  {
    name: "auth.keyid-mismatch",
    title: "A signature whose keyid is not the X-API-KEY is refused",
    accepted: "the keyid is not looked at",
    changes: () => ({ parameters: (usual) => ({ ...usual, keyid: otherKey() }) }),
  },
  {
    name: "auth.alg-none",
    title: 'The algorithm "none" with an empty signature is refused',
    accepted: "the client may choose not to sign",
    changes: () => ({
      parameters: (usual) => ({ ...usual, alg: "none" }),
      signedHeaders: (headers) => ({ ...headers, Signature: "sig1=::" }),
    }),
  },
  {
    name: "auth.other-alg",
    title: "Another algorithm than hmac-sha256 is refused",
    accepted: "it is verified by hmac-sha256, whatever it says",
    // Section 3 has both: only that algorithm, and to verify with it whatever `alg` says.
    strength: "should",
    changes: () => ({ parameters: (usual) => ({ ...usual, alg: "hmac-sha512" }) }),
  },
  {
    name: "auth.unknown-parameter",
    title: "A signature with a parameter that nobody knows is refused",
    accepted: "what is not understood may change what the signature means",
    changes: () => ({ parameters: (usual) => ({ ...usual, "x-check": "1" }) }),
  },
  {
    name: "auth.unknown-component",
    title: "A signature that covers a component that nobody knows is refused",
    accepted: "a component that does not exist is verified as empty",
    changes: () => ({ components: [...requiredComponents, "@check-unknown"] }),
  },
  {
    name: "auth.duplicate-component",
    title: "A signature that covers a component twice is refused",
    accepted: "which of the two counts is open",
    changes: () => ({ components: [...requiredComponents, "x-api-key"] }),
  },
  {
    name: "auth.two-signatures",
    title: "A request with two signatures, of which one is wrong, is refused",
    accepted: "one of them is picked; make sure that it is by a rule",
    // Section 3 allows it to a server that has a rule to choose.
    strength: "should",
    changes: () => ({ signedHeaders: withSecondSignature }),
  },
  {
    name: "auth.changed-after-signing",
    title: "A request that was changed after it was signed is refused",
    accepted: "the organization in the header is not verified",
    changes: () => ({
      signedHeaders: (headers) => ({
        ...headers,
        "Audiohook-Organization-Id": crypto.randomUUID(),
      }),
    }),
  },
  {
    name: "auth.signed-for-another-path",
    title: "A signature for another path is refused",
    accepted: "the path is not verified",
    changes: (url) => ({ signedUrl: new URL(`${url.pathname}/elsewhere${url.search}`, url) }),
  },
  {
    name: "auth.signed-for-another-host",
    title: "A signature for another host is refused",
    accepted: "the host is not verified",
    changes: (url) => ({ signedUrl: new URL(url.pathname + url.search, "wss://host.invalid") }),
  },
];

/** What a body speaks of that tells more than that the request is refused. */
const REVEALING =
  /signature|secret|hmac|nonce|replay|expire|created|too old|key ?id|unknown|mismatch|digest/i;

/** The cases about who may connect. */
export const AUTH_CASES: readonly CheckCase[] = [
  ...REFUSALS.map(({ name, title, accepted, strength, changes }): CheckCase => ({
    name,
    title,
    sections: [3],
    needs: "secret",
    lane: "refusals",
    strength,
    run: async (check) => await check.refused(changes(check.target.url), accepted),
  })),
  {
    name: "auth.unknown-key",
    title: "A key that the server does not know is refused",
    sections: [3],
    lane: "refusals",
    run: async (check) =>
      // Signed with the secret of the known key: the key alone is wrong.
      await check.refused({ apiKey: otherKey() }, "any key will do"),
  },
  {
    name: "auth.replayed",
    title: "The same signed request, a second time, is refused",
    sections: [3],
    needs: "secret",
    lane: "refusals",
    strength: "should",
    async run(check) {
      const first = await check.connect();
      await first.open(check.usualOpen(first));
      await first.close();
      await first.hangUp();
      return await check.refused({
        sessionId: first.sessionId,
        organizationId: first.organizationId,
        signedHeaders: () => first.headers,
      }, "whoever overhears a request can repeat it");
    },
  },
  {
    name: "auth.extra-component",
    title: "A signature may cover more than it must",
    sections: [3],
    needs: "secret",
    async run(check) {
      const { session } = await check.open({
        request: {
          headers: (headers) => ({ ...headers, "X-Check-Extra": "covered" }),
          components: [...requiredComponents, "audiohook-retry-attempt", "x-check-extra"],
        },
      });
      await session.close();
      return "Accepted with two components more than are required";
    },
  },
  {
    name: "auth.component-order",
    title: "The covered components may come in any order",
    sections: [3],
    needs: "secret",
    async run(check) {
      const components = requiredComponents.toReversed();
      const { session } = await check.open({ request: { components } });
      await session.close();
      return "Accepted in the opposite order";
    },
  },
  {
    name: "auth.nine-seconds-old",
    title: "A signature of 9 s ago is not too old",
    sections: [3],
    needs: "secret",
    async run(check) {
      const { session } = await check.open({
        request: {
          parameters: (usual) => ({
            ...usual,
            created: Number(usual.created) - NEAR_SECONDS,
            expires: Number(usual.created) + 1,
          }),
        },
      });
      await session.close();
      return "Accepted";
    },
  },
  {
    name: "auth.organization-mismatch",
    title: "An organizationId in open that is not the header's is refused as unauthorized",
    sections: [3],
    async run(check) {
      const session = await check.connect();
      const parameters = { ...check.usualOpen(session), organizationId: crypto.randomUUID() };
      session.send("open", parameters);
      return await session.disconnected("unauthorized");
    },
  },
  {
    name: "auth.session-id-mismatch",
    title: "An id in open that is not the header's session id is refused as an error",
    sections: [3, 4],
    async run(check) {
      const session = await check.connect();
      session.send("open", check.usualOpen(session), { id: crypto.randomUUID() });
      return await session.disconnected();
    },
  },
  {
    name: "auth.refusals-look-alike",
    title: "An unknown key, a wrong signature and an old one cannot be told from one another",
    sections: [3],
    needs: "secret",
    lane: "refusals",
    strength: "should",
    async run(check) {
      const answers: string[] = [];
      for (
        const changes of [
          { clientSecret: otherSecret() },
          { apiKey: otherKey(), clientSecret: otherSecret() },
          { parameters: (usual: Parameters) => later(usual, -FAR_SECONDS) },
        ]
      ) {
        const { status, body } = await check.knock(changes);
        if (status === 101) skip("The server refuses after the upgrade, or not at all");
        const told = REVEALING.exec(body);
        if (told !== null) fail(`The body of the refusal tells of "${told[0]}": ${body}`);
        answers.push(`HTTP ${status} ${JSON.stringify(body)}`);
      }
      const different = new Set(answers);
      if (different.size > 1) fail(`The answers differ: ${[...different].join(", ")}`);
      return `${answers[0]} each time`;
    },
  },
];
