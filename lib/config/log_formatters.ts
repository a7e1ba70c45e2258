/**
 * How a log record becomes a line: JSON for machines, and a form for people.
 *
 * Values may come from the network. Both forms escape control characters, so that a value can
 * neither forge a line nor steer a terminal.
 * Must not import: anything of lib outside this folder.
 */
import {
  type AnsiColorFormatterOptions,
  getAnsiColorFormatter,
  getTextFormatter,
  jsonLinesFormatter,
  type LogRecord,
  type TextFormatter,
} from "@logtape/logtape";
import { escapeControls } from "./text_output.ts";

/**
 * One JSON object a line: `@timestamp`, `level`, `message`, `logger` and `properties`. An error
 * among the properties becomes `{name, message, stack, …}`.
 */
export function formatJson(record: LogRecord): string {
  // LogTape would quote the strings in the message and print `{}` for an error.
  const message = record.message.map((part, index) => index % 2 === 0 ? part : renderValue(part));
  return jsonLinesFormatter({ ...record, message: [message.join("")] });
}

/**
 * The form for people: local time, level, category, message, then the properties that the message
 * does not have. The stack of an error follows on lines of its own, indented.
 *
 * @param colours Whether to use the escape sequences of a terminal.
 */
export function prettyFormatter(colours: boolean): TextFormatter {
  const options: AnsiColorFormatterOptions = {
    timestamp: "time",
    timeZone: null,
    category: ".",
    value: renderValue,
    sanitize: { sgr: "escape", newlines: "escape" },
    format: ({ timestamp, level, category, message, record }) =>
      `${timestamp} ${level} ${category}: ${message}${renderProperties(record)}`,
  };
  return colours ? getAnsiColorFormatter(options) : getTextFormatter(options);
}

function renderProperties(record: LogRecord): string {
  const template = typeof record.rawMessage === "string" ? record.rawMessage : "";
  let pairs = "";
  let stacks = "";
  for (const [name, value] of Object.entries(record.properties)) {
    if (value instanceof Error) stacks += renderStack(value);
    if (template.includes(`{${name}}`)) continue;
    const text = renderValue(value);
    pairs += ` ${escapeControls(name)}=${
      typeof value === "string" && /^$|[\s"=]/.test(text) ? JSON.stringify(text) : text
    }`;
  }
  return pairs + stacks;
}

function renderStack(error: Error): string {
  const lines = Deno.inspect(error, { colors: false }).split("\n");
  return lines.map((line) => `\n    ${escapeControls(line)}`).join("");
}

function renderValue(value: unknown): string {
  if (typeof value === "string") return escapeControls(value);
  if (value instanceof Error) return escapeControls(`${value.name}: ${value.message}`);
  const text = Deno.inspect(value, { colors: false, compact: true, breakLength: Infinity });
  return escapeControls(text);
}
