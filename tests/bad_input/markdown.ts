/**
 * The table of bad inputs as README's section "Security" has it, and back.
 */
import type { Group, LogLine } from "./table_line.ts";

/** The columns. What others notice has none: it is always nothing. */
export const COLUMNS: readonly string[] = ["what is sent", "what comes back", "what the log says"];

/** A heading, and the cells below it. */
export interface CellGroup {
  readonly title: string;
  readonly rows: readonly (readonly string[])[];
}

/** The cells that README should have. */
export function cellsOf(groups: readonly Group[]): CellGroup[] {
  return groups.map(({ title, lines }) => ({
    title,
    rows: lines.map(({ sent, comesBack, log }) => [sent, comesBack, loggedCell(log)]),
  }));
}

/** Markdown as `deno fmt` leaves it. */
export function printCells(groups: readonly CellGroup[]): string {
  return groups.map(({ title, rows }) => `### ${title}\n\n${printTable(rows)}`).join("\n");
}

/** The cells of a section: all tables below headings of level 3. */
export function readCells(markdown: string, heading: string): CellGroup[] {
  const [, section = ""] = `\n${markdown}`.split(`\n## ${heading}\n`);
  const [own = ""] = section.split("\n## ");
  const [, ...parts] = own.split("\n### ");
  return parts.map((part) => {
    const [title = "", ...lines] = part.split("\n");
    const [, , ...rows] = lines.filter((line) => line.startsWith("|")).map(cellsOfLine);
    return { title, rows };
  });
}

function loggedCell(log: readonly LogLine[]): string {
  if (log.length === 0) return "nothing";
  return log.map(({ level, template, isSure }) =>
    `${isSure === false ? "perhaps " : ""}${level}: \`${template}\``
  ).join("; ");
}

function printTable(rows: readonly (readonly string[])[]): string {
  const all = [COLUMNS, ...rows];
  const widths = COLUMNS.map((_, column) =>
    Math.max(...all.map((row) => [...row[column] ?? ""].length))
  );
  const line = (cells: readonly string[], fill: string) => {
    const padded = cells.map((cell, column) =>
      cell + fill.repeat((widths[column] ?? 0) - [...cell].length)
    );
    return `| ${padded.join(" | ")} |\n`;
  };
  const [head = "", ...body] = all.map((cells) => line(cells, " "));
  return head + line(COLUMNS.map(() => ""), "-") + body.join("");
}

function cellsOfLine(line: string): string[] {
  return line.split("|").slice(1, -1).map((cell) => cell.trim());
}
