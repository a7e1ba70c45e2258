/** Where things are kept. */
export * from "./file_recording_store.ts";
export * from "./recording_store.ts";
