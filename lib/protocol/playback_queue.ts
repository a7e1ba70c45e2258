/**
 * Audio on its way to the caller: played in order, sent near real time (protocol section 15).
 *
 * A burst of frames gets 429 from the client, so frames wait until what was sent before is nearly
 * played, and small ones travel together. Imports nothing but its neighbours.
 */
import { bytesPerSampleFrame, MAX_AUDIO_FRAME_BYTES, type Media } from "./media.ts";
import { LocalProtocolError } from "./protocol_error.ts";

/** How far ahead of its playing audio is sent. */
const PLAYBACK_LEAD_MS = 1000;
/** Small frames are put together up to this length, which gives 5 frames a second. */
const PLAYBACK_FRAME_MS = 200;
/** How much audio may wait. */
const MAX_WAITING_PLAYBACK_MS = 10 * 60 * 1000;

/** First in, first out, at the speed of speech. */
export class PlaybackQueue {
  readonly #bytesPerSampleFrame: number;
  readonly #bytesPerMs: number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #playedUntilMs = 0;

  /** @param media What the session selected. */
  constructor(media: Media) {
    this.#bytesPerSampleFrame = bytesPerSampleFrame(media);
    this.#bytesPerMs = this.#bytesPerSampleFrame * media.rate / 1000;
  }

  /**
   * Puts a frame at the end.
   *
   * @param frame Whole samples in the selected format, at most {@link MAX_AUDIO_FRAME_BYTES}. It is
   * kept until it is sent, and must not be changed.
   * @throws {LocalProtocolError} If it is larger, has part of a sample, or too much is waiting.
   */
  add(frame: Uint8Array): void {
    if (frame.length === 0) return;
    if (frame.length > MAX_AUDIO_FRAME_BYTES) {
      throw new LocalProtocolError(
        `Cannot play a frame of ${frame.length} bytes: at most ${MAX_AUDIO_FRAME_BYTES} are allowed`,
      );
    }
    if (frame.length % this.#bytesPerSampleFrame !== 0) {
      throw new LocalProtocolError(
        `Cannot play ${frame.length} bytes: a sample has ${this.#bytesPerSampleFrame}`,
      );
    }
    if (this.#waitingBytes + frame.length > MAX_WAITING_PLAYBACK_MS * this.#bytesPerMs) {
      throw new LocalProtocolError(
        `Cannot play more: ${
          MAX_WAITING_PLAYBACK_MS / 60_000
        } minutes of audio are waiting already`,
      );
    }
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
  }

  /** Forgets all that was not sent: the caller spoke over it. */
  clear(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    // The client drops its queue as well, so nothing of it is left to be played.
    this.#playedUntilMs = 0;
  }

  /** When the next frame may be sent; `Infinity` if none waits. */
  get nextMs(): number {
    return this.#waiting.length === 0 ? Infinity : this.#playedUntilMs - PLAYBACK_LEAD_MS;
  }

  /** Takes the next frame, if it is time for one. */
  take(nowMs: number): Uint8Array | undefined {
    const [first] = this.#waiting;
    if (first === undefined || nowMs < this.nextMs) return undefined;
    const most = Math.max(first.length, PLAYBACK_FRAME_MS * this.#bytesPerMs);
    let count = 0;
    let length = 0;
    for (const frame of this.#waiting) {
      if (length + frame.length > most) break;
      length += frame.length;
      count++;
    }
    const frames = this.#waiting.splice(0, count);
    this.#waitingBytes -= length;
    this.#playedUntilMs = Math.max(this.#playedUntilMs, nowMs) + length / this.#bytesPerMs;
    return count === 1 ? first : concatenate(frames, length);
  }
}

function concatenate(frames: readonly Uint8Array[], length: number): Uint8Array {
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const frame of frames) {
    joined.set(frame, offset);
    offset += frame.length;
  }
  return joined;
}
