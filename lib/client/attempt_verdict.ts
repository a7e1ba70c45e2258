/**
 * Why one connection of a call ended, and whether the call may be tried again (protocol sections 1,
 * 13 and 14).
 *
 * Imports its neighbours.
 */
import type { ClientSessionEvent, DisconnectReason } from "../protocol/mod.ts";
import type { ConnectionEnd } from "./client_socket.ts";
import { describeEnd } from "./describe_end.ts";
import { type Retry, retryAfterEnd } from "./retry_rule.ts";

/** What an attempt came to. */
export interface Verdict {
  /** `undefined` if the session ended with `closed`, and by no `disconnect` but `completed`. */
  readonly failure: string | undefined;
  /** Whether the call may be tried again. */
  readonly retry: Retry | undefined;
}

/** A rule that the server broke. */
type Violation = ClientSessionEvent & { readonly type: "violation" };

/** A server that broke the protocol, and goes on to do so as often, is not listened to. */
const MAX_VIOLATIONS = 100;

/** What is known of an attempt's end, from what happens in it. */
export class AttemptVerdict {
  #failure: string | undefined = "The connection ended before the session was closed";
  #retry: Retry | undefined;
  /** The server's `disconnect`, unless it needs no more. */
  #refusal: string | undefined;
  #isSettled = false;
  #violations = 0;
  #hasFatalViolation = false;

  /** Whether the failure, or that there is none, is known: the session is over or given up. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** What the failure is, unless something comes before the connection ends. */
  expect(failure: string): void {
    this.#failure = failure;
  }

  /** The session is given up. */
  giveUp(failure: string): void {
    this.#failure = failure;
    this.#isSettled = true;
  }

  /** The call may be tried again; the first reason is kept. */
  allowRetry(why: string): void {
    this.#retry ??= { why };
  }

  /** The server sent `disconnect`. */
  disconnected(reason: DisconnectReason): void {
    if (reason === "completed") return;
    this.#refusal = `The server ended the session by "disconnect" with "${reason}"`;
    if (reason === "error") this.#retry = { why: this.#refusal };
  }

  /** The server sent `closed`. */
  closed(): void {
    if (!this.#isSettled) this.#failure = this.#refusal;
    this.#isSettled = true;
  }

  /**
   * The server broke a rule.
   *
   * @param ends Whether that ends the session.
   * @returns Whether the server is to be listened to.
   */
  violated(ends: boolean): boolean {
    this.#hasFatalViolation ||= ends;
    return !this.#hasFatalViolation || ++this.#violations <= MAX_VIOLATIONS;
  }

  /**
   * The connection ended. A server says goodbye only when the session is closed; 1006 is a network's
   * failure.
   *
   * @param hasClosed Whether our `close` was sent.
   * @returns The rule that the server broke by that.
   */
  violationByEnd(end: ConnectionEnd, hasClosed: boolean): Violation | undefined {
    if (end.how !== "lost" || end.code === 1006 || this.#isSettled) return undefined;
    // After its `disconnect`, the session is not a healthy one.
    if (this.#retry !== undefined) return undefined;
    this.#hasFatalViolation = true;
    const isClosing = hasClosed && end.why === undefined;
    const how = `(code ${end.code}${end.why === undefined ? "" : `: ${end.why}`})`;
    return {
      type: "violation",
      code: 400,
      section: isClosing ? "13.2" : "1",
      info: isClosing
        ? `The server ended the WebSocket before "closed" ${how}`
        : `The server ended, or broke, the WebSocket of a healthy session ${how}`,
      ends: true,
    };
  }

  /**
   * What the attempt came to.
   *
   * @param hasClosed Whether our `close` was sent: then the call was through.
   */
  of(end: ConnectionEnd, url: URL, hasClosed: boolean): Verdict {
    const retry = this.#retry ?? (hasClosed ? undefined : retryAfterEnd(end));
    return {
      failure: describeEnd(end, url) ?? this.#failure,
      retry: this.#hasFatalViolation ? undefined : retry,
    };
  }
}
