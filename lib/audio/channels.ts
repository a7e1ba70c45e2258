/**
 * Picks channels out of interleaved audio, as AudioHook frames and WAV files carry it (stereo:
 * external, internal, external, internal; `protocol.md`, section 7).
 *
 * Pure functions over bytes: imports nothing.
 */

/**
 * Picks channels out of interleaved audio, in the given order: `[1]` of stereo is the second
 * channel alone, `[1, 0]` swaps the two, `[0, 0]` of mono makes it stereo.
 *
 * @param interleaved Samples of all channels in turn, whole for every channel.
 * @param channelCount How many channels `interleaved` has.
 * @param indices Which channels to pick, counted from 0; at least one.
 * @param bytesPerSample 1 for PCMU, 2 for L16.
 * @returns The chosen channels, interleaved in the order of `indices`. Where they are all channels
 * in their present order, that is `interleaved` itself, not a copy; otherwise a new array.
 * @throws {RangeError} `interleaved` does not hold whole samples for all channels, an index is out
 * of range, or there are no channels at all.
 */
export function extractChannels(
  interleaved: Uint8Array,
  channelCount: number,
  indices: readonly number[],
  bytesPerSample: 1 | 2,
): Uint8Array {
  checkSelection(channelCount, indices);
  const stride = channelCount * bytesPerSample;
  if (interleaved.length % stride !== 0) {
    throw new RangeError(
      `Cannot split ${interleaved.length} bytes of audio: expected a multiple of ${stride} ` +
        `(channels: ${channelCount}, bytes per sample: ${bytesPerSample})`,
    );
  }
  if (indices.length === channelCount && indices.every((index, i) => index === i)) {
    return interleaved;
  }

  const outStride = indices.length * bytesPerSample;
  const out = new Uint8Array((interleaved.length / stride) * outStride);
  // The loops are functions of their own: V8 makes slower code of one function with all of them.
  if (stride === 2 && outStride === 1) {
    copyEveryOther(interleaved, indices[0] as number, out);
    return out;
  }
  for (let channel = 0; channel < indices.length; channel++) {
    const from = (indices[channel] as number) * bytesPerSample;
    const to = channel * bytesPerSample;
    for (let byte = 0; byte < bytesPerSample; byte++) {
      copyEvery(interleaved, from + byte, stride, out, to + byte, outStride);
    }
  }
  return out;
}

/** Copies the byte at `from` and at every `stride` after it to `to` and every `outStride` after it. */
function copyEvery(
  bytes: Uint8Array,
  from: number,
  stride: number,
  out: Uint8Array,
  to: number,
  outStride: number,
): void {
  for (; to < out.length; to += outStride, from += stride) out[to] = bytes[from] as number;
}

/**
 * One channel of stereo PCMU, which is what nearly every session has. Eight bytes at a turn, because
 * V8 does not unroll loops: that takes three quarters of the time.
 */
function copyEveryOther(bytes: Uint8Array, from: number, out: Uint8Array): void {
  const whole = out.length & ~7;
  let to = 0;
  for (; to < whole; to += 8, from += 16) {
    out[to] = bytes[from] as number;
    out[to + 1] = bytes[from + 2] as number;
    out[to + 2] = bytes[from + 4] as number;
    out[to + 3] = bytes[from + 6] as number;
    out[to + 4] = bytes[from + 8] as number;
    out[to + 5] = bytes[from + 10] as number;
    out[to + 6] = bytes[from + 12] as number;
    out[to + 7] = bytes[from + 14] as number;
  }
  for (; to < out.length; to++, from += 2) out[to] = bytes[from] as number;
}

function checkSelection(channelCount: number, indices: readonly number[]): void {
  if (!Number.isInteger(channelCount) || channelCount < 1) {
    throw new RangeError(`Expected a channel count of 1 or more, got ${channelCount}`);
  }
  if (indices.length === 0) {
    throw new RangeError("Expected at least one channel to extract, got none");
  }
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= channelCount) {
      throw new RangeError(
        `Cannot extract channel ${index}: expected an index from 0 to ${channelCount - 1}`,
      );
    }
  }
}
