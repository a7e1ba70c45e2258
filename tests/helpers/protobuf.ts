/**
 * As much of Protocol Buffers as KV Connect needs: numbers and bytes by the numbers of their fields
 * (protobuf.dev/programming-guides/encoding).
 *
 * Imports nothing.
 */

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

/** A message that was read: all values of each field, in order. */
export class ProtobufMessage {
  readonly #numbers = new Map<number, bigint[]>();
  readonly #bytes = new Map<number, Uint8Array<ArrayBuffer>[]>();

  /** @throws {RangeError} If it is none. */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    let at = 0;
    const varint = () => {
      let value = 0n;
      for (let shift = 0n; shift < 70n; shift += 7n) {
        const byte = bytes[at++];
        if (byte === undefined) throw new RangeError("Expected more of a number");
        value |= BigInt(byte & 0x7f) << shift;
        if (byte < 0x80) return BigInt.asUintN(64, value);
      }
      throw new RangeError("Expected a number of 64 bits");
    };
    const take = (length: number) => {
      if (at + length > bytes.length) throw new RangeError("Expected more bytes");
      return bytes.subarray(at, at += length);
    };
    while (at < bytes.length) {
      const tag = Number(varint());
      const field = tag >> 3;
      const type = tag & 7;
      if (type === VARINT) add(this.#numbers, field, varint());
      else if (type === BYTES) add(this.#bytes, field, take(Number(varint())));
      else if (type === FIXED_64) take(8);
      else if (type === FIXED_32) take(4);
      else throw new RangeError(`Expected no wire type ${type}`);
    }
  }

  /** A number; 0 if it is not there. */
  number(field: number): number {
    return Number(BigInt.asIntN(64, this.#numbers.get(field)?.at(-1) ?? 0n));
  }

  /** Bytes; none if they are not there. */
  bytes(field: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.get(field)?.at(-1) ?? new Uint8Array(0);
  }

  /** Messages in a message. */
  messages(field: number): ProtobufMessage[] {
    return (this.#bytes.get(field) ?? []).map((bytes) => new ProtobufMessage(bytes));
  }
}

/** What a field is written from: a number, bytes, or several of them. */
export type ProtobufValue = number | Uint8Array | readonly (number | Uint8Array)[];

/** Writes a message, by the numbers of its fields. */
export function protobuf(fields: Readonly<Record<number, ProtobufValue>>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [field, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one === "number") parts.push(varint(Number(field) << 3 | VARINT), varint(one));
      else parts.push(varint(Number(field) << 3 | BYTES), varint(one.length), one);
    }
  }
  const message = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/** @param value Not negative. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 | 0x80);
  return Uint8Array.from([...bytes, value]);
}

function add<T>(map: Map<number, T[]>, field: number, value: T): void {
  const values = map.get(field);
  if (values === undefined) map.set(field, [value]);
  else values.push(value);
}
