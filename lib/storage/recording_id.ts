/**
 * What identifies a recording: the day of its start and its name, `2026-11-22.<sessionId>`, or
 * `2026-11-22.<sessionId>.2` for the second one of a session on that day, where nobody else makes
 * recordings; where others do, in places that are not seen, `2026-11-22.<sessionId>.<8 random hex
 * digits>`. It is at the same time the place of its files: folder and name.
 *
 * Imports zod, and how unique names are made.
 */
import { z } from "zod";

export { uniqueRecordingName } from "./unique_recording_name.ts";

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
/**
 * What makes a name unique; or, of several recordings of one session, a number, and a UUID if there
 * were too many of them.
 */
const SUFFIX = `[0-9a-f]{8}|[2-9]|10|${UUID}`;
const NAME = new RegExp(`^(${UUID})(?:\\.(?:${SUFFIX}))?$`);
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** A recording's place. */
export interface RecordingPlace {
  /** Day of its start in UTC, `YYYY-MM-DD`: name of the folder. */
  readonly day: string;
  /** Name of its files without their extensions. */
  readonly name: string;
}

/** Tells whether a text is the name of a day, as folders have it. */
export function isDay(text: string): boolean {
  return DAY.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00Z`));
}

/** Tells whether a text is a name that recordings have; others are not touched. */
export function isRecordingName(text: string): boolean {
  return NAME.test(text);
}

/** The identifier of a place. */
export function recordingId({ day, name }: RecordingPlace): string {
  return `${day}.${name}`;
}

/**
 * The place that an identifier names; `undefined` if it is none. Whatever it says, the result has no
 * other characters than digits, letters, hyphens and dots, and is safe in paths, addresses and logs.
 */
export function placeOf(id: string): RecordingPlace | undefined {
  const day = id.slice(0, 10);
  const name = id.slice(11);
  return id[10] === "." && isDay(day) && isRecordingName(name) ? { day, name } : undefined;
}

/** UUID of the session that a name is of. */
export function sessionOf(name: string): string {
  return name.slice(0, 36);
}

/** Schema of an identifier. */
export const recordingIdSchema: z.ZodType<string> = z.string().refine(
  (id) => placeOf(id) !== undefined,
  { error: "expected the id of a recording, such as 2026-11-22.<sessionId>" },
);
