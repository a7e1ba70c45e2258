/**
 * Waiting for the index of recordings, but not for ever: a database may neither answer nor fail.
 *
 * Imports its neighbour.
 */
import { IndexUnavailableError } from "./recording_index.ts";

/**
 * Waits for a promise, but not for longer than a time, nor after the signal. What comes later, be it
 * an error, is ignored.
 *
 * @throws {IndexUnavailableError} When the time is over; the signal's reason when it is aborted.
 */
export async function inTime<T>(
  promise: Promise<T>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<T> {
  const { promise: result, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(signal?.reason);
  const timer = setTimeout(() => {
    reject(new IndexUnavailableError(`The index of recordings did not answer in ${timeoutMs} ms`));
  }, timeoutMs);
  signal?.addEventListener("abort", onAbort);
  promise.then(resolve, reject);
  try {
    return await result;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
