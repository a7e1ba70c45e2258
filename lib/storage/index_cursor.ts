/**
 * Where a page of the index ends, as a text that is handed out and comes back. It is sealed together
 * with the filter: whatever comes that was not handed out for this very filter is recognised.
 *
 * Imports its neighbours.
 */
import type { IndexKeys } from "./index_keys.ts";
import { placeOf } from "./recording_id.ts";
import { InvalidCursorError, type RecordingFilter } from "./recording_index.ts";

const SEAL_BYTES = 16;
const TIME_BYTES = 8;
/** Longer is none: an id has at most 84 characters. */
const MAX_CHARS = 200;

/** The recording that a page ends with. */
export interface PageEnd {
  readonly startedMs: number;
  readonly id: string;
}

/** The text of a page's end. */
export function cursorOf(keys: IndexKeys, filter: RecordingFilter, end: PageEnd): string {
  const id = new TextEncoder().encode(end.id);
  const bytes = new Uint8Array(SEAL_BYTES + TIME_BYTES + id.length);
  bytes.set(sealOf(keys, filter, end));
  new DataView(bytes.buffer).setFloat64(SEAL_BYTES, end.startedMs);
  bytes.set(id, SEAL_BYTES + TIME_BYTES);
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * The page's end that a text says.
 *
 * @throws {InvalidCursorError} If it was not made for this filter, with this key.
 */
export function pageEndOf(keys: IndexKeys, filter: RecordingFilter, cursor: string): PageEnd {
  const bytes = bytesOf(cursor);
  if (bytes !== undefined && bytes.length > SEAL_BYTES + TIME_BYTES) {
    const startedMs = new DataView(bytes.buffer).getFloat64(SEAL_BYTES);
    const id = new TextDecoder().decode(bytes.subarray(SEAL_BYTES + TIME_BYTES));
    const end = { startedMs, id };
    // The whole text: a decoder takes several texts for the same bytes.
    if (placeOf(id) !== undefined && cursorOf(keys, filter, end) === cursor) return end;
  }
  throw new InvalidCursorError(
    "The cursor is none: expected that of the page before, with the same filter",
  );
}

function bytesOf(cursor: string): Uint8Array<ArrayBuffer> | undefined {
  // The decoder is lenient in what no cursor has.
  if (cursor.length > MAX_CHARS || !/^[\w-]+$/.test(cursor)) return undefined;
  try {
    return Uint8Array.fromBase64(cursor, { alphabet: "base64url", lastChunkHandling: "loose" });
  } catch {
    return undefined;
  }
}

function sealOf(keys: IndexKeys, filter: RecordingFilter, { startedMs, id }: PageEnd): Uint8Array {
  const { fromMs, toMs, conversationId, organizationId, participant, state } = filter;
  const parts = [
    ...[keys.generation, startedMs, id, fromMs, toMs],
    ...[conversationId?.toLowerCase(), organizationId?.toLowerCase(), participant, state],
  ];
  return keys.seal(JSON.stringify(parts.map((part) => part ?? null))).subarray(0, SEAL_BYTES);
}
