/**
 * What one session sent, in a few numbers, and the comparison with its recording.
 *
 * Where audio was left out, our server's recordings have silence (protocol sections 8 and 9).
 * Imports its neighbours.
 */
import type { AudioRing } from "./load_audio.ts";

interface LeftOut {
  readonly positionSamples: number;
  samples: number;
}

/** Silence in µ-law. */
const SILENCE = 0xff;

/** What one session sent. */
export class SentAudio {
  readonly #ring: AudioRing;
  readonly #startSamples: number;
  readonly #leftOut: LeftOut[] = [];
  #sentSamples = 0;

  /** @param startSamples Where in the ring the session began. */
  constructor(ring: AudioRing, startSamples: number) {
    this.#ring = ring;
    this.#startSamples = startSamples;
  }

  /** How long the stream was, without what was left out after its last frame. */
  get samples(): number {
    const last = this.#leftOut.at(-1);
    const all = this.#allSamples;
    const isAtEnd = last !== undefined && last.positionSamples + last.samples === all;
    return isAtEnd ? last.positionSamples : all;
  }

  /** The same in bytes. */
  get bytes(): number {
    return this.samples * this.#ring.sampleFrameBytes;
  }

  /** The most that a recording may have: with silence for all that was left out. */
  get bytesWithSilence(): number {
    return this.#allSamples * this.#ring.sampleFrameBytes;
  }

  get #allSamples(): number {
    return this.#sentSamples + this.#leftOut.reduce((sum, { samples }) => sum + samples, 0);
  }

  /** The next so many samples were sent. */
  add(samples: number): void {
    this.#sentSamples += samples;
  }

  /** So many samples from this position on were not sent. */
  leaveOut(positionSamples: number, samples: number): void {
    const last = this.#leftOut.at(-1);
    if (last !== undefined && last.positionSamples + last.samples === positionSamples) {
      last.samples += samples;
    } else {
      this.#leftOut.push({ positionSamples, samples });
    }
  }

  /**
   * Compares a recording with the beginning of what was sent. Behind its end there may be silence,
   * where audio was left out and reported.
   *
   * @returns The first byte that differs; `undefined` if there is none.
   */
  firstDifference(recorded: Uint8Array): number | undefined {
    const sampleBytes = this.#ring.sampleFrameBytes;
    let at = 0;
    const compare = (untilSamples: number, expected: (positionSamples: number) => Uint8Array) => {
      const until = Math.min(recorded.length, untilSamples * sampleBytes);
      while (at < until) {
        const bytes = expected(at / sampleBytes);
        const length = Math.min(bytes.length, until - at);
        for (let i = 0; i < length; i++) {
          if (recorded[at + i] !== bytes[i]) return at + i;
        }
        at += length;
      }
      return undefined;
    };
    const silence = new Uint8Array(sampleBytes * 1024).fill(SILENCE);
    const said = (positionSamples: number) => {
      const inRing = this.#startSamples + positionSamples;
      return this.#ring.frame(inRing, this.#ring.samplesInOnePiece(inRing));
    };
    for (const { positionSamples, samples } of this.#leftOut) {
      const difference = compare(positionSamples, said) ??
        compare(positionSamples + samples, () => silence);
      if (difference !== undefined) return difference;
    }
    const difference = compare(this.samples, said);
    if (difference !== undefined) return difference;
    return at < recorded.length ? at : undefined;
  }
}
