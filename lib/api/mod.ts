/** The HTTP API for recordings. */
export type { FailedTries } from "./admin_gate.ts";
export { type Api, API_LIMITS, type ApiOptions, type ApiRequestInfo, createApi } from "./api.ts";
export type { ApiLimits, RemoveOutcome } from "./api_parts.ts";
export { type Metric, METRICS_CONTENT_TYPE, metricsText } from "./metrics_text.ts";
