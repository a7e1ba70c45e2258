import { assert, assertEquals } from "@std/assert";
import {
  parseSignatureInput,
  type SignatureInput,
  type SignatureInputProblem,
} from "../../lib/protocol/signature_input.ts";

const nonce = "VGhpc0lzQVVuaXF1ZU5vbmNl";
const created = 1641013200;
const bytes = `:${btoa("\x01".repeat(32))}:`;
const signature = `sig1=${bytes}`;
const input = inputWith();

/** A `Signature-Input` with other parameters; `undefined` leaves one out. */
function inputWith(changes: Record<string, string | undefined> = {}): string {
  const parameters = {
    keyid: '"key"',
    nonce: `"${nonce}"`,
    alg: '"hmac-sha256"',
    created: String(created),
    expires: String(created + 10),
    ...changes,
  };
  const texts = Object.entries(parameters)
    .map(([name, value]) => value === undefined ? "" : `;${name}=${value}`);
  return `sig1=("@authority" "x-api-key")${texts.join("")}`;
}

function parsed(inputHeader: string, signatureHeader = signature): SignatureInput {
  const result = parseSignatureInput(inputHeader, signatureHeader);
  assert("nonce" in result, `${JSON.stringify(result)} for ${inputHeader}`);
  return result;
}

function assertProblem(
  inputHeader: string | null,
  signatureHeader: string | null,
  problem: SignatureInputProblem,
): void {
  const result = parseSignatureInput(inputHeader, signatureHeader);
  assertEquals("problem" in result ? result.problem : "none", problem, inputHeader ?? undefined);
}

Deno.test("signature input: the list, the parameters and the bytes are read", () => {
  assertEquals<SignatureInput>(parsed(input), {
    signatureParams: [
      [["@authority", new Map()], ["x-api-key", new Map()]],
      new Map<string, string | number>([
        ["keyid", "key"],
        ["nonce", nonce],
        ["alg", "hmac-sha256"],
        ["created", created],
        ["expires", created + 10],
      ]),
    ],
    keyid: "key",
    nonce,
    created,
    expires: created + 10,
    signature: new Uint8Array(32).fill(1),
  });
});

Deno.test("signature input: both headers must be there and hold something", () => {
  assertProblem(null, null, "missing_signature_input");
  assertProblem(null, signature, "missing_signature_input");
  assertProblem(" ", signature, "missing_signature_input");
  assertProblem(input, null, "missing_signature");
  assertProblem(input, "", "missing_signature");
});

Deno.test("signature input: headers over their length are refused, one at it is parsed", () => {
  parsed(input.padEnd(4096), signature.padEnd(1024));
  assertProblem(input.padEnd(4097), signature, "signature_input_too_long");
  assertProblem(input, signature.padEnd(1025), "signature_too_long");
});

Deno.test("signature input: spaces where structured fields allow them, and folds", () => {
  const spaced = ` ${input.replace('" "', '"\r\n   "').replaceAll(";", ";  ")}\t`;
  assertEquals(parsed(spaced, `\t${signature} `), parsed(input));
});

Deno.test("signature input: what is no list of components is malformed", () => {
  const inputs = [
    "sig1",
    "sig1=",
    "=()",
    "sig1=()extra",
    "sig1=(),",
    'sig1="@authority"',
    'sig1=("@authority"',
    'sig1=("@authority""x-api-key")',
    "Sig1=()",
    "sig1=();created=@99999999999999999999",
    inputWith({ created: `@${created}` }),
    "sig1=();created=@999999999999999",
    'sig1=();nonce=%"%0a"',
    `sig1=();created=${"9".repeat(16)}`,
    input.replace("@authority", "caf\u00e9"),
    input.replace(" ", "\n"),
    input.replace(" ", "\t"),
  ];
  for (const text of inputs) assertProblem(text, signature, "malformed_signature_input");
});

Deno.test("signature input: what the parser would amend in silence is malformed", () => {
  const inputs = [
    `${input};created=${created}`,
    inputWith({ created: `${created};created=${created + 1}` }),
    inputWith({ nonce: `"another";nonce="${nonce}"` }),
    inputWith({ created: `${created}.0` }),
    inputWith({ created: `0${created}` }),
    inputWith({ created: "-0" }),
    `sig1=("x-absent"), ${input}`,
  ];
  for (const text of inputs) assertProblem(text, signature, "malformed_signature_input");
});

Deno.test("signature input: a Signature that is no byte sequence is malformed", () => {
  const signatures = [
    "sig1",
    bytes,
    `sig1="${bytes}"`,
    `sig1=(${bytes})`,
    `sig1=${bytes};a=1`,
    `sig1=${bytes}.`,
    "sig1=:a:",
    "sig1=:_-8=:",
    "sig1=:NZBw",
    "sig1=:NZ\nBw:",
  ];
  for (const text of signatures) assertProblem(input, text, "malformed_signature");
});

Deno.test("signature input: base64 without its padding is read, as RFC 8941 asks", () => {
  assertEquals(parsed(input, signature.replace(/=:$/, ":")), parsed(input));
});

Deno.test("signature input: more than one signature is refused", () => {
  assertProblem(`${input}, sig2=("@authority")`, signature, "several_signatures");
  assertProblem(input, `${signature}, sig2=${bytes}`, "several_signatures");
  assertProblem(input, `sig1=:AAAA:, ${signature}`, "several_signatures");
  assertProblem(input, `sig1;a, ${signature}`, "several_signatures");
});

Deno.test("signature input: the label must be the same in both headers", () => {
  assertProblem(input, `sig2=${bytes}`, "label_mismatch");
  const label = "*a.b-c_1";
  parsed(input.replace("sig1", label), signature.replace("sig1", label));
});

Deno.test("signature input: an unknown parameter is refused", () => {
  for (const unknown of ['tag="app"', "created-at=1", "a", "*=?0"]) {
    assertProblem(`${input};${unknown}`, signature, "unknown_parameter");
  }
});

Deno.test("signature input: keyid must be a string", () => {
  for (const keyid of [undefined, "1", "token", "?0", ":AAAA:"]) {
    assertProblem(inputWith({ keyid }), signature, "bad_keyid");
  }
});

Deno.test("signature input: a nonce has 22 to 256 characters of base64 or base64url", () => {
  const characters = "a".repeat(22);
  const good = [characters, "a".repeat(256), `${characters}==`, "-_+/".repeat(6)];
  for (const text of good) assertEquals(parsed(inputWith({ nonce: `"${text}"` })).nonce, text);

  const bad = ["", "a".repeat(21), `${"a".repeat(20)}==`, "a".repeat(257), `${characters}===`];
  for (const text of [...bad, `${characters} `, `${characters}.`, `=${characters}`]) {
    assertProblem(inputWith({ nonce: `"${text}"` }), signature, "bad_nonce");
  }
  for (const other of [undefined, "1", "a".repeat(24), ":YWFhYWFhYWFhYWFhYWFhYWE=:"]) {
    assertProblem(inputWith({ nonce: other }), signature, "bad_nonce");
  }
});

Deno.test("signature input: alg may be absent, and is hmac-sha256 otherwise", () => {
  parsed(inputWith({ alg: undefined }));
  for (const alg of ['""', '"none"', '"HMAC-SHA256"', '"hmac-sha512"', "hmac-sha256", "1"]) {
    assertProblem(inputWith({ alg }), signature, "bad_alg");
  }
});

Deno.test("signature input: created must be there, expires may; both are whole numbers", () => {
  assertEquals(parsed(inputWith({ expires: undefined })).expires, undefined);
  assertEquals(parsed(inputWith({ created: "-1", expires: "0" })).created, -1);
  assertProblem(inputWith({ created: undefined }), signature, "missing_created");
  for (const other of ["1641013200.5", '"1641013200"', ":AAAA:", "?0", "now"]) {
    assertProblem(inputWith({ created: other }), signature, "bad_created");
    assertProblem(inputWith({ expires: other }), signature, "bad_expires");
  }
  assertProblem(inputWith({ expires: `@${created}` }), signature, "bad_expires");
});
