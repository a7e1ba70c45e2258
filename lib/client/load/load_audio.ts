/**
 * What the sessions of a load say: one call's audio, from another place in each session, over and
 * over again. Frames are views on one buffer, never copies.
 *
 * Imports the neighbours, the protocol and the audio room.
 */
import { Buffer } from "node:buffer";
import { createWavHeader, encodeMulaw } from "../../audio/mod.ts";
import {
  type AudioChannel,
  bytesPerSampleFrame,
  type Media,
  SAMPLE_RATE,
} from "../../protocol/mod.ts";
import { CallAudio } from "../call_audio.ts";

/** Which channels are offered. */
export type LoadChannels = "both" | "external";

/** The golden ratio spreads any number of sessions over the audio, none of them close to another. */
const GOLDEN = 0.618033988749895;
const TONE_SECONDS = 20;
const TONE_AMPLITUDE = 8000;
const TONE_FROM_HZ = 200;
const TONE_TO_HZ = 2000;

/** The audio of one media, to be read in circles. */
export class AudioRing {
  /** Bytes of one sample of all channels. */
  readonly sampleFrameBytes: number;
  readonly #samples: number;
  readonly #bytes: Buffer;

  /**
   * @param audio What is in the ring, at least a sample.
   * @param sampleFrameBytes Bytes of one sample of all channels.
   * @param maxFrameSamples The longest frame that is taken.
   */
  constructor(audio: Uint8Array, sampleFrameBytes: number, maxFrameSamples: number) {
    this.sampleFrameBytes = sampleFrameBytes;
    this.#samples = Math.floor(audio.length / sampleFrameBytes);
    const ringBytes = this.#samples * sampleFrameBytes;
    // A Buffer: the WebSocket makes one of each frame that is none. A frame that begins at the end
    // goes on with the beginning, which therefore is there a second time.
    this.#bytes = Buffer.alloc(ringBytes + maxFrameSamples * sampleFrameBytes);
    for (let at = 0; at < this.#bytes.length; at += ringBytes) {
      const rest = this.#bytes.length - at;
      this.#bytes.set(audio.subarray(0, Math.min(ringBytes, rest)), at);
    }
  }

  /** Where the session with this number begins, in samples. */
  startOf(index: number): number {
    return Math.floor(((index * GOLDEN) % 1) * this.#samples);
  }

  /** A view on so many samples, from a position that may be anywhere beyond the end. */
  frame(positionSamples: number, samples: number): Uint8Array {
    const start = (positionSamples % this.#samples) * this.sampleFrameBytes;
    return this.#bytes.subarray(start, start + samples * this.sampleFrameBytes);
  }

  /** How many of the samples from this position on are in one piece. */
  samplesInOnePiece(positionSamples: number): number {
    return this.#samples - positionSamples % this.#samples;
  }
}

/** The audio of all sessions. */
export class LoadAudio {
  readonly #audio: CallAudio;
  readonly #maxFrameSamples: number;
  readonly #rings = new Map<string, AudioRing>();
  /** What each session offers. */
  readonly offers: readonly Media[];

  /**
   * @param audio At least a sample.
   * @param channels Of a mono file, there is the external one only.
   * @param maxFrameSamples The longest frame that is taken.
   */
  constructor(audio: CallAudio, channels: LoadChannels, maxFrameSamples: number) {
    this.#audio = audio;
    this.#maxFrameSamples = maxFrameSamples;
    const isWanted = (one: readonly AudioChannel[]) => channels === "both" || isExternal(one);
    this.offers = audio.offers("PCMU").filter((media) => isWanted(media.channels));
  }

  /** The audio of what a server selected, which is one of the offers. */
  ringFor(media: Media): AudioRing {
    const name = media.channels.join();
    const known = this.#rings.get(name);
    if (known !== undefined) return known;
    const sampleFrameBytes = bytesPerSampleFrame(media);
    const bytes = this.#audio.bytesFor(media);
    const ring = new AudioRing(bytes, sampleFrameBytes, this.#maxFrameSamples);
    this.#rings.set(name, ring);
    return ring;
  }
}

/**
 * Two tones, one rising and one falling, for where there is no call: no two places of it are alike,
 * so that recordings can be told from each other.
 */
export function sweepingTone(): CallAudio {
  const samples = new Int16Array(2 * TONE_SECONDS * SAMPLE_RATE);
  const phases = [0, 0];
  for (let i = 0; i < samples.length; i++) {
    const channel = i % 2;
    const rising = i / samples.length;
    const fraction = channel === 0 ? rising : 1 - rising;
    const frequency = TONE_FROM_HZ + (TONE_TO_HZ - TONE_FROM_HZ) * fraction;
    const phase = (phases[channel] ?? 0) + 2 * Math.PI * frequency / SAMPLE_RATE;
    phases[channel] = phase;
    samples[i] = Math.round(TONE_AMPLITUDE * Math.sin(phase));
  }
  const data = encodeMulaw(samples);
  const format = { encoding: "PCMU", channelCount: 2, rate: SAMPLE_RATE } as const;
  return CallAudio.fromWav(Buffer.concat([createWavHeader(format, data.length), data]));
}

function isExternal(channels: readonly AudioChannel[]): boolean {
  return channels.length === 1 && channels[0] === "external";
}
