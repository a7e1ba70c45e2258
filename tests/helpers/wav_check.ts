/**
 * WAV files read by hand, byte for byte, without lib's parser, and with it.
 */
import { assert, assertEquals } from "@std/assert";
import { parseWav } from "../../lib/audio/mod.ts";

/** What a WAV file should hold. */
export interface ExpectedWav {
  readonly format: "PCMU" | "L16";
  readonly channels: 1 | 2;
  readonly data: Uint8Array;
}

/** Checks a whole file: each byte of its header, its audio, its padding, and its end. */
export function assertWav(
  file: Uint8Array<ArrayBuffer> | undefined,
  expected: ExpectedWav,
): void {
  assert(file !== undefined, "there is an audio file");
  const { format, channels, data } = expected;
  const isMulaw = format === "PCMU";
  const sampleBytes = isMulaw ? 1 : 2;
  const headerBytes = isMulaw ? 58 : 44;
  const padding = data.length % 2;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const word = (at: number) => String.fromCharCode(...file.subarray(at, at + 4));

  assertEquals(file.length, headerBytes + data.length + padding, "length of the file");
  assertEquals(word(0), "RIFF");
  assertEquals(view.getUint32(4, true), file.length - 8, "RIFF size");
  assertEquals(word(8), "WAVE");
  assertEquals(word(12), "fmt ");
  assertEquals(view.getUint32(16, true), isMulaw ? 18 : 16, "fmt size");
  assertEquals(view.getUint16(20, true), isMulaw ? 7 : 1, "format tag");
  assertEquals(view.getUint16(22, true), channels, "channels");
  assertEquals(view.getUint32(24, true), 8000, "rate");
  assertEquals(view.getUint32(28, true), 8000 * channels * sampleBytes, "bytes per second");
  assertEquals(view.getUint16(32, true), channels * sampleBytes, "block align");
  assertEquals(view.getUint16(34, true), sampleBytes * 8, "bits per sample");
  if (isMulaw) {
    assertEquals(view.getUint16(36, true), 0, "cbSize");
    assertEquals(word(38), "fact");
    assertEquals(view.getUint32(42, true), 4, "fact size");
    assertEquals(view.getUint32(46, true), data.length / channels, "fact samples");
  }
  assertEquals(word(headerBytes - 8), "data");
  assertEquals(view.getUint32(headerBytes - 4, true), data.length, "data size");
  assertSameBytes(file.subarray(headerBytes, headerBytes + data.length), data);
  if (padding === 1) assertEquals(file.at(-1), 0, "padding byte");

  const parsed = parseWav(file);
  assertEquals(parsed.format, { encoding: format, channelCount: channels, rate: 8000 });
  assertSameBytes(parsed.data, data);
}

/** Like `assertEquals`, in no time, and telling where. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.length, expected.length, "number of bytes");
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  if (at < 0) return;
  assertEquals(
    { at, bytes: [...actual.subarray(at, at + 16)] },
    { at, bytes: [...expected.subarray(at, at + 16)] },
  );
}

/** Joins bytes. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Audio that differs from byte to byte and from seed to seed, so that no swap goes unseen. */
export function noise(bytes: number, seed = 1): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(bytes);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    result[i] = state >>> 24;
  }
  return result;
}

/** Silence of so many bytes. */
export function silence(bytes: number, byte = 0xFF): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes).fill(byte);
}
