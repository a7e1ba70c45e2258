/**
 * 16-bit linear PCM as bytes: L16 as AudioHook sends it and WAV files hold it, low byte first.
 *
 * Pure functions over bytes: imports nothing. Bytes are put together one by one, not by an
 * `Int16Array` over the buffer: that would fail on a view with an odd `byteOffset`, which a slice of
 * a WebSocket message or a file can well have, and would swap bytes on a big-endian machine.
 */

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
  for (let i = 0; i < samples.length; i++) {
    samples[i] = (bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8);
  }
  return samples;
}

/**
 * Encodes samples as little-endian L16 bytes.
 *
 * @param samples Linear 16-bit samples, any number of channels: interleaving stays as it is.
 * @returns Two bytes per sample, in a new array.
 */
export function encodePcm16(samples: Int16Array): Uint8Array {
  const bytes = new Uint8Array(samples.length * 2);
  for (let i = 0; i < samples.length; i++) {
    const sample = samples[i] as number;
    bytes[2 * i] = sample;
    bytes[2 * i + 1] = sample >> 8;
  }
  return bytes;
}
