/**
 * The pings of a client session (protocol section 11): when the next is due, which of them wait for
 * an answer, and how long answers took.
 *
 * Imports nothing but its neighbours; time is an argument.
 */
import { formatDuration } from "./duration.ts";
import { RemoteProtocolError } from "./protocol_error.ts";

/** Times of {@link ClientPings}. */
export interface PingTimes {
  /** From `ping` to `pong`. */
  readonly pongTimeoutMs: number;
  /** From `opened` to the first two pings. */
  readonly firstPingMs: number;
  /** Between pings. */
  readonly pingIntervalMs: number;
}

interface SentPing {
  readonly seq: number;
  readonly sentMs: number;
}

/** Pings of one session. */
export class ClientPings {
  readonly #times: PingTimes;
  #waiting: SentPing[] = [];
  #lastRoundTripMs: number | undefined;
  #hasPinged = false;
  #isStopped = false;
  #nextMs = Infinity;

  constructor(times: PingTimes) {
    this.#times = times;
  }

  /** When a ping is due, or the answer to one is too late; `Infinity` if never. */
  get deadlineMs(): number {
    return Math.min(this.#nextMs, this.#lateMs);
  }

  /** Whether the answer to a ping is too late. */
  isLate(nowMs: number): boolean {
    return nowMs >= this.#lateMs;
  }

  get #lateMs(): number {
    const [oldest] = this.#waiting;
    if (oldest === undefined || this.#isStopped) return Infinity;
    return oldest.sentMs + this.#times.pongTimeoutMs;
  }

  /** The session is open. */
  start(nowMs: number): void {
    this.#nextMs = nowMs + this.#times.firstPingMs;
  }

  /** No more pings. Those that are out may still be answered, and are not late a second time. */
  stop(): void {
    this.#isStopped = true;
    this.#nextMs = Infinity;
  }

  /** How many pings have to be sent now; the next ones are planned. */
  due(nowMs: number): 0 | 1 | 2 {
    if (nowMs < this.#nextMs) return 0;
    const { pingIntervalMs } = this.#times;
    // Each is due an interval after the last was due, not after it was sent: so that it keeps its
    // place before a frame of the same time. After a long delay, none is made up for.
    const isOnTime = nowMs < this.#nextMs + pingIntervalMs;
    this.#nextMs = (isOnTime ? this.#nextMs : nowMs) + pingIntervalMs;
    if (this.#hasPinged) return 1;
    this.#hasPinged = true;
    // The first ping is sent twice: the second one measures a warm connection.
    return 2;
  }

  /** Parameters of the next ping. */
  get parameters(): { rtt?: string } {
    const rtt = this.#lastRoundTripMs;
    return rtt === undefined ? {} : { rtt: formatDuration(Math.max(0, Math.round(rtt * 1e6))) };
  }

  /** A ping was sent with this number. */
  sent(seq: number, nowMs: number): void {
    this.#waiting.push({ seq, sentMs: nowMs });
  }

  /**
   * A `pong` came.
   *
   * @returns The round trip in milliseconds.
   * @throws {RemoteProtocolError} If no ping waits for it, or another one.
   */
  answered(clientseq: number, nowMs: number): number {
    const ping = this.#waiting.shift();
    if (ping === undefined) {
      throw new RemoteProtocolError('Unexpected "pong": no ping is open', { section: "11" });
    }
    if (ping.seq !== clientseq) {
      const info = `Invalid "pong": expected clientseq ${ping.seq}, got ${clientseq}`;
      throw new RemoteProtocolError(info, { section: "11" });
    }
    this.#lastRoundTripMs = nowMs - ping.sentMs;
    return this.#lastRoundTripMs;
  }
}
