/** Where things are kept. */
export * from "./audit_log.ts";
export * from "./file_recording_archive.ts";
export * from "./file_recording_store.ts";
export * from "./free_space.ts";
export * from "./recording_archive.ts";
export * from "./recording_id.ts";
export * from "./recording_index.ts";
export * from "./recording_log.ts";
export * from "./recording_metadata.ts";
export {
  RecordingRemoval,
  type RecordingRemovalParts,
  type RemovalResult,
} from "./recording_removal.ts";
export * from "./recording_store.ts";
export * from "./retention.ts";
