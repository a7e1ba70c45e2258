/**
 * The disk of this machine, which stops after so many steps as if the program was killed: from then
 * on nothing is done any more. Real files, and a count.
 */
import {
  MACHINE_DISK,
  type RecoveryDisk,
  type RecoveryFile,
} from "../../lib/storage/recovery_disk.ts";

/** Nothing is done after it. */
export class Killed extends Error {
  override readonly name = "Killed";
}

/** The disk. */
export class StoppingDisk implements RecoveryDisk {
  /** How many steps were done. */
  steps = 0;
  readonly #mostSteps: number;
  readonly #writesHalf: boolean;

  /**
   * @param mostSteps How many steps are done; all unless given.
   * @param writesHalf Whether half of what the next one should write is written all the same.
   */
  constructor(mostSteps = Infinity, writesHalf = false) {
    this.#mostSteps = mostSteps;
    this.#writesHalf = writesHalf;
  }

  /** Whether it has stopped. */
  get isStopped(): boolean {
    return this.steps > this.#mostSteps;
  }

  #step(): void {
    this.steps++;
    if (this.isStopped) throw new Killed();
  }

  async *readDir(path: string): AsyncIterable<Deno.DirEntry> {
    this.#step();
    yield* MACHINE_DISK.readDir(path);
  }

  async lstat(path: string): Promise<Deno.FileInfo> {
    this.#step();
    return await MACHINE_DISK.lstat(path);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step();
    await MACHINE_DISK.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    this.#step();
    await MACHINE_DISK.remove(path);
  }

  async open(path: string, options: Deno.OpenOptions): Promise<RecoveryFile> {
    this.#step();
    return this.#watch(await MACHINE_DISK.open(path, options));
  }

  #watch(file: RecoveryFile): RecoveryFile {
    const step = () => this.#step();
    const isLast = () => this.#writesHalf && this.steps === this.#mostSteps;
    return {
      async read(into) {
        step();
        return await file.read(into);
      },
      async write(bytes) {
        const written = isLast() ? await file.write(bytes.subarray(0, bytes.length >> 1)) : 0;
        step();
        return written + await file.write(bytes);
      },
      async seek(offset, whence) {
        step();
        return await file.seek(offset, whence);
      },
      async truncate(length) {
        step();
        await file.truncate(length);
      },
      // What a kill leaves does not depend on it, and thousands of them take minutes.
      sync() {
        step();
        return Promise.resolve();
      },
      syncData() {
        step();
        return Promise.resolve();
      },
      async stat() {
        step();
        return await file.stat();
      },
      tryLockSync(exclusive) {
        step();
        return file.tryLockSync(exclusive);
      },
      // The system does that for a program that is killed.
      close: () => file.close(),
    };
  }
}
