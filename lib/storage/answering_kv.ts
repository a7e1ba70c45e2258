/**
 * Deno KV as the index of recordings uses it: each answer has to come in time, and many keys can be
 * read at once.
 *
 * A database that is reached by a URL may neither answer nor fail: while its server refuses
 * everything, Deno asks again four times a second, for ever, also after the database was closed. So
 * the number of questions that nobody waits for any more is bounded. Imports its neighbours.
 */
import { inTime } from "./in_time.ts";
import { IndexUnavailableError } from "./recording_index.ts";

/** KV's bound on the keys of one `getMany`. */
const KEYS_PER_READ = 10;
/** How many questions may wait for answers that are late. */
const MAX_LATE = 10;

/** What is used of Deno KV. */
export type KvDatabase = Pick<Deno.Kv, "get" | "getMany" | "list" | "atomic" | "close">;

/** Thrown when entries can't be read from the database; it may be broken. */
export class UnreadableIndexError extends Error {
  override readonly name = "UnreadableIndexError";
}

/** A database that answers in time, or fails by an `IndexUnavailableError`. */
export class AnsweringKv implements Disposable {
  readonly #kv: KvDatabase;
  readonly #timeoutMs: number;
  readonly #isFile: boolean;
  /** Answers that did not come in time, and may yet come. */
  #late = 0;
  #isClosed = false;

  /**
   * @param kv Is closed with it.
   * @param timeoutMs How long one answer may take.
   * @param isFile Whether it is a file. That is closed as soon as it can't be read: KV has a thread
   * that looks at it once a minute, and ends the whole program if it can't.
   */
  constructor(kv: KvDatabase, timeoutMs: number, isFile = false) {
    this.#kv = kv;
    this.#timeoutMs = timeoutMs;
    this.#isFile = isFile;
  }

  /**
   * Reads one key.
   *
   * @throws {UnreadableIndexError} If it can't be read.
   */
  async get(key: Deno.KvKey): Promise<Deno.KvEntryMaybe<unknown>> {
    return await this.#read(() => this.#kv.get<unknown>(key));
  }

  /**
   * Reads any number of keys, in their order.
   *
   * @throws {UnreadableIndexError} If they can't be read.
   */
  async getAll(keys: readonly Deno.KvKey[]): Promise<Deno.KvEntryMaybe<unknown>[]> {
    const parts: Deno.KvKey[][] = [];
    for (let from = 0; from < keys.length; from += KEYS_PER_READ) {
      parts.push(keys.slice(from, from + KEYS_PER_READ));
    }
    const read = async (part: Deno.KvKey[]): Promise<Deno.KvEntryMaybe<unknown>[]> =>
      await this.#kv.getMany<unknown[]>(part);
    return (await Promise.all(parts.map((part) => this.#read(() => read(part))))).flat();
  }

  /**
   * What is in a range.
   *
   * @throws {UnreadableIndexError} If it can't be read.
   */
  async *list(
    range: Deno.KvListSelector,
    options: Deno.KvListOptions,
  ): AsyncGenerator<Deno.KvEntry<unknown>, void> {
    const list = this.#kv.list<unknown>(range, options);
    for (;;) {
      const found = await this.#read(() => list.next());
      if (found.done) return;
      yield found.value;
    }
  }

  /** Changes, to be given to {@link AnsweringKv.commit}. */
  atomic(): Deno.AtomicOperation {
    return this.#kv.atomic();
  }

  /**
   * False if what they expect does not hold. Those that are not done in time may yet be done.
   */
  async commit(changes: Deno.AtomicOperation): Promise<boolean> {
    return (await this.#answer(() => changes.commit())).ok;
  }

  /** Closes the database. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#kv.close();
  }

  async #read<T>(ask: () => Promise<T>): Promise<T> {
    return await this.#answer(ask).catch((cause) => {
      if (cause instanceof IndexUnavailableError) throw cause;
      if (this.#isFile) this[Symbol.dispose]();
      throw new UnreadableIndexError("The index of recordings cannot be read", { cause });
    });
  }

  async #answer<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#late >= MAX_LATE) {
      // The first of them to be answered tells that the database works again.
      throw new IndexUnavailableError("The index of recordings still owes earlier answers");
    }
    const answer = ask();
    let hasCome = false;
    let isLate = false;
    const onAnswer = () => {
      hasCome = true;
      if (isLate) this.#late--;
    };
    answer.then(onAnswer, onAnswer);
    try {
      return await inTime(answer, this.#timeoutMs);
    } finally {
      if (!hasCome) {
        isLate = true;
        this.#late++;
      }
    }
  }
}
