/**
 * Fuzz target: signed connection requests, changed before or after they are signed.
 */
import { assert, assertEquals } from "@std/assert";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { Keyring, verifySignature } from "../../lib/protocol/mod.ts";
import { parseSignatureInput } from "../../lib/protocol/signature_input.ts";
import type { FuzzTarget, Tally } from "./fuzz_target.ts";
import { LITERALS, pick, TEXTS } from "./hostile_values.ts";
import { ANY_NUMBER, EDIT, type Edit, mutateText } from "./mutations.ts";
import { type HeaderRequest, objection, unfolded } from "./signature_oracle.ts";

interface SignatureInput {
  /** Before it is signed: mostly still valid. */
  readonly before: readonly Edit[];
  readonly after: readonly Edit[];
  /** Of the clock that verifies, from `created`. */
  readonly age: number;
  readonly label: number;
  readonly apiKey: number;
}

const API_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh";
const UNSIGNED_KEY = "key-without-a-secret";
const SECRET = new TextEncoder().encode("a secret of the two of us");
const CREATED = 1_641_013_200;
const KEYRING = await Keyring.create(
  new Map([[API_KEY, SECRET], [UNSIGNED_KEY, new Uint8Array()]]),
);

const COMPONENTS = [
  "@request-target",
  "@authority",
  "audiohook-organization-id",
  "audiohook-session-id",
  "audiohook-correlation-id",
  "x-api-key",
];
const AGES = [3, 0, -3, -4, 13, 14, 5, 1e9, -1e9, NaN, Infinity, 12.999, 13.001, 30, 33, 34];

/** A request by parts that can be changed; header names are in lower case. */
type Parts = Map<string, string>;

const PARTS: ReadonlyMap<string, string> = new Map([
  ["target", "/api/v1/audiohook/ws?flow=7"],
  ["authority", "audiohook.example.com"],
  ["audiohook-organization-id", "d7934305-0972-4844-938e-9060eef73d05"],
  ["audiohook-session-id", "30b0e395-84d3-4570-ac13-9a62d8f514c0"],
  ["audiohook-correlation-id", "e160e428-53e2-487c-977d-96989bf5c99d"],
  ["x-api-key", API_KEY],
  ["x-extra", "more"],
]);

/** Mostly the one that has a secret. */
const API_KEYS = [...Array<string>(13).fill(API_KEY), UNSIGNED_KEY, "unknown", "__proto__"];

const PARAMETERS = [
  `keyid="${API_KEY}"`,
  'nonce="VGhpc0lzQVVuaXF1ZU5vbmNl"',
  'alg="hmac-sha256"',
  `created=${CREATED}`,
  `expires=${CREATED + 30}`,
];

/** Pieces that a parser of structured fields looks at. */
const PIECES: readonly string[] = [
  " ",
  "\t",
  "\r\n ",
  "\n\t",
  "\r\n",
  '"',
  "\\",
  "(",
  ")",
  ";",
  ",",
  "=",
  ":",
  "?1",
  ";sf",
  ";a",
  "sig1=",
  ', sig2=("x")',
  '"x-extra"',
  '"x-api-key"',
  '"@method"',
  ":AAAA:",
  ":443",
  ":80",
  "%2e",
  "\u00a0",
  "\u0100",
  ...PARAMETERS,
  ...TEXTS,
  ...LITERALS,
  UNSIGNED_KEY,
];

/** Changes a text by a piece, many of them, or as any other text. */
function changedText(text: string, edit: Edit): string {
  const { how, at, to, size } = edit;
  const index = at % (text.length + 1);
  const piece = pick(PIECES, to);
  switch (how % 8) {
    case 0:
      return text.slice(0, index) + piece + text.slice(index);
    case 1:
      return pick([" ", "\t ", "\r\n ", ""], to) + text +
        pick([" ", "\t", "\r\n ", piece, `,${text}`, `, z${text}`], size);
    case 2: {
      // Between two words: most often it means the same.
      const gaps = [...text.matchAll(/[ ;:,.]/g)];
      const gap = gaps.length === 0 ? index : pick(gaps, at).index;
      return text.slice(0, gap + 1) + pick([" ", "  ", "\t", "\r\n "], to) + text.slice(gap + 1);
    }
    case 3: {
      const length = pick([10, 300, 1000, 4000, 10_000, 65_536], size);
      const many = piece.repeat(Math.ceil(length / Math.max(1, piece.length))).slice(0, length);
      return text.slice(0, index) + many + text.slice(index);
    }
    case 4:
      if (size % 4 === 1) return text.replace(/^[^=]*/, pick(["sig2", "sig1", "*", ""], to));
      return size % 4 === 0 ? piece : text.replace(/[a-z]+/, (word) => word.toUpperCase());
    case 5: {
      // Parts of a list in another order, one missing, or one twice.
      const parts = text.split(pick([" ", ";"], to));
      parts.splice(at % parts.length, size % 3, ...parts.slice(size % parts.length).slice(0, 1));
      return parts.join(pick([" ", ";"], to));
    }
    default:
      return mutateText(text, edit);
  }
}

/** Changes one part, or removes it. */
function change(parts: Parts, edit: Edit): void {
  const names = [...parts.keys()];
  const name = pick(names, edit.how);
  if (edit.size % 16 === 0) parts.delete(name);
  else parts.set(name, changedText(parts.get(name) ?? "", { ...edit, how: edit.how >> 4 }));
}

function sign(parts: Parts, label: string, apiKey: string | undefined): void {
  const components = parts.has("x-extra") ? [...COMPONENTS, "x-extra"] : COMPONENTS;
  const names = components.map((name) => `"${name}"`).join(" ");
  const keyid = `keyid="${apiKey}"`;
  const params = `(${names});${[keyid, ...PARAMETERS.slice(1)].join(";")}`;
  const lines = components.map((name) => {
    const part = name === "@request-target" ? "target" : name.replace("@", "");
    const value = unfolded(parts.get(part) ?? "");
    return `"${name}": ${part === "authority" ? value.toLowerCase() : value}`;
  });
  const base = [...lines, `"@signature-params": ${params}`].join("\n");
  const signature = createHmac("sha256", SECRET).update(base).digest("base64");
  parts.set("signature-input", `${label}=${params}`);
  parts.set("signature", `${label}=:${signature}:`);
}

function requestOf({ before, after, age, label, apiKey }: SignatureInput): HeaderRequest {
  const parts: Parts = new Map(PARTS);
  parts.set("x-api-key", pick(API_KEYS, apiKey));
  const keyid = parts.get("x-api-key");
  for (const edit of before) change(parts, edit);
  sign(parts, pick(["sig1", "a", "*x-1.y"], label), keyid);
  for (const edit of after) change(parts, edit);
  const { target = "", authority = "" } = Object.fromEntries(parts);
  parts.delete("target");
  parts.delete("authority");
  return { target, authority, headers: parts, nowSeconds: CREATED + pick(AGES, age) };
}

async function run(input: SignatureInput, tally: Tally): Promise<void> {
  const request = requestOf(input);
  const header = (name: string) => request.headers.get(name) ?? null;
  const parsed = parseSignatureInput(header("signature-input"), header("signature"));
  if (!("problem" in parsed)) tally.reached("parsed");
  const verification = await verifySignature({
    requestTarget: request.target,
    authority: request.authority,
    header,
  }, { keyring: KEYRING, nowSeconds: request.nowSeconds });
  switch (verification.outcome) {
    case "verified":
      assertEquals(objection(request, SECRET), undefined, "verified");
      assertEquals(verification.apiKey, API_KEY);
      assert(verification.nonceValidUntilSeconds >= request.nowSeconds);
      tally.reached(input.after.length > 0 ? "verified though changed" : "verified");
      return;
    case "unsigned":
      assertEquals(header("x-api-key")?.trim(), UNSIGNED_KEY);
      tally.reached("unsigned");
      return;
    case "refused":
      assert(/^[a-z_]+$/.test(verification.reason));
      tally.reached(verification.reason);
      // What was not changed is verified while it is fresh.
      if (
        input.before.length + input.after.length === 0 && pick(API_KEYS, input.apiKey) === API_KEY
      ) {
        assert(["created_in_future", "too_old", "expired"].includes(verification.reason));
      }
  }
}

export const signatureTarget: FuzzTarget<SignatureInput> = {
  name: "signature",
  input: "the headers of one connection request",
  arbitrary: fc.record({
    before: fc.array(EDIT, { maxLength: 2 }),
    after: fc.array(EDIT, { maxLength: 3 }),
    age: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, ANY_NUMBER),
    label: ANY_NUMBER,
    apiKey: ANY_NUMBER,
  }),
  batch: 1000,
  mustReach: {
    parsed: 0.2,
    verified: 0.02,
    "verified though changed": 0.02,
    unsigned: 0.0005,
    mismatch: 0.02,
    ...Object.fromEntries(
      [
        "missing_api_key",
        "bad_api_key",
        "unknown_key",
        "missing_signature",
        "missing_signature_input",
        "malformed_signature",
        "malformed_signature_input",
        "signature_input_too_long",
        "signature_too_long",
        "several_signatures",
        "label_mismatch",
        "keyid_mismatch",
        "absent_component",
        "bad_component_value",
        "created_in_future",
        "too_old",
      ].map((reason) => [reason, 0.0005]),
    ),
  },
  run,
  describe: (input) => {
    const { target, authority, headers, nowSeconds } = requestOf(input);
    const lines = [["target", target], ["authority", authority], ...headers]
      .map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
    return [...lines, `now: ${nowSeconds}`].join("\n");
  },
};
