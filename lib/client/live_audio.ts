/**
 * The call as it goes by: how much of it has been said by now, what has to be sent, and what came
 * too late for that (protocol sections 6.8 and 17).
 *
 * The clock starts with the first `opened`, so that a call that is placed without trouble loses
 * nothing. A retry starts it at the beginning of the attempt that failed: from then on the call goes
 * on without its server, and what is said meanwhile waits in a buffer. Imports the protocol's rate;
 * time is an argument.
 */
import { SAMPLE_RATE } from "../protocol/mod.ts";

/** How much of what went by is offered to a session that opens. The client keeps 30 s. */
const MAX_OFFERED_SAMPLES = 20 * SAMPLE_RATE;
/** The longest history there is, in seconds. */
export const MAX_HISTORY_SECONDS = 30;
/**
 * Lengths of frames that make up for lost time, in turn: any whole number of samples is allowed,
 * and 16,000 of stereo L16 are 64,000 bytes.
 */
const CATCH_UP_FRAME_SAMPLES = [8_000, 12_001, 1_600, 16_000, 799, 4_000] as const;

/** How a call goes by. */
export interface LiveAudioOptions {
  /** Its length. */
  readonly samples: number;
  /** 1 is real time. */
  readonly speed: number;
  /** Length of a frame. */
  readonly frameSamples: number;
  /** How much was said before the first session opens; at most {@link MAX_HISTORY_SECONDS}. */
  readonly historySeconds: number;
}

/** A call's audio, through all of its sessions. */
export class LiveAudio {
  readonly #samples: number;
  readonly #samplesPerMs: number;
  readonly #frameSamples: number;
  readonly #historySamples: number;
  /** When the first sample was said. */
  #startMs: number | undefined;
  #positionSamples = 0;
  #catchUpToSamples = 0;
  #catchUpFrames = 0;
  #dropToSamples = 0;
  #heldUntilMs = -Infinity;

  constructor({ samples, speed, frameSamples, historySeconds }: LiveAudioOptions) {
    this.#samples = samples;
    this.#samplesPerMs = speed * SAMPLE_RATE / 1000;
    this.#frameSamples = frameSamples;
    const history = Math.min(Math.max(0, historySeconds), MAX_HISTORY_SECONDS) * SAMPLE_RATE;
    this.#historySamples = Math.round(history);
  }

  /** The next sample: all before it was sent, or left out. */
  get positionSamples(): number {
    return this.#positionSamples;
  }

  /** Whether nothing is left. */
  get isOver(): boolean {
    return this.#positionSamples >= this.#samples;
  }

  /** Whether the next frame is history, which waits until it can be sent. */
  get isCatchingUp(): boolean {
    return this.#positionSamples < this.#catchUpToSamples;
  }

  /** Whether the next frame is to be left out. */
  get isDropping(): boolean {
    return this.#positionSamples < this.#dropToSamples;
  }

  /** Starts the clock, unless it runs. */
  start(nowMs: number): void {
    this.#startMs ??= nowMs - this.#historySamples / this.#samplesPerMs;
  }

  /**
   * A session opens.
   *
   * @returns What of the call waits in the buffer, and what the buffer could not hold.
   */
  openSession(nowMs: number): { readonly offeredSamples: number; readonly lostSamples: number } {
    this.start(nowMs);
    const said = Math.min(this.#samples, Math.floor(this.#saidSamples(nowMs)));
    const missed = Math.max(0, said - this.#positionSamples);
    const lostSamples = Math.max(0, missed - MAX_OFFERED_SAMPLES);
    this.#positionSamples += lostSamples;
    this.#catchUpToSamples = this.#positionSamples + missed - lostSamples;
    return { offeredSamples: missed - lostSamples, lostSamples };
  }

  /** When {@link LiveAudio.nextFrame} has something; of a call that is over, when it ended. */
  get dueMs(): number {
    if (this.#startMs === undefined) return Infinity;
    const saidMs = this.isCatchingUp
      ? -Infinity
      : this.#startMs + this.#positionSamples / this.#samplesPerMs;
    return Math.max(saidMs, this.#heldUntilMs);
  }

  /** Length of the frame that is due; 0 if none is. */
  nextFrame(nowMs: number): number {
    if (this.isOver || nowMs < this.dueMs) return 0;
    let [toSamples, samples] = [this.#samples, this.#frameSamples];
    if (this.isCatchingUp) {
      toSamples = this.#catchUpToSamples;
      samples = CATCH_UP_FRAME_SAMPLES[this.#catchUpFrames % CATCH_UP_FRAME_SAMPLES.length] ?? 1;
    }
    if (this.isDropping) toSamples = Math.min(toSamples, this.#dropToSamples);
    return Math.min(samples, toSamples - this.#positionSamples);
  }

  /** Moves on by a frame that was sent, or left out. */
  advance(samples: number): void {
    if (this.isCatchingUp) this.#catchUpFrames++;
    this.#positionSamples += samples;
  }

  /** So much of the call, from here, is to be left out when its time comes. */
  drop(samples: number): void {
    this.#dropToSamples = Math.max(this.#dropToSamples, this.#positionSamples) + samples;
  }

  /** Holds frames back for a while; the call goes on. */
  hold(untilMs: number): void {
    this.#heldUntilMs = untilMs;
  }

  /** Stops the call for a while: what is due now will be due then. */
  wait(untilMs: number): void {
    if (this.#startMs !== undefined) this.#startMs += Math.max(0, untilMs - this.dueMs);
  }

  #saidSamples(nowMs: number): number {
    return this.#startMs === undefined ? 0 : (nowMs - this.#startMs) * this.#samplesPerMs;
  }
}
