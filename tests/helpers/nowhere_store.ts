/**
 * A store for recordings that keeps nothing: for what would fill a disk, or must not wait for one.
 */
import type { RecordingStore } from "../../lib/storage/mod.ts";

/** Takes all, at once. */
export const NOWHERE: RecordingStore = {
  create: (day, sessionId) =>
    Promise.resolve({
      id: `${day}.${sessionId}`,
      location: sessionId,
      writeAudio: () => Promise.resolve(),
      writeMessages: () => Promise.resolve(),
      finish: () => Promise.resolve(),
      hurry: () => {},
      close: () => Promise.resolve(),
    }),
};
