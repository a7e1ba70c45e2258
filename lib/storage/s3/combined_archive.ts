/**
 * Recordings in several places, as if they were in one: those of a disk, and those that were
 * uploaded. A recording may be in more than one place.
 *
 * Imports interfaces.
 */
import type {
  LegalHold,
  RecordedFile,
  RecordingArchive,
  RecordingPart,
} from "../recording_archive.ts";
import type { RecordingMetadata } from "../recording_metadata.ts";

/** How many characters of an identifier are the day. */
const DAY_CHARS = 10;

/** Recordings in several places, which are asked in this order: the nearest first. */
export class CombinedArchive implements RecordingArchive {
  readonly #places: readonly RecordingArchive[];

  constructor(places: readonly RecordingArchive[]) {
    this.#places = places;
  }

  /** Each identifier once, by days and names. Takes the memory of one day's. */
  async *list(onUnreadable?: (day: string) => void): AsyncGenerator<string, void> {
    const places = this.#places.map((place) => new DayReader(place.list(onUnreadable)));
    try {
      for (;;) {
        const days = await Promise.all(places.map((place) => place.nextDay()));
        const day = days.filter((text) => text !== undefined).sort()[0];
        if (day === undefined) return;
        const ids = new Set<string>();
        for (const place of places) {
          for (const id of await place.take(day)) ids.add(id);
        }
        yield* [...ids].sort();
      }
    } finally {
      await Promise.all(places.map((place) => place.close()));
    }
  }

  async metadata(id: string): Promise<RecordingMetadata | undefined> {
    return await this.#first((place) => place.metadata(id));
  }

  async isUnderWay(id: string): Promise<boolean> {
    for (const place of this.#places) {
      if (await place.isUnderWay(id)) return true;
    }
    return false;
  }

  async open(id: string, part: RecordingPart): Promise<RecordedFile | undefined> {
    return await this.#first((place) => place.open(id, part));
  }

  /** A hold in any place counts for all. */
  async hold(id: string): Promise<LegalHold | undefined> {
    return await this.#first((place) => place.hold(id));
  }

  /** In all places, the nearest first: an upload looks for a hold there when it is done. */
  async setHold(id: string, hold: LegalHold | undefined): Promise<boolean> {
    let isThere = false;
    for (const place of this.#places) {
      if (await place.setHold(id, hold)) isThere = true;
    }
    return isThere;
  }

  /**
   * From all places, the nearest first: an upload that finds it gone removes what it stored.
   *
   * If two recordings have the same identifier, one here and another one in object storage, both go.
   * There are none of unique names: only those whose upload was refused, made under plain names
   * before there was object storage. To tell them from one that was uploaded, their metadata would
   * have to be compared; then any difference, and any removal that was broken off here, would leave
   * a recording that somebody was told is removed, which is worse.
   */
  async remove(id: string): Promise<"removed" | "not_found" | "being_made"> {
    let result: "removed" | "not_found" = "not_found";
    // In this order: one that is being made is in the first place, and then nothing is removed.
    for (const place of this.#places) {
      const here = await place.remove(id);
      if (here === "being_made") return here;
      if (here === "removed") result = here;
    }
    return result;
  }

  async #first<T>(
    ask: (place: RecordingArchive) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (const place of this.#places) {
      const answer = await ask(place);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }
}

/** Identifiers of one place, a day at a time. */
class DayReader {
  readonly #ids: AsyncIterator<string>;
  /** Read, but of a day that was not taken. */
  #next: IteratorResult<string> | undefined;

  constructor(ids: AsyncIterable<string>) {
    this.#ids = ids[Symbol.asyncIterator]();
  }

  async nextDay(): Promise<string | undefined> {
    this.#next ??= await this.#ids.next();
    return this.#next.done ? undefined : this.#next.value.slice(0, DAY_CHARS);
  }

  /** All of a day, if it is the next one. */
  async take(day: string): Promise<string[]> {
    const ids: string[] = [];
    while (await this.nextDay() === day) {
      if (this.#next?.done === false) ids.push(this.#next.value);
      this.#next = undefined;
    }
    return ids;
  }

  async close(): Promise<void> {
    await this.#ids.return?.();
  }
}
