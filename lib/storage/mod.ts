/** Where things are kept. */
export * from "./answering_kv.ts";
export { type AuditLine, auditLineSchema, type AuditLog, type PendingChange } from "./audit_log.ts";
export * from "./background_index.ts";
export { ClockMemory, type RememberedClock } from "./clock_memory.ts";
export * from "./disk_backend.ts";
export type { DiskReserveOptions } from "./disk_reserve.ts";
export * from "./file_audit_log.ts";
export * from "./file_recording_archive.ts";
export * from "./file_recording_store.ts";
export * from "./free_space.ts";
export * from "./index_key.ts";
export * from "./index_upkeep.ts";
export * from "./kv_recording_index.ts";
export * from "./open_recording_index.ts";
export * from "./rebuild_index.ts";
export * from "./recording_archive.ts";
export * from "./recording_backend.ts";
export * from "./recording_id.ts";
export * from "./recording_index.ts";
export * from "./recording_library.ts";
export * from "./recording_log.ts";
export * from "./recording_metadata.ts";
export {
  RecordingRemoval,
  type RecordingRemovalParts,
  type RemovalResult,
} from "./recording_removal.ts";
export * from "./recording_store.ts";
export * from "./recover_recordings.ts";
export * from "./reindex.ts";
export * from "./retention.ts";
