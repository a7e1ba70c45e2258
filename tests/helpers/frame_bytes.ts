/**
 * A frame of a WebSocket by hand (RFC 6455, section 5.2), right or wrong.
 */
const encoder = new TextEncoder();

/** How a frame is made; what is absent is as it should be. */
export interface FrameShape {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  /** Whether it is the last of its message. */
  readonly fin?: boolean;
  /** The three reserved bits, as a number. */
  readonly rsv?: number;
  readonly masked?: boolean;
  /** What the head says, in place of the payload's length. */
  readonly length?: bigint;
  /** How the head says it: 1, 2 or 8 bytes; the least that it takes unless given. */
  readonly lengthBytes?: 1 | 2 | 8;
}

/** A frame, right or wrong. The mask is of zeros, which leave the payload as it is. */
export function frameBytes(shape: FrameShape): Uint8Array<ArrayBuffer> {
  const { opcode, fin = true, rsv = 0, masked = true } = shape;
  const payload = typeof shape.payload === "string"
    ? encoder.encode(shape.payload)
    : shape.payload ?? new Uint8Array();
  const length = shape.length ?? BigInt(payload.length);
  const { lengthBytes = length < 126n ? 1 : length < 65_536n ? 2 : 8 } = shape;
  const headBytes = 1 + (lengthBytes === 1 ? 1 : 1 + lengthBytes) + (masked ? 4 : 0);
  const bytes = new Uint8Array(headBytes + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
  const maskBit = masked ? 0x80 : 0;
  if (lengthBytes === 1) {
    bytes[1] = maskBit | Number(length);
  } else if (lengthBytes === 2) {
    bytes[1] = maskBit | 126;
    view.setUint16(2, Number(length));
  } else {
    bytes[1] = maskBit | 127;
    view.setBigUint64(2, length);
  }
  bytes.set(payload, headBytes);
  return bytes;
}
