/**
 * Entities on their way out: the client takes only so many messages a second, so entities that
 * have to wait travel together in one `event` (protocol section 12).
 *
 * Imports nothing but its neighbours.
 */
import { MAX_SENT_TEXT_BYTES } from "./codec.ts";
import type { EventEntity } from "./entities.ts";
import { entitySchema } from "./entities.ts";
import { LocalProtocolError } from "./protocol_error.ts";
import { describeProblem } from "./schema_problem.ts";

/** Largest entity, in bytes of JSON: an `event` has room for one, and for its envelope. */
export const MAX_ENTITY_BYTES: number = MAX_SENT_TEXT_BYTES - 512;
/** How many bytes of JSON may wait, per session. */
export const MAX_WAITING_ENTITY_BYTES = 4_000_000;

interface WaitingEntity {
  readonly entity: EventEntity;
  readonly bytes: number;
}

/** First in, first out, in messages of bounded size. */
export class EntityQueue {
  #waiting: WaitingEntity[] = [];
  #waitingBytes = 0;

  /** How many entities wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Checks entities and puts them at the end; all of them or, if it throws, none.
   *
   * @throws {LocalProtocolError} If one is not as its type demands, is larger than
   * {@link MAX_ENTITY_BYTES}, or more than {@link MAX_WAITING_ENTITY_BYTES} would wait.
   */
  add(entities: readonly EventEntity[]): void {
    if (entities.length === 0) {
      throw new LocalProtocolError("Cannot send an event without entities");
    }
    const added = entities.map(toWaiting);
    const bytes = added.reduce((sum, entity) => sum + entity.bytes, 0);
    if (this.#waitingBytes + bytes > MAX_WAITING_ENTITY_BYTES) {
      throw new LocalProtocolError(
        `Cannot send more events: ${MAX_WAITING_ENTITY_BYTES} bytes of them are waiting already`,
      );
    }
    this.#waiting.push(...added);
    this.#waitingBytes += bytes;
  }

  /** Forgets all that waits. */
  clear(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Takes as many entities as fit into one message, in order; none if none wait. */
  takeMessage(): EventEntity[] {
    let bytes = 0;
    let count = 0;
    for (const entity of this.#waiting) {
      if (count > 0 && bytes + entity.bytes > MAX_ENTITY_BYTES) break;
      bytes += entity.bytes;
      count++;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count).map((waiting) => waiting.entity);
  }
}

function toWaiting(entity: EventEntity): WaitingEntity {
  let json: string | undefined;
  try {
    json = JSON.stringify(entity);
  } catch (error) {
    throw new LocalProtocolError("Cannot send an entity that is not JSON", { cause: error });
  }
  // A copy: the application may change its object before the message leaves.
  const copy: unknown = json === undefined ? undefined : JSON.parse(json);
  const checked = entitySchema.safeParse(copy);
  if (json === undefined || !checked.success) {
    const where = checked.error === undefined ? "" : `: ${describeProblem(checked.error)}`;
    throw new LocalProtocolError(`Cannot send an invalid entity${where}`);
  }
  const bytes = new TextEncoder().encode(json).length + 1;
  if (bytes > MAX_ENTITY_BYTES) {
    throw new LocalProtocolError(`Cannot send an entity of more than ${MAX_ENTITY_BYTES} bytes`);
  }
  return { entity: copy as EventEntity, bytes };
}
