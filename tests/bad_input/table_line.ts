/**
 * What a line of the table of bad inputs is.
 */

/** A line of the log, by its template. */
export interface LogLine {
  readonly level: "info" | "warning" | "error";
  readonly template: string;
  /** Whether it is there each time; `true` unless given. */
  readonly isSure?: boolean;
}

/**
 * What comes back, for the tests.
 *
 * - `goes on`: nothing that says a fault; the session is used up to its `closed`
 * - `disconnect …`: this reason; the `close` after it is answered by `closed`
 * - `…, end`: then the server ends the connection
 * - `end`: the connection ends, without a message of AudioHook
 * - `none`: nobody is there to hear it
 */
export type Outcome =
  | "goes on"
  | "end"
  | "none"
  | `HTTP ${number}`
  | `HTTP ${number}, end`
  | `disconnect ${"error" | "unauthorized"}`
  | "disconnect error, end";

/** One line. What others notice is not in it: it is always nothing. */
export interface Line {
  readonly id: string;
  /** For README, as `comesBack`: Markdown without `|`. */
  readonly sent: string;
  readonly comesBack: string;
  readonly outcome: Outcome;
  readonly log: readonly LogLine[];
}

/** Lines under one heading. */
export interface Group {
  readonly title: string;
  readonly lines: readonly Line[];
}

const line = (level: LogLine["level"]) => (template: string): LogLine => ({ level, template });

export const info: (template: string) => LogLine = line("info");
export const warning: (template: string) => LogLine = line("warning");
export const error: (template: string) => LogLine = line("error");

/** It may be there, or not. */
export const perhaps = (logLine: LogLine): LogLine => ({ ...logLine, isSure: false });

/** Lines of the log that many lines of the table have. */
export const REFUSED: LogLine = warning("Refused a connection: {reason}");
export const BROKE: LogLine = warning("The client of {sessionId} broke the protocol: {info}");
export const LOST: LogLine = warning("The connection of {sessionId} ended while {state}");
export const ENDING: LogLine = warning("Ending the connection of {sessionId}: {info}");
