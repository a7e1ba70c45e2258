/**
 * A tone, for calls that need nothing but some audio.
 *
 * Imports the audio room; no I/O.
 */
import { encodeMulaw, encodePcm16 } from "../audio/mod.ts";
import { type AudioFormat, SAMPLE_RATE } from "../protocol/mod.ts";

/** The tones of the two channels, and how long they are. */
export interface ToneOptions {
  /** In Hz, one for each channel. */
  readonly frequencies: readonly number[];
  readonly durationSeconds: number;
  readonly format: AudioFormat;
}

/** Half of what a sample can hold: loud, and nothing is cut off. */
const AMPLITUDE = 16_000;
/** Converted at a time, so that an hour of it needs no more memory than its bytes. */
const CHUNK_SAMPLES = SAMPLE_RATE;

/** Makes sine waves, one in each of the interleaved channels. */
export function makeTone({ frequencies, durationSeconds, format }: ToneOptions): Uint8Array {
  const total = Math.round(durationSeconds * SAMPLE_RATE);
  const sampleBytes = format === "PCMU" ? 1 : 2;
  const bytes = new Uint8Array(total * frequencies.length * sampleBytes);
  for (let start = 0; start < total; start += CHUNK_SAMPLES) {
    const length = Math.min(CHUNK_SAMPLES, total - start);
    const samples = new Int16Array(length * frequencies.length);
    for (let i = 0; i < samples.length; i++) {
      const position = start + Math.floor(i / frequencies.length);
      const frequency = frequencies[i % frequencies.length] ?? 0;
      samples[i] = Math.round(
        AMPLITUDE * Math.sin(2 * Math.PI * frequency * position / SAMPLE_RATE),
      );
    }
    const encoded = format === "PCMU" ? encodeMulaw(samples) : encodePcm16(samples);
    bytes.set(encoded, start * frequencies.length * sampleBytes);
  }
  return bytes;
}
