/**
 * Reads one thing after the other, and begins with the next ones while the first is under way.
 *
 * Imports nothing.
 */

/** How much is read ahead of what was taken. */
export interface ReadAheadLimits {
  /** How many are read at a time. */
  readonly atOnce: number;
  /** How many bytes may be under way, or wait to be taken; one of more is read alone. */
  readonly maxBytes: number;
}

/** For the segments of one file: a few seconds of a call each. */
export const SEGMENTS_AHEAD = {
  atOnce: 8,
  maxBytes: 4 * 1024 * 1024,
} as const satisfies ReadAheadLimits;

/**
 * Yields what is read, in order. When it ends early, by an error or because no more is taken, so
 * does all that is under way.
 *
 * @param sizeOf Bytes of an item.
 * @param read Reads an item; stops when the signal says so.
 */
export async function* readAhead<Item, T>(
  items: Iterable<Item>,
  sizeOf: (item: Item) => number,
  read: (item: Item, signal: AbortSignal) => Promise<T>,
  { atOnce, maxBytes }: ReadAheadLimits,
): AsyncGenerator<T, void> {
  const controller = new AbortController();
  const rest = items[Symbol.iterator]();
  let next = rest.next();
  const reading: { readonly sizeBytes: number; readonly result: Promise<T> }[] = [];
  let readingBytes = 0;
  const begin = () => {
    while (next.done !== true && reading.length < atOnce) {
      const sizeBytes = sizeOf(next.value);
      if (reading.length > 0 && readingBytes + sizeBytes > maxBytes) return;
      const result = read(next.value, controller.signal);
      // It is told when its turn comes, which may be never.
      result.catch(() => {});
      reading.push({ sizeBytes, result });
      readingBytes += sizeBytes;
      next = rest.next();
    }
  };
  try {
    for (;;) {
      begin();
      const first = reading.shift();
      if (first === undefined) return;
      yield await first.result;
      readingBytes -= first.sizeBytes;
    }
  } finally {
    controller.abort();
    await Promise.allSettled(reading.map(({ result }) => result));
  }
}
