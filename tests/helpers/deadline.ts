/**
 * Waiting in tests: for an event or a condition, never for a fixed time, and never for ever.
 */

/** How long a test waits for what has to come, unless it says otherwise. */
export const PATIENCE_MS = 15_000;

/** While the machine stands still, however long, no more than this goes by. */
const STEP_MS = 50;

/** The time in which this process runs: no test fails because its machine stands still for seconds. */
class RunningTime implements Disposable {
  #leftMs: number;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(timeoutMs: number, onOver: () => void = () => {}) {
    this.#leftMs = timeoutMs;
    this.#timer = setInterval(() => {
      this.#leftMs -= STEP_MS;
      if (this.isOver) onOver();
    }, Math.min(STEP_MS, timeoutMs));
  }

  get isOver(): boolean {
    return this.#leftMs <= 0;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Waits for a promise; a late one is an error that says what was late. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  using _time = new RunningTime(
    timeoutMs,
    () => reject(new Error(`${what}: nothing in ${timeoutMs} ms`)),
  );
  return await Promise.race([promise, late]);
}

/** Asks again and again until the answer is neither `undefined` nor `false`. */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  using time = new RunningTime(timeoutMs);
  while (true) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (time.isOver) throw new Error(`${what}: not in ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What comes, in order, for a test that takes one thing after the other. */
export class Inbox<T> {
  readonly #name: string;
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  /** @param name For errors. */
  constructor(name: string) {
    this.#name = name;
  }

  /** How many were not taken yet. */
  get size(): number {
    return this.#items.length;
  }

  /** Something came. */
  push(item: T): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#items.push(item);
    else taker(item);
  }

  /** Takes the next, or waits for it. */
  async take(timeoutMs = PATIENCE_MS): Promise<T> {
    if (this.#items.length > 0) return this.#items.shift() as T;
    let taker: (item: T) => void = () => {};
    const coming = new Promise<T>((resolve) => this.#takers.push(taker = resolve));
    try {
      return await within(coming, this.#name, timeoutMs);
    } catch (error) {
      const index = this.#takers.indexOf(taker);
      if (index >= 0) this.#takers.splice(index, 1);
      throw error;
    }
  }
}
