/**
 * Looks whether the file of an index is broken, or none of Deno KV's, before KV opens it: KV has a
 * thread that ends the whole program when it comes across such a file. In a thread of its own,
 * because it takes a second for 100,000 recordings.
 *
 * Imports node: only.
 */
import { Worker } from "node:worker_threads";

/** How long it may take. Then the file is taken for a good one. */
const TIMEOUT_MS = 60_000;

/** What is wrong with the file; `undefined` if it is a good one, or nobody knows. */
export type FileDamage = string | undefined;

/**
 * Finds what is wrong with a file of Deno KV's. The program must be allowed to read
 * `index_file_check_worker.ts`.
 *
 * @param path Of a file that exists.
 */
export async function findDamage(path: string): Promise<FileDamage> {
  const { promise, resolve, reject } = Promise.withResolvers<FileDamage>();
  const url = new URL("./index_file_check_worker.ts", import.meta.url);
  const worker = new Worker(url, { workerData: path });
  const timer = setTimeout(() => resolve(undefined), TIMEOUT_MS);
  worker.on("message", ({ damage }: { readonly damage: FileDamage }) => resolve(damage));
  worker.on("error", reject);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
