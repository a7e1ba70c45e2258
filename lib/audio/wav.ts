/**
 * WAV files: the header for those we write, and a parser for those we are given (RIFF/WAVE, from
 * "Multimedia Programming Interface and Data Specifications 1.0", and `WAVEFORMATEXTENSIBLE` from
 * Microsoft's `mmreg.h`).
 *
 * Pure functions over bytes: imports nothing, reads and writes no files. A file to parse may come
 * from anyone: no size that it states is trusted.
 */

/** How samples are coded, by AudioHook's names: µ-law bytes, or 16-bit linear PCM. */
export type WavEncoding = "PCMU" | "L16";

/** What the audio in a WAV file is. */
export interface WavFormat {
  /** How samples are coded. */
  encoding: WavEncoding;
  /** How many channels are interleaved. */
  channelCount: number;
  /** Samples per second and channel. */
  rate: number;
}

/** What {@link parseWav} found in a file. */
export interface ParsedWav {
  /** What the audio is. */
  format: WavFormat;
  /** Interleaved audio, whole samples for all channels: a view on the file's bytes, not a copy. */
  data: Uint8Array;
}

/** These bytes are not a WAV file that we can read; the message tells a person why, and what to do. */
export class WavFormatError extends Error {
  override readonly name = "WavFormatError";
}

const FORMAT_TAG_PCM = 1;
const FORMAT_TAG_MULAW = 7;
const FORMAT_TAG_EXTENSIBLE = 0xFFFE;

/** What follows the two bytes of the format tag in the subformat GUID of WAVE_FORMAT_EXTENSIBLE. */
const SUBFORMAT_GUID_TAIL = [
  0x00,
  0x00,
  0x00,
  0x00,
  0x10,
  0x00,
  0x80,
  0x00,
  0x00,
  0xAA,
  0x00,
  0x38,
  0x9B,
  0x71,
] as const;

const CODINGS = {
  PCMU: { formatTag: FORMAT_TAG_MULAW, bytesPerSample: 1, headerBytes: 58 },
  L16: { formatTag: FORMAT_TAG_PCM, bytesPerSample: 2, headerBytes: 44 },
} as const satisfies Record<WavEncoding, unknown>;

const MAX_UINT32 = 0xFFFFFFFF;

/** Real files have a handful; a file made of empty chunks must not keep us busy. */
const MAX_CHUNKS = 1024;

/**
 * The size of the header that {@link createWavHeader} makes, in bytes: audio starts right after it.
 */
export function wavHeaderBytes(encoding: WavEncoding): number {
  return CODINGS[encoding].headerBytes;
}

/**
 * How many zero bytes must follow this many bytes of audio: RIFF pads a chunk to an even size.
 */
export function wavPaddingBytes(dataBytes: number): 0 | 1 {
  return dataBytes % 2 === 1 ? 1 : 0;
}

/**
 * Makes the header of a WAV file: everything up to the first byte of audio. The caller writes the
 * audio after it, and then {@link wavPaddingBytes} zero bytes.
 *
 * @param format What the audio is: any rate, and any number of channels that the header can state.
 * @param dataBytes How many bytes of audio follow. `Infinity` if that is not known yet.
 * @returns {@link wavHeaderBytes} bytes: 58 for PCMU (which, not being PCM, has a `fact` chunk with
 * the number of samples per channel), 44 for L16.
 * @throws {RangeError} The format or the size is not one that a header can state.
 */
export function createWavHeader(format: WavFormat, dataBytes: number): Uint8Array<ArrayBuffer> {
  const { formatTag, bytesPerSample, headerBytes } = CODINGS[format.encoding];
  const blockAlign = format.channelCount * bytesPerSample;
  checkHeaderValues(format, blockAlign, dataBytes);

  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  writeFourCC(header, 0, "RIFF");
  view.setUint32(4, saturate(headerBytes - 8 + dataBytes + wavPaddingBytes(dataBytes)), true);
  writeFourCC(header, 8, "WAVE");

  const isPcm = formatTag === FORMAT_TAG_PCM;
  writeFourCC(header, 12, "fmt ");
  view.setUint32(16, isPcm ? 16 : 18, true); // other formats than PCM end in cbSize, which is 0
  view.setUint16(20, formatTag, true);
  view.setUint16(22, format.channelCount, true);
  view.setUint32(24, format.rate, true);
  view.setUint32(28, format.rate * blockAlign, true);
  view.setUint16(32, blockAlign, true);
  view.setUint16(34, bytesPerSample * 8, true);

  if (!isPcm) {
    writeFourCC(header, 38, "fact");
    view.setUint32(42, 4, true);
    view.setUint32(46, saturate(Math.floor(dataBytes / blockAlign)), true);
  }
  writeFourCC(header, headerBytes - 8, "data");
  view.setUint32(headerBytes - 4, saturate(dataBytes), true);
  return header;
}

/**
 * Reads a WAV file: 8 kHz, mono or stereo, µ-law or 16-bit PCM, which is what AudioHook carries.
 *
 * Chunks may come in any order, and unknown ones are skipped. A file whose writer never came to
 * state its size (0, 0xFFFFFFFF), or which is cut short, gives the audio that is there, down to the
 * last whole sample for all channels. Its time and memory do not depend on what the header says.
 *
 * @param bytes The whole file.
 * @returns The format, and the audio as a view on `bytes`.
 * @throws {WavFormatError} Not a WAV file, or not one with such audio.
 */
export function parseWav(bytes: Uint8Array): ParsedWav {
  const { fmt, data } = findChunks(bytes);
  const format = parseFmt(fmt);
  const blockAlign = format.channelCount * CODINGS[format.encoding].bytesPerSample;
  return { format, data: data.subarray(0, data.length - (data.length % blockAlign)) };
}

/** Walks the chunks until both that matter are found; of several, the first counts. */
function findChunks(bytes: Uint8Array): { fmt: Uint8Array; data: Uint8Array } {
  if (bytes.length < 12 || readFourCC(bytes, 0) !== "RIFF" || readFourCC(bytes, 8) !== "WAVE") {
    throw unsuitable(`is not a WAV file: it does not start with "RIFF" and "WAVE"`);
  }
  const view = viewOf(bytes);
  let fmt: Uint8Array | undefined;
  let data: Uint8Array | undefined;
  let offset = 12;
  for (let count = 0; offset + 8 <= bytes.length; count++) {
    if (count === MAX_CHUNKS) {
      throw damaged(`has more than ${MAX_CHUNKS} chunks before its format and audio`);
    }
    const id = readFourCC(bytes, offset);
    const start = offset + 8;
    let size = view.getUint32(offset + 4, true);
    if (id === "data" && size === 0 && !isFinished(view, start)) size = bytes.length - start;
    const chunk = bytes.subarray(start, start + size); // ends with the file, whatever size says

    if (id === "fmt ") fmt ??= chunk;
    if (id === "data") data ??= chunk;
    if (fmt && data) return { fmt, data };
    offset = start + size + (size % 2);
  }
  throw damaged(fmt ? "has no audio (`data` chunk)" : "does not state its format (`fmt ` chunk)");
}

/**
 * Whether the audio of a file whose `data` chunk has size 0 is really empty. The size of the whole
 * file decides: one that is sound and counts bytes after the `data` header (a `LIST` chunk, say) was
 * filled in at the end; otherwise it is as unfinished as the chunk's, and what follows is audio.
 */
function isFinished(file: DataView, dataStart: number): boolean {
  const riffEnd = 8 + file.getUint32(4, true);
  return riffEnd > dataStart && riffEnd <= file.byteLength;
}

function parseFmt(fmt: Uint8Array): WavFormat {
  if (fmt.length < 16) {
    throw damaged(`has a format (\`fmt \` chunk) of ${fmt.length} bytes instead of 16 or more`);
  }
  // Block align and bytes per second are not read: they follow from the rest, and writers get them
  // wrong.
  const view = viewOf(fmt);
  const formatTag = readFormatTag(fmt, view);
  const channelCount = view.getUint16(2, true);
  const rate = view.getUint32(4, true);
  const bitsPerSample = view.getUint16(14, true);

  const encoding = encodingOf(formatTag, bitsPerSample);
  if (!encoding || rate !== 8000 || (channelCount !== 1 && channelCount !== 2)) {
    const found = `has ${rate / 1000} kHz ${describeCoding(formatTag, bitsPerSample)}, ` +
      describeChannels(channelCount);
    throw unsuitable(found, channelCount > 2 ? "-c 2 " : "");
  }
  return { encoding, channelCount, rate };
}

/** The format tag, taken from the subformat GUID for WAVE_FORMAT_EXTENSIBLE if it holds one. */
function readFormatTag(fmt: Uint8Array, view: DataView): number {
  const formatTag = view.getUint16(0, true);
  if (formatTag !== FORMAT_TAG_EXTENSIBLE) return formatTag;
  const isTagGuid = SUBFORMAT_GUID_TAIL.every((byte, i) => fmt[26 + i] === byte);
  return isTagGuid ? view.getUint16(24, true) : formatTag;
}

function encodingOf(formatTag: number, bitsPerSample: number): WavEncoding | undefined {
  if (formatTag === FORMAT_TAG_MULAW && bitsPerSample === 8) return "PCMU";
  if (formatTag === FORMAT_TAG_PCM && bitsPerSample === 16) return "L16";
  return undefined;
}

function describeCoding(formatTag: number, bitsPerSample: number): string {
  switch (formatTag) {
    case FORMAT_TAG_PCM:
      return `${bitsPerSample}-bit PCM`;
    case 3:
      return `${bitsPerSample}-bit floating point`;
    case 6:
      return "A-law";
    case FORMAT_TAG_MULAW:
      return bitsPerSample === 8 ? "µ-law" : `µ-law with ${bitsPerSample} bits per sample`;
    case 0x11:
      return "IMA ADPCM";
    case 0x31:
      return "GSM 6.10";
    case 0x55:
      return "MP3";
    default:
      return `audio of format 0x${formatTag.toString(16).toUpperCase().padStart(4, "0")}`;
  }
}

function describeChannels(channelCount: number): string {
  if (channelCount === 1) return "mono";
  if (channelCount === 2) return "stereo";
  return `${channelCount} channels`;
}

const EXPECTED = "Expected a WAV file with 8 kHz µ-law or 16-bit PCM audio, mono or stereo";

/** An error for a sound file which must be converted, with how to do so. */
function unsuitable(found: string, soxOptions = ""): WavFormatError {
  return new WavFormatError(
    `${EXPECTED}; this one ${found}. ` +
      `Convert it, for example: sox in.wav -r 8000 ${soxOptions}-e mu-law out.wav`,
  );
}

/** An error for a file which no converter could read either. */
function damaged(found: string): WavFormatError {
  return new WavFormatError(`${EXPECTED}; this one ${found}. It may be damaged or cut short.`);
}

function checkHeaderValues(format: WavFormat, blockAlign: number, dataBytes: number): void {
  const { channelCount, rate } = format;
  if (!Number.isInteger(channelCount) || channelCount < 1 || blockAlign > 0xFFFF) {
    throw new RangeError(`Cannot write a WAV header for ${channelCount} channels`);
  }
  if (!Number.isInteger(rate) || rate < 1 || rate * blockAlign > MAX_UINT32) {
    throw new RangeError(`Cannot write a WAV header for a rate of ${rate} Hz`);
  }
  if (!(Number.isInteger(dataBytes) || dataBytes === Infinity) || dataBytes < 0) {
    throw new RangeError(`Cannot write a WAV header for ${dataBytes} bytes of audio`);
  }
}

/**
 * The nearest 32-bit number. Readers take a size of 0xFFFFFFFF as "to the end of the file", so that
 * a recording beyond 4 GiB still plays in full, where a size that wrapped around would cut it off.
 */
function saturate(size: number): number {
  return Math.min(size, MAX_UINT32);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readFourCC(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}

function writeFourCC(bytes: Uint8Array, offset: number, fourCC: string): void {
  for (let i = 0; i < 4; i++) bytes[offset + i] = fourCC.charCodeAt(i);
}
