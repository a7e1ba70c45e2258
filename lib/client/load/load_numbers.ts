/**
 * What is counted and measured while a load runs. Its memory does not grow with the run.
 *
 * Imports its neighbours.
 */
import { SAMPLE_RATE } from "../../protocol/mod.ts";
import type { FaultKind } from "./fault_plan.ts";
import { Histogram } from "./histogram.ts";
import type { LoadResult, SentCounts, Tally } from "./load_result.ts";

const MAX_EXAMPLES = 3;
const MAX_EXAMPLE_CHARACTERS = 200;
/** Kinds are few, but some come from the server's words. */
const MAX_KINDS = 50;
const OTHER_KINDS = "others";

/** How often what happened. */
export class TallyBoard {
  readonly #tallies = new Map<string, { count: number; examples: string[] }>();
  #total = 0;

  /** All kinds together. */
  get total(): number {
    return this.#total;
  }

  /** It happened once more. */
  add(kind: string, text: string): void {
    this.#total++;
    const name = this.#tallies.has(kind) || this.#tallies.size < MAX_KINDS ? kind : OTHER_KINDS;
    let tally = this.#tallies.get(name);
    if (tally === undefined) this.#tallies.set(name, tally = { count: 0, examples: [] });
    tally.count++;
    const example = text.slice(0, MAX_EXAMPLE_CHARACTERS);
    if (tally.examples.length < MAX_EXAMPLES && !tally.examples.includes(example)) {
      tally.examples.push(example);
    }
  }

  /** As plain data, the most frequent first. */
  toJSON(): Record<string, Tally> {
    const sorted = [...this.#tallies].sort(([, one], [, other]) => other.count - one.count);
    return Object.fromEntries(sorted);
  }
}

/** The numbers of one load. */
export class LoadNumbers {
  readonly connect = new Histogram();
  readonly opened = new Histogram();
  readonly pong = new Histogram();
  readonly closed = new Histogram();
  readonly lateness = new Histogram();
  /** Since the last progress. */
  readonly recentPong = new Histogram();
  readonly recentLateness = new Histogram();
  readonly failures = new TallyBoard();
  readonly violations = new TallyBoard();
  readonly faults: Record<FaultKind, number> & { stallsEndedWell: number } = {
    drop: 0,
    stall: 0,
    reset: 0,
    stallsEndedWell: 0,
  };
  /** Sessions by what they do. */
  opening = 0;
  open = 0;
  closing = 0;
  /** Sessions by how they ended. */
  well = 0;
  faulted = 0;
  cancelled = 0;
  /** Sessions that began, that were connected, that were opened, ever; most that were open. */
  started = 0;
  connected = 0;
  everOpened = 0;
  mostOpen = 0;
  openMs = 0;
  frames = 0;
  bytes = 0;
  samples = 0;
  framesThrottled = 0;
  framesNotWanted = 0;
  framesSkipped = 0;

  /** Sessions that ended, in any way. */
  get ended(): number {
    return this.well + this.faulted + this.cancelled + this.failures.total;
  }

  /** A frame was due so long ago. */
  recordLateness(ms: number): void {
    this.lateness.record(ms);
    this.recentLateness.record(ms);
  }

  /** A ping was answered. */
  recordPong(ms: number): void {
    this.pong.record(ms);
    this.recentPong.record(ms);
  }

  /** What was sent. */
  sent(): SentCounts {
    return {
      frames: this.frames,
      bytes: this.bytes,
      audioSeconds: this.samples / SAMPLE_RATE,
      framesThrottled: this.framesThrottled,
      framesNotWanted: this.framesNotWanted,
      framesSkipped: this.framesSkipped,
    };
  }

  /** The part of the result that is counted here. */
  result(): Pick<
    LoadResult,
    "sessionMinutes" | "sessions" | "faults" | "times" | "failures" | "violations" | "sent"
  > {
    return {
      sessionMinutes: this.openMs / 60_000,
      sessions: {
        started: this.started,
        opened: this.everOpened,
        mostOpen: this.mostOpen,
        well: this.well,
        faulted: this.faulted,
        cancelled: this.cancelled,
        failed: this.failures.total,
      },
      faults: { ...this.faults },
      times: {
        connect: this.connect.summary(),
        opened: this.opened.summary(),
        pong: this.pong.summary(),
        closed: this.closed.summary(),
        lateness: this.lateness.summary(),
      },
      failures: this.failures.toJSON(),
      violations: this.violations.toJSON(),
      sent: this.sent(),
    };
  }
}
