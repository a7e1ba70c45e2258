/**
 * The audio that a client session sends: position, pauses, and what it leaves out (protocol
 * sections 7 to 9).
 *
 * The stream's clock runs on during a pause: what is offered then is counted, and reported when
 * audio flows again. Imports nothing but its neighbours.
 */
import { samplesToDuration } from "./duration.ts";
import { bytesPerSampleFrame, MAX_AUDIO_FRAME_BYTES, type Media, SAMPLE_RATE } from "./media.ts";
import { LocalProtocolError } from "./protocol_error.ts";

/** Audio that was not sent, as `resumed` and `discarded` report it. */
export interface LostAudio {
  /** Position where it begins. */
  readonly start: string;
  /** How long it is. */
  readonly discarded: string;
}

/** One stream, from position 0. */
export class ClientStream {
  #sampleFrameBytes = 0;
  #positionSamples = 0;
  #lostSamples = 0;
  #wantedFromSamples = 0;
  #pausedByServer = false;
  #pausedByClient = false;

  /**
   * The session is open.
   *
   * @param media What the server selected; without it nothing can be sent.
   * @param startPaused The server's pause holds from the beginning.
   * @param wantedFromSamples The server needs no audio before this position.
   */
  start(media: Media | undefined, startPaused: boolean, wantedFromSamples: number): void {
    this.#sampleFrameBytes = media === undefined ? 0 : bytesPerSampleFrame(media);
    this.#pausedByServer = startPaused;
    this.#wantedFromSamples = wantedFromSamples;
  }

  /** Samples sent, plus samples reported lost or to be reported. */
  get positionSamples(): number {
    return this.#positionSamples;
  }

  /** The server's pause. */
  get pausedByServer(): boolean {
    return this.#pausedByServer;
  }

  /** Our own pause. */
  get pausedByClient(): boolean {
    return this.#pausedByClient;
  }

  /** Whether neither pause holds. */
  get flowing(): boolean {
    return !this.#pausedByServer && !this.#pausedByClient;
  }

  /**
   * Length of a frame in samples.
   *
   * @throws {LocalProtocolError} If there is no audio in this session, or not of this size.
   */
  samplesOf(frame: Uint8Array): number {
    if (this.#sampleFrameBytes === 0) {
      throw new LocalProtocolError("Cannot send audio: the server selected none");
    }
    if (frame.length > MAX_AUDIO_FRAME_BYTES || frame.length % this.#sampleFrameBytes !== 0) {
      throw new LocalProtocolError(
        `Cannot send ${frame.length} bytes of audio: expected a multiple of ` +
          `${this.#sampleFrameBytes}, and at most ${MAX_AUDIO_FRAME_BYTES}`,
      );
    }
    return frame.length / this.#sampleFrameBytes;
  }

  /** Whether the next so many samples are to be sent: no pause holds, the server wants them. */
  wants(samples: number): boolean {
    return this.flowing && this.#positionSamples + samples > this.#wantedFromSamples;
  }

  /** Moves on by audio that is sent. */
  advance(samples: number): void {
    this.#positionSamples += samples;
  }

  /** Moves on without audio. */
  lose(samples: number): void {
    this.#positionSamples += samples;
    this.#lostSamples += samples;
  }

  /** Whether something was lost that has not been reported. */
  get hasLost(): boolean {
    return this.#lostSamples > 0;
  }

  /** What was lost since the last report; counts as reported. */
  takeLost(): LostAudio {
    const lost = this.#lostSamples;
    this.#lostSamples = 0;
    return {
      start: samplesToDuration(this.#positionSamples - lost, SAMPLE_RATE),
      discarded: samplesToDuration(lost, SAMPLE_RATE),
    };
  }

  /** Begins or ends a pause. */
  setPause(by: "server" | "client", holds: boolean): void {
    if (by === "server") this.#pausedByServer = holds;
    else this.#pausedByClient = holds;
  }
}
