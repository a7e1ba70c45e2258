/** Where things are kept. */
export * from "./file_recording_store.ts";
export * from "./recording_archive.ts";
export * from "./recording_id.ts";
export * from "./recording_index.ts";
export * from "./recording_log.ts";
export * from "./recording_metadata.ts";
export * from "./recording_store.ts";
