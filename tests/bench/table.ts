/**
 * What a benchmark prints: tables in Markdown, to be copied to BENCHMARKS.md.
 *
 * Must not import: anything of lib.
 */

const encoder = new TextEncoder();

/** Prints a line. */
export function printLine(line = ""): void {
  let rest = encoder.encode(`${line}\n`);
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

/** Prints a title, and a table of aligned columns below it. */
export function printTable(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (cells: readonly string[], fill = " ") =>
    printLine(`| ${widths.map((width, i) => (cells[i] ?? "").padEnd(width, fill)).join(" | ")} |`);
  printLine(`\n${title}:\n`);
  line(head);
  line([], "-");
  for (const row of rows) line(row);
}
