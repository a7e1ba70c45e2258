/**
 * What a case works with: connections to the server, all of which are ended when the case is over.
 *
 * Imports its neighbours.
 */
import { advise, fail, skip } from "./check_case.ts";
import { type CheckClock, OUT_OF_TIME } from "./check_clock.ts";
import { describeDisconnect } from "./check_inbox.ts";
import {
  checkRequest,
  type CheckTarget,
  describeRequest,
  type RequestChanges,
} from "./check_request.ts";
import { CheckSession, DISCONNECT_MS, OPENED_MS } from "./check_session.ts";
import { CONNECT_TIMEOUT_MS, describeEnd } from "./check_wire.ts";
import { knock, type KnockAnswer } from "./knock.ts";
import { usualOpen } from "./open_parameters.ts";
import type { ServerText } from "./server_rules.ts";
import type { Transcript } from "./transcript.ts";

/** A server that wants to be left alone for longer makes the case a skipped one. */
const MAX_RETRY_AFTER_MS = 3_000;

/** What {@link CheckRun} needs. */
export interface CheckRunOptions {
  readonly target: CheckTarget;
  readonly clock: CheckClock;
  readonly transcript: Transcript;
}

/** How a session is opened. */
export interface OpenOptions {
  readonly request?: RequestChanges;
  /** Parameters of `open` that are to be otherwise; `undefined` leaves one out. */
  readonly open?: Readonly<Record<string, unknown>>;
  /** Fields of the envelope that are to be otherwise. */
  readonly envelope?: Readonly<Record<string, unknown>>;
}

/** How a server may refuse what is too much. */
export type RefusalManner = "must-disconnect" | "may-hang-up";

/** A session that was opened. */
export interface OpenedSession {
  readonly session: CheckSession;
  /** Parameters of `opened`. */
  readonly opened: Readonly<Record<string, unknown>>;
}

/** One case while it runs. */
export class CheckRun {
  readonly target: CheckTarget;
  readonly clock: CheckClock;
  readonly transcript: Transcript;
  readonly #sessions: CheckSession[] = [];

  constructor({ target, clock, transcript }: CheckRunOptions) {
    this.target = target;
    this.clock = clock;
    this.transcript = transcript;
  }

  /** What the server's messages broke, in all sessions of the case. */
  get faults(): readonly string[] {
    return [...new Set(this.#sessions.flatMap(({ rules }) => rules.faults))];
  }

  /** What the server's messages would better have been, in all sessions of the case. */
  get advice(): readonly string[] {
    return [...new Set(this.#sessions.flatMap(({ rules }) => rules.advice))];
  }

  /** Makes a connection, or learns how it is refused. */
  async attempt(changes: RequestChanges = {}): Promise<CheckSession> {
    const first = await this.#attempt(changes);
    const waitMs = this.#busyMs(first);
    if (waitMs === undefined) return first;
    if (waitMs <= MAX_RETRY_AFTER_MS && waitMs < this.clock.leftMs) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const second = await this.#attempt(changes);
      if (this.#busyMs(second) === undefined) return second;
    }
    const { end } = first;
    const status = end?.how === "refused" ? end.status : 0;
    const seconds = end?.how === "refused" ? end.retryAfterSeconds : undefined;
    const later = seconds === undefined ? "" : `, again in ${seconds} s`;
    skip(`The server is busy: HTTP ${status}${later}`);
  }

  /** Asks for a connection, and takes the whole of the HTTP answer; 101 has no body. */
  async knock(changes: RequestChanges): Promise<KnockAnswer> {
    const request = await checkRequest(this.target, changes, nowSeconds());
    this.transcript.add(0, "sent", describeRequest(request));
    const boundMs = this.clock.bounded(this.clock.scale(CONNECT_TIMEOUT_MS));
    const answer = await knock(request, boundMs);
    if (answer === undefined) {
      this.#requireTime(boundMs);
      fail("No HTTP answer");
    }
    this.transcript.add(0, "received", `HTTP ${answer.status} ${answer.body}`);
    if (answer.status === 429) skip("The server is busy: HTTP 429");
    return answer;
  }

  /** Makes a connection that must be accepted. */
  async connect(changes: RequestChanges = {}): Promise<CheckSession> {
    const session = await this.attempt(changes);
    if (session.end !== undefined) fail(`${describeEnd(session.end)} in place of a connection`);
    return session;
  }

  /** Parameters of an `open` that every server should take. */
  usualOpen(session: CheckSession): Record<string, unknown> {
    return usualOpen(session.organizationId);
  }

  /** Makes a connection and opens the session on it. */
  async open({ request, open, envelope }: OpenOptions = {}): Promise<OpenedSession> {
    const session = await this.connect(request);
    const opened = await session.open({ ...this.usualOpen(session), ...open }, envelope);
    return { session, opened };
  }

  /** Opens a session, whose audio may be sent at once. */
  async openForAudio(options: OpenOptions = {}): Promise<CheckSession> {
    const { session } = await this.open(options);
    await session.untilAudioFlows();
    return session;
  }

  /** The next session must work: whatever the case did harmed nobody else. */
  async proveAlive(): Promise<void> {
    const { session } = await this.open();
    await session.ping();
    await session.close();
  }

  /**
   * Makes a connection that must be refused: by 401, or after the upgrade by `disconnect`
   * `unauthorized`.
   */
  async refused(changes: RequestChanges, accepted: string): Promise<string> {
    const startedMs = performance.now();
    const session = await this.attempt(changes);
    const end = session.end;
    if (end?.how === "refused") {
      const tookMs = Math.round(performance.now() - startedMs);
      if (end.status === 401) return `HTTP 401 after ${tookMs} ms`;
      if (end.status >= 400 && end.status < 500) {
        advise(`HTTP ${end.status}; 401 is what every client takes for a refusal`);
      }
      fail(`HTTP ${end.status} in place of 401`);
    }
    if (end !== undefined) fail(`${describeEnd(end)} in place of HTTP 401`);
    session.send("open", this.usualOpen(session));
    const message = await session.waitFor(["opened", "disconnect"], OPENED_MS);
    if (message.type === "opened") fail(`The session was opened: ${accepted}`);
    if (message.parameters.reason !== "unauthorized") {
      fail(`${describeDisconnect(message)}; expected the reason "unauthorized"`);
    }
    await session.close("disconnect");
    return `${describeDisconnect(message)} after the upgrade`;
  }

  /**
   * After something that no server needs to take: it may go on, say `disconnect`, or end the
   * connection by a WebSocket code; silence is a failure, and so is a server that is gone.
   *
   * @param manner Whether ending the connection without `disconnect` is a way to answer.
   */
  async survived(session: CheckSession, manner: RefusalManner): Promise<string> {
    const answer = await this.#answerOf(session, manner);
    await session.hangUp();
    await this.proveAlive();
    return `${answer}; the next session works`;
  }

  /** Ends all connections. */
  async end(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.hangUp()));
  }

  async #answerOf(session: CheckSession, manner: RefusalManner): Promise<string> {
    const message = await this.#newsOf(session, manner);
    if (message === undefined) return session.end ? describeEnd(session.end) : "No answer";
    if (message.type !== "disconnect") {
      await session.close();
      return `"${message.type}"`;
    }
    await session.close("disconnect");
    return describeDisconnect(message);
  }

  /** What was said; `undefined` if the server hung up, and may. */
  async #newsOf(session: CheckSession, manner: RefusalManner): Promise<ServerText | undefined> {
    try {
      return await session.waitFor(["opened", "pong", "disconnect"], DISCONNECT_MS);
    } catch (error) {
      const mayHangUp = manner === "may-hang-up";
      // An end because of what cannot be read is a fault of the session, whatever the case says.
      if (mayHangUp && session.end?.how === "lost" && session.end.code !== 1006) return undefined;
      throw error;
    }
  }

  /** How long a server wants to be left alone; `undefined` if it answered otherwise. */
  #busyMs({ end }: CheckSession): number | undefined {
    if (end?.how !== "refused") return undefined;
    const isBusy = end.status === 429 || end.status === 503 && end.retryAfterSeconds !== undefined;
    return isBusy ? (end.retryAfterSeconds ?? 1) * 1000 : undefined;
  }

  async #attempt(changes: RequestChanges): Promise<CheckSession> {
    const request = await checkRequest(this.target, changes, nowSeconds());
    const session = new CheckSession({
      request,
      connection: this.#sessions.length + 1,
      clock: this.clock,
      transcript: this.transcript,
    });
    this.#sessions.push(session);
    const boundMs = this.clock.bounded(this.clock.scale(CONNECT_TIMEOUT_MS));
    await session.connected();
    const { end } = session;
    if (end?.how === "unreachable" && end.code === "ETIMEDOUT") this.#requireTime(boundMs);
    return session;
  }

  /** What had less time than it may take has not failed. */
  #requireTime(boundMs: number): void {
    if (boundMs < this.clock.scale(CONNECT_TIMEOUT_MS)) skip(`${OUT_OF_TIME}: no HTTP answer`);
  }
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
