/**
 * Changes of recordings that must be accounted for: removing, holding. Each has one line in the
 * audit log, also if the server is killed in the midst of it; what was begun is finished later.
 *
 * Imports interfaces.
 */
import { getLogger } from "@logtape/logtape";
import type { AuditLine, AuditLog, PendingChange } from "./audit_log.ts";
import { isRecordingIn, type LegalHold, type RecordingArchive } from "./recording_archive.ts";
import { placeOf } from "./recording_id.ts";
import type { RecordingIndex } from "./recording_index.ts";

const log = getLogger(["audiohook", "archive"]);

/** What a {@link RecordingRemoval} needs. */
export interface RecordingRemovalParts {
  readonly archive: RecordingArchive;
  readonly index: Pick<RecordingIndex, "remove">;
  readonly audit: AuditLog;
  /** The present time, milliseconds since 1970; by default the system's. */
  readonly nowMs?: () => number;
}

/**
 * - `removed`: nothing is left of it
 * - `on_hold`: it is held, and was not touched
 * - `being_made`: it has not ended, and was not touched
 */
export type RemovalResult = "removed" | "not_found" | "being_made" | "on_hold";

/**
 * Removes and holds recordings. All of the program that does so must do it by the same object: one
 * change is made after the other, so that no recording is removed while it is being held. Another
 * process that has the same data folder waits, too; what servers do that share nothing but object
 * storage, its audit log says.
 */
export class RecordingRemoval {
  readonly #parts: RecordingRemovalParts;

  constructor(parts: RecordingRemovalParts) {
    this.#parts = parts;
  }

  /**
   * Removes a recording that has ended and is not held, its entry in the index, too.
   *
   * @throws What the places say. The recording is then whole, or as good as removed, and no line
   * was written: it may be tried again, and is by {@link finishInterrupted}.
   */
  async remove(id: string, by: AuditLine["by"]): Promise<RemovalResult> {
    if (placeOf(id) === undefined) return "not_found";
    const { audit } = this.#parts;
    return await audit.exclusively(() => lastOf(auditedRemoval(this.#parts, id, by)));
  }

  /**
   * Sets or, by `undefined`, lifts the hold of a recording.
   *
   * @returns False if there is no such recording.
   */
  async setHold(id: string, hold: LegalHold | undefined, by: AuditLine["by"]): Promise<boolean> {
    if (placeOf(id) === undefined) return false;
    const { audit } = this.#parts;
    return await audit.exclusively(() => lastOf(auditedHold(this.#parts, id, hold, by)));
  }

  /**
   * The archive, for those who know nothing of an audit log: what they change by it is accounted
   * for. Its `remove` fails for a recording that is held.
   */
  archiveFor(by: AuditLine["by"]): RecordingArchive {
    const { archive } = this.#parts;
    return {
      list: (onUnreadable) => archive.list(onUnreadable),
      metadata: (id) => archive.metadata(id),
      isUnderWay: (id) => archive.isUnderWay(id),
      open: (id, part) => archive.open(id, part),
      hold: (id) => archive.hold(id),
      setHold: (id, hold) => this.setHold(id, hold, by),
      remove: async (id) => {
        const result = await this.remove(id, by);
        if (result === "on_hold") throw new Error(`The recording ${id} is held`);
        return result;
      },
    };
  }

  /**
   * Finishes what a crash or a failure interrupted: once at the start, after recordings were
   * completed whose server had been killed; and from time to time. It fails for none: what it
   * cannot finish is logged, and stays for the next time. The log makes ready what it needs, too.
   */
  async finishInterrupted(): Promise<void> {
    await this.#parts.audit.prepare();
    let ids: readonly string[] = [];
    try {
      ids = await this.#parts.audit.pendingIds();
    } catch (error) {
      log.error("Cannot look for what was begun with recordings; it is tried again later", {
        error,
      });
    }
    for (const id of ids) {
      try {
        await this.#parts.audit.exclusively(() => finish(this.#parts, id));
      } catch (error) {
        log.error("Cannot finish what was begun with recording {id}; it is tried again later", {
          id,
          error,
        });
      }
    }
  }
}

/** Removes a recording; after each step, says which. It may end at any, and begin again. */
export async function* auditedRemoval(
  parts: RecordingRemovalParts,
  id: string,
  by: AuditLine["by"],
): AsyncGenerator<string, RemovalResult> {
  if (placeOf(id) === undefined) return "not_found";
  const { archive, index, audit, nowMs = Date.now } = parts;
  // First: if they are gone already, whoever is at it has put that down, or is done with all of it.
  const metadata = await archive.metadata(id);
  let pending = await audit.pending(id);
  if (pending !== undefined && pending.line.action !== "removed") {
    await finish(parts, id);
    pending = undefined;
  }
  if (await archive.hold(id) !== undefined) {
    await audit.cancel(id);
    return "on_hold";
  }
  const begin = () =>
    audit.begin({
      line: {
        time: new Date(nowMs()).toISOString(),
        action: "removed",
        id,
        by,
        conversationId: metadata?.conversationId,
      },
    });
  // From the first step of a removal on, there is no metadata.
  const isBegun = pending !== undefined && metadata === undefined;
  const isWhole = metadata !== undefined || await isRecordingIn(archive, id);
  let beginning: "begun" | "joined" | undefined;
  if (!isBegun && isWhole) {
    beginning = await begin();
    yield "begin";
    // Another server may have held it just before that; from now on, it can't.
    if (await archive.hold(id) !== undefined) {
      await audit.cancel(id);
      return "on_hold";
    }
  }
  const outcome = await archive.remove(id);
  if (outcome === "being_made") {
    await audit.cancel(id);
    return outcome;
  }
  yield "remove the files";
  await index.remove(id);
  yield "remove the entry";
  if (outcome === "not_found" && beginning !== undefined) {
    // Another server was faster, and has written its line, or will.
    if (beginning === "begun") await audit.cancel(id);
    return outcome;
  }
  if (!isBegun && !isWhole) {
    if (outcome === "not_found") return outcome;
    // Something nobody could read, of which it was not known before that it is there.
    await begin();
  }
  await audit.commit(id);
  yield "write the line";
  return "removed";
}

/** Sets or lifts a hold; after each step, says which. */
export async function* auditedHold(
  parts: RecordingRemovalParts,
  id: string,
  hold: LegalHold | undefined,
  by: AuditLine["by"],
): AsyncGenerator<string, boolean> {
  if (placeOf(id) === undefined) return false;
  const { archive, audit, nowMs = Date.now } = parts;
  await finish(parts, id);
  if (hold === undefined && await archive.hold(id) === undefined) {
    // Nothing changes.
    return await archive.setHold(id, undefined);
  }
  const conversationId = (await archive.metadata(id))?.conversationId;
  const action = hold === undefined ? "hold_lifted" : "hold_set";
  await audit.begin({
    line: { time: new Date(nowMs()).toISOString(), action, id, by, conversationId },
    hold,
  });
  yield "begin";
  if (!await archive.setHold(id, hold)) {
    await audit.cancel(id);
    return false;
  }
  yield action;
  await audit.commit(id);
  yield "write the line";
  return true;
}

/** Finishes what was begun with a recording, or forgets it if nothing was changed. */
async function finish(parts: RecordingRemovalParts, id: string): Promise<void> {
  const { archive, audit } = parts;
  const pending = await audit.pending(id);
  if (pending === undefined) return;
  if (pending.line.action === "removed") {
    if (await archive.metadata(id) === undefined) {
      await lastOf(auditedRemoval(parts, id, pending.line.by));
    } else {
      // It is whole, and whoever wanted it removed was not told that it is.
      await audit.cancel(id);
    }
  } else if (await isHoldDone(archive, id, pending)) {
    await audit.commit(id);
  } else {
    await audit.cancel(id);
  }
}

async function isHoldDone(
  archive: RecordingArchive,
  id: string,
  { line, hold }: PendingChange,
): Promise<boolean> {
  const found = await archive.hold(id);
  return line.action === "hold_set"
    ? found !== undefined && found.since === hold?.since && found.reason === hold.reason
    : found === undefined;
}

/** Does all steps. */
async function lastOf<T>(steps: AsyncGenerator<string, T>): Promise<T> {
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return value;
  }
}
