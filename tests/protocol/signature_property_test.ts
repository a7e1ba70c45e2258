import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type InnerList,
  isInnerList,
  parseDictionary,
  serializeInnerList,
} from "structured-headers";
import { Keyring } from "../../lib/protocol/keyring.ts";
import {
  createSignature,
  requiredComponents,
  type Verification,
  verifySignature,
} from "../../lib/protocol/signature.ts";
import type { SignedRequest } from "../../lib/protocol/signature_base.ts";

const apiKey = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh";
const secret = new TextEncoder().encode("a secret of the two of us");
const nowSeconds = 1641013203;
const keyring = await Keyring.create(new Map([[apiKey, secret], ["unsigned", new Uint8Array()]]));

const unsigned: Readonly<Record<string, string>> = {
  "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
  "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
  "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
  "x-api-key": apiKey,
  "x-extra": "more",
};

function request(headers: Readonly<Record<string, string>>): SignedRequest {
  const byName = new Map(Object.entries(headers));
  return {
    requestTarget: "/audiohook?a=1",
    authority: "audiohook.example.com",
    header: (name) => byName.get(name.toLowerCase()) ?? null,
  };
}

const valid = await createSignature(request(unsigned), {
  keyid: apiKey,
  secret,
  nonce: "VGhpc0lzQVVuaXF1ZU5vbmNl",
  created: 1641013200,
  expires: 1641013230,
  components: [...requiredComponents, "x-extra"],
});
const validInput = valid["Signature-Input"];
const validSignature = valid["Signature"];
const validParameters = [
  `keyid="${apiKey}"`,
  'nonce="VGhpc0lzQVVuaXF1ZU5vbmNl"',
  'alg="hmac-sha256"',
  "created=1641013200",
  "expires=1641013230",
];

interface Headers {
  readonly "signature-input": string;
  readonly "signature": string;
  readonly "x-api-key": string;
}

function verify(headers: Headers): Promise<Verification> {
  return verifySignature(request({ ...unsigned, ...headers }), { keyring, nowSeconds });
}

/** What is signed and the signature, without label, spaces and folds. */
function meaning(headers: Headers): string {
  const unfolded = (text: string) => text.replaceAll(/\r?\n[ \t]+/g, " ").trim();
  const [input] = parseDictionary(unfolded(headers["signature-input"])).values();
  const [signature] = parseDictionary(unfolded(headers["signature"])).values();
  assert(input !== undefined && isInnerList(input) && signature !== undefined);
  const list: InnerList = input;
  assert(signature[0] instanceof ArrayBuffer);
  const key = headers["x-api-key"].trim();
  return [serializeInnerList(list), new Uint8Array(signature[0]).toString(), key].join("\n");
}

const validMeaning = meaning({
  "signature-input": validInput,
  "signature": validSignature,
  "x-api-key": apiKey,
});

async function assertOnlyTheValidOneVerified(headers: Headers): Promise<void> {
  const verification = await verify(headers);
  switch (verification.outcome) {
    case "verified":
      assertEquals(meaning(headers), validMeaning);
      return;
    case "unsigned":
      assertEquals(headers["x-api-key"].trim(), "unsigned");
      return;
    case "refused":
      assertEquals(typeof verification.reason, "string");
  }
}

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({ unit: "binary-ascii" }),
);

/** Pieces that the parser knows, in any order: gets far more often past the syntax. */
const anyPieces = fc.array(
  fc.constantFrom(
    ...["sig1", "=", "(", ")", ";", ",", " ", "\t", ":", "?1", "@", "%", '"', "\\", "-", "1", ".5"],
    ...requiredComponents.map((name) => `"${name}"`),
    ...validParameters,
    validInput,
    validSignature,
    '"x-extra"',
    ":AAAA:",
  ),
).map((pieces) => pieces.join(""));

/** A text with a slice cut out, doubled or overwritten. */
function mutated(text: string): fc.Arbitrary<string> {
  const place = fc.nat(text.length);
  return fc.tuple(place, fc.nat(8), fc.oneof(fc.constant(""), anyText, anyPieces), fc.boolean())
    .map(([start, length, by, doubled]) => {
      const cut = text.slice(start, start + length);
      return text.slice(0, start) + (doubled ? cut + cut : by) + text.slice(start + length);
    });
}

const component = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...requiredComponents, "x-extra").map((n) => `"${n}"`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('"@method"', '"date"', '"X-Extra"', '"x-extra";sf', "1"),
  },
);
const parameter = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...validParameters) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("created=1641013201", "created=1641013200.0", 'alg="none"', "tag=1"),
  },
);
const validComponents = [...requiredComponents, "x-extra"].map((name) => `"${name}"`);

/** The valid list, or one of its parts in another order, with some missing or others added. */
const structured = fc.record({
  label: fc.constantFrom("sig1", "sig1", "sig2"),
  components: fc.oneof(
    fc.constant(validComponents),
    fc.shuffledSubarray(validComponents, { minLength: 6 }),
    fc.array(component, { maxLength: 9 }),
  ),
  parameters: fc.oneof(
    fc.constant(validParameters),
    fc.shuffledSubarray(validParameters, { minLength: 3 }),
    fc.array(parameter, { maxLength: 7 }),
  ),
  componentSpace: fc.constantFrom(" ", "  "),
  parameterSpace: fc.constantFrom("", " "),
}).map(({ label, components, parameters, componentSpace, parameterSpace }) =>
  `${label}=(${components.join(componentSpace)})` +
  parameters.map((text) => `;${parameterSpace}${text}`).join("")
);

const inputs = fc.oneof(
  fc.constant(validInput),
  structured,
  mutated(validInput),
  anyPieces,
  anyText,
);
const signatures = fc.oneof(
  { weight: 3, arbitrary: fc.constant(validSignature) },
  fc.constant(validSignature.replace("sig1", "sig2")),
  mutated(validSignature),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => `sig1=:${btoa(String.fromCharCode(...bytes))}:`),
  anyPieces,
  anyText,
);
const apiKeys = fc.oneof(
  { weight: 6, arbitrary: fc.constant(apiKey) },
  fc.constantFrom("unsigned", "__proto__", "constructor", "unknown", ` ${apiKey} `),
  mutated(apiKey),
  anyText,
);

Deno.test("verifySignature: any headers give a verification, and only the valid ones a good one", async () => {
  assertEquals(
    (await verify({
      "signature-input": validInput,
      "signature": validSignature,
      "x-api-key": apiKey,
    })).outcome,
    "verified",
  );
  await fc.assert(
    fc.asyncProperty(
      inputs,
      signatures,
      apiKeys,
      (input, signature, key) =>
        assertOnlyTheValidOneVerified({
          "signature-input": input,
          "signature": signature,
          "x-api-key": key,
        }),
    ),
    { numRuns: 3000 },
  );
});

Deno.test("verifySignature: a changed Signature-Input is verified only if it means the same", async () => {
  const outcomes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(structured, mutated(validInput)), async (input) => {
      const headers = {
        "signature-input": input,
        "signature": validSignature,
        "x-api-key": apiKey,
      };
      outcomes.add((await verify(headers)).outcome);
      await assertOnlyTheValidOneVerified(headers);
    }),
    { numRuns: 3000 },
  );
  // Otherwise the property would hold for a function that refuses everything.
  assertEquals([...outcomes].sort(), ["refused", "verified"]);
});

Deno.test("verifySignature: any changed signed value is refused", async () => {
  const names = Object.keys(unsigned);
  const changes = fc.constantFrom(...names).chain((name) =>
    fc.tuple(fc.constant(name), fc.oneof(mutated(unsigned[name] ?? ""), anyText))
  );
  await fc.assert(
    fc.asyncProperty(changes, async ([name, value]) => {
      fc.pre(value.trim() !== unsigned[name] && value.trim() !== "unsigned");
      const headers = {
        ...unsigned,
        "signature-input": validInput,
        "signature": validSignature,
        [name]: value,
      };
      const { outcome } = await verifySignature(request(headers), { keyring, nowSeconds });
      assertEquals(outcome, "refused");
    }),
    { numRuns: 1000 },
  );
});
