/**
 * What a load was like, as plain data: numbers and texts, nothing that JSON can't hold.
 *
 * Imports types only.
 */
import type { TimeSummary } from "./histogram.ts";
import type { FaultKind } from "./fault_plan.ts";

/** How often something happened, and what was said the first few times. */
export interface Tally {
  readonly count: number;
  /** Different ones; what steers a terminal is still in them. */
  readonly examples: readonly string[];
}

/** Counts of sessions. `started` is the sum of the four kinds of end. */
export interface SessionCounts {
  readonly started: number;
  /** They got as far as `opened`; they are in one of the four, too. */
  readonly opened: number;
  /** Most that were open at a time. */
  readonly mostOpen: number;
  /** Ended by our `close` and the server's `closed`, without a fault of the server. */
  readonly well: number;
  /** Broken on purpose. */
  readonly faulted: number;
  /** Given up before they were open, because the run was stopped. */
  readonly cancelled: number;
  readonly failed: number;
}

/** What was sent. */
export interface SentCounts {
  readonly frames: number;
  readonly bytes: number;
  /** Of one channel, all sessions together. */
  readonly audioSeconds: number;
  /** Left out because the socket was backed up; reported to the server as `discarded`. */
  readonly framesThrottled: number;
  /** Left out because the server paused the stream, or did not want its beginning. */
  readonly framesNotWanted: number;
  /** Left out because this program was more than 2 s late. */
  readonly framesSkipped: number;
}

/** What a process used while the load ran. */
export interface CpuUse {
  readonly cpuSeconds: number;
  /** Connecting and closing included; `null` if no session was ever open. */
  readonly cpuSecondsPerSessionMinute: number | null;
  /** While all sessions were open; `null` if that was not for at least 2 s. */
  readonly steadyCpuSecondsPerSessionMinute: number | null;
}

/** What the server used. Memory is what is in RAM (RSS), in KB of 1,024 bytes. */
export interface ServerUse extends CpuUse {
  readonly pid: number;
  /** Before the first session. */
  readonly idleKb: number;
  /** Of the readings, one every 2 s. */
  readonly highestKb: number;
  readonly endKb: number;
  /** Highest less idle, for each of the most that were open at a time. */
  readonly kbPerSession: number | null;
  /** The process was gone before the run was over; the numbers are those of its last reading. */
  readonly isGone: boolean;
}

/** Recordings compared with what was sent. */
export interface VerifyCounts {
  /** Of sessions that ended well: every byte is the same. */
  readonly exact: number;
  readonly different: number;
  readonly missing: number;
  /** Of sessions that broke off: what is there is the beginning of what was sent. */
  readonly cutExact: number;
  readonly cutDifferent: number;
  readonly cutMissing: number;
  /** What is wrong with the first few. */
  readonly examples: readonly string[];
}

/** All of it. */
export interface LoadResult {
  /** No session failed, the server kept to the protocol, and no recording is wrong. */
  readonly isGood: boolean;
  /** Why the run ended before its time. */
  readonly stopped: { readonly by: "signal" | "refused"; readonly why: string } | null;
  /** What the numbers' reader should know. */
  readonly warnings: readonly string[];
  readonly seed: number;
  readonly wallSeconds: number;
  /** How long sessions were open, all together. */
  readonly sessionMinutes: number;
  readonly sessions: SessionCounts;
  /** How many were broken in each way; `stallsEndedWell`: of the stalls, those that ended well. */
  readonly faults: Readonly<Record<FaultKind, number>> & { readonly stallsEndedWell: number };
  readonly times: {
    /** From the beginning to the end of the handshake, TLS included. */
    readonly connect: TimeSummary;
    readonly opened: TimeSummary;
    readonly pong: TimeSummary;
    readonly closed: TimeSummary;
    /** How late this program itself was for each frame: it is part of the times above. */
    readonly lateness: TimeSummary;
  };
  /** One for each kind, such as `refused 401`; their counts add up to `sessions.failed`. */
  readonly failures: Readonly<Record<string, Tally>>;
  /** One for each section of the protocol; late answers and hang-ups are among them. */
  readonly violations: Readonly<Record<string, Tally>>;
  readonly sent: SentCounts;
  readonly server: ServerUse | null;
  /** This program. */
  readonly client: CpuUse;
  readonly verify: VerifyCounts | null;
}

/** How a load runs at present. */
export interface LoadProgress {
  readonly elapsedSeconds: number;
  readonly opening: number;
  readonly open: number;
  readonly closing: number;
  readonly ended: number;
  readonly failed: number;
  readonly violations: number;
  /** Since the last time. */
  readonly framesPerSecond: number;
  readonly pong: TimeSummary;
  readonly lateness: TimeSummary;
}
