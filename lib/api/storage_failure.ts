/**
 * What the archive or the index throws, told apart from defects of our own.
 *
 * Imports nothing.
 */

/** Thrown in place of what storage threw, which is its cause. */
export class StorageFailure extends Error {
  override readonly name = "StorageFailure";

  /** @param cause What was thrown. */
  constructor(cause: unknown) {
    super("Storage failed", { cause });
  }
}

/**
 * Asks the archive or the index for something.
 *
 * @throws {StorageFailure} Whatever it throws.
 */
export async function fromStorage<T>(ask: () => T | Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw new StorageFailure(error);
  }
}
