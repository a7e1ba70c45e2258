/**
 * A recording that tests make in object storage: what its call is, and how it ends.
 */
import { createWavHeader } from "../../../lib/audio/mod.ts";
import type { RecordedCall, RecordingEnding } from "../../../lib/storage/mod.ts";

export const DAY = "2026-01-31";
export const SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
export const FORMAT = { encoding: "PCMU", channelCount: 2, rate: 8000 } as const;

const bytes = (text: string) => new TextEncoder().encode(text);

/** The call of a session. */
export function callOf(sessionId: string): RecordedCall {
  return {
    version: 1,
    sessionId,
    organizationId: SESSION,
    conversationId: SESSION,
    participant: { id: SESSION, ani: "+1", aniName: "", dnis: "+2" },
    media: { format: "PCMU", channels: ["external", "internal"], rate: 8000 },
    startedAt: "2026-01-31T10:00:00.000Z",
  };
}

/** First line of the message log: what the call is. */
export function firstLineOf(sessionId: string): Uint8Array<ArrayBuffer> {
  const call = callOf(sessionId);
  return bytes(JSON.stringify({ time: call.startedAt, position: "PT0S", call }) + "\n");
}

/** That of {@link SESSION}. */
export const FIRST_LINE = firstLineOf(SESSION);

/** The end of a recording of which all audio is written, and the first line. */
export function endingOf(audio: Uint8Array): RecordingEnding {
  const header = createWavHeader(FORMAT, audio.length);
  return {
    audio: { header, rest: { offset: header.length + audio.length, bytes: new Uint8Array() } },
    messages: { offset: FIRST_LINE.length, bytes: bytes("{}\n") },
    metadata: "{}",
  };
}
