import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decodeMulaw, encodeMulaw, MULAW_SILENCE } from "../../lib/audio/mod.ts";

/**
 * The eight segments of G.711's table 2, in its 14-bit units: where each begins, and how wide its 16
 * intervals are. The first begins at -1, so that the interval around zero is 0 to 1 for each sign.
 */
const SEGMENTS = [
  { begin: -1, step: 2 },
  { begin: 31, step: 4 },
  { begin: 95, step: 8 },
  { begin: 223, step: 16 },
  { begin: 479, step: 32 },
  { begin: 991, step: 64 },
  { begin: 2015, step: 128 },
  { begin: 4063, step: 256 },
] as const;

/** G.711 by the book: find the segment, then the interval in it. Codes count down from 0xFF. */
function referenceEncode(sample: number): number {
  const magnitude = Math.abs(sample) / 4;
  const segment = SEGMENTS.findLastIndex(({ begin }) => magnitude >= begin);
  const { begin, step } = SEGMENTS[segment] ?? SEGMENTS[0];
  const interval = Math.min(15, Math.floor((magnitude - begin) / step));
  return (sample < 0 ? 0x7F : 0xFF) - (16 * segment + interval);
}

/** The middle of the interval which the code stands for. */
function referenceDecode(code: number): number {
  const position = (code & 0x80 ? 0xFF : 0x7F) - code;
  const { begin, step } = SEGMENTS[position >> 4] ?? SEGMENTS[0];
  const magnitude = 4 * (begin + step * (position & 0x0F) + step / 2);
  return code & 0x80 ? magnitude : 0 - magnitude;
}

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const ALL_SAMPLES = Int16Array.from({ length: 65536 }, (_, i) => i - 32768);

Deno.test("mulaw: silence decodes to 0", () => {
  assertEquals(decodeMulaw(Uint8Array.of(MULAW_SILENCE)), Int16Array.of(0));
});

Deno.test("mulaw: zero encodes to silence", () => {
  assertEquals(encodeMulaw(Int16Array.of(0)), Uint8Array.of(MULAW_SILENCE));
});

Deno.test("mulaw: the values printed in G.711 decode as printed", () => {
  // Table 2a/G.711, character signal → value at the decoder output (14 bits, hence times 4).
  const printed = [
    [0x80, 8031],
    [0x8F, 4191],
    [0x9F, 2079],
    [0xAF, 1023],
    [0xBF, 495],
    [0xCF, 231],
    [0xDF, 99],
    [0xEF, 33],
    [0xFE, 2],
    [0xFF, 0],
  ] as const;
  for (const [code, value] of printed) {
    assertEquals(decodeMulaw(Uint8Array.of(code)), Int16Array.of(4 * value));
    assertEquals(decodeMulaw(Uint8Array.of(code & 0x7F)), Int16Array.of(-4 * value));
  }
});

Deno.test("mulaw: byte 0x00 is full-scale negative, not silence", () => {
  assertEquals(decodeMulaw(Uint8Array.of(0x00)), Int16Array.of(-32124));
});

Deno.test("mulaw: every byte decodes as in the reference", () => {
  assertEquals(decodeMulaw(ALL_BYTES), Int16Array.from(ALL_BYTES, referenceDecode));
});

Deno.test("mulaw: every 16-bit sample encodes as in the reference", () => {
  assertEquals(encodeMulaw(ALL_SAMPLES), Uint8Array.from(ALL_SAMPLES, referenceEncode));
});

Deno.test("mulaw: samples on both sides of a decision value encode differently", () => {
  // 124 begins the second segment; 4 is where the interval around zero ends.
  assertEquals(
    encodeMulaw(Int16Array.of(3, 4, 123, 124, -1, -3, -4, -123, -124)),
    Uint8Array.of(0xFF, 0xFE, 0xF0, 0xEF, 0x7F, 0x7F, 0x7E, 0x70, 0x6F),
  );
});

Deno.test("mulaw: samples beyond the clip encode as full scale", () => {
  assertEquals(
    encodeMulaw(Int16Array.of(32635, 32767, -32635, -32768)),
    Uint8Array.of(0x80, 0x80, 0x00, 0x00),
  );
});

Deno.test("mulaw: decoding and encoding gives back every byte but the negative zero", () => {
  const expected = ALL_BYTES.map((byte) => byte === 0x7F ? 0xFF : byte);
  assertEquals(encodeMulaw(decodeMulaw(ALL_BYTES)), expected);
});

Deno.test("mulaw: encoding is monotonic, louder never decodes as quieter", () => {
  const decoded = decodeMulaw(encodeMulaw(ALL_SAMPLES));
  assertEquals(decoded, decoded.toSorted());
  assertEquals(new Set(decoded).size, 255); // 256 codes, two of them zero
});

Deno.test("mulaw: nothing decodes and encodes to nothing", () => {
  assertEquals(decodeMulaw(new Uint8Array(0)), new Int16Array(0));
  assertEquals(encodeMulaw(new Int16Array(0)), new Uint8Array(0));
});

Deno.test("mulaw: views into a larger buffer are decoded and encoded alone", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.nat(7), (bytes, before) => {
    const buffer = new Uint8Array(before + bytes.length + 3).fill(0x55);
    buffer.set(bytes, before);
    const decoded = decodeMulaw(buffer.subarray(before, before + bytes.length));
    assertEquals(decoded, Int16Array.from(bytes, referenceDecode));

    const samples = new Int16Array(before + decoded.length + 3).fill(1234);
    samples.set(decoded, before);
    const encoded = encodeMulaw(samples.subarray(before, before + decoded.length));
    assertEquals(encoded, Uint8Array.from(decoded, referenceEncode));
  }));
});

Deno.test("mulaw: an output of the right length is filled and returned itself", () => {
  const samples = new Int16Array(2);
  assertStrictEquals(decodeMulaw(Uint8Array.of(0x80, 0x00), samples), samples);
  assertEquals(samples, Int16Array.of(32124, -32124));

  const bytes = new Uint8Array(2);
  assertStrictEquals(encodeMulaw(samples, bytes), bytes);
  assertEquals(bytes, Uint8Array.of(0x80, 0x00));
});

Deno.test("mulaw: of a longer output only the beginning is written and returned", () => {
  const samples = new Int16Array(4).fill(7);
  const decoded = decodeMulaw(Uint8Array.of(0x80, 0x00), samples);
  assertEquals(decoded, Int16Array.of(32124, -32124));
  assertStrictEquals(decoded.buffer, samples.buffer);
  assertEquals(samples, Int16Array.of(32124, -32124, 7, 7));

  const bytes = new Uint8Array(4).fill(7);
  const encoded = encodeMulaw(decoded, bytes);
  assertEquals(encoded, Uint8Array.of(0x80, 0x00));
  assertStrictEquals(encoded.buffer, bytes.buffer);
  assertEquals(bytes, Uint8Array.of(0x80, 0x00, 7, 7));
});

Deno.test("mulaw: an output that is too short is refused", () => {
  const message = "Output is too short for 3 samples: it has room for 2";
  assertThrows(() => decodeMulaw(new Uint8Array(3), new Int16Array(2)), RangeError, message);
  assertThrows(() => encodeMulaw(new Int16Array(3), new Uint8Array(2)), RangeError, message);
});

/** Bytes of any length, an odd one too, at any offset in a buffer that may be shared. */
const anyBytes = fc.record({
  bytes: fc.uint8Array({ maxLength: 70 }),
  offset: fc.nat(9),
  isShared: fc.boolean(),
}).map(({ bytes, offset, isShared }) => {
  const size = offset + bytes.length + 3;
  const view = new Uint8Array(isShared ? new SharedArrayBuffer(size) : new ArrayBuffer(size)).fill(
    0x55,
  );
  view.set(bytes, offset);
  return view.subarray(offset, offset + bytes.length);
});

/** Room for samples in the middle of a buffer that may be shared, filled with a mark. */
function markedSamples(length: number, before: number, isShared: boolean): Int16Array {
  const size = 2 * (before + length + 1);
  return new Int16Array(isShared ? new SharedArrayBuffer(size) : new ArrayBuffer(size)).fill(1234);
}

Deno.test("mulaw: any bytes decode as in the reference, into a new array and into a given one", () => {
  fc.assert(
    fc.property(anyBytes, fc.nat(5), fc.nat(9), fc.boolean(), (bytes, before, more, isShared) => {
      const expected = Int16Array.from(bytes, referenceDecode);
      assertEquals(decodeMulaw(bytes), expected);

      const all = markedSamples(bytes.length + more, before, isShared);
      const decoded = decodeMulaw(bytes, all.subarray(before, before + bytes.length + more));
      assertEquals(decoded.byteOffset, 2 * before);
      assertEquals([...decoded], [...expected]);
      assertStrictEquals(decoded.buffer, all.buffer);
      const around = [...all.subarray(0, before), ...all.subarray(before + bytes.length)];
      assertEquals(around, new Array(before + more + 1).fill(1234));
    }),
  );
});

Deno.test("mulaw: any samples encode as in the reference, into a new array and into a given one", () => {
  const anySamples = fc.int16Array({ maxLength: 70 });
  fc.assert(
    fc.property(
      anySamples,
      fc.nat(5),
      fc.nat(9),
      fc.boolean(),
      (values, before, more, isShared) => {
        const all = markedSamples(values.length, before, isShared);
        const samples = all.subarray(before, before + values.length);
        samples.set(values);
        const expected = Uint8Array.from(values, referenceEncode);
        assertEquals(encodeMulaw(samples), expected);

        const room = before + values.length + more;
        const bytes = new Uint8Array(isShared ? new SharedArrayBuffer(room) : new ArrayBuffer(room))
          .fill(0x55);
        const encoded = encodeMulaw(samples, bytes.subarray(before));
        assertStrictEquals(encoded.buffer, bytes.buffer);
        assertEquals(encoded.byteOffset, before);
        assertEquals([...encoded], [...expected]);
        const around = [...bytes.subarray(0, before), ...bytes.subarray(before + values.length)];
        assertEquals(around, new Array(before + more).fill(0x55));
      },
    ),
  );
});

Deno.test("mulaw: every byte decodes alike at every place among eight, and after them", () => {
  for (let place = 0; place < 12; place++) {
    for (let byte = 0; byte < 256; byte++) {
      const bytes = new Uint8Array(12).fill(MULAW_SILENCE);
      bytes[place] = byte;
      assertEquals(decodeMulaw(bytes)[place], referenceDecode(byte));
    }
  }
});
