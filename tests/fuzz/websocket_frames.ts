/**
 * Frames of a WebSocket as bytes: valid ones, and those that no client should send.
 */
import { AUDIO_SIZES, pick, TEXTS } from "./hostile_values.ts";
import type { Edit } from "./mutations.ts";

const encoder = new TextEncoder();
const MASK = [0x37, 0xfa, 0x21, 0x3d] as const;

interface FrameParts {
  first: number;
  payload: Uint8Array;
  isMasked: boolean;
  /** What the frame says of its length. */
  length: bigint;
  /** Bytes of the field of the length; 0 for the 7 bits. */
  lengthBytes: 0 | 2 | 8;
}

function bytesOf({ first, payload, isMasked, length, lengthBytes }: FrameParts): Uint8Array {
  const code = lengthBytes === 0 ? Number(length & 0x7fn) : lengthBytes === 2 ? 126 : 127;
  const head = [first, (isMasked ? 0x80 : 0) | code];
  for (let shift = 8 * (lengthBytes - 1); shift >= 0; shift -= 8) {
    head.push(Number((length >> BigInt(shift)) & 0xffn));
  }
  if (isMasked) head.push(...MASK);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  for (let i = 0; i < payload.length; i++) {
    bytes[head.length + i] = (payload[i] ?? 0) ^ (isMasked ? MASK[i % 4] ?? 0 : 0);
  }
  return bytes;
}

function frame(opcode: number, payload: Uint8Array): FrameParts {
  return {
    first: 0x80 | opcode,
    payload,
    isMasked: true,
    length: BigInt(payload.length),
    lengthBytes: payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8,
  };
}

/** A text frame, as it should be. */
export function textFrame(text: string): Uint8Array {
  return bytesOf(frame(1, encoder.encode(text)));
}

/** A binary frame, as it should be. */
export function binaryFrame(size: number): Uint8Array {
  return bytesOf(frame(2, new Uint8Array(size).fill(0xff)));
}

const LENGTHS = [0n, 1n, 125n, 65_535n, 65_536n, 2n ** 31n, 2n ** 32n, 2n ** 62n, 2n ** 64n - 1n];
const CLOSE_CODES = [1000, 0, 999, 1005, 1006, 1015, 2999, 4999, 65_535];

/** Invalid UTF-8: cut off, too long, a surrogate, beyond Unicode. */
const BAD_UTF8 = [[0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff]];

/** Changes a text frame, or puts something before it; `undefined` to cut the stream here. */
export function mutatedFrame(text: string, { how, at, to, size }: Edit): Uint8Array {
  const parts = frame(1, encoder.encode(text));
  const whole = (...frames: Uint8Array[]) => new Uint8Array(frames.flatMap((bytes) => [...bytes]));
  switch (how % 16) {
    case 0:
      return bytesOf({ ...parts, first: at % 256 });
    case 1:
      return bytesOf({ ...parts, isMasked: false });
    case 2:
      return bytesOf({ ...parts, length: pick(LENGTHS, to), lengthBytes: pick([0, 2, 8], size) });
    case 3:
      return bytesOf({ ...parts, lengthBytes: 8 });
    case 4: {
      // In fragments, with a ping between them.
      const cut = at % (parts.payload.length + 1);
      const begin = { ...frame(1, parts.payload.slice(0, cut)), first: 0x01 };
      const rest = frame(0, parts.payload.slice(cut));
      return whole(bytesOf(begin), bytesOf(frame(9, new Uint8Array(to % 130))), bytesOf(rest));
    }
    case 5:
      return bytesOf({ ...parts, first: 0x01 });
    case 6:
      return whole(bytesOf(frame(pick([9, 10], to), new Uint8Array(size % 130))), bytesOf(parts));
    case 7: {
      const code = pick(CLOSE_CODES, to);
      const payload = size % 4 === 0
        ? new Uint8Array(size % 5)
        : whole(new Uint8Array([code >> 8, code & 0xff]), encoder.encode(pick(TEXTS, at)));
      return bytesOf(frame(8, payload));
    }
    case 8:
      return bytesOf(frame(1, new Uint8Array([...parts.payload, ...pick(BAD_UTF8, to)])));
    case 9:
      return bytesOf(parts).slice(0, at % (parts.payload.length + 6));
    case 10: {
      const bytes = bytesOf(parts);
      const index = at % bytes.length;
      bytes[index] = (bytes[index] ?? 0) ^ (1 << to % 8);
      return bytes;
    }
    case 11:
      return bytesOf(frame(2, new Uint8Array(pick(AUDIO_SIZES, to))));
    case 12:
      return bytesOf(frame(1, encoder.encode("x".repeat(pick([0, 65_535, 65_536, 300_000], to)))));
    case 13:
      return bytesOf({ ...parts, first: 0xc1 });
    default:
      return bytesOf(frame(1, encoder.encode(pick(TEXTS, to))));
  }
}
