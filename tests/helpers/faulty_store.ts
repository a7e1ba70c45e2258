/**
 * A store for recordings that fails when a test wants it to: a full disk, half a write, a network
 * drive that hangs.
 */
import type { RecordingFiles, RecordingStore } from "../../lib/storage/mod.ts";

/** What is done with the next calls. */
export type StoreMode = "works" | "is full" | "writes halves" | "hangs";

export class FaultyStore implements RecordingStore {
  /** How many calls failed, or hung. */
  faults = 0;
  readonly #store: RecordingStore;
  #mode: StoreMode = "works";
  #changed = Promise.withResolvers<void>();

  constructor(store: RecordingStore, mode: StoreMode = "works") {
    this.#store = store;
    this.#mode = mode;
  }

  /** From now on; calls that hang now go on. */
  become(mode: StoreMode): void {
    this.#mode = mode;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async create(
    day: string,
    sessionId: string,
    onSync?: (error: unknown) => void,
  ): Promise<RecordingFiles> {
    await this.#pass();
    const files = await this.#store.create(day, sessionId, onSync);
    const write = async (
      bytes: Uint8Array,
      offset: number,
      how: (offset: number, bytes: Uint8Array) => Promise<void>,
    ) => {
      if (this.#mode === "writes halves") {
        await how(offset, bytes.slice(0, bytes.length / 2));
        this.faults++;
        throw noSpace();
      }
      await this.#pass();
      await how(offset, bytes);
    };
    return {
      id: files.id,
      location: files.location,
      writeAudio: (offset, bytes) => write(bytes, offset, (at, part) => files.writeAudio(at, part)),
      writeMessages: (offset, bytes) =>
        write(bytes, offset, (at, part) => files.writeMessages(at, part)),
      finish: async (ending) => {
        await this.#pass();
        await files.finish(ending);
      },
      hurry: () => files.hurry(),
      close: () => files.close(),
    };
  }

  async #pass(): Promise<void> {
    while (this.#mode === "hangs") {
      this.faults++;
      await this.#changed.promise;
    }
    if (this.#mode === "works") return;
    this.faults++;
    throw noSpace();
  }
}

function noSpace(): Error {
  return Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
}
