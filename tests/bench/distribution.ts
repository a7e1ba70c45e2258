/**
 * Many measured values in a few numbers.
 *
 * Must not import: anything.
 */

/** The head of the columns that {@link distributionCells} fills. */
export const DISTRIBUTION_HEAD: readonly string[] = ["n", "min", "median", "p99", "max"];

/** The value below which a fraction of all values is: the smallest for 0, the largest for 1. */
export function percentile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? NaN;
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** How many values there are, and how they are spread. */
export function distributionCells(values: readonly number[], digits = 2): string[] {
  const cells = [0, 0.5, 0.99, 1].map((fraction) => percentile(values, fraction).toFixed(digits));
  return [String(values.length), ...cells];
}
