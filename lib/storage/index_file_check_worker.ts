/**
 * The thread that looks whether a file is broken, for index_file_check.ts.
 */
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

/** Results of SQLite that say nothing of the file: busy, locked, no memory, I/O error, full. */
const TEMPORARY = [5, 6, 7, 10, 13];
/** How long it waits for others who write. */
const BUSY_MS = 5_000;
/**
 * What Deno KV asks of its tables. It makes them in a file that has none; it trusts those that are
 * there, and its thread ends the program by the first question that they cannot answer.
 */
const COLUMNS = {
  migration_state: ["k", "version"],
  data_version: ["k", "version"],
  kv: ["k", "v", "v_encoding", "version", "expiration_ms"],
  queue: ["ts", "id", "data", "backoff_schedule", "keys_if_undelivered"],
  queue_running: ["deadline", "id", "data", "backoff_schedule", "keys_if_undelivered"],
} as const;

parentPort?.postMessage({ damage: damageOf(workerData) });

function damageOf(path: string): string | undefined {
  try {
    using database = new DatabaseSync(path, { timeout: BUSY_MS });
    const missing = missingOf(database);
    if (missing !== undefined) return missing;
    const results = database.prepare("PRAGMA quick_check(1)").all().flatMap(Object.values);
    return results.length === 1 && results[0] === "ok" ? undefined : results.join();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) throw error;
    const { errcode } = error as Error & { readonly errcode?: number };
    // The lowest byte; the others tell it more precisely.
    return TEMPORARY.includes((errcode ?? 0) & 0xff) ? undefined : error.message;
  }
}

/** What Deno KV would miss in a database; `undefined` if nothing, or if it is a new one. */
function missingOf(database: DatabaseSync): string | undefined {
  const found = database.prepare(
    "SELECT tables.name || '.' || columns.name AS name FROM sqlite_schema AS tables, " +
      "pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'",
  ).all();
  if (found.length === 0) return undefined;
  const names = new Set(found.map(({ name }) => name));
  const missing = Object.entries(COLUMNS)
    .flatMap(([table, columns]) => columns.map((column) => `${table}.${column}`))
    .find((name) => !names.has(name));
  if (missing !== undefined) return `no database of Deno KV: it has no ${missing}`;
  // KV counts its changes here, and can make none without it.
  const counters = database.prepare("SELECT version FROM data_version WHERE k = 0").all();
  return counters.length === 1 ? undefined : "no database of Deno KV: data_version is empty";
}
