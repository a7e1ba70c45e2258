/**
 * The outline of audio, for drawing: the lowest and the highest sample of each of so many parts.
 *
 * It reads all of the audio, of which there may be hours, so it lets others have their turn every
 * few milliseconds, and keeps no more than a slice of it. Imports lib/audio and its neighbours.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { decodeMulaw, decodePcm16 } from "../audio/mod.ts";
import type { RecordedFile } from "../storage/recording_archive.ts";
import { readUnits, type RecordedAudio } from "./recorded_audio.ts";

/** How long it computes before others have their turn. */
const TURN_MS = 2;

/** What is to be drawn. */
export interface PeaksChoice {
  /** Which channels, counted from 0. */
  readonly channelIndices: readonly number[];
  /** From this sample of the audio, counted per channel. */
  readonly fromSamples: number;
  /** Up to this one, which is not included. */
  readonly toSamples: number;
  /** The most parts; there are fewer if there are fewer samples. */
  readonly pixels: number;
  /** Aborted if nobody wants them any more. */
  readonly signal: AbortSignal;
}

/** The outline of one channel: a number from -128 to 127 for each part, a 256th of the sample. */
export interface ChannelPeaks {
  readonly min: Int8Array;
  readonly max: Int8Array;
}

/**
 * Computes peaks. Part `i` of `n` has the samples from `floor(i / n)` up to `floor((i + 1) / n)` of
 * the length.
 *
 * @returns In the order of the indices; cut short if they are not wanted any more.
 * @throws What the storage throws.
 */
export async function computePeaks(
  file: RecordedFile,
  audio: RecordedAudio,
  { channelIndices, fromSamples, toSamples, pixels, signal }: PeaksChoice,
): Promise<readonly ChannelPeaks[]> {
  const { format, dataStart, frameBytes } = audio;
  const { channelCount } = format;
  const length = Math.max(0, toSamples - fromSamples);
  const count = Math.min(pixels, length);
  const channels = channelIndices.map((index) => ({
    index,
    min: new Int8Array(count),
    max: new Int8Array(count),
  }));
  const buffer = new Int16Array(BUFFER_SAMPLES);
  const from = dataStart + fromSamples * frameBytes;
  let turnMs = performance.now();
  let pixel = 0;
  /** Where the present pixel ends, and how far we are: in samples from the first that is drawn. */
  let pixelEnd = Math.floor(length / Math.max(1, count));
  let position = 0;
  let isBegun = false;

  for await (const slice of readUnits(file, from, from + length * frameBytes, frameBytes)) {
    const samples = format.encoding === "PCMU" ? decodeMulaw(slice, buffer) : decodePcm16(slice);
    const end = position + samples.length / channelCount;
    const sliceStart = position;
    while (position < end) {
      const segmentEnd = Math.min(pixelEnd, end);
      const first = (position - sliceStart) * channelCount;
      const last = (segmentEnd - sliceStart) * channelCount;
      for (const { index, min, max } of channels) {
        const [low, high] = extremesOf(samples, first + index, last, channelCount);
        min[pixel] = isBegun ? Math.min(min[pixel] as number, low >> 8) : low >> 8;
        max[pixel] = isBegun ? Math.max(max[pixel] as number, high >> 8) : high >> 8;
      }
      position = segmentEnd;
      isBegun = position < pixelEnd;
      if (!isBegun) {
        pixel++;
        pixelEnd = Math.floor((pixel + 1) * length / count);
      }
    }
    if (signal.aborted) break;
    if (performance.now() - turnMs > TURN_MS) {
      await nextTurn();
      turnMs = performance.now();
    }
  }
  return channels;
}

/** Samples of a slice at most, with all channels. */
const BUFFER_SAMPLES = 32 * 1024;

/** The lowest and the highest of every `stride`th sample. There is at least one. */
function extremesOf(
  samples: Int16Array,
  from: number,
  to: number,
  stride: number,
): [low: number, high: number] {
  let low = samples[from] as number;
  let high = low;
  for (let i = from + stride; i < to; i += stride) {
    const sample = samples[i] as number;
    if (sample < low) low = sample;
    else if (sample > high) high = sample;
  }
  return [low, high];
}
