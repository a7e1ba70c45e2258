/**
 * The audio file of a recording whose server was killed: what of it is audio, and how it becomes a
 * whole WAV file without being copied.
 *
 * The recorder begins a file with a header whose sizes say "to the end of the file", appends audio,
 * and fills in the sizes at the end.
 *
 * A file system may make a file longer, up to the end of a block, before the last bytes of that block
 * are on the disk. After a loss of power, they are zero. In 16-bit PCM, that is silence; in µ-law, it
 * is the loudest negative value, and is cut off. Imports the audio room and its neighbours.
 */
import { createWavHeader, type WavFormat, wavHeaderBytes, wavPaddingBytes } from "../audio/mod.ts";
import { MAX_DURATION_SECONDS, SAMPLE_RATE } from "../protocol/mod.ts";
import { type RecoveryFile, writeAt } from "./recovery_disk.ts";

/** As much of a file as {@link inspectAudio} has to see. */
export const AUDIO_HEAD_BYTES: number = wavHeaderBytes("PCMU");

/** Length of a block of the disk: what {@link inspectAudio} has to see of a file's end. */
export const BLOCK_BYTES = 4096;

/**
 * So many samples of 0x00 in each channel, 4 ms, are no sound at the end of a file: half a wave of the
 * lowest tone of a telephone, 300 Hz, is shorter, however loud it is.
 */
const MIN_BLANK_SAMPLES = 32;

/** Audio that can be made a whole file. */
export interface UsableAudio {
  readonly format: WavFormat;
  /** Length of the audio in samples of one channel. */
  readonly samples: number;
  /** The same in bytes of all channels. */
  readonly dataBytes: number;
  /** The file begins with the header that it should have in the end. */
  readonly hasFinalHeader: boolean;
}

/** What an audio file is. */
export type PartialAudio =
  | ({ readonly what: "usable" } & UsableAudio)
  /** It has no byte of audio, and nothing says what it should have been. */
  | { readonly what: "empty" }
  /** It is not what a recorder writes, and should be left alone; `why` is for people. */
  | { readonly what: "foreign"; readonly why: string };

/**
 * Tells what an audio file is.
 *
 * @param head The first {@link AUDIO_HEAD_BYTES} of the file, or all of a shorter one.
 * @param fileBytes Length of the file.
 * @param expected What the audio should be, for a header that was not written, or not all of it.
 * @param lastBlock The last {@link BLOCK_BYTES} of a file on a disk whose length is a multiple of
 * that; nothing of any other one.
 */
export function inspectAudio(
  head: Uint8Array,
  fileBytes: number,
  expected: WavFormat | undefined,
  lastBlock: Uint8Array = new Uint8Array(),
): PartialAudio {
  const stated = [formatIn(head, "PCMU"), formatIn(head, "L16")];
  for (const format of [...stated, expected]) {
    const found = format && inspectAs(format, head, fileBytes, lastBlock);
    if (found !== undefined) return found;
  }
  if (fileBytes === 0) return { what: "empty" };
  const isTorn = head.length < AUDIO_HEAD_BYTES || head.every((byte) => byte === 0);
  const why = isTorn && expected === undefined
    ? "its audio file has no header, and its message log does not say what audio it is"
    : "its audio file does not begin like one that was recorded";
  return { what: "foreign", why };
}

/** What a file is if it is audio of that format; `undefined` if it can't be. */
function inspectAs(
  format: WavFormat,
  head: Uint8Array,
  fileBytes: number,
  lastBlock: Uint8Array,
): PartialAudio | undefined {
  const headerBytes = wavHeaderBytes(format.encoding);
  const header = head.subarray(0, headerBytes);
  const availableBytes = Math.max(0, fileBytes - headerBytes);
  const statedBytes = sizeIn(header, headerBytes);
  if (statedBytes !== undefined && isSame(header, createWavHeader(format, statedBytes))) {
    if (availableBytes > statedBytes + wavPaddingBytes(statedBytes)) {
      return { what: "foreign", why: "its audio file goes on where its header says that it ends" };
    }
    return usable(format, Math.min(statedBytes, availableBytes), statedBytes);
  }
  // Not filled in so far; or only a part of it reached the disk, which is zero elsewhere.
  const unfinished = createWavHeader(format, Infinity);
  const final = createWavHeader(format, wholeBytes(format, availableBytes));
  const isOurs = header.every((byte, index) =>
    byte === 0 || byte === unfinished[index] || byte === final[index]
  );
  if (!isOurs) return undefined;
  const blankBytes = blankEndBytes(format, headerBytes, fileBytes, lastBlock);
  return usable(format, availableBytes - blankBytes, undefined);
}

/** How many bytes at the end of a file never reached the disk. */
function blankEndBytes(
  { encoding, channelCount }: WavFormat,
  headerBytes: number,
  fileBytes: number,
  lastBlock: Uint8Array,
): number {
  if (encoding !== "PCMU" || fileBytes % BLOCK_BYTES !== 0) return 0;
  const audio = lastBlock.subarray(Math.max(0, headerBytes - (fileBytes - lastBlock.length)));
  const blankBytes = audio.length - 1 - audio.findLastIndex((byte) => byte !== 0);
  // A block has been begun with something. One of zeros alone was recorded, by whoever sends those.
  const isRecorded = blankBytes === BLOCK_BYTES || blankBytes < MIN_BLANK_SAMPLES * channelCount;
  return isRecorded ? 0 : blankBytes;
}

function usable(
  format: WavFormat,
  availableBytes: number,
  statedBytes: number | undefined,
): PartialAudio {
  const dataBytes = wholeBytes(format, availableBytes);
  const samples = dataBytes / sampleFrameBytes(format);
  if (samples > MAX_DURATION_SECONDS * format.rate) {
    const days = MAX_DURATION_SECONDS / 86_400;
    return { what: "foreign", why: `its audio file is longer than a call may be, ${days} days` };
  }
  return { what: "usable", format, samples, dataBytes, hasFinalHeader: statedBytes === dataBytes };
}

/** The format that a header states; `undefined` if none is recorded so. */
function formatIn(head: Uint8Array, encoding: WavFormat["encoding"]): WavFormat | undefined {
  const headerBytes = wavHeaderBytes(encoding);
  if (head.length < headerBytes) return undefined;
  const channelCount = viewOf(head).getUint16(22, true);
  if (channelCount !== 1 && channelCount !== 2) return undefined;
  return { encoding, channelCount, rate: SAMPLE_RATE };
}

/** The size that a header states; `undefined` while it says "to the end of the file". */
function sizeIn(header: Uint8Array, headerBytes: number): number | undefined {
  if (header.length < headerBytes) return undefined;
  const size = viewOf(header).getUint32(headerBytes - 4, true);
  return size === 0xFFFFFFFF ? undefined : size;
}

function wholeBytes(format: WavFormat, bytes: number): number {
  return bytes - bytes % sampleFrameBytes(format);
}

/** Bytes of one sample of all channels. */
function sampleFrameBytes({ encoding, channelCount }: WavFormat): number {
  return channelCount * (encoding === "PCMU" ? 1 : 2);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Makes a file a whole WAV file, and has it written to the disk: cuts off what is less than a sample
 * of all channels, and writes the header and the padding. It may be stopped after any step, and be
 * begun anew by {@link inspectAudio}, which then says the same of the file.
 */
export async function finishAudio(file: RecoveryFile, audio: UsableAudio): Promise<void> {
  const { format, dataBytes, hasFinalHeader } = audio;
  const audioEnd = wavHeaderBytes(format.encoding) + dataBytes;
  const padding = new Uint8Array(wavPaddingBytes(dataBytes));
  const { size } = await file.stat();
  // Once the header is final, what follows the audio is padding.
  if (!hasFinalHeader) {
    if (size > audioEnd) await file.truncate(audioEnd);
    await writeAt(file, 0, createWavHeader(format, dataBytes));
    // Or a loss of power could leave the padding only, which would be taken for a sample.
    if (padding.length > 0) await file.syncData();
  }
  if (padding.length > 0) await writeAt(file, audioEnd, padding);
  await file.syncData();
}
