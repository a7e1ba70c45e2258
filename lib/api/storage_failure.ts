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

/** What is known of a {@link StorageTimeoutError}. */
export interface StorageTimeout {
  /** How long was waited; absent if storage was not even asked, as too much waits for it already. */
  readonly timeoutMs?: number;
  /** Whether it was a change that was begun, and may still be made. */
  readonly mayStillHappen: boolean;
}

/** Thrown when storage neither answers nor fails. */
export class StorageTimeoutError extends Error {
  override readonly name = "StorageTimeoutError";
  readonly mayStillHappen: boolean;

  constructor({ timeoutMs, mayStillHappen }: StorageTimeout) {
    super(
      timeoutMs === undefined
        ? "Storage was not asked: as much as may be waits for it already"
        : `Storage did not answer within ${timeoutMs / 1000} s`,
    );
    this.mayStillHappen = mayStillHappen;
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
