import { assertEquals } from "@std/assert";
import {
  allowsRange,
  type Condition,
  evaluateConditions,
  type Validators,
} from "../../lib/api/preconditions.ts";

const MODIFIED = "Sun, 22 Nov 2026 09:30:43 GMT";
const EARLIER = "Sun, 22 Nov 2026 09:30:42 GMT";
const LATER = "Sun, 22 Nov 2026 09:30:44 GMT";
const modifiedAt = new Date("2026-11-22T09:30:43.500Z");

const STRONG: Validators = { etag: '"abc.1"', modifiedAt };
const WEAK: Validators = { etag: 'W/"abc.1"', modifiedAt };

type Headers_ = Readonly<Record<string, string>>;

const CONDITIONS: readonly [headers: Headers_, strong: Condition, weak: Condition][] = [
  [{}, "proceed", "proceed"],
  [{ "if-none-match": '"abc.1"' }, "not_modified", "not_modified"],
  [{ "if-none-match": 'W/"abc.1"' }, "not_modified", "not_modified"],
  [{ "if-none-match": '"x", "a,b" ,W/"abc.1"' }, "not_modified", "not_modified"],
  [{ "if-none-match": "*" }, "not_modified", "not_modified"],
  [{ "if-none-match": '"abc"' }, "proceed", "proceed"],
  [{ "if-none-match": "abc.1" }, "proceed", "proceed"],
  [{ "if-none-match": "" }, "proceed", "proceed"],
  // The tag decides, whatever the date says.
  [{ "if-none-match": '"x"', "if-modified-since": LATER }, "proceed", "proceed"],
  [{ "if-modified-since": MODIFIED }, "not_modified", "not_modified"],
  [{ "if-modified-since": LATER }, "not_modified", "not_modified"],
  [{ "if-modified-since": EARLIER }, "proceed", "proceed"],
  [{ "if-modified-since": "yesterday" }, "proceed", "proceed"],
  [{ "if-modified-since": "2027" }, "proceed", "proceed"],
  [{ "if-modified-since": "Sun, 99 Nov 2026 99:99:99 GMT" }, "proceed", "proceed"],
  [{ "if-match": '"abc.1"' }, "proceed", "failed"],
  [{ "if-match": 'W/"abc.1"' }, "failed", "failed"],
  [{ "if-match": "*" }, "proceed", "proceed"],
  [{ "if-match": '"x"' }, "failed", "failed"],
  [{ "if-match": '"abc.1"', "if-unmodified-since": EARLIER }, "proceed", "failed"],
  [{ "if-unmodified-since": MODIFIED }, "proceed", "proceed"],
  [{ "if-unmodified-since": EARLIER }, "failed", "failed"],
];

Deno.test("preconditions: what they come to, with a strong tag and with a weak one", () => {
  for (const [headers, strong, weak] of CONDITIONS) {
    const what = JSON.stringify(headers);
    assertEquals(evaluateConditions(new Headers(headers), STRONG), strong, what);
    assertEquals(evaluateConditions(new Headers(headers), WEAK), weak, what);
  }
});

const IF_RANGE: readonly [header: string | undefined, strong: boolean, weak: boolean][] = [
  [undefined, true, true],
  ['"abc.1"', true, false],
  ['W/"abc.1"', false, false],
  ['"x"', false, false],
  [MODIFIED, true, false],
  [EARLIER, false, false],
  [LATER, false, false],
  ["nonsense", false, false],
];

Deno.test("preconditions: If-Range is for parts of what does not change", () => {
  for (const [header, strong, weak] of IF_RANGE) {
    const headers = new Headers(header === undefined ? {} : { "if-range": header });
    assertEquals(allowsRange(headers, STRONG), strong, header);
    assertEquals(allowsRange(headers, WEAK), weak, header);
  }
});
