/**
 * A store for recordings that keeps nothing: for what would fill a disk, or must not wait for one.
 */
import type { RecordingStore } from "../../lib/storage/mod.ts";

/** Takes all, at once. */
export const NOWHERE: RecordingStore = {
  create: (_, sessionId) =>
    Promise.resolve({
      location: sessionId,
      writeAudio: () => Promise.resolve(),
      finishAudio: () => Promise.resolve(),
      writeMessages: () => Promise.resolve(),
      writeMetadata: () => Promise.resolve(),
      hurry: () => {},
      close: () => {},
    }),
};
