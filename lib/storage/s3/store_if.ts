/**
 * Stores objects only where there is none, or only in place of a certain one, so that of several
 * instances none replaces what another one has just stored.
 *
 * Servers that know no such conditions (`NotImplemented`; Google, for one) are asked what is there a
 * moment before: with them, two at the very same moment may both store.
 * Imports its neighbours.
 */
import type { PutOptions, S3Client } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";

/** What has to be at a key: nothing, or the object of an ETag. Neither of both is no condition. */
export type StoreCondition = Pick<PutOptions, "isNew" | "ifMatch">;

/**
 * Stores an object, if what is at its key is as it has to be.
 *
 * @param store Stores it on the condition it is given.
 * @returns What `store` returned, as `stored`; `undefined` if something else is there, which may be
 *   the same bytes: those that were sent before, where only the answer was lost.
 * @throws {S3Error} If storage fails; `ConditionalRequestConflict` if another one stores it at the
 *   same moment.
 */
export async function storeIf<T>(
  client: S3Client,
  key: string,
  condition: StoreCondition,
  store: (condition: StoreCondition) => Promise<T>,
): Promise<{ readonly stored: T } | undefined> {
  try {
    return { stored: await store(condition) };
  } catch (error) {
    if (!(error instanceof S3Error)) throw error;
    const { isNew, ifMatch } = condition;
    const isNotThere = error.status === 404 && error.code === "NoSuchKey" && ifMatch !== undefined;
    if (error.status === 412 || isNotThere) return undefined;
    const hasCondition = isNew === true || ifMatch !== undefined;
    if (error.code !== "NotImplemented" || !hasCondition) throw error;
  }
  const { isNew, ifMatch } = condition;
  const etag = (await client.head(key))?.etag;
  if ((isNew === true && etag !== undefined) || (ifMatch !== undefined && etag !== ifMatch)) {
    return undefined;
  }
  return { stored: await store({}) };
}
