/**
 * Conditional requests (RFC 9110, section 13), and when a range is one of what the client has.
 *
 * Imports nothing.
 */

/** What tells one state of a file from another. */
export interface Validators {
  /** With its quotes; begins with `W/` if it is weak. */
  readonly etag: string;
  readonly modifiedAt: Date;
}

/** What the conditions of a GET come to. */
export type Condition = "proceed" | "not_modified" | "failed";

/** Evaluates the conditions, in the order of section 13.2.2. */
export function evaluateConditions(headers: Headers, validators: Validators): Condition {
  const ifMatch = headers.get("if-match");
  const modifiedSeconds = secondsOf(validators.modifiedAt.getTime());
  if (ifMatch !== null) {
    if (!lists(ifMatch, validators.etag, "strong")) return "failed";
  } else {
    const since = dateOf(headers.get("if-unmodified-since"));
    if (since !== undefined && modifiedSeconds > since) return "failed";
  }
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== null) {
    return lists(ifNoneMatch, validators.etag, "weak") ? "not_modified" : "proceed";
  }
  const since = dateOf(headers.get("if-modified-since"));
  return since !== undefined && modifiedSeconds <= since ? "not_modified" : "proceed";
}

/**
 * Whether `If-Range` lets a range be one (section 13.1.5): the client has the rest of the same. Of
 * what still grows, with its weak tag, no two answers are parts of the same.
 */
export function allowsRange(headers: Headers, { etag, modifiedAt }: Validators): boolean {
  const ifRange = headers.get("if-range")?.trim();
  if (ifRange === undefined) return true;
  if (isWeak(etag)) return false;
  if (ifRange.startsWith('"') || isWeak(ifRange)) return ifRange === etag;
  return dateOf(ifRange) === secondsOf(modifiedAt.getTime());
}

/** Whether a list of tags, or `*`, has this one. */
function lists(header: string, etag: string, comparison: "strong" | "weak"): boolean {
  if (header.trim() === "*") return true;
  if (comparison === "strong" && isWeak(etag)) return false;
  for (const [tag, weak] of header.matchAll(/(W\/)?"[^"]*"/g)) {
    if (comparison === "strong" && weak !== undefined) continue;
    if (opaque(tag) === opaque(etag)) return true;
  }
  return false;
}

function isWeak(etag: string): boolean {
  return etag.startsWith("W/");
}

function opaque(etag: string): string {
  return isWeak(etag) ? etag.slice(2) : etag;
}

/** A date in seconds; `undefined` if it is none, which is then ignored. */
function dateOf(header: string | null): number | undefined {
  // The form that we send; `Date.parse` alone would take far more.
  if (header === null || !/^\w{3}, \d{2} \w{3} \d{4} [\d:]{8} GMT$/.test(header)) return undefined;
  const ms = Date.parse(header);
  return Number.isNaN(ms) ? undefined : secondsOf(ms);
}

function secondsOf(ms: number): number {
  return Math.floor(ms / 1000);
}
