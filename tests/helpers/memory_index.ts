/**
 * An index of recordings in memory, as plain as can be.
 */
import {
  type IndexedRecording,
  InvalidCursorError,
  type RecordingEntry,
  type RecordingFilter,
  type RecordingIndex,
  type RecordingPage,
} from "../../lib/storage/recording_index.ts";

export class MemoryIndex implements RecordingIndex {
  readonly #entries = new Map<string, IndexedRecording>();

  put(entry: IndexedRecording): Promise<void> {
    this.#entries.set(entry.id, entry);
    return Promise.resolve();
  }

  remove(id: string): Promise<void> {
    this.#entries.delete(id);
    return Promise.resolve();
  }

  get(id: string): Promise<RecordingEntry | undefined> {
    return Promise.resolve(this.#entries.get(id));
  }

  /** The cursor is how many were found before. */
  find(filter: RecordingFilter, limit: number, cursor = "0"): Promise<RecordingPage> {
    if (!/^\d+$/.test(cursor)) return Promise.reject(new InvalidCursorError("It is no number"));
    const found = [...this.#entries.values()]
      .filter((entry) => matches(entry, filter))
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt));
    const first = Number(cursor);
    const end = first + limit;
    return Promise.resolve({
      entries: found.slice(first, end),
      cursor: end < found.length ? String(end) : undefined,
    });
  }
}

function matches(entry: IndexedRecording, filter: RecordingFilter): boolean {
  const { fromMs = -Infinity, toMs = Infinity, participant, ...rest } = filter;
  const startedMs = Date.parse(entry.startedAt);
  const { id, ani, dnis } = entry.participant;
  return startedMs >= fromMs && startedMs < toMs &&
    (participant === undefined || [id, ani, dnis].includes(participant)) &&
    Object.entries(rest).every(([name, value]) =>
      value === undefined || entry[name as keyof typeof rest] === value
    );
}
