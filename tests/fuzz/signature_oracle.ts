/**
 * A second opinion on signatures, written down from section 3 of the protocol: what has to be true
 * of a request that was verified. It uses nothing of lib.
 */
import { createHmac } from "node:crypto";
import { isInnerList, parseDictionary, serializeInnerList } from "structured-headers";

/** A connection request, by lower-case names of headers. */
export interface HeaderRequest {
  readonly target: string;
  readonly authority: string;
  readonly headers: ReadonlyMap<string, string>;
  /** Where the clock of whoever verifies stands, in UNIX seconds. */
  readonly nowSeconds: number;
}

const REQUIRED = [
  "@request-target",
  "@authority",
  "audiohook-organization-id",
  "audiohook-session-id",
  "audiohook-correlation-id",
  "x-api-key",
];
const SKEW_SECONDS = 3;
const MAX_AGE_SECONDS = 10;

/** Without line folds, and trimmed. No pattern with leading spaces: it takes quadratic time. */
export function unfolded(value: string): string {
  return value.split(/\r?\n(?=[ \t])/).map((line) => line.trim()).join(" ").trim();
}

function componentOf({ target, authority, headers }: HeaderRequest, name: string): string {
  if (name === "@request-target") return target;
  if (name === "@authority") return authority.trim().toLowerCase().replace(/:(80|443)$/, "");
  const value = headers.get(name);
  if (value === undefined) throw new Error(`${name} is covered, but not there`);
  return unfolded(value);
}

/**
 * Signs a request as it is, with the parameters that it says.
 *
 * @returns What is wrong with a request that was verified; `undefined` if nothing is.
 */
export function objection(request: HeaderRequest, secret: Uint8Array): string | undefined {
  const { headers, nowSeconds } = request;
  const inputs = [...parseDictionary(unfolded(headers.get("signature-input") ?? ""))];
  const signatures = [...parseDictionary(unfolded(headers.get("signature") ?? ""))];
  const [input, signature] = [inputs[0], signatures[0]];
  if (inputs.length !== 1 || signatures.length !== 1) return "there are several signatures";
  if (input === undefined || signature === undefined) return "there is no signature";
  if (input[0] !== signature[0]) return "the labels differ";
  const list = input[1];
  if (!isInnerList(list)) return "Signature-Input is no list";
  const names = list[0].map(([name]) => String(name));
  if (new Set(names).size !== names.length) return "a component is listed twice";
  if (list[0].some(([, parameters]) => parameters.size > 0)) return "a component has parameters";
  const missing = REQUIRED.filter((name) => !names.includes(name));
  if (missing.length > 0) return `not covered: ${missing}`;
  if (list[1].get("keyid") !== unfolded(headers.get("x-api-key") ?? "")) return "another keyid";
  const age = nowSeconds - Number(list[1].get("created"));
  if (!(age >= -SKEW_SECONDS && age <= MAX_AGE_SECONDS + SKEW_SECONDS)) return `${age} s old`;
  const expires = list[1].get("expires");
  if (expires !== undefined && !(Number(expires) >= nowSeconds - SKEW_SECONDS)) return "expired";
  const lines = names.map((name) => `"${name}": ${componentOf(request, name)}`);
  const base = [...lines, `"@signature-params": ${serializeInnerList(list)}`].join("\n");
  const expected = createHmac("sha256", secret).update(base).digest("base64");
  const value = signature[1][0];
  if (!(value instanceof ArrayBuffer)) return "Signature is no byte sequence";
  return new Uint8Array(value).toBase64() === expected ? undefined : "another signature";
}
