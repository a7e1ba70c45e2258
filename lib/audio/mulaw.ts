/**
 * µ-law (PCMU) to 16-bit linear PCM and back: ITU-T G.711, the audio of almost every AudioHook
 * session (`protocol.md`, section 7). Both directions are one table look-up per sample.
 *
 * Pure functions over bytes: imports nothing.
 */

/** The µ-law byte for silence (a sample of +0). `0x00` is not silence, but full-scale negative. */
export const MULAW_SILENCE = 0xFF;

// G.711 in its usual 16-bit form: the bias makes every segment start at a power of two, and
// anything above the clip would overflow the topmost segment once biased.
const BIAS = 132;
const CLIP = 32635;

/** Linear sample of each µ-law byte. */
const DECODE_TABLE = createDecodeTable();

/**
 * µ-law byte of each linear sample, indexed by the sample as an unsigned 16-bit number. 64 KiB, but
 * speech is mostly quiet, so that what is used of it stays in the fastest cache.
 */
const ENCODE_TABLE = createEncodeTable();

/**
 * Decodes µ-law bytes to linear samples (ITU-T G.711), one per byte.
 *
 * @param bytes µ-law, any number of channels: interleaving stays as it is.
 * @param out Where to put the samples, if not in a new array. It must not share memory with `bytes`.
 * @returns The samples, between -32124 and 32124: `out`, or a view of its beginning if it is longer.
 * @throws {RangeError} `out` is too short.
 */
export function decodeMulaw(bytes: Uint8Array, out?: Int16Array): Int16Array {
  const length = bytes.length;
  const samples = out ?? new Int16Array(length);
  checkRoom(samples.length, length);
  // Eight at a turn, because V8 does not unroll loops: that takes about four fifths of the time.
  const whole = length & ~7;
  let i = 0;
  for (; i < whole; i += 8) {
    samples[i] = DECODE_TABLE[bytes[i] as number] as number;
    samples[i + 1] = DECODE_TABLE[bytes[i + 1] as number] as number;
    samples[i + 2] = DECODE_TABLE[bytes[i + 2] as number] as number;
    samples[i + 3] = DECODE_TABLE[bytes[i + 3] as number] as number;
    samples[i + 4] = DECODE_TABLE[bytes[i + 4] as number] as number;
    samples[i + 5] = DECODE_TABLE[bytes[i + 5] as number] as number;
    samples[i + 6] = DECODE_TABLE[bytes[i + 6] as number] as number;
    samples[i + 7] = DECODE_TABLE[bytes[i + 7] as number] as number;
  }
  for (; i < length; i++) samples[i] = DECODE_TABLE[bytes[i] as number] as number;
  return samples.length === length ? samples : samples.subarray(0, length);
}

/**
 * Encodes linear samples as µ-law bytes (ITU-T G.711), one per sample. Samples beyond ±32635 are
 * clipped. Zero becomes {@link MULAW_SILENCE}, so that decoding and encoding gives back every byte
 * but the negative zero, `0x7F`.
 *
 * @param samples Linear 16-bit samples, any number of channels: interleaving stays as it is.
 * @param out Where to put the bytes, if not in a new array. It must not share memory with `samples`.
 * @returns The bytes: `out`, or a view of its beginning if it is longer.
 * @throws {RangeError} `out` is too short.
 */
export function encodeMulaw(samples: Int16Array, out?: Uint8Array): Uint8Array {
  const length = samples.length;
  const bytes = out ?? new Uint8Array(length);
  checkRoom(bytes.length, length);
  for (let i = 0; i < length; i++) {
    bytes[i] = ENCODE_TABLE[(samples[i] as number) & 0xFFFF] as number;
  }
  return bytes.length === length ? bytes : bytes.subarray(0, length);
}

function checkRoom(available: number, needed: number): void {
  if (available < needed) {
    throw new RangeError(
      `Output is too short for ${needed} samples: it has room for ${available}`,
    );
  }
}

function createDecodeTable(): Int16Array {
  const table = new Int16Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const code = ~byte; // bits are sent inverted
    const exponent = (code >> 4) & 0x07;
    const mantissa = code & 0x0F;
    const magnitude = (((mantissa << 3) + BIAS) << exponent) - BIAS;
    table[byte] = code & 0x80 ? -magnitude : magnitude;
  }
  return table;
}

function createEncodeTable(): Uint8Array {
  const table = new Uint8Array(65536);
  for (let sample = -32768; sample < 32768; sample++) {
    const sign = sample < 0 ? 0x80 : 0;
    const biased = Math.min(Math.abs(sample), CLIP) + BIAS;
    const exponent = 24 - Math.clz32(biased); // biased is 0x84 to 0x7FFF: exponent is 0 to 7
    const mantissa = (biased >> (exponent + 3)) & 0x0F;
    table[sample & 0xFFFF] = ~(sign | (exponent << 4) | mantissa);
  }
  return table;
}
