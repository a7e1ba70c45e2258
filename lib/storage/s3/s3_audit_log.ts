/**
 * The audit log in a bucket, for servers that have no lasting disk: each line is an object of its
 * own, `<prefix>/audit/<day>/<time>-<id>-<action>-<token>.json`.
 *
 * Before a change, its line is put down as `<prefix>/audit/pending/<id>.json`; after it, the line is
 * stored, by a key that what was put down tells: whoever stores it again after a crash stores the
 * same. An object is put down only where there is none, so that of two servers one is first. The
 * other one joins it in removing the recording, with the line of the first; or, if it wants
 * something else, is refused.
 *
 * What servers at once may do at worst is that each has a line for the same removal: where the bucket
 * does not know `If-None-Match`, and both store at the very same moment; and where a change takes
 * longer than {@link FORGOTTEN_AFTER_MS}, or the clocks differ by that, and another server takes it
 * for one that was given up.
 *
 * Imports logtape, zod, and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import {
  type AuditLog,
  MAX_PENDING_BYTES,
  parsePending,
  type PendingChange,
  pendingChangeSchema,
} from "../audit_log.ts";
import { RefusedChangeError } from "../recording_archive.ts";
import { placeOf } from "../recording_id.ts";
import { Turns } from "../turns.ts";
import { JsonObject } from "./json_object.ts";
import { RecordingKeys } from "./recording_keys.ts";
import type { S3Client } from "./s3_client.ts";
import { type StoreCondition, storeIf } from "./store_if.ts";

const log = getLogger(["audiohook", "audit"]);

/** A change takes seconds; one that takes longer was given up by whoever began it. */
const FORGOTTEN_AFTER_MS = 5 * 60_000;
/** So many are finished at once; what is beyond that, the next time. */
const MAX_PENDING = 1000;
/** How often it is tried to be first where others come and go. */
const MAX_TRIES = 5;

const pendingSchema = pendingChangeSchema.extend({
  /** Tells this change from all others. */
  token: z.uuid(),
});

type Pending = z.infer<typeof pendingSchema>;

/** A change that is being made here. */
interface Begun {
  readonly change: Pending;
  /** Whether another server has put it down. */
  readonly isJoined: boolean;
}

/** Options of an {@link S3AuditLog}. */
export interface S3AuditLogOptions {
  /** The present time, milliseconds since 1970; by default the system's. */
  readonly nowMs?: () => number;
}

/** The audit log in a bucket. All methods throw `S3Error` if storage fails. */
export class S3AuditLog implements AuditLog {
  readonly #client: S3Client;
  /** What all keys begin with. */
  readonly #root: string;
  readonly #nowMs: () => number;
  readonly #turns = new Turns();
  /** By identifiers of recordings. */
  readonly #begun = new Map<string, Begun>();

  /**
   * @param prefix What keys of recordings begin with, without a slash at its end; may be empty.
   * @throws {S3PlaceError} If that can be none.
   */
  constructor(
    client: S3Client,
    prefix = "recordings",
    { nowMs = Date.now }: S3AuditLogOptions = {},
  ) {
    this.#client = client;
    this.#root = `${new RecordingKeys(prefix).root}audit/`;
    this.#nowMs = nowMs;
  }

  async prepare(): Promise<void> {
    // Whoever keeps the bucket sees to its room.
  }

  /** Only of this process no other change is made; {@link begin} sees to those of others. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    return await this.#turns.run("change", work);
  }

  async begin({ line, hold }: PendingChange): Promise<"begun" | "joined"> {
    const { id, action } = line;
    const key = this.#pendingKey(id);
    const pending: Pending = { line, ...(hold && { hold }), token: crypto.randomUUID() };
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (await this.#putNew(key, pending)) return this.#note(pending);
      const other = await this.#read(id);
      if (other === "absent") continue;
      // It was sent again after an answer that was lost.
      if (other !== "unreadable" && other.token === pending.token) return this.#note(pending);
      if (other === "unreadable" || this.#isOver(other)) {
        await this.#put(key, pending);
        return this.#note(pending);
      }
      if (action !== "removed" || other.line.action !== "removed") break;
      this.#begun.set(id, { change: other, isJoined: true });
      return "joined";
    }
    throw new RefusedChangeError(
      "Another server is changing this recording: try again in a few minutes",
    );
  }

  async pending(id: string): Promise<PendingChange | undefined> {
    const found = await this.#read(id);
    if (found === "unreadable") {
      log.error("What is stored as audit/pending/{id}.json says nothing of a change: remove it", {
        id,
      });
    }
    const change = typeof found === "object" ? found : undefined;
    // What was put down here, and is not there any more, another server has finished.
    if (change?.token !== this.#begun.get(id)?.change.token) this.#begun.delete(id);
    return change && { line: change.line, ...(change.hold && { hold: change.hold }) };
  }

  /** At most 1000 of them. */
  async pendingIds(): Promise<string[]> {
    const folder = `${this.#root}pending/`;
    const ids: string[] = [];
    for await (const { key } of this.#client.list(folder)) {
      const [, id = ""] = /^(.*)\.json$/.exec(key.slice(folder.length)) ?? [];
      if (placeOf(id) !== undefined) ids.push(id);
      if (ids.length === MAX_PENDING) break;
    }
    return ids.sort();
  }

  /** Nor is there one if another server has put the change down, and may still be at it. */
  async cancel(id: string): Promise<void> {
    const found = await this.#read(id);
    if (typeof found === "object" && !this.#isOver(found)) return;
    if (found !== "absent") await this.#client.delete(this.#pendingKey(id));
    this.#begun.delete(id);
  }

  async commit(id: string): Promise<void> {
    // From memory, because another server may have finished it already.
    const change = this.#begun.get(id)?.change ?? await this.#read(id);
    if (typeof change === "string") return;
    const isFirst = await this.#putNew(this.#lineKey(change), change.line);
    // If another server has stored it, what is put down now may be another change.
    const found = isFirst ? change : await this.#read(id);
    const isPending = typeof found === "object" && found.token === change.token;
    if (isPending) await this.#client.delete(this.#pendingKey(id));
    this.#begun.delete(id);
  }

  /** Whether what was put down was put down here, before, or by somebody who gave it up. */
  #isOver({ line, token }: Pending): boolean {
    const begun = this.#begun.get(line.id);
    const isOurs = begun?.change.token === token && !begun.isJoined;
    return isOurs || this.#nowMs() - Date.parse(line.time) > FORGOTTEN_AFTER_MS;
  }

  #note(change: Pending): "begun" {
    this.#begun.set(change.line.id, { change, isJoined: false });
    return "begun";
  }

  #pendingKey(id: string): string {
    if (placeOf(id) === undefined) throw new TypeError("Expected the id of a recording");
    return `${this.#root}pending/${id}.json`;
  }

  /** By days and times, which is the order in which lists have them. */
  #lineKey({ line, token }: Pending): string {
    const time = new Date(line.time).toISOString();
    const name = `${time.replace(/[:.-]/g, "")}-${line.id}-${line.action}-${token.slice(0, 8)}`;
    return `${this.#root}${time.slice(0, 10)}/${name}.json`;
  }

  async #read(id: string): Promise<Pending | "absent" | "unreadable"> {
    const bytes = await this.#client.get(this.#pendingKey(id), MAX_PENDING_BYTES);
    if (bytes === undefined) return "absent";
    return parsePending(pendingSchema, new TextDecoder().decode(bytes), id) ?? "unreadable";
  }

  /** Stores an object if there is none of the key; returns whether it did. */
  async #putNew(key: string, value: unknown): Promise<boolean> {
    const put = (condition: StoreCondition) => this.#put(key, value, condition);
    return await storeIf(this.#client, key, { isNew: true }, put) !== undefined;
  }

  async #put(key: string, value: unknown, condition: StoreCondition = {}): Promise<void> {
    await new JsonObject(value).put(this.#client, key, condition);
  }
}
