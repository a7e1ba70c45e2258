/**
 * What the log says of recordings that are completed because whoever made them did not.
 *
 * Imports its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { UNKNOWN_UUID } from "./recovered_metadata.ts";
import type { RecordingMetadata } from "./recording_metadata.ts";

const log = getLogger(["audiohook", "recovery"]);

/** A recording was completed. */
export function logRecovered(id: string, metadata: RecordingMetadata): void {
  const { conversationId, recordedSamples, media, unloggedMessages } = metadata;
  const durationSeconds = recordedSamples / (media?.rate ?? 1);
  if (conversationId === UNKNOWN_UUID) {
    log.warn("Recovered the recording {id}, but nothing says whose it is", { id, durationSeconds });
  } else {
    log.info("Recovered the recording {id}", { id, durationSeconds, unloggedMessages });
  }
}

/** A recording can't be completed, for a reason that is for people. */
export function logImpossible(id: string, why: string): void {
  log.error("Cannot recover the recording {id}: {why}. It stays as it is", { id, why });
}
