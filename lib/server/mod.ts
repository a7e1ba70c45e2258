/** The server: HTTP, authentication, and the connections of sessions. */
export { APP_TIMEOUTS, type AppTimeouts } from "./app_group.ts";
export {
  type FailureCount,
  FailureLimiter,
  type FailureLimiterOptions,
} from "./failure_limiter.ts";
export type { HealthReport } from "./health.ts";
export { logDefects } from "./log_defects.ts";
export {
  type AudioHookServer,
  DEFAULT_PATH,
  type HttpRequestInfo,
  type ServerOptions,
  startServer,
} from "./server.ts";
