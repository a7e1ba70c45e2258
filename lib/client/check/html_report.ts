/**
 * A report as a page of its own: it needs no network, runs no script, and escapes all that the
 * server said.
 *
 * Imports its neighbours.
 */
import {
  type CheckReport,
  type CheckResult,
  type CheckVerdict,
  countVerdicts,
} from "./check_report.ts";
import { bySection } from "./section_titles.ts";

const WORDS: Readonly<Record<CheckVerdict, string>> = {
  pass: "ok",
  fail: "failed",
  advice: "advice",
  skip: "skipped",
  defect: "defect of the checker",
};

const STYLE = `
:root { color-scheme: light dark; --line: #d8dce2; --soft: #f5f6f8; --quiet: #5b6470;
  --pass: #1a7f4b; --fail: #c62f2f; --advice: #946200; --skip: #5b6470; --defect: #8a3ea8; }
@media (prefers-color-scheme: dark) { :root { --line: #363c45; --soft: #20252c;
  --quiet: #a2abb8; --pass: #5fd08f; --fail: #ff8a80; --advice: #ecc15c; --skip: #a2abb8;
  --defect: #d9a0ee; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.quiet { color: var(--quiet); margin: .25rem 0; }
.counts { display: flex; flex-wrap: wrap; gap: .75rem; padding: 0; margin: 1.25rem 0; list-style: none; }
.counts li { flex: 1 1 7rem; border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; }
.counts b { display: block; font-size: 1.6rem; line-height: 1.2; }
.problem { border: 1px solid var(--fail); border-radius: .5rem; padding: .75rem 1rem; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .5rem .5rem .5rem 0; vertical-align: top; }
td:first-child { width: 5.5rem; font-weight: 600; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; }
.pass { color: var(--pass); } .fail { color: var(--fail); }
.advice { color: var(--advice); } .skip { color: var(--skip); }
.defect { color: var(--defect); }
details { margin-top: .4rem; } summary { cursor: pointer; }
ol { list-style: none; margin: .4rem 0 0; padding: .5rem; background: var(--soft); border-radius: .5rem;
  font: .8rem/1.45 ui-monospace, monospace; }
ol li { padding: .1rem 0; } ol b { font-weight: 600; }
@media (max-width: 34rem) { td { display: block; width: auto; border: 0; padding: 0; }
  td:first-child { border-top: 1px solid var(--line); padding-top: .5rem; width: auto; }
  td:last-child { padding-bottom: .6rem; } }
`;

/** What goes before a line of the transcript. */
const ARROWS = { sent: "→", received: "←", note: "·" } as const;

/** Writes a report as an HTML document. */
export function htmlReport(report: CheckReport): string {
  const { url, startedAt, tookMs, problem, results } = report;
  const counts = countVerdicts(results);
  const verdicts = (["fail", "advice", "pass", "skip", "defect"] as const)
    .filter((verdict) => verdict !== "defect" || counts.defect > 0);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>AudioHook conformance of ${escapeHtml(url)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>AudioHook conformance</h1>
<p class="quiet"><code>${escapeHtml(url)}</code></p>
<p class="quiet">${escapeHtml(startedAt)}, ${(tookMs / 1000).toFixed(1)} s</p>
${problem === undefined ? "" : `<p class="problem">Cannot check: ${escapeHtml(problem)}</p>`}
<ul class="counts">
${
    verdicts.map((verdict) =>
      `<li class="${verdict}"><b>${counts[verdict]}</b>${WORDS[verdict]}</li>`
    ).join("\n")
  }
</ul>
${
    bySection(results).map(({ section, title, members }) =>
      `<h2>${section}. ${escapeHtml(title)}</h2>\n<table>\n${members.map(row).join("\n")}\n</table>`
    ).join("\n")
  }
</body>
</html>
`;
}

function row({ name, title, sections, verdict, seen, transcript }: CheckResult): string {
  const isShown = verdict !== "pass" && verdict !== "skip";
  return `<tr id="${escapeHtml(name)}"><td class="${verdict}">${WORDS[verdict]}</td><td>` +
    `${escapeHtml(title)}<p class="quiet"><code>${escapeHtml(name)}</code>, section ` +
    `${sections.join(", ")}</p>${escapeHtml(seen)}${isShown ? details(transcript) : ""}</td></tr>`;
}

function details(transcript: CheckResult["transcript"]): string {
  const lines = transcript.map(({ atMs, connection, direction, text }) =>
    `<li><b>${atMs} ms</b> ${connection === 0 ? "" : `#${connection} `}${ARROWS[direction]} ` +
    `${escapeHtml(text)}</li>`
  );
  return `<details><summary>What went over the wire</summary><ol>${
    lines.join("\n")
  }</ol></details>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Makes a text safe in HTML, in attributes too; what steers is made visible. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "")
    .replace(
      /\p{Cc}|\p{Cf}|\p{Cs}/gu,
      (character) => `\\u${character.codePointAt(0)?.toString(16).padStart(4, "0")}`,
    );
}
