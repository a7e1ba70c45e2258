/**
 * The audio that a server session receives: geometry, position and pauses (protocol sections 7 to
 * 9). Positions are counted in samples, never taken from a clock.
 *
 * Imports nothing but its neighbours.
 */
import { durationToSamples, MAX_DURATION_SECONDS } from "./duration.ts";
import { bytesPerSampleFrame, type Media, SAMPLE_RATE } from "./media.ts";
import { RemoteProtocolError } from "./protocol_error.ts";
import { ServerPauses } from "./server_pauses.ts";

/** One stream, from position 0. */
export class ReceivedStream {
  /** Who paused it. */
  readonly pauses = new ServerPauses();
  readonly #maxFrameBytes: number;
  #media: Media | undefined;
  #sampleFrameBytes = 1;
  #positionSamples = 0;

  /** @param maxFrameBytes Largest binary frame that is accepted. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** What was selected; `undefined` before that, and for a session without audio. */
  get media(): Media | undefined {
    return this.#media;
  }

  /** Samples received, plus samples reported lost. */
  get positionSamples(): number {
    return this.#positionSamples;
  }

  /** Audio of this kind is to come. */
  start(media: Media): void {
    this.#media = media;
    this.#sampleFrameBytes = bytesPerSampleFrame(media);
  }

  /**
   * A frame came, in a state that allows it. Changes nothing: see {@link ReceivedStream.advance}.
   *
   * @returns How many samples of each channel it has.
   * @throws {RemoteProtocolError} If there should be none, or not of this size.
   */
  check(frame: Uint8Array): number {
    if (this.#media === undefined) {
      throw new RemoteProtocolError("Unexpected audio: none was selected", { code: 415 });
    }
    if (!this.pauses.flowing) throw new RemoteProtocolError("Unexpected audio while paused");
    if (frame.length > this.#maxFrameBytes) {
      throw new RemoteProtocolError(`Audio frame exceeds ${this.#maxFrameBytes} bytes`, {
        code: 413,
      });
    }
    if (frame.length % this.#sampleFrameBytes !== 0) {
      throw new RemoteProtocolError(
        `Audio frame of ${frame.length} bytes is not a multiple of ${this.#sampleFrameBytes}`,
      );
    }
    return frame.length / this.#sampleFrameBytes;
  }

  /**
   * Audio was reported lost.
   *
   * @param discarded A duration that was checked.
   * @returns Position of the first lost sample, and how many were lost.
   * @throws {RemoteProtocolError} If the stream can't be that long.
   */
  lose(discarded: string): { positionSamples: number; samples: number } {
    const samples = durationToSamples(discarded, SAMPLE_RATE);
    return { positionSamples: this.advance(samples), samples };
  }

  /**
   * Moves the position, and returns where it was.
   *
   * @throws {RemoteProtocolError} If the stream can't be that long.
   */
  advance(samples: number): number {
    const position = this.#positionSamples;
    if (position + samples > MAX_DURATION_SECONDS * SAMPLE_RATE) {
      throw new RemoteProtocolError(`The stream exceeds ${MAX_DURATION_SECONDS} seconds`);
    }
    this.#positionSamples = position + samples;
    return position;
  }
}
