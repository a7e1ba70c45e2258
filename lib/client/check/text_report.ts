/**
 * A report for the terminal.
 *
 * Imports how text is written from the configuration.
 */
import { escapeControls } from "../../config/text_output.ts";
import type { CheckCase } from "./check_case.ts";
import { type CheckReport, type CheckVerdict, countVerdicts } from "./check_report.ts";
import { bySection } from "./section_titles.ts";

const WORDS: Readonly<Record<CheckVerdict, string>> = {
  pass: "ok    ",
  fail: "FAIL  ",
  advice: "advice",
  skip: "skip  ",
  defect: "DEFECT",
};

const COLORS: Readonly<Record<CheckVerdict, number>> = {
  pass: 32,
  fail: 31,
  advice: 33,
  skip: 36,
  defect: 35,
};

/** Writes a report, with a line break at the end. */
export function textReport(report: CheckReport, hasColor: boolean): string {
  const paint = (text: string, color: number) => hasColor ? `\x1b[${color}m${text}\x1b[0m` : text;
  const lines: string[] = [];
  for (const { section, title, members } of bySection(report.results)) {
    lines.push("", paint(`${section}. ${title}`, 1));
    for (const { name, title, verdict, seen } of members) {
      lines.push(`  ${paint(WORDS[verdict], COLORS[verdict])}  ${name}`);
      // What is demanded, where it is not met; the name says enough where it is.
      if (verdict !== "pass" && verdict !== "skip") lines.push(`            ${title}`);
      lines.push(`            ${escapeControls(seen)}`);
    }
  }
  lines.push("", summaryLine(report));
  return `${lines.join("\n").trimStart()}\n`;
}

/** The report in one line. */
export function summaryLine({ url, problem, results, tookMs }: CheckReport): string {
  const address = escapeControls(url);
  if (problem !== undefined) return `Cannot check ${address}: ${escapeControls(problem)}`;
  const { pass, fail, advice, skip, defect } = countVerdicts(results);
  const defects = defect === 0 ? "" : `, ${defect} not checked because of a defect of the checker`;
  const seconds = (tookMs / 1000).toFixed(1);
  return `${address}: ${pass} ok, ${fail} failed, ${advice} with advice, ${skip} skipped${defects} ` +
    `(${seconds} s)`;
}

/** The list of cases, with a line break at the end. */
export function caseList(cases: readonly CheckCase[]): string {
  const lines: string[] = [];
  for (const { section, title, members } of bySection(cases)) {
    lines.push("", `${section}. ${title}`);
    for (const { name, title, sections } of members) {
      lines.push(`  ${name}`, `      ${title} (section ${sections.join(", ")})`);
    }
  }
  return `${lines.join("\n").trimStart()}\n`;
}
