/**
 * A recording's audio as somebody wants it: as it is, decoded, or one channel of it. Whatever it is,
 * its size is known before any of it is read, and each part of it is made from a part of the file.
 *
 * Imports lib/audio and its neighbours.
 */
import {
  createWavHeader,
  decodeMulaw,
  encodePcm16,
  extractChannels,
  wavPaddingBytes,
} from "../audio/mod.ts";
import type { RecordedFile } from "../storage/recording_archive.ts";
import { readUnits, type RecordedAudio } from "./recorded_audio.ts";

/** What is wanted. */
export interface AudioChoice {
  /** Whether µ-law is to be decoded to 16-bit linear PCM. */
  readonly isDecoded: boolean;
  /** The one channel that is wanted, counted from 0; `undefined` for all. */
  readonly channelIndex: number | undefined;
}

/** A file, made from another one while it is read. */
export interface Rendition {
  /** In bytes. */
  readonly size: number;
  /** Reads from the first place up to the second, which is not included. */
  read(from: number, to: number): AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** The file as it is, or its beginning. */
export function fileItself(file: RecordedFile, size = file.size): Rendition {
  return { size, read: (from, to) => readUnits(file, from, to, 1) };
}

/**
 * The audio as a WAV file.
 *
 * A recording that is finished, and wanted as it is, is the file itself. All others get a header
 * that says how much there is: of one that is being made, as much as when it was opened.
 */
export function renderAudio(
  file: RecordedFile,
  audio: RecordedAudio,
  { isDecoded, channelIndex }: AudioChoice,
): Rendition {
  const { format, dataStart, samples, frameBytes } = audio;
  const { channelCount } = format;
  const decodes = isDecoded && format.encoding === "PCMU";
  const picks = channelIndex !== undefined && channelCount > 1;
  if (file.isFinal && !decodes && !picks) return fileItself(file);

  const outFormat = {
    encoding: isDecoded ? "L16" : format.encoding,
    channelCount: picks ? 1 : channelCount,
    rate: format.rate,
  } as const;
  const sampleBytes = format.encoding === "PCMU" ? 1 : 2;
  const outFrameBytes = outFormat.channelCount * (outFormat.encoding === "PCMU" ? 1 : 2);
  const dataBytes = samples * outFrameBytes;
  const header = createWavHeader(outFormat, dataBytes);
  const padding = new Uint8Array(wavPaddingBytes(dataBytes));

  function convert(bytes: Uint8Array): Uint8Array {
    const picked = picks
      ? extractChannels(bytes, channelCount, [channelIndex], sampleBytes)
      : bytes;
    return decodes ? encodePcm16(decodeMulaw(picked)) : picked;
  }

  /** A part of the audio, by places in the result, counted from where its audio begins. */
  async function* readData(
    from: number,
    to: number,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    const first = Math.floor(from / outFrameBytes);
    const end = Math.ceil(to / outFrameBytes);
    let skipped = from - first * outFrameBytes;
    let left = to - from;
    const [sourceFrom, sourceTo] = [first, end].map((frame) => dataStart + frame * frameBytes);
    for await (const slice of readUnits(file, sourceFrom ?? 0, sourceTo ?? 0, frameBytes)) {
      const part = convert(slice).subarray(skipped, skipped + left);
      skipped = 0;
      left -= part.length;
      yield part as Uint8Array<ArrayBuffer>;
    }
  }

  const dataEnd = header.length + dataBytes;
  return {
    size: dataEnd + padding.length,
    async *read(from, to) {
      if (from < header.length) yield header.subarray(from, Math.min(to, header.length));
      const dataFrom = Math.max(from, header.length);
      const dataTo = Math.min(to, dataEnd);
      if (dataFrom < dataTo) yield* readData(dataFrom - header.length, dataTo - header.length);
      if (to > dataEnd) yield padding.subarray(Math.max(0, from - dataEnd), to - dataEnd);
    },
  };
}
