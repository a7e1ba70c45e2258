/**
 * Names for recordings of one place that are made in several, which don't see each other's.
 *
 * Imports nothing: it is loaded by the thread that writes recordings, which has no need of the rest
 * of recording_id.ts.
 */

const RANDOM_BYTES = 4;

/** `<sessionId>.<8 random hex digits>`: a new one each time. */
export function uniqueRecordingName(sessionId: string): string {
  return `${sessionId}.${crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)).toHex()}`;
}
