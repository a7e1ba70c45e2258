/**
 * The thread that looks whether a file is broken, for index_file_check.ts.
 */
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

/** Results of SQLite that say nothing of the file: busy, locked, no memory, I/O error, full. */
const TEMPORARY = [5, 6, 7, 10, 13];
/** How long it waits for others who write. */
const BUSY_MS = 5_000;

parentPort?.postMessage({ damage: damageOf(workerData) });

function damageOf(path: string): string | undefined {
  try {
    using database = new DatabaseSync(path, { timeout: BUSY_MS });
    const results = database.prepare("PRAGMA quick_check(1)").all().flatMap(Object.values);
    return results.length === 1 && results[0] === "ok" ? undefined : results.join();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) throw error;
    const { errcode } = error as Error & { readonly errcode?: number };
    // The lowest byte; the others tell it more precisely.
    return TEMPORARY.includes((errcode ?? 0) & 0xff) ? undefined : error.message;
  }
}
