/**
 * The audio of a call: from a WAV file to the bytes of the selected media.
 *
 * Imports the protocol and the audio room; no I/O.
 */
import {
  decodeMulaw,
  decodePcm16,
  encodeMulaw,
  encodePcm16,
  extractChannels,
  parseWav,
} from "../audio/mod.ts";
import {
  type AudioChannel,
  type AudioFormat,
  bytesPerSample,
  type Media,
  SAMPLE_RATE,
} from "../protocol/mod.ts";
import { makeTone } from "./tone.ts";

/** What a stereo file's channels are, in this order; a mono file has the first. */
const CHANNELS = ["external", "internal"] as const satisfies AudioChannel[];

/** Audio that can be offered and sent. */
export class CallAudio {
  readonly #data: Uint8Array;
  readonly #format: AudioFormat;
  /** What the file's channels are. */
  readonly channels: readonly AudioChannel[];

  private constructor(data: Uint8Array, format: AudioFormat, channels: readonly AudioChannel[]) {
    this.#data = data;
    this.#format = format;
    this.channels = channels;
  }

  /**
   * Reads a WAV file: µ-law or 16-bit PCM, 8 kHz, mono or stereo.
   *
   * @param bytes The whole file.
   * @throws {WavFormatError} If it is anything else; the message says what was expected.
   */
  static fromWav(bytes: Uint8Array): CallAudio {
    const { format, data } = parseWav(bytes);
    return new CallAudio(data, format.encoding, CHANNELS.slice(0, format.channelCount));
  }

  /**
   * Makes a tone on the external channel, and another one on the internal channel.
   *
   * @param frequencyHz Of the first one; the other is a third above, or below if that is too high.
   */
  static tone(frequencyHz: number, durationSeconds: number, format: AudioFormat): CallAudio {
    const third = frequencyHz * 1.25 < SAMPLE_RATE / 2 ? frequencyHz * 1.25 : frequencyHz * 0.8;
    const data = makeTone({ frequencies: [frequencyHz, third], durationSeconds, format });
    return new CallAudio(data, format, CHANNELS);
  }

  /** Length in samples of one channel. */
  get samples(): number {
    const sampleBytes = this.#format === "PCMU" ? 1 : 2;
    return this.#data.length / (sampleBytes * this.channels.length);
  }

  /**
   * What a client offers for it: all channels first, then each of several alone.
   *
   * @param wanted The channels that are offered, each of which there is; all of them unless given.
   */
  offers(format: AudioFormat, wanted: readonly AudioChannel[] = this.channels): Media[] {
    const selections = wanted.length === 1 ? [wanted] : [wanted, ...wanted.map((one) => [one])];
    return selections.map((channels) => ({ type: "audio", format, channels, rate: SAMPLE_RATE }));
  }

  /** The bytes of what was selected, one of {@link CallAudio.offers}. */
  bytesFor(media: Media): Uint8Array {
    const indices = media.channels.map((channel) => this.channels.indexOf(channel));
    return extractChannels(
      convert(this.#data, this.#format, media.format),
      this.channels.length,
      indices,
      bytesPerSample(media),
    );
  }
}

function convert(data: Uint8Array, from: AudioFormat, to: AudioFormat): Uint8Array {
  if (from === to) return data;
  return to === "PCMU" ? encodeMulaw(decodePcm16(data)) : encodePcm16(decodeMulaw(data));
}
