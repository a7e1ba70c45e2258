/**
 * What audio there is in a recording's file: read from its header, which says what it is, and from
 * its length, as the header of one that is being made says "to the end".
 *
 * Imports lib/audio and the archive's interface.
 */
import { parseWav, type WavFormat, WavFormatError } from "../audio/mod.ts";
import type { RecordedFile } from "../storage/recording_archive.ts";
import { fromStorage } from "./storage_failure.ts";

/** More than the header of any recording takes. */
const HEADER_BYTES = 256;
const TO_THE_END = 0xFFFFFFFF;

/** The audio in a file. */
export interface RecordedAudio {
  readonly format: WavFormat;
  /** Where it begins in the file. */
  readonly dataStart: number;
  /** Its length, in samples of one channel. */
  readonly samples: number;
  /** Bytes of one sample of all channels. */
  readonly frameBytes: number;
}

/** What came of looking for the audio in a file. */
export type AudioSearch =
  | { readonly outcome: "found"; readonly audio: RecordedAudio }
  /** Its beginning is no header. Of a file that is being written: none so far. */
  | { readonly outcome: "unreadable"; readonly error: WavFormatError };

/**
 * Finds the audio in a file.
 *
 * @throws {StorageFailure}
 */
export async function findAudio(file: RecordedFile): Promise<AudioSearch> {
  const beginning = await fromStorage(() => readBytes(file, 0, Math.min(file.size, HEADER_BYTES)));
  try {
    return { outcome: "found", audio: audioOf(file, beginning) };
  } catch (error) {
    if (error instanceof WavFormatError) return { outcome: "unreadable", error };
    throw error;
  }
}

function audioOf(file: RecordedFile, beginning: Uint8Array<ArrayBuffer>): RecordedAudio {
  const { format, data } = parseWav(beginning);
  const dataStart = data.byteOffset - beginning.byteOffset;
  const frameBytes = format.channelCount * (format.encoding === "PCMU" ? 1 : 2);
  const there = file.size - dataStart;
  const stated = new DataView(beginning.buffer).getUint32(dataStart - 4, true);
  const dataBytes = file.isFinal && stated !== TO_THE_END ? Math.min(stated, there) : there;
  return { format, dataStart, samples: Math.floor(dataBytes / frameBytes), frameBytes };
}

/** Reads some bytes of a file, all at once. */
export async function readBytes(
  file: RecordedFile,
  from: number,
  to: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(to - from);
  let length = 0;
  for await (const chunk of file.read(from, to)) {
    bytes.set(chunk, length);
    length += chunk.length;
  }
  if (length < bytes.length) throw new Error("The file is shorter than it was");
  return bytes;
}

/**
 * Reads a part of a file in slices of whole units, none of them large, whatever the storage gives.
 *
 * @param unitBytes The part is a multiple of it.
 */
export async function* readUnits(
  file: RecordedFile,
  from: number,
  to: number,
  unitBytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const sliceBytes = Math.floor(MAX_SLICE_BYTES / unitBytes) * unitBytes;
  // The beginning of a unit whose end is in the next chunk.
  let rest = new Uint8Array();
  let missing = to - from;
  for await (const chunk of file.read(from, to)) {
    missing -= chunk.length;
    let bytes = chunk;
    if (rest.length > 0) {
      bytes = new Uint8Array(rest.length + chunk.length);
      bytes.set(rest);
      bytes.set(chunk, rest.length);
    }
    const whole = bytes.length - bytes.length % unitBytes;
    for (let at = 0; at < whole; at += sliceBytes) {
      yield bytes.subarray(at, Math.min(at + sliceBytes, whole));
    }
    rest = bytes.slice(whole);
  }
  if (missing > 0) throw new Error("The file is shorter than it was");
}

/** Decoded, twice as much; small enough for nobody to wait for it. */
const MAX_SLICE_BYTES = 32 * 1024;
