/**
 * Lets few objects be put together at a time, however many recordings end at once: each takes memory
 * for all of its bytes, or for one part, and for copies of it on their way.
 *
 * Imports its neighbours.
 */
import { Places } from "../places.ts";

/** Each has up to 8 MiB, a part, and two copies of it while it is sent. */
const LARGE_AT_ONCE = 4;
/** Together no more than one large one. Else calls of a minute would end no faster than long ones. */
const SMALL_AT_ONCE = 16;
const SMALL_BYTES = 1024 * 1024;

/** Places for objects, taken in turns. */
export class CompositionPlaces {
  readonly #large = new Places(LARGE_AT_ONCE);
  readonly #small = new Places(SMALL_AT_ONCE);

  /** Puts an object of so many bytes together when there is a place for it. */
  take<T>(sizeBytes: number, work: () => Promise<T>): Promise<T> {
    return (sizeBytes > SMALL_BYTES ? this.#large : this.#small).take(work);
  }
}
