/**
 * 16-bit linear PCM as bytes: L16 as AudioHook sends it and WAV files hold it, low byte first.
 *
 * Pure functions over bytes: imports nothing. Bytes are copied into an array of samples, or out of
 * one: an `Int16Array` over the given buffer would fail on a view with an odd `byteOffset`, which a
 * slice of a WebSocket message or a file can well have.
 */

/** Whether an `Int16Array` has the low byte first too, so that its bytes are L16 as they are. */
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Decodes little-endian L16 bytes to samples.
 *
 * @param bytes Two bytes per sample, any number of channels: interleaving stays as it is.
 * @returns The samples, in a new array.
 * @throws {RangeError} An odd number of bytes.
 */
export function decodePcm16(bytes: Uint8Array): Int16Array {
  if (bytes.length % 2 !== 0) {
    throw new RangeError(
      `Cannot decode ${bytes.length} bytes of 16-bit PCM: expected an even number, two per sample`,
    );
  }
  const samples = new Int16Array(bytes.length / 2);
  const copy = bytesOf(samples);
  copy.set(bytes);
  if (!IS_LITTLE_ENDIAN) swapPairs(copy);
  return samples;
}

/**
 * Encodes samples as little-endian L16 bytes.
 *
 * @param samples Linear 16-bit samples, any number of channels: interleaving stays as it is.
 * @returns Two bytes per sample, in a new array.
 */
export function encodePcm16(samples: Int16Array): Uint8Array {
  const bytes = new Uint8Array(samples.byteLength);
  bytes.set(bytesOf(samples));
  if (!IS_LITTLE_ENDIAN) swapPairs(bytes);
  return bytes;
}

/** The bytes of samples as the machine has them: a view. */
function bytesOf(samples: Int16Array): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Swaps the two bytes of every sample. */
function swapPairs(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i += 2) {
    const first = bytes[i] as number;
    bytes[i] = bytes[i + 1] as number;
    bytes[i + 1] = first;
  }
}
