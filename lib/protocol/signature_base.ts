/**
 * The signature base: the text that a connection request's signature is computed over.
 *
 * Implements the third point of section 3 of `protocol.md` (RFC 9421, section 2.5). Knows nothing
 * of keys, time or what AudioHook requires to be covered. Imports nothing but `structured-headers`.
 */

import { type InnerList, serializeInnerList, serializeItem } from "structured-headers";

/** What a signature can cover of a connection request (`protocol.md`, section 2). */
export interface SignedRequest {
  /**
   * Path and query exactly as sent, such as `/audiohook?flow=7`. Cut it from the request line or
   * from the text of `Request.url`: a detour through `URL` rewrites paths like `/a/../b`.
   */
  readonly requestTarget: string;
  /** The `Host` value as received, such as `Example.com:443`. It is normalised here. */
  readonly authority: string;
  /**
   * The value of a header, `null` if the request has none. Looks names up without regard to case
   * and joins several headers of one name by `, `, as `Headers.get` does.
   */
  header(name: string): string | null;
}

/**
 * Why there is no signature base:
 *
 * - `unknown_component`: not a string, an `@` component other than `@request-target` and
 *   `@authority`, or not a lower-case header name
 * - `component_parameter`: a component with parameters of its own (`"date";sf`)
 * - `duplicate_component`: listed twice
 * - `absent_component`: a header that the request does not have, or an empty target or authority
 * - `bad_component_value`: characters that have no place in a signature base, such as line breaks
 */
export type SignatureBaseProblem =
  | "unknown_component"
  | "component_parameter"
  | "duplicate_component"
  | "absent_component"
  | "bad_component_value";

/** A signature base with the names that it covers, or the reason why there is none. */
export type SignatureBase =
  | { readonly base: string; readonly covered: ReadonlySet<string> }
  | { readonly problem: SignatureBaseProblem };

const headerNamePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// A signature base is ASCII (RFC 9421, section 2.5), and a line break inside of a value could
// pass for the line of another component.
const headerLinePattern = /^[\t\x20-\x7e]*$/;
const targetPattern = /^[\x21-\x7e]*$/;

/**
 * Builds the signature base of a request.
 *
 * @param request the request to sign or to verify
 * @param signatureParams the covered components with the signature's parameters, as parsed from
 * `Signature-Input`. The last line is this list serialised again: spaces in the header's text are
 * not signed.
 */
export function signatureBase(request: SignedRequest, signatureParams: InnerList): SignatureBase {
  const covered = new Set<string>();
  const lines: string[] = [];
  for (const [name, parameters] of signatureParams[0]) {
    if (typeof name !== "string") return { problem: "unknown_component" };
    if (parameters.size > 0) return { problem: "component_parameter" };
    if (covered.has(name)) return { problem: "duplicate_component" };
    const component = componentValue(request, name);
    if ("problem" in component) return component;
    covered.add(name);
    lines.push(`${serializeItem(name)}: ${component.value}`);
  }
  lines.push(`"@signature-params": ${serializeInnerList(signatureParams)}`);
  return { base: lines.join("\n"), covered };
}

type ComponentValue = { readonly value: string } | { readonly problem: SignatureBaseProblem };

function componentValue(request: SignedRequest, name: string): ComponentValue {
  switch (name) {
    case "@request-target":
      return targetValue(request.requestTarget);
    case "@authority":
      return targetValue(normaliseAuthority(request.authority));
  }
  if (!headerNamePattern.test(name)) return { problem: "unknown_component" };
  const raw = request.header(name);
  if (raw === null) return { problem: "absent_component" };
  const value = normaliseHeaderValue(raw);
  return value === undefined ? { problem: "bad_component_value" } : { value };
}

function targetValue(value: string): ComponentValue {
  if (value === "") return { problem: "absent_component" };
  return targetPattern.test(value) ? { value } : { problem: "bad_component_value" };
}

/**
 * Lower case, without a default port. TLS usually ends at a proxy, so that the scheme the client
 * used is unknown here: both `:443` and `:80` are taken for its default. That costs nothing, as
 * Genesys Cloud connects to port 443 only, and `ws://` is for local use.
 */
function normaliseAuthority(authority: string): string {
  return authority.trim().toLowerCase().replace(/:(?:443|80)$/, "");
}

/**
 * A header's value as it is signed: trimmed, with a single space for each obsolete line fold.
 *
 * @returns `undefined` if the value holds something that is neither printable ASCII, a space, a
 * tab nor a fold
 */
export function normaliseHeaderValue(raw: string): string | undefined {
  // Split rather than replaced by a pattern with leading spaces, which would take quadratic time
  // on a value of many spaces.
  const lines = raw.split(/\r?\n/);
  const folded = lines.every((line, index) => index === 0 || /^[ \t]/.test(line));
  if (!folded || !lines.every((line) => headerLinePattern.test(line))) return undefined;
  return lines.map((line) => line.trim()).join(" ").trim();
}
