/**
 * Lines of the log about what a client does: what it should not, what we don't know, and its end.
 *
 * What the client says is not repeated, but for words of the protocol: it may be anything.
 */
import { getLogger } from "@logtape/logtape";
import type { ServerSessionEvent } from "../protocol/mod.ts";

const log = getLogger(["audiohook", "connection"]);

/** Those of the protocol; any other one may say anything, and is not logged. */
const CLOSE_REASONS: readonly string[] = ["end", "error", "disconnect", "reconnect"];

/** Which session a line is about. */
// A type, not an interface, which could not be passed as a record.
export type SessionContext = {
  readonly sessionId: string;
  readonly correlationId: string | undefined;
};

/** Events that are told to nobody but the log. */
export type LoggedEvent = Extract<
  ServerSessionEvent,
  { readonly type: "drift" | "error" | "unknown" | "violation" | "hangup" }
>;

/** Writes the line of one event. */
export function logEvent(event: LoggedEvent, context: SessionContext): void {
  switch (event.type) {
    case "drift":
      log.warning("The client of {sessionId} is at another position of the stream than we are", {
        ...context,
        positionSamples: event.positionSamples,
        reportedSamples: event.reportedSamples,
      });
      return;
    case "error":
      log.warning("The client of {sessionId} reports error {code}", {
        ...context,
        code: event.code,
        retryAfterMs: event.retryAfterMs,
      });
      return;
    case "unknown":
      log.info("Ignored a message of unknown type {messageType} in {sessionId}", {
        ...context,
        messageType: loggableWord(event.messageType),
      });
      return;
    case "violation":
      log.warning("The client of {sessionId} broke the protocol: {info}", {
        ...context,
        info: event.info,
      });
      return;
    case "hangup":
      log.warning("Ending the connection of {sessionId}: {info}", { ...context, info: event.info });
  }
}

/** Writes the line of a session that ended by `close` and `closed`. */
export function logClosed(reason: string, context: SessionContext): void {
  log.info("Session {sessionId} is closed: {reason}", {
    ...context,
    reason: CLOSE_REASONS.includes(reason) ? reason : "(another reason)",
  });
}

/**
 * A word that the protocol could have, such as `playback_started`. Anything else is not repeated:
 * a name or a number must not get into the log by way of a message's type.
 */
function loggableWord(text: string): string {
  return /^[a-z]+(?:_[a-z]+){0,3}$/.test(text) && text.length <= 32 ? text : "(not a word)";
}
