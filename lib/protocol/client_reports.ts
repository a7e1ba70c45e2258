/**
 * Events of a client session on their way to whoever drives it.
 *
 * Imports types only.
 */
import type { ClientSessionEvent } from "./client_session_events.ts";

/** What happened, and was not taken yet. */
export class ClientReports {
  #events: ClientSessionEvent[] = [];

  /** Reports an event. */
  add(event: ClientSessionEvent): void {
    this.#events.push(event);
  }

  /** Reports that the server broke a rule, and that the session goes on. */
  broken(section: string, info: string, code = 400): void {
    this.#events.push({ type: "violation", code, info, section, ends: false });
  }

  /** Takes what was reported since the last call. */
  take(): readonly ClientSessionEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }
}
