/**
 * Metrics in the text format of Prometheus, version 0.0.4.
 *
 * Imports nothing.
 */

/** A number that is watched from outside. It has no labels, and nothing personal. */
export interface Metric {
  /** Begins with `audiohook_`, ends with its unit; that of a counter with `_total`. */
  readonly name: string;
  /** What it is, in one sentence. */
  readonly help: string;
  /** A counter only grows, until the server is started again; a gauge may be anything. */
  readonly type: "counter" | "gauge";
  /** `undefined` if it is not known at the moment: then it is left out. */
  readonly value: number | undefined;
}

/** Media type of {@link metricsText}. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const NAME = /^audiohook_[a-z0-9]+(?:_[a-z0-9]+)*$/;

/**
 * Writes metrics in their order.
 *
 * @throws {TypeError} If a name is not as it must be, or is there twice.
 * @example
 * ```ts
 * import { metricsText } from "@audiohook/server";
 *
 * const text = metricsText([
 *   { name: "audiohook_sessions", help: "Sessions now.", type: "gauge", value: 3 },
 * ]);
 * console.log(text);
 * // # HELP audiohook_sessions Sessions now.
 * // # TYPE audiohook_sessions gauge
 * // audiohook_sessions 3
 * ```
 */
export function metricsText(metrics: readonly Metric[]): string {
  const names = new Set<string>();
  let text = "";
  for (const { name, help, type, value } of metrics) {
    if (!NAME.test(name) || (type === "counter") !== name.endsWith("_total")) {
      throw new TypeError(
        `Expected audiohook_ and words, ending with _total for counters alone, got ${name}`,
      );
    }
    if (names.has(name)) throw new TypeError(`The metric ${name} is there twice`);
    names.add(name);
    if (value === undefined) continue;
    const escaped = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    text += `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n${name} ${numberText(value)}\n`;
  }
  return text;
}

/** As Go writes and reads numbers. */
function numberText(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return String(value);
}
