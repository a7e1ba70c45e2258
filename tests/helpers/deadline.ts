/**
 * Waiting in tests: for an event or a condition, never for a fixed time, and never for ever.
 */

/** How long a test waits for what has to come, unless it says otherwise. */
export const PATIENCE_MS = 15_000;

/** Waits for a promise; a late one is an error that says what was late. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing in ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is neither `undefined` nor `false`. */
export async function until<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  while (true) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > endMs) throw new Error(`${what}: not in ${timeoutMs} ms`);
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
