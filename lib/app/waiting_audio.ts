/**
 * How much audio of all recordings waits for the storage. One that fails for long must not take all
 * of the memory: that would end the calls that run, too.
 *
 * Imports nothing.
 */

/** Beyond it, recordings whose calls have ended are not kept waiting for storage that fails. */
const MAX_BYTES = 256 * 1024 * 1024;

/** Counts bytes. */
class WaitingAudio {
  #bytes = 0;

  /** @param bytes How many more wait; fewer, if negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whether more waits than should for long. */
  get isTooMuch(): boolean {
    return this.#bytes > MAX_BYTES;
  }
}

/** Of the whole program. */
export const WAITING_AUDIO = new WaitingAudio();
