/**
 * The message log of a recording: every text message, one JSON object a line.
 *
 * Imports the App interface and durations; no I/O.
 */
import { SAMPLE_RATE, samplesToDuration } from "../protocol/mod.ts";
import type { WireMessage } from "./app.ts";

/**
 * One line: `time` (ISO 8601), `position` (of the stream), `from` (`client` or `server`), and
 * `message` as it was sent, or `text` if that was not JSON.
 */
export function messageLogLine({ from, text, timeMs, positionSamples }: WireMessage): string {
  const time = new Date(timeMs).toISOString();
  const position = samplesToDuration(positionSamples, SAMPLE_RATE);
  // None of it has to be escaped.
  const head = `{"time":"${time}","position":"${position}","from":"${from}",`;
  // Our own messages are JSON on one line, unless one was shortened.
  if (from === "server" && text.endsWith("}")) return `${head}"message":${text}}\n`;
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return `${head}"text":${JSON.stringify(text)}}\n`;
  }
  // As it was sent, where it fits on a line.
  const json = /[\r\n]/.test(text) ? JSON.stringify(message) : text;
  return `${head}"message":${json}}\n`;
}
