/**
 * The last of a recording on its way to the thread that writes it.
 *
 * An `ArrayBuffer` travels in microseconds. An array on top of it takes Deno a millisecond for each
 * 12 kB. Imports types only.
 */
import type { FilePart, RecordingEnding } from "./recording_store.ts";

/** A {@link RecordingEnding} whose bytes are in one buffer. */
export interface PackedEnding {
  /** The header and the rest of the audio, then the messages. */
  readonly bytes: ArrayBuffer;
  /** `undefined` for a recording without audio. */
  readonly audio: {
    readonly headerBytes: number;
    readonly restBytes: number;
    /** Place of the rest in its file. */
    readonly restOffset: number;
  } | undefined;
  /** Place of the messages in their file. */
  readonly messagesOffset: number;
  readonly metadata: string;
}

/** Copies what is to be written. */
export function packEnding({ audio, messages, metadata }: RecordingEnding): PackedEnding {
  const parts = [...(audio === undefined ? [] : [audio.header, audio.rest.bytes]), messages.bytes];
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return {
    bytes: bytes.buffer,
    audio: audio && {
      headerBytes: audio.header.length,
      restBytes: audio.rest.bytes.length,
      restOffset: audio.rest.offset,
    },
    messagesOffset: messages.offset,
    metadata,
  };
}

/** What was packed; its bytes are views on the buffer. */
export function unpackEnding(packed: PackedEnding): RecordingEnding {
  const { bytes, audio, messagesOffset, metadata } = packed;
  const { headerBytes, restBytes, restOffset } = audio ??
    { headerBytes: 0, restBytes: 0, restOffset: 0 };
  const rest: FilePart = {
    offset: restOffset,
    bytes: new Uint8Array(bytes, headerBytes, restBytes),
  };
  return {
    audio: audio && { header: new Uint8Array(bytes, 0, headerBytes), rest },
    messages: { offset: messagesOffset, bytes: new Uint8Array(bytes, headerBytes + restBytes) },
    metadata,
  };
}
