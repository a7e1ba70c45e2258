/**
 * Every case, in the order of the report.
 *
 * Imports its neighbours.
 */
import type { CheckCase } from "./check_case.ts";
import { AUDIO_CASES } from "./cases/audio_cases.ts";
import { AUTH_CASES } from "./cases/auth_cases.ts";
import { CLOSE_CASES } from "./cases/close_cases.ts";
import { DURATION_CASES } from "./cases/duration_cases.ts";
import { ENVELOPE_CASES } from "./cases/envelope_cases.ts";
import { LIMIT_CASES } from "./cases/limit_cases.ts";
import { MEDIA_CASES } from "./cases/media_cases.ts";
import { OPEN_CASES } from "./cases/open_cases.ts";
import { PAUSE_CASES } from "./cases/pause_cases.ts";
import { PING_CASES } from "./cases/ping_cases.ts";
import { REQUEST_CASES } from "./cases/request_cases.ts";

/** Every case. */
export const ALL_CASES: readonly CheckCase[] = [
  ...REQUEST_CASES,
  ...AUTH_CASES,
  ...OPEN_CASES,
  ...MEDIA_CASES,
  ...ENVELOPE_CASES,
  ...DURATION_CASES,
  ...AUDIO_CASES,
  ...PAUSE_CASES,
  ...PING_CASES,
  ...CLOSE_CASES,
  ...LIMIT_CASES,
];
