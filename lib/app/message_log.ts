/**
 * The message log of a recording: what the call is, then every text message and every gap, one JSON
 * object a line (recording_log.ts has the schema).
 *
 * Imports the App interface and durations; no I/O.
 */
import { SAMPLE_RATE, samplesToDuration } from "../protocol/mod.ts";
import type { LogLine, RecordedCall } from "../storage/recording_log.ts";
import type { WireMessage } from "./app.ts";

/**
 * One line: `time` (ISO 8601), `position` (of the stream), `from` (`client` or `server`), and
 * `message` as it was sent, or `text` if that was not JSON.
 */
export function messageLogLine({ from, text, timeMs, positionSamples }: WireMessage): string {
  // None of it has to be escaped.
  const head = `${timeAndPosition(timeMs, positionSamples)},"from":"${from}",`;
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

/** The first line: `time`, `position` (the beginning), and `call`. */
export function callLogLine(call: RecordedCall): string {
  return `${timeAndPosition(Date.parse(call.startedAt), 0)},"call":${JSON.stringify(call)}}\n`;
}

/** A line for missing audio: `time`, `position` (when it was noticed), and `gap`. */
export function gapLogLine(
  gap: NonNullable<LogLine["gap"]>,
  timeMs: number,
  positionSamples: number,
): string {
  return `${timeAndPosition(timeMs, positionSamples)},"gap":${JSON.stringify(gap)}}\n`;
}

function timeAndPosition(timeMs: number, positionSamples: number): string {
  const time = new Date(timeMs).toISOString();
  return `{"time":"${time}","position":"${samplesToDuration(positionSamples, SAMPLE_RATE)}"`;
}
