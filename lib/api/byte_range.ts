/**
 * The `Range` of a request (RFC 9110, section 14): one range of bytes.
 *
 * Imports nothing.
 */

/** What a `Range` header asks for. */
export type RangeRequest =
  /** Everything: there is none, or one that need not be understood. */
  | { readonly outcome: "whole" }
  /** Bytes from the first place up to the second, which is not included; at least one. */
  | { readonly outcome: "part"; readonly from: number; readonly to: number }
  /** Nothing that there is. */
  | { readonly outcome: "unsatisfiable" };

const WHOLE = { outcome: "whole" } as const;
const UNSATISFIABLE = { outcome: "unsatisfiable" } as const;

/**
 * Reads a `Range` header.
 *
 * Several ranges, and other units than bytes, are answered by the whole, as section 14.2 allows: no
 * player asks for them. What is no range at all is rejected.
 *
 * @param header `null` if there is none.
 * @param size Length of what it is a range of, in bytes.
 */
export function parseRange(header: string | null, size: number): RangeRequest {
  const [, unit = "", set = ""] = /^([^=]*)=(.*)$/.exec(header ?? "") ?? [];
  if (header === null || (set !== "" && unit.trim().toLowerCase() !== "bytes")) return WHOLE;
  // Elements of a list may be empty (section 5.6.1.2).
  const ranges = set.split(",").map((range) => range.trim()).filter((range) => range !== "");
  if (ranges.length > 1) return WHOLE;
  const [, first, last] = /^(\d*)-(\d*)$/.exec(ranges[0] ?? "") ?? [];
  if (first === undefined || last === undefined || first + last === "") return UNSATISFIABLE;
  if (first === "") {
    // So many bytes at the end.
    const length = Math.min(Number(last), size);
    return length === 0 ? UNSATISFIABLE : { outcome: "part", from: size - length, to: size };
  }
  const from = Number(first);
  const to = last === "" ? size : Math.min(Number(last) + 1, size);
  return from < to ? { outcome: "part", from, to } : UNSATISFIABLE;
}
