/**
 * Reading of the headers `Signature-Input` and `Signature`: their syntax, and the shape of each
 * parameter. What the values mean (the time, the key, the components) is judged in `signature.ts`.
 *
 * Implements the second point of section 3 of `protocol.md` (RFC 9421, sections 4.1 and 4.2).
 * Imports nothing but `structured-headers` and the signature base.
 */

import {
  type Dictionary,
  type InnerList,
  isInnerList,
  type Item,
  type Parameters,
  parseDictionary,
  serializeDictionary,
} from "structured-headers";
import { normaliseHeaderValue } from "./signature_base.ts";

/** One request signature as sent. */
export interface SignatureInput {
  /** The covered components and the parameters, for the last line of the signature base. */
  readonly signatureParams: InnerList;
  /** The API key that the signature was made with, as the client says. */
  readonly keyid: string;
  /** 22 to 256 characters of base64 or base64url. */
  readonly nonce: string;
  /** UNIX seconds, a whole number. */
  readonly created: number;
  /** UNIX seconds, a whole number, if the signature names its end. */
  readonly expires: number | undefined;
  /** The signature's bytes, of any length. */
  readonly signature: Uint8Array<ArrayBuffer>;
}

/**
 * Why the headers hold no signature to judge. `several_signatures` is the want of a rule to choose
 * among them; `label_mismatch` means that the two headers speak of different ones.
 */
export type SignatureInputProblem =
  | "missing_signature_input"
  | "missing_signature"
  | "signature_input_too_long"
  | "signature_too_long"
  | "malformed_signature_input"
  | "malformed_signature"
  | "several_signatures"
  | "label_mismatch"
  | "unknown_parameter"
  | "bad_keyid"
  | "bad_nonce"
  | "bad_alg"
  | "missing_created"
  | "bad_created"
  | "bad_expires";

/** In characters, before anything is parsed. [ours] */
const maxSignatureInputLength = 4096;
/** In characters, before anything is parsed. [ours] */
const maxSignatureLength = 1024;
/** In characters. [ours] */
const maxNonceLength = 256;

const noncePattern = /^[A-Za-z0-9+/_-]{22,}={0,2}$/;
const knownParameters: ReadonlySet<string> = new Set([
  "keyid",
  "nonce",
  "alg",
  "created",
  "expires",
]);

/**
 * Reads the two headers.
 *
 * @param inputHeader the value of `Signature-Input`, `null` if there is none
 * @param signatureHeader the value of `Signature`, `null` if there is none
 */
export function parseSignatureInput(
  inputHeader: string | null,
  signatureHeader: string | null,
): SignatureInput | { readonly problem: SignatureInputProblem } {
  if (inputHeader === null) return { problem: "missing_signature_input" };
  if (signatureHeader === null) return { problem: "missing_signature" };
  if (inputHeader.length > maxSignatureInputLength) return { problem: "signature_input_too_long" };
  if (signatureHeader.length > maxSignatureLength) return { problem: "signature_too_long" };

  const inputs = parseMembers(inputHeader);
  if (inputs === undefined) return { problem: "malformed_signature_input" };
  const signatures = parseMembers(signatureHeader);
  if (signatures === undefined) return { problem: "malformed_signature" };
  const [input, ...moreInputs] = inputs.members;
  const [signature, ...moreSignatures] = signatures.members;
  // Of two members with the same label the parser keeps the last. Base64 has no comma, so that a
  // comma in `Signature` gives such a pair away.
  if (moreInputs.length > 0 || moreSignatures.length > 0 || signatures.text.includes(",")) {
    return { problem: "several_signatures" };
  }
  if (input === undefined) return { problem: "missing_signature_input" };
  if (signature === undefined) return { problem: "missing_signature" };

  const [label, signatureParams] = input;
  if (!isInnerList(signatureParams) || !isCanonical(inputs)) {
    return { problem: "malformed_signature_input" };
  }
  const bytes = signatureBytes(signature[1]);
  if (bytes === undefined) return { problem: "malformed_signature" };
  if (label !== signature[0]) return { problem: "label_mismatch" };

  const parameters = readParameters(signatureParams[1]);
  if ("problem" in parameters) return parameters;
  return { signatureParams, signature: bytes, ...parameters };
}

interface Members {
  readonly text: string;
  readonly members: Dictionary;
}

function parseMembers(header: string): Members | undefined {
  const text = normaliseHeaderValue(header);
  if (text === undefined) return undefined;
  try {
    return { text, members: parseDictionary(text) };
  } catch {
    return undefined;
  }
}

/**
 * Whether the text says what was parsed from it, spaces aside. The parser is silent about repeated
 * labels and parameters (the last one counts), and about decimals in place of integers
 * (`created=1641013200.0`). A client that signs what it sends produces none of that.
 */
function isCanonical({ text, members }: Members): boolean {
  try {
    return withoutSpaces(serializeDictionary(members)) === withoutSpaces(text);
  } catch {
    return false;
  }
}

function withoutSpaces(text: string): string {
  return text.replaceAll(/[ \t]/g, "");
}

function signatureBytes(member: Item | InnerList): Uint8Array<ArrayBuffer> | undefined {
  const [value, parameters] = member;
  // The parser yields every byte sequence as an ArrayBuffer.
  return value instanceof ArrayBuffer && parameters.size === 0 ? new Uint8Array(value) : undefined;
}

function readParameters(
  parameters: Parameters,
):
  | Pick<SignatureInput, "keyid" | "nonce" | "created" | "expires">
  | { readonly problem: SignatureInputProblem } {
  for (const name of parameters.keys()) {
    if (!knownParameters.has(name)) return { problem: "unknown_parameter" };
  }
  const keyid = parameters.get("keyid");
  const nonce = parameters.get("nonce");
  const alg = parameters.get("alg") ?? "hmac-sha256";
  const created = parameters.get("created");
  const expires = parameters.get("expires");
  if (typeof keyid !== "string") return { problem: "bad_keyid" };
  if (typeof nonce !== "string" || nonce.length > maxNonceLength || !noncePattern.test(nonce)) {
    return { problem: "bad_nonce" };
  }
  if (alg !== "hmac-sha256") return { problem: "bad_alg" };
  if (created === undefined) return { problem: "missing_created" };
  if (!isWholeNumber(created)) return { problem: "bad_created" };
  if (expires !== undefined && !isWholeNumber(expires)) return { problem: "bad_expires" };
  return { keyid, nonce, created, expires };
}

function isWholeNumber(value: unknown): value is number {
  return Number.isInteger(value);
}
