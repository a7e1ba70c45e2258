/**
 * An AudioHook server for Genesys Cloud, as a library: the protocol, the App interface, and the
 * server.
 *
 * @module
 */
export * from "./api/mod.ts";
export * from "./app/mod.ts";
export * from "./protocol/mod.ts";
export * from "./server/mod.ts";
export * from "./storage/mod.ts";
export * from "./storage/s3/mod.ts";
