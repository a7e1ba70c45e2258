/**
 * What health checks are told of the parts of a server.
 *
 * A part of main.ts, which alone imports it.
 */
import type { RecorderStatus } from "../app/recorder.ts";
import type { HealthReport } from "../server/health.ts";

/**
 * Reports what does not work, without personal data.
 *
 * @param recorder `undefined` where nothing is recorded.
 * @param others Of what else is done with recordings, what does not work.
 */
export function healthReport(
  recorder: RecorderStatus | undefined,
  others: readonly string[] = [],
): HealthReport {
  const { failing = 0, recordings = 0, givenUp = 0, lastFailureCode = "see the log" } = recorder ??
    {};
  const problems = [
    ...(failing === 0
      ? []
      : [`recordings cannot be written (${lastFailureCode}): ${failing} of ${recordings}`]),
    ...(givenUp === 0 ? [] : [`${givenUp} recordings were given up since the start: see the log`]),
    ...others,
  ];
  return { status: problems.length === 0 ? "ok" : "degraded", problems };
}
