/**
 * Removes objects, some at a time: one after the other, most of the time would be spent waiting.
 *
 * Imports its neighbour.
 */
import type { S3Client } from "./s3_client.ts";

const AT_ONCE = 8;

/**
 * Removes objects. Those that are not there are no error.
 *
 * @throws {S3Error} If storage fails; some may be left then.
 */
export async function deleteObjects(client: S3Client, keys: Iterable<string>): Promise<void> {
  const rest = keys[Symbol.iterator]();
  const removals = Array.from({ length: AT_ONCE }, async () => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) {
      await client.delete(next.value);
    }
  });
  const failure = (await Promise.allSettled(removals)).find(({ status }) => status === "rejected");
  if (failure?.status === "rejected") throw failure.reason;
}
