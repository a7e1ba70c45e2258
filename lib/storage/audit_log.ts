/**
 * What was done with recordings, a line of JSON each: the interface. Each change has exactly one
 * line, whenever the server is killed: before a change, its line is put down; after it, the line is
 * written to the log. What is found put down later tells what was going on.
 *
 * Imports zod and its neighbours.
 */
import { z } from "zod";
import { uuidSchema } from "../protocol/mod.ts";
import { recordingIdSchema } from "./recording_id.ts";

/** Schema of a line. There is nothing personal in it. */
export const auditLineSchema = z.object({
  /** When it was begun, ISO 8601. */
  time: z.iso.datetime(),
  action: z.enum(["removed", "hold_set", "hold_lifted"]),
  /** Of the recording. */
  id: recordingIdSchema,
  /** Because it was old enough, or because somebody asked for it. */
  by: z.enum(["retention", "api"]),
  /** Absent if the recording had no metadata. */
  conversationId: uuidSchema.optional(),
});

/** A line of the audit log. */
export type AuditLine = z.infer<typeof auditLineSchema>;

/** Schema of what is put down. */
export const pendingChangeSchema = z.object({
  line: auditLineSchema,
  /** The hold that is being set. */
  hold: z.object({ since: z.string(), reason: z.string() }).optional(),
});

/** A change that has begun, and perhaps has no line yet. */
export type PendingChange = z.infer<typeof pendingChangeSchema>;

/** No log takes what is longer for something that was put down. */
export const MAX_PENDING_BYTES = 64 * 1024;

/** An audit log. Calls for the same recording must not overlap. */
export interface AuditLog {
  /**
   * Makes ready what changes need later, also when there is no room any more; called at the start
   * of a server, and from time to time. It never fails.
   */
  prepare(): Promise<void>;
  /**
   * Makes one change of several steps, when no other one is being made.
   *
   * @param work Is begun anew if it failed for want of room, and some was made. It must be able to,
   *   whatever step it failed at.
   * @throws {RefusedChangeError} If it can't be made now, and what the work throws.
   */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Puts down what is about to be done with a recording, in place of what was for it.
   *
   * @returns `joined` if another server is about to do the same: its line will be the only one.
   * @throws {RefusedChangeError} If another server is about to do something else with it.
   */
  begin(change: PendingChange): Promise<"begun" | "joined">;
  /** What was put down for a recording. */
  pending(id: string): Promise<PendingChange | undefined>;
  /** Identifiers of all recordings for which something was put down. */
  pendingIds(): Promise<string[]>;
  /** The change was not made: there will be no line. */
  cancel(id: string): Promise<void>;
  /** The change was made: its line is in the log when this settles, once. */
  commit(id: string): Promise<void>;
}

/** What was put down, as text; `undefined` if it is none of this recording. */
export function parsePending<T extends PendingChange>(
  schema: z.ZodType<T>,
  text: string,
  id: string,
): T | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { data } = schema.safeParse(value);
  return data?.line.id === id ? data : undefined;
}
