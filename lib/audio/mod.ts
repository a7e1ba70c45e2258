/**
 * The public face of `lib/audio`: what can be done to the bytes of a call's audio.
 *
 * The whole room is pure functions that import nothing but each other: no I/O, no `Deno`, no other
 * room of lib.
 */

export { extractChannels } from "./channels.ts";
export { decodeMulaw, encodeMulaw, MULAW_SILENCE } from "./mulaw.ts";
export { decodePcm16, encodePcm16 } from "./pcm16.ts";
export {
  createWavHeader,
  type ParsedWav,
  parseWav,
  type WavEncoding,
  type WavFormat,
  WavFormatError,
  wavHeaderBytes,
  wavPaddingBytes,
} from "./wav.ts";
