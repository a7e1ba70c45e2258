/**
 * File systems that know no syncs: what is written there is as safe as it can be.
 *
 * Imports nothing.
 */

const CODES: readonly unknown[] = ["EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"];

/**
 * Waits for a sync; where there is no such thing, that is no failure.
 *
 * @throws What the disk says otherwise.
 */
export async function whereSupported(sync: Promise<void>): Promise<void> {
  try {
    await sync;
  } catch (error) {
    if (!CODES.includes((error as { readonly code?: string }).code)) throw error;
  }
}
