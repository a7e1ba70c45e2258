/**
 * What was tried, as a table.
 */
import type { FuzzState } from "./fuzz.ts";

/** One line for each target, a sum, and what was reached too rarely. */
export function fuzzTable(states: readonly FuzzState[]): string {
  const rows = states.map(({ target, tally, defect }) => [
    target.name,
    tally.inputs.toLocaleString("en"),
    Math.round(tally.inputs / Math.max(1, tally.spentMs) * 1000).toLocaleString("en"),
    tally.slowestMs.toFixed(1),
    defect === undefined ? "0" : "1",
  ]);
  const sum = states.reduce((inputs, { tally }) => inputs + tally.inputs, 0);
  const defects = states.filter(({ defect }) => defect !== undefined).length;
  const lines = [
    ["target", "inputs", "inputs/s", "slowest ms", "defects"],
    ...rows,
    ["all", sum.toLocaleString("en"), "", "", String(defects)],
  ];
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...lines.map((cells) => (cells[column] ?? "").length))
  );
  const table = lines.map((cells) =>
    cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    ).join("  ").trimEnd()
  );
  const missed = states.flatMap(({ target, tally }) =>
    tally.missed(target.mustReach).map((what) => `Rarely reached in ${target.name}: ${what}`)
  );
  return [...table, ...missed].join("\n");
}
