/**
 * The audio of a case's session: what was selected, where the stream is, and the two pauses
 * (protocol sections 6 to 9).
 *
 * Imports the protocol and its neighbours.
 */
import {
  bytesPerSampleFrame,
  isSupportedMedia,
  type Media,
  SAMPLE_RATE,
  samplesToDuration,
} from "../../protocol/mod.ts";
import { skip } from "./check_case.ts";

/** One stream, from position 0. */
export class CheckStream {
  #media: Media | undefined;
  #positionSamples = 0;
  #pausedByServer = false;
  #pausedByClient = false;
  #pausedSinceMs: number | undefined;

  /** What the server selected, once it opened the session. */
  get media(): Media | undefined {
    return this.#media;
  }

  /** The selected format. */
  requireMedia(): Media {
    return this.#media ?? skip("The server selected no audio for this session");
  }

  /** Where the stream is, as messages say it. */
  get position(): string {
    return samplesToDuration(this.#positionSamples, SAMPLE_RATE);
  }

  /** The server's pause. */
  get pausedByServer(): boolean {
    return this.#pausedByServer;
  }

  /** The client's own pause. */
  get pausedByClient(): boolean {
    return this.#pausedByClient;
  }

  /** The server selected one of the offers, or something else, or nothing. */
  select(media: unknown): void {
    const [selected] = Array.isArray(media) ? media as unknown[] : [];
    if (typeof selected !== "object" || selected === null) return;
    const offer = selected as Readonly<Record<string, unknown>>;
    if (isSupportedMedia(offer)) this.#media = offer;
  }

  /** A frame of silence in the selected format. */
  silence(samples: number): Uint8Array {
    const media = this.requireMedia();
    const silence = media.format === "PCMU" ? 0xff : 0;
    return new Uint8Array(samples * bytesPerSampleFrame(media)).fill(silence);
  }

  /** Parameters of `discarded` and `resumed`, for audio that is lost from here on. */
  lost(samples: number): { start: string; discarded: string } {
    return { start: this.position, discarded: samplesToDuration(samples, SAMPLE_RATE) };
  }

  /** Moves on by what was sent, or reported lost. */
  advance(samples: number): void {
    this.#positionSamples += samples;
  }

  /** Begins or ends a pause; the other one may hold as well. */
  setPause(by: "server" | "client", holds: boolean): void {
    if (by === "server") this.#pausedByServer = holds;
    else this.#pausedByClient = holds;
    if (holds) this.#pausedSinceMs ??= performance.now();
  }

  /** What the pause took, in samples: the stream's clock ran on. Counts as said. */
  takePaused(): number {
    const sinceMs = this.#pausedSinceMs ?? performance.now();
    this.#pausedSinceMs = undefined;
    return Math.round((performance.now() - sinceMs) * SAMPLE_RATE / 1000);
  }
}
