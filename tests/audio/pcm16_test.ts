import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decodePcm16, encodePcm16 } from "../../lib/audio/mod.ts";

const SAMPLES = Int16Array.of(0, 1, -1, 256, 0x1234, 32767, -32768);
const BYTES = Uint8Array.of(0, 0, 1, 0, 255, 255, 0, 1, 0x34, 0x12, 0xFF, 0x7F, 0x00, 0x80);

Deno.test("pcm16: bytes decode low byte first", () => {
  assertEquals(decodePcm16(BYTES), SAMPLES);
});

Deno.test("pcm16: samples encode low byte first", () => {
  assertEquals(encodePcm16(SAMPLES), BYTES);
});

Deno.test("pcm16: a view at any offset decodes, also an odd one", () => {
  for (const offset of [0, 1, 2, 3]) {
    const buffer = new Uint8Array(offset + BYTES.length + 1).fill(0x55);
    buffer.set(BYTES, offset);
    assertEquals(decodePcm16(buffer.subarray(offset, offset + BYTES.length)), SAMPLES);
  }
});

Deno.test("pcm16: a view of samples encodes alone", () => {
  assertEquals(encodePcm16(SAMPLES.subarray(3, 5)), Uint8Array.of(0, 1, 0x34, 0x12));
});

Deno.test("pcm16: nothing decodes and encodes to nothing", () => {
  assertEquals(decodePcm16(new Uint8Array(0)), new Int16Array(0));
  assertEquals(encodePcm16(new Int16Array(0)), new Uint8Array(0));
});

Deno.test("pcm16: what is decoded is a copy", () => {
  const bytes = BYTES.slice();
  const samples = decodePcm16(bytes);
  bytes.fill(0x55);
  assertEquals(samples, SAMPLES);
  assertNotEquals(decodePcm16(bytes), SAMPLES);
});

Deno.test("pcm16: an odd number of bytes is refused with a telling message", () => {
  assertThrows(
    () => decodePcm16(new Uint8Array(5)),
    RangeError,
    "Cannot decode 5 bytes of 16-bit PCM: expected an even number, two per sample",
  );
});

Deno.test("pcm16: any samples are what a DataView reads from their bytes, and come back", () => {
  fc.assert(fc.property(fc.int16Array(), (samples) => {
    const bytes = encodePcm16(samples);
    const view = new DataView(bytes.buffer);
    assertEquals(samples.map((_, i) => view.getInt16(2 * i, true)), samples);
    assertEquals(decodePcm16(bytes), samples);
  }));
});

Deno.test("pcm16: any bytes, at any offset in a buffer that may be shared, decode as a DataView reads", () => {
  const any = fc.tuple(fc.uint8Array({ maxLength: 70 }), fc.nat(9), fc.boolean());
  fc.assert(fc.property(any, ([values, offset, isShared]) => {
    const length = values.length - values.length % 2;
    const size = offset + length + 3;
    const buffer = isShared ? new SharedArrayBuffer(size) : new ArrayBuffer(size);
    const bytes = new Uint8Array(buffer, offset, length);
    bytes.set(values.subarray(0, length));
    const view = new DataView(buffer, offset, length);
    const expected = Array.from({ length: length / 2 }, (_, i) => view.getInt16(2 * i, true));
    const samples = decodePcm16(bytes);
    assertEquals([...samples], expected);
    assertEquals(samples.buffer.byteLength, length);
    assertEquals(encodePcm16(samples), bytes.slice());
  }));
});

Deno.test("pcm16: any samples, at any offset in a buffer that may be shared, encode alone, as a copy", () => {
  const any = fc.tuple(fc.int16Array({ maxLength: 40 }), fc.nat(5), fc.boolean());
  fc.assert(fc.property(any, ([values, before, isShared]) => {
    const size = 2 * (before + values.length + 1);
    const all = new Int16Array(isShared ? new SharedArrayBuffer(size) : new ArrayBuffer(size));
    const samples = all.fill(1234).subarray(before, before + values.length);
    samples.set(values);
    const bytes = encodePcm16(samples);
    const expected = new Uint8Array(2 * values.length);
    const view = new DataView(expected.buffer);
    values.forEach((value, i) => view.setInt16(2 * i, value, true));
    assertEquals(bytes, expected);
    samples.fill(0);
    assertEquals(bytes, expected);
  }));
});

Deno.test("pcm16: every sample comes back", () => {
  const samples = Int16Array.from({ length: 65536 }, (_, i) => i - 32768);
  assertEquals(decodePcm16(encodePcm16(samples)), samples);
});
