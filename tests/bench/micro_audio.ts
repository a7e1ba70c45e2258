/**
 * What apps do to audio: pick channels, decode µ-law, encode it. The audio is that of a real call,
 * frame by frame, because tables are as fast as what is used of them fits into the cache.
 */
import { assertEquals } from "@std/assert";
import {
  decodeMulaw,
  decodePcm16,
  encodeMulaw,
  encodePcm16,
  extractChannels,
  parseWav,
} from "../../lib/audio/mod.ts";
import { CALL_WAV } from "../helpers/program.ts";
import { benchmark, type BenchmarkGroup } from "./measure.ts";

/** 100 ms of stereo. */
const FRAME_BYTES = 1600;

/** What µ-law bytes mean, written down once more: for the baseline, and to check the results. */
const LINEAR: Int16Array = Int16Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte;
  const magnitude = (((code & 0x0F) * 8 + 132) << (code >> 4 & 0x07)) - 132;
  return code & 0x80 ? -magnitude : magnitude;
});

/** The byte of each sample, by the sample as an unsigned number. */
const MULAW: Uint8Array = encodeMulaw(Int16Array.from({ length: 65536 }, (_, i) => i));

/** The frames of a call, copied to where each has a buffer of its own, as from a socket. */
async function readFrames(): Promise<Uint8Array[]> {
  const { data } = parseWav(await Deno.readFile(CALL_WAV));
  const count = Math.floor(data.length / FRAME_BYTES);
  return Array.from(
    { length: count },
    (_, i) => data.slice(i * FRAME_BYTES, (i + 1) * FRAME_BYTES),
  );
}

/** Takes turns: the element of an array that never ends. */
function turns<T>(values: readonly T[]): (index: number) => T {
  return (index) => values[index % values.length] as T;
}

/** The groups: split, decode, encode, and 16-bit PCM. */
export async function audioGroups(): Promise<BenchmarkGroup[]> {
  const frames = await readFrames();
  const linear = frames.map((frame) => Int16Array.from(frame, (byte) => LINEAR[byte] ?? NaN));
  return [splitGroup(frames), decodeGroup(frames, linear), encodeGroup(linear), pcm16Group(linear)];
}

function splitGroup(frames: readonly Uint8Array[]): BenchmarkGroup {
  const frame = turns(frames);
  const copy = new Uint8Array(FRAME_BYTES);
  const channel = (index: number, channelIndex: number) =>
    frame(index).filter((_, i) => i % 2 === channelIndex);
  return {
    title: "Channels of a stereo µ-law frame (1,600 bytes)",
    inputBytes: FRAME_BYTES,
    benchmarks: [
      benchmark({
        what: "baseline: all bytes copied by `set`",
        run(index) {
          copy.set(frame(index));
          return copy;
        },
        check: (result, index) => assertEquals(result, frame(index)),
      }),
      benchmark({
        what: "baseline: all bytes copied to a new array",
        run: (index) => frame(index).slice(),
        check: (result, index) => assertEquals(result, frame(index)),
      }),
      benchmark({
        what: "one channel",
        run: (index) => extractChannels(frame(index), 2, [1], 1),
        check: (result, index) => assertEquals(result, channel(index, 1)),
      }),
      benchmark({
        what: "both channels, one after the other",
        run: (index) => [
          extractChannels(frame(index), 2, [0], 1),
          extractChannels(frame(index), 2, [1], 1),
        ],
        check: (result, index) => assertEquals(result, [channel(index, 0), channel(index, 1)]),
      }),
    ],
  };
}

function decodeGroup(
  frames: readonly Uint8Array[],
  linear: readonly Int16Array[],
): BenchmarkGroup {
  const frame = turns(frames);
  const expected = turns(linear);
  const check = (result: Int16Array, index: number) => assertEquals(result, expected(index));
  const out = new Int16Array(FRAME_BYTES);
  const copy = new Uint8Array(FRAME_BYTES);
  return {
    title: "µ-law to PCM, a frame of 1,600 bytes",
    inputBytes: FRAME_BYTES,
    benchmarks: [
      benchmark({
        what: "baseline: bytes copied by `set`",
        run(index) {
          copy.set(frame(index));
          return copy;
        },
        check: (result, index) => assertEquals(result, frame(index)),
      }),
      benchmark({
        what: "baseline: a plain loop over a table, into a given array",
        run(index) {
          const bytes = frame(index);
          for (let i = 0; i < bytes.length; i++) out[i] = LINEAR[bytes[i] as number] as number;
          return out;
        },
        check,
      }),
      benchmark({
        what: "into a given array",
        run: (index) => decodeMulaw(frame(index), out),
        check,
      }),
      benchmark({
        what: "baseline: a new array, of zeros",
        run: () => new Int16Array(FRAME_BYTES),
        check: (result) => assertEquals(result.length, FRAME_BYTES),
      }),
      benchmark({
        what: "into a new array",
        run: (index) => decodeMulaw(frame(index)),
        check,
      }),
      benchmark({
        what: "one channel of it, into a new array",
        run: (index) => decodeMulaw(extractChannels(frame(index), 2, [0], 1)),
        check: (result, index) =>
          assertEquals(result, expected(index).filter((_, i) => i % 2 === 0)),
      }),
    ],
  };
}

function encodeGroup(linear: readonly Int16Array[]): BenchmarkGroup {
  const samples = turns(linear);
  const expected = turns(linear.map((each) => Uint8Array.from(each, byteOf)));
  const check = (result: Uint8Array, index: number) => assertEquals(result, expected(index));
  const out = new Uint8Array(FRAME_BYTES);
  const copy = new Int16Array(FRAME_BYTES);
  return {
    title: "PCM to µ-law, 1,600 samples (3,200 bytes)",
    inputBytes: 2 * FRAME_BYTES,
    benchmarks: [
      benchmark({
        what: "baseline: samples copied by `set`",
        run(index) {
          copy.set(samples(index));
          return copy;
        },
        check: (result, index) => assertEquals(result, samples(index)),
      }),
      benchmark({
        what: "baseline: a plain loop over a table, into a given array",
        run(index) {
          const from = samples(index);
          for (let i = 0; i < from.length; i++) {
            out[i] = MULAW[(from[i] as number) & 0xFFFF] as number;
          }
          return out;
        },
        check,
      }),
      benchmark({
        what: "into a given array",
        run: (index) => encodeMulaw(samples(index), out),
        check,
      }),
      benchmark({
        what: "into a new array",
        run: (index) => encodeMulaw(samples(index)),
        check,
      }),
    ],
  };
}

/** The byte of a sample which is exactly what a byte means. Of two zeros, it is the positive one. */
function byteOf(sample: number): number {
  return LINEAR.lastIndexOf(sample);
}

function pcm16Group(linear: readonly Int16Array[]): BenchmarkGroup {
  const samples = turns(linear);
  const bytes = turns(linear.map(bytesOf));
  const copy = new Uint8Array(2 * FRAME_BYTES);
  return {
    title: "L16, 1,600 samples (3,200 bytes)",
    inputBytes: 2 * FRAME_BYTES,
    benchmarks: [
      benchmark({
        what: "baseline: bytes copied by `set`",
        run(index) {
          copy.set(bytes(index));
          return copy;
        },
        check: (result, index) => assertEquals(result, bytes(index)),
      }),
      benchmark({
        what: "bytes to samples, in a new array",
        run: (index) => decodePcm16(bytes(index)),
        check: (result, index) => assertEquals(result, samples(index)),
      }),
      benchmark({
        what: "samples to bytes, in a new array",
        run: (index) => encodePcm16(samples(index)),
        check: (result, index) => assertEquals(result, bytes(index)),
      }),
    ],
  };
}

/** Samples as bytes, the low one first. */
function bytesOf(samples: Int16Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  samples.forEach((sample, i) => view.setInt16(2 * i, sample, true));
  return new Uint8Array(view.buffer);
}
