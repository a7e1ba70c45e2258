/**
 * The AudioHook protocol, version 2, sans-I/O: messages, codec, media, the sessions of both sides,
 * and request signatures. Runs anywhere.
 */
export * from "./client_messages.ts";
export type { PingTimes } from "./client_pings.ts";
export type { ClientPaceLimits } from "./client_pace.ts";
export * from "./client_session.ts";
export * from "./client_session_events.ts";
export * from "./codec.ts";
export * from "./duration.ts";
export * from "./entities.ts";
export * from "./identifiers.ts";
export * from "./keyring.ts";
export * from "./media.ts";
export * from "./nonce_store.ts";
export type { OpenedAnswer } from "./opened_answer.ts";
export * from "./protocol_error.ts";
export * from "./server_messages.ts";
export type { ServerTimeouts } from "./server_deadlines.ts";
export type { ServerOutboxRates } from "./server_outbox.ts";
export type { ServerPaceLimits } from "./server_pace.ts";
export * from "./server_session.ts";
export type { GapCause, ServerSessionEvent } from "./server_session_events.ts";
export * from "./server_session_options.ts";
export * from "./signature.ts";
export type { SignedRequest } from "./signature_base.ts";
export type { TokenBucketOptions } from "./token_bucket.ts";
export * from "./transitions.ts";
