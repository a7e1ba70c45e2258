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
  for (let channel = 0; channel < indices.length; channel++) {
    let from = (indices[channel] as number) * bytesPerSample;
    let to = channel * bytesPerSample;
    if (bytesPerSample === 1) {
      for (; to < out.length; to += outStride, from += stride) {
        out[to] = interleaved[from] as number;
      }
    } else {
      for (; to < out.length; to += outStride, from += stride) {
        out[to] = interleaved[from] as number;
        out[to + 1] = interleaved[from + 1] as number;
      }
    }
  }
  return out;
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
