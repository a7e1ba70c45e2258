/**
 * What one session of a load says: a frame in each interval, and an account of those that it left
 * out (protocol sections 7 and 9).
 *
 * Imports the neighbours and the protocol.
 */
import type { ClientSession, Media } from "../../protocol/mod.ts";
import type { ClientSocket } from "../client_socket.ts";
import type { AudioRing, LoadAudio } from "./load_audio.ts";
import type { LoadNumbers } from "./load_numbers.ts";
import { SentAudio } from "./sent_audio.ts";

/** What all streams of a load share. */
export interface LoadStreamOptions {
  readonly audio: LoadAudio;
  readonly frameSamples: number;
  readonly frameMs: number;
  readonly numbers: LoadNumbers;
  /** Whether what was sent has to be known afterwards. */
  readonly isVerified: boolean;
}

/** More than that waits in the socket, 4 s of stereo: frames are left out. */
const MAX_BUFFERED_BYTES = 64 * 1024;

/** The audio of one session. */
export class LoadStream {
  readonly #options: LoadStreamOptions;
  readonly #index: number;
  readonly #session: ClientSession;
  #ring: AudioRing | undefined;
  #lastDueMs = 0;
  /** Samples that were left out, and not reported yet. */
  #throttledSamples = 0;
  #sent: SentAudio | undefined;

  /** @param index Decides where in the audio it begins. */
  constructor(options: LoadStreamOptions, index: number, session: ClientSession) {
    this.#options = options;
    this.#index = index;
    this.#session = session;
  }

  /** What was sent, if that is kept. */
  get sent(): SentAudio | undefined {
    return this.#sent;
  }

  /** The server selected this. */
  start(media: Media): void {
    const { audio, isVerified } = this.#options;
    this.#ring = audio.ringFor(media);
    if (isVerified) this.#sent = new SentAudio(this.#ring, this.#ring.startOf(this.#index));
  }

  /** A frame is due: counts those that would have been since the last, and never were. */
  countSkipped(dueMs: number): void {
    const { frameMs, numbers } = this.#options;
    if (this.#lastDueMs > 0) {
      numbers.framesSkipped += Math.max(0, Math.round((dueMs - this.#lastDueMs) / frameMs) - 1);
    }
    this.#lastDueMs = dueMs;
  }

  /** Hands the next frame to the session, unless too much waits in the socket. */
  sendFrame(socket: ClientSocket): void {
    const { numbers, frameSamples } = this.#options;
    const session = this.#session;
    const ring = this.#ring;
    if (ring === undefined) return;
    if (socket.bufferedBytes > MAX_BUFFERED_BYTES) {
      numbers.framesThrottled++;
      this.#throttledSamples += frameSamples;
      return;
    }
    if (this.#throttledSamples > 0) {
      this.#sent?.leaveOut(session.positionSamples, this.#throttledSamples);
      session.discard(this.#throttledSamples);
      this.#throttledSamples = 0;
    }
    const position = session.positionSamples;
    const frame = ring.frame(ring.startOf(this.#index) + position, frameSamples);
    if (session.sendAudio(frame)) {
      numbers.frames++;
      numbers.bytes += frame.length;
      numbers.samples += frameSamples;
      this.#sent?.add(frameSamples);
    } else {
      numbers.framesNotWanted++;
      this.#sent?.leaveOut(position, frameSamples);
    }
  }
}
