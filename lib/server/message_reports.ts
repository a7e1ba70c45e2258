/**
 * Each message of a session, told to its apps: what came, and what was sent, in this order.
 *
 * An app may answer what it is told by having something sent, which it is told as well; that has
 * an end. Imports the protocol and its neighbours; touches no socket.
 */
import { LocalProtocolError, type ServerSession } from "../protocol/mod.ts";
import type { AppGroup } from "./app_group.ts";

/** What apps may ask for while they are told what was sent: there must be an end to it. */
const MAX_ANSWERS = 100;
/** What is kept of a text that is larger than the protocol allows, in characters. */
const KEPT_CHARS = 1024;

/** Messages on their way to the apps. */
export class MessageReports {
  readonly #session: ServerSession;
  readonly #apps: AppGroup;
  readonly #startedMs = Date.now();
  /** The same, on a clock that nobody sets. */
  readonly #startedTickMs = performance.now();
  /** What was sent, and is still to be told. */
  readonly #unreported: string[] = [];
  #isReporting = false;
  /** What the apps asked for while they were told. */
  #answers = 0;

  constructor(session: ServerSession, apps: AppGroup) {
    this.#session = session;
    this.#apps = apps;
  }

  /** The client sent a text; the session has read it. */
  received(text: string): void {
    this.#report("client", text);
  }

  /** A text was sent; {@link MessageReports.flush} tells it. */
  sent(text: string): void {
    this.#unreported.push(text);
  }

  /** Tells what was sent. An app may have more sent in answer, and so come back to here. */
  flush(): void {
    if (this.#isReporting) return;
    this.#isReporting = true;
    this.#answers = 0;
    for (let text = this.#unreported.shift(); text !== undefined; text = this.#unreported.shift()) {
      this.#report("server", text);
    }
    this.#isReporting = false;
  }

  /**
   * An app asks for something, maybe because of what it was told just now.
   *
   * @throws {LocalProtocolError} If that goes on and on.
   */
  countRequest(): void {
    if (this.#isReporting && ++this.#answers > MAX_ANSWERS) {
      throw new LocalProtocolError("Cannot answer each message of the server by another");
    }
  }

  #report(from: "client" | "server", text: string): void {
    const { positionSamples, maxTextBytes } = this.#session;
    const kept = text.length <= maxTextBytes ? text : beginningOf(text);
    // The clock may be set meanwhile: messages must not come before those that they answer.
    const timeMs = Math.floor(this.#startedMs + performance.now() - this.#startedTickMs);
    this.#apps.message({ from, text: kept, timeMs, positionSamples });
  }
}

/** A copy: a part of a string would keep the whole of it in memory. */
function beginningOf(text: string): string {
  const bytes = new TextEncoder().encode(text.slice(0, KEPT_CHARS));
  return `${new TextDecoder().decode(bytes)}…`;
}
