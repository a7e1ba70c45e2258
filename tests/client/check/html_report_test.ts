/**
 * The page, read by a strict reader of HTML: every tag is closed, nothing is loaded, nothing runs.
 */
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { ALL_CASES } from "../../../lib/client/check/all_cases.ts";
import type { CheckReport, CheckVerdict } from "../../../lib/client/check/check_report.ts";
import { htmlReport } from "../../../lib/client/check/html_report.ts";
import { summaryLine, textReport } from "../../../lib/client/check/text_report.ts";

const EVIL =
  `</li><script src="https://example.com/x.js"></script><img onerror=alert(1)>'"&\x1b[2J\u202e`;
const VERDICTS: readonly CheckVerdict[] = ["pass", "fail", "advice", "skip", "defect"];

/** A report of every case, in which everything that may come from outside is hostile. */
function evilReport(problem?: string): CheckReport {
  return {
    url: `wss://example.com/?${EVIL}`,
    startedAt: "2026-01-02T03:04:05.678Z",
    tookMs: 12_345,
    problem,
    results: ALL_CASES.map(({ name, title, sections }, index) => ({
      name,
      title,
      sections,
      verdict: VERDICTS[index % VERDICTS.length] ?? "pass",
      seen: EVIL,
      tookMs: 1,
      transcript: [
        { atMs: 0, connection: 1, direction: "sent", text: EVIL },
        { atMs: 5, connection: 1, direction: "received", text: EVIL },
        { atMs: 6, connection: 0, direction: "note", text: EVIL },
      ],
    })),
  };
}

const VOID = ["meta", "!doctype", "br"];

/** Names of all elements, in order; fails if one is not closed, or closed by another. */
function elementsOf(html: string): string[] {
  const open: string[] = [];
  const all: string[] = [];
  for (const [, slash, name = ""] of html.matchAll(/<(\/?)([!a-z][a-z0-9]*)[^>]*>/gi)) {
    const element = name.toLowerCase();
    if (slash === "/") assertEquals(open.pop(), element);
    else {
      all.push(element);
      if (!VOID.includes(element)) open.push(element);
    }
  }
  assertEquals(open, []);
  return all;
}

Deno.test("check: the page is sound HTML in which nothing of the server's is markup", () => {
  const html = htmlReport(evilReport());
  const elements = new Set(elementsOf(html));
  for (const name of ["script", "img", "link", "iframe"]) assertFalse(elements.has(name), name);
  assertFalse(/\b(src|href|on[a-z]+)\s*=/i.test(html.replace(/&lt;.*?&gt;/g, "")), "an attribute");
  assertFalse(/\p{Cc}/u.test(html.replaceAll("\n", "")));
  assertFalse(html.includes("\u202e"));
  assertStringIncludes(html, "Content-Security-Policy");
  assertStringIncludes(html, `name="viewport"`);
  assertStringIncludes(html, "prefers-color-scheme: dark");
});

Deno.test("check: the page has every case, and the transcript of those that are not well", () => {
  const report = evilReport();
  const elements = elementsOf(htmlReport(report));
  assertEquals(elements.filter((name) => name === "tr").length, ALL_CASES.length);
  const isShown = ["fail", "advice", "defect"];
  const shown = report.results.filter(({ verdict }) => isShown.includes(verdict));
  assertEquals(elements.filter((name) => name === "details").length, shown.length);
});

Deno.test("check: the page of a run that could not begin says why", () => {
  const html = htmlReport({ ...evilReport("HTTP 401 <b>"), results: [] });
  assertStringIncludes(html, "Cannot check: HTTP 401 &lt;b&gt;");
  assert(elementsOf(html).length > 5);
});

Deno.test("check: the report for the terminal cannot be steered by a server", () => {
  for (const hasColor of [true, false]) {
    const text = textReport(evilReport(), hasColor);
    // deno-lint-ignore no-control-regex
    const rest = text.replace(/\x1b\[\d+m/g, "").replaceAll("\n", "");
    assertFalse(/\p{Cc}/u.test(rest));
    assertEquals(text.includes("\x1b"), hasColor);
    assertMatch(rest, /35 ok, 35 failed, 35 with advice, 35 skipped|\d+ ok, \d+ failed/);
  }
});

Deno.test("check: a report tells of defects of the checker where there are any", () => {
  const report = evilReport();
  const some = report.results.filter(({ verdict }) => verdict === "defect").length;
  assertMatch(summaryLine(report), new RegExp(`, ${some} not checked because of a defect of the`));
  assertStringIncludes(htmlReport(report), `<b>${some}</b>defect of the checker`);
  assertStringIncludes(textReport(report, false), "  DEFECT  ");
  const sound = {
    ...report,
    results: report.results.filter(({ verdict }) => verdict !== "defect"),
  };
  for (const text of [summaryLine(sound), htmlReport(sound), textReport(sound, false)]) {
    assertFalse(/defect of/i.test(text));
  }
});
