/**
 * How long a server session waits for what: one time for each state, and the client's silence
 * (protocol sections 6, 11 and 13).
 *
 * Imports types only.
 */
import type { SessionState } from "./transitions.ts";

/** Times of {@link ServerDeadlines}, in milliseconds. */
export interface ServerTimeouts {
  /** From the connection to `open`. */
  readonly openTimeoutMs: number;
  /** From `open` to our answer; the client waits for 5 s. */
  readonly openedTimeoutMs: number;
  /**
   * Without a message or audio from the client, which pings about every 5 s; during a pause,
   * without a ping.
   */
  readonly silenceTimeoutMs: number;
  /** From `disconnect` to the client's `close`. */
  readonly closeTimeoutMs: number;
  /** From `close` to our `closed`; the client waits for 10 s. */
  readonly closedTimeoutMs: number;
  /** From `closed` to the end of the connection. */
  readonly hangupTimeoutMs: number;
}

/** What has to be done because a time is over. */
export interface Expiry {
  /** Ask the client to go, answer its `close`, or end the connection. */
  readonly action: "disconnect" | "closed" | "hangup";
  /** What did not come, and within what time. */
  readonly info: string;
}

interface StateTimeout {
  readonly limit: keyof ServerTimeouts;
  readonly action: Expiry["action"];
  /** What did not come. */
  readonly what: string;
}

const NO_CLOSE = { limit: "closeTimeoutMs", action: "hangup", what: 'No "close"' } as const;
const NOT_CLOSED = { limit: "closedTimeoutMs", action: "closed", what: 'No "closed"' } as const;

/** `open` has none: there, silence counts. */
const TIMEOUTS: Readonly<Partial<Record<SessionState, StateTimeout>>> = {
  idle: { limit: "openTimeoutMs", action: "disconnect", what: 'No "open" was received' },
  opening: {
    limit: "openedTimeoutMs",
    action: "disconnect",
    what: "The session could not be opened",
  },
  refusing: NO_CLOSE,
  disconnecting: NO_CLOSE,
  withdrawing: NOT_CLOSED,
  closing: NOT_CLOSED,
  closed: {
    limit: "hangupTimeoutMs",
    action: "hangup",
    what: "The client did not end the connection",
  },
};

/** The deadlines of one session. */
export class ServerDeadlines {
  readonly #timeouts: ServerTimeouts;
  #state: SessionState = "idle";
  #stateDueMs: number;
  /** Of its own, because it changes with each audio frame: nothing else is to be touched then. */
  #lastSignMs = 0;
  #hasExpired = false;

  /** Begins in the state `idle`. */
  constructor(timeouts: ServerTimeouts, nowMs: number) {
    this.#timeouts = timeouts;
    this.#stateDueMs = nowMs + timeouts.openTimeoutMs;
  }

  /** When the next time is over; `Infinity` if never. */
  get dueMs(): number {
    if (this.#hasExpired) return Infinity;
    // Only while the session is open does a sign of life count.
    return this.#state === "open"
      ? this.#lastSignMs + this.#timeouts.silenceTimeoutMs
      : this.#stateDueMs;
  }

  /** The session is in a state: if it is another than before, its time begins. */
  follow(state: SessionState, nowMs: number): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#hasExpired = false;
    const timeout = TIMEOUTS[state];
    if (timeout === undefined) this.lifeSign(nowMs);
    else this.#stateDueMs = nowMs + this.#timeouts[timeout.limit];
  }

  /** The client gave a sign of life. */
  lifeSign(nowMs: number): void {
    this.#lastSignMs = nowMs;
  }

  /** The connection is gone: nothing is waited for any more. */
  end(): void {
    this.#state = "closed";
    this.#hasExpired = true;
  }

  /**
   * What has to be done now, if anything; said once.
   *
   * @param isPaused Whether audio is not to be expected.
   */
  expire(isPaused: boolean, nowMs: number): Expiry | undefined {
    if (nowMs < this.dueMs) return undefined;
    this.#hasExpired = true;
    const { limit, action, what } = TIMEOUTS[this.#state] ?? {
      limit: "silenceTimeoutMs",
      action: "disconnect",
      what: isPaused ? 'No "ping" was received during the pause' : "Nothing was received",
    };
    return { action, info: `${what} within ${this.#timeouts[limit]} ms` };
  }
}
