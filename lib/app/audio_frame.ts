/**
 * One frame of received audio, as apps get it.
 *
 * Imports the protocol's types and the audio room; no I/O.
 */
import { decodeMulaw, decodePcm16 } from "../audio/mod.ts";
import { bytesPerSampleFrame, type Media } from "../protocol/mod.ts";

/** A frame: a view on what the socket delivered, shared by all apps, and not to be changed. */
export class AudioFrame {
  /** Interleaved samples of the selected channels, as received. */
  readonly bytes: Uint8Array;
  /** Position of the first sample in the stream, in samples. */
  readonly positionSamples: number;
  /** Format and channels. */
  readonly media: Media;
  #linear: Int16Array | undefined;

  /** Wraps a frame of a session with this media, at this position. */
  constructor(bytes: Uint8Array, positionSamples: number, media: Media) {
    this.bytes = bytes;
    this.positionSamples = positionSamples;
    this.media = media;
  }

  /** Length in samples of one channel. */
  get samples(): number {
    return this.bytes.length / bytesPerSampleFrame(this.media);
  }

  /** Linear 16-bit samples, interleaved; decoded once, however many apps ask. */
  linear(): Int16Array {
    return this.#linear ??= this.media.format === "PCMU"
      ? decodeMulaw(this.bytes)
      : decodePcm16(this.bytes);
  }
}
