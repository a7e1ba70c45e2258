import { assertEquals, assertNotEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { extractChannels } from "../../lib/audio/mod.ts";

/** Stereo in bytes: external 0x1…, internal 0x2…. */
const STEREO = Uint8Array.of(0x10, 0x20, 0x11, 0x21, 0x12, 0x22);

Deno.test("channels: each channel of stereo PCMU comes out alone", () => {
  assertEquals(extractChannels(STEREO, 2, [0], 1), Uint8Array.of(0x10, 0x11, 0x12));
  assertEquals(extractChannels(STEREO, 2, [1], 1), Uint8Array.of(0x20, 0x21, 0x22));
});

Deno.test("channels: each channel of stereo L16 comes out alone, samples whole", () => {
  const stereo = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  assertEquals(extractChannels(stereo, 2, [0], 2), Uint8Array.of(1, 2, 5, 6));
  assertEquals(extractChannels(stereo, 2, [1], 2), Uint8Array.of(3, 4, 7, 8));
});

Deno.test("channels: [1, 0] swaps the channels of stereo", () => {
  assertEquals(
    extractChannels(STEREO, 2, [1, 0], 1),
    Uint8Array.of(0x20, 0x10, 0x21, 0x11, 0x22, 0x12),
  );
  assertEquals(extractChannels(Uint8Array.of(1, 2, 3, 4), 2, [1, 0], 2), Uint8Array.of(3, 4, 1, 2));
});

Deno.test("channels: [0, 0] makes stereo of mono", () => {
  assertEquals(extractChannels(Uint8Array.of(1, 2), 1, [0, 0], 1), Uint8Array.of(1, 1, 2, 2));
});

Deno.test("channels: all channels in their order are the input itself", () => {
  assertStrictEquals(extractChannels(STEREO, 2, [0, 1], 1), STEREO);
  assertStrictEquals(extractChannels(STEREO, 1, [0], 2), STEREO);
});

Deno.test("channels: any other selection leaves the input as it is", () => {
  const before = STEREO.slice();
  assertNotEquals(extractChannels(STEREO, 2, [1, 0], 1), STEREO);
  assertEquals(STEREO, before);
});

Deno.test("channels: no audio gives no audio", () => {
  assertEquals(extractChannels(new Uint8Array(0), 2, [1], 2), new Uint8Array(0));
});

Deno.test("channels: audio that is not whole samples for all channels is refused", () => {
  assertThrows(
    () => extractChannels(new Uint8Array(6), 2, [0], 2),
    RangeError,
    "Cannot split 6 bytes of audio: expected a multiple of 4 (channels: 2, bytes per sample: 2)",
  );
  assertThrows(() => extractChannels(new Uint8Array(3), 2, [0, 1], 1), RangeError, "3 bytes");
});

Deno.test("channels: an index out of range is refused", () => {
  for (const index of [2, -1, 0.5, NaN]) {
    assertThrows(
      () => extractChannels(STEREO, 2, [0, index], 1),
      RangeError,
      `Cannot extract channel ${index}: expected an index from 0 to 1`,
    );
  }
});

Deno.test("channels: no channels at all are refused", () => {
  assertThrows(() => extractChannels(STEREO, 2, [], 1), RangeError, "at least one channel");
  for (const channelCount of [0, -1, 1.5, NaN]) {
    assertThrows(
      () => extractChannels(STEREO, channelCount, [0], 1),
      RangeError,
      `Expected a channel count of 1 or more, got ${channelCount}`,
    );
  }
});

function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/**
 * Interleaved audio of some geometry, at some offset in its buffer, which may be shared, and a
 * selection of channels.
 */
const anySelection = fc.record({
  channelCount: fc.integer({ min: 1, max: 4 }),
  bytesPerSample: fc.constantFrom(1 as const, 2 as const),
  frames: fc.nat(40),
  offset: fc.nat(9),
  isShared: fc.boolean(),
}).chain(({ channelCount, bytesPerSample, frames, offset, isShared }) => {
  const length = channelCount * bytesPerSample * frames;
  return fc.record({
    channelCount: fc.constant(channelCount),
    bytesPerSample: fc.constant(bytesPerSample),
    frames: fc.constant(frames),
    interleaved: fc.uint8Array({ minLength: offset + length, maxLength: offset + length })
      .map((bytes) => (isShared ? shared(bytes) : bytes).subarray(offset)),
    indices: fc.array(fc.nat(channelCount - 1), { minLength: 1, maxLength: 5 }),
  });
});

Deno.test("channels: any selection has the bytes of its channels, sample by sample", () => {
  fc.assert(
    fc.property(anySelection, ({ channelCount, bytesPerSample, frames, interleaved, indices }) => {
      const expected: number[] = [];
      for (let frame = 0; frame < frames; frame++) {
        for (const index of indices) {
          const at = (frame * channelCount + index) * bytesPerSample;
          expected.push(...interleaved.subarray(at, at + bytesPerSample));
        }
      }
      const extracted = extractChannels(interleaved, channelCount, indices, bytesPerSample);
      assertEquals([...extracted], expected);
    }),
  );
});

Deno.test("channels: one of stereo, of any length and at any offset, is every other sample", () => {
  for (const bytesPerSample of [1, 2] as const) {
    for (let frames = 0; frames <= 33; frames++) {
      for (const offset of [0, 1, 2, 3]) {
        const buffer = Uint8Array.from(
          { length: offset + 2 * bytesPerSample * frames + 5 },
          (_, i) => (i * 151) & 0xFF,
        );
        const stereo = buffer.subarray(offset, offset + 2 * bytesPerSample * frames);
        for (const index of [0, 1]) {
          const expected = stereo.filter((_, i) => Math.floor(i / bytesPerSample) % 2 === index);
          assertEquals(extractChannels(stereo, 2, [index], bytesPerSample), expected);
        }
      }
    }
  }
});
