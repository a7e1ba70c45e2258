/**
 * A bound on a wait.
 *
 * Imports nothing.
 */

/**
 * Waits for a promise, but not for longer than a time.
 *
 * @returns The promise's value, or `undefined` if it was late. A late rejection is not reported.
 * @throws What the promise rejects with in time.
 */
export function withDeadline<T>(promise: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
