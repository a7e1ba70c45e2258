/** WAV files for calls: those that can be said, and those that cannot. */
import { createWavHeader, type WavEncoding, wavPaddingBytes } from "../../lib/audio/mod.ts";

/** A whole file. */
export function wavFile(
  encoding: WavEncoding,
  channelCount: number,
  data: Uint8Array,
  rate = 8000,
): Uint8Array<ArrayBuffer> {
  const header = createWavHeader({ encoding, channelCount, rate }, data.length);
  const file = new Uint8Array(header.length + data.length + wavPaddingBytes(data.length));
  file.set(header);
  file.set(data, header.length);
  return file;
}

/** 8-bit linear PCM, which nobody takes. */
export function pcm8File(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const file = wavFile("L16", 1, data);
  const view = new DataView(file.buffer);
  view.setUint32(28, 8000, true);
  view.setUint16(32, 1, true);
  view.setUint16(34, 8, true);
  return file;
}

/** µ-law bytes that are all different from their neighbours, and never silence. */
export function someMulaw(bytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8)) % 255);
}

/** 16-bit linear samples, little-endian, over the whole range. */
export function somePcm16(samples: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(samples * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < samples; i++) {
    view.setInt16(i * 2, Math.round(32_767 * Math.sin(i * i / 1000)), true);
  }
  return bytes;
}

/** One sample by G.711, written from the standard's description and not from lib. */
export function mulawOf(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32_635) + 132;
  let exponent = 7;
  while (exponent > 0 && (magnitude & (0x80 << exponent)) === 0) exponent--;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

/** 16-bit little-endian bytes as µ-law. */
export function mulawBytes(pcm16: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(pcm16.buffer, pcm16.byteOffset, pcm16.byteLength);
  return Uint8Array.from(
    { length: pcm16.length / 2 },
    (_, i) => mulawOf(view.getInt16(i * 2, true)),
  );
}

/** One channel of interleaved samples. */
export function channelOf(
  data: Uint8Array,
  channel: number,
  channelCount: number,
  sampleBytes = 1,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: data.length / channelCount }, (_, i) => {
    const sample = Math.floor(i / sampleBytes);
    return data[(sample * channelCount + channel) * sampleBytes + i % sampleBytes] ?? 0;
  });
}
