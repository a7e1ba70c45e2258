/**
 * Opens the index of recordings, wherever it is: in a file, in a database that others share, or in
 * memory.
 *
 * Nothing in the index is lost if it has to be made anew: a file that is broken, or that was
 * built otherwise, is put out of the way. Who has it open notices, and opens the new one; of programs
 * with different settings, the one that opens it last decides. Imports node:, the log and its
 * neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { basename, dirname, join } from "node:path";
import { FOLDER_MODE } from "./file_modes.ts";
import { findDamage } from "./index_file_check.ts";
import type { FormatComparison } from "./index_keys.ts";
import { KvRecordingIndex, type KvRecordingIndexOptions } from "./kv_recording_index.ts";
import { IndexUnavailableError } from "./recording_index.ts";

const log = getLogger(["audiohook", "index"]);

/** What SQLite keeps beside its file. */
const SUFFIXES = ["", "-wal", "-shm"] as const;

/** Where an index is. */
export type IndexPlace =
  /** In a file, at this path. Its folder is made if there is none. */
  | { readonly kind: "file"; readonly path: string }
  /** In a KV database at this address; its access token is in the environment, `DENO_KV_ACCESS_TOKEN`. */
  | { readonly kind: "url"; readonly url: string }
  /**
   * In the database that Deno Deploy gives to the program, which all its instances share. (Deno
   * itself has a file for it, `DENO_KV_DEFAULT_PATH` or one in `DENO_DIR`.)
   */
  | { readonly kind: "deploy" }
  /**
   * In memory, from the recordings at each start: for one instance without a disk. Others do not see
   * it, and it does not see what others record until it is started again.
   */
  | { readonly kind: "memory" };

/** Where the index is, and how it's built. */
export interface OpenIndexOptions extends KvRecordingIndexOptions {
  readonly place: IndexPlace;
}

/**
 * Opens the index, and makes it if there is none. One in a file that is broken is moved aside, to
 * `<path>.broken-<time>`; one that was built with another key or format begins empty. It is up
 * to `IndexUpkeep` to fill it.
 *
 * @throws If there is no way to open it now; it may be tried again.
 */
export async function openRecordingIndex(options: OpenIndexOptions): Promise<KvRecordingIndex> {
  if (typeof Deno.openKv !== "function") {
    throw new Error(
      'Cannot open the index of recordings: expected Deno KV to be switched on, by "unstable": ' +
        '["kv"] in deno.json or by --unstable-kv',
    );
  }
  const { place } = options;
  if (place.kind === "file") return await openFile(place.path, options);
  using stack = new DisposableStack();
  const index = stack.use(new KvRecordingIndex(await openDatabase(place), options));
  if (await formatOf(index) !== "same") await index.writeFormat();
  stack.move();
  return index;
}

async function openDatabase(place: Exclude<IndexPlace, { kind: "file" }>): Promise<Deno.Kv> {
  switch (place.kind) {
    case "url":
      return await Deno.openKv(place.url);
    case "deploy":
      return await Deno.openKv();
    case "memory":
      return await Deno.openKv(":memory:");
  }
}

async function openFile(path: string, options: OpenIndexOptions): Promise<KvRecordingIndex> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
  // Two programs that put the files away and make new ones at once would mix them up.
  using lock = await Deno.open(`${path}.lock`, { create: true, write: true, mode: 0o600 });
  await lock.lock(true);
  const damage = await damageOf(path);
  if (damage !== undefined) await moveAside(path, { damage });
  let index: KvRecordingIndex | undefined;
  try {
    index = await openUnlessOther(path, options);
  } catch (error) {
    // It may be the disk that is slow or full. If another file can be opened, it's this one.
    if (error instanceof IndexUnavailableError || !await canOpenAnother(path, options)) throw error;
    await moveAside(path, { error });
    index = await openUnlessOther(path, options);
  }
  if (index !== undefined) return index;
  // Emptied record by record, what was removed would stay in the file for long.
  await removeFiles(path);
  index = await openUnlessOther(path, options);
  if (index === undefined) throw new Error(`Cannot open ${path}: another program uses it`);
  return index;
}

/** Opens a file; `undefined` if what is in it was built otherwise. */
async function openUnlessOther(
  path: string,
  options: OpenIndexOptions,
): Promise<KvRecordingIndex | undefined> {
  await createIfMissing(path);
  // Before it is opened: if it is replaced in between, that is noticed, too.
  const opened = await identityOf(path);
  const isReplaced = async () => await identityOf(path) !== opened;
  using stack = new DisposableStack();
  const index = stack.use(new KvRecordingIndex(await Deno.openKv(path), options, isReplaced));
  const format = await formatOf(index);
  if (format === "other") return undefined;
  if (format === "none") await index.writeFormat();
  stack.move();
  return index;
}

async function canOpenAnother(path: string, options: OpenIndexOptions): Promise<boolean> {
  const other = `${path}.try-${crypto.randomUUID()}`;
  try {
    (await openUnlessOther(other, options))?.[Symbol.dispose]();
    return true;
  } catch {
    return false;
  } finally {
    await removeFiles(other).catch(() => {});
  }
}

async function damageOf(path: string): Promise<string | undefined> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) return "it is no file";
    return size === 0 ? undefined : await findDamage(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function createIfMissing(path: string): Promise<void> {
  try {
    // With personal data in it, it's for nobody else to read; its neighbours are made likewise. One
    // that exists is not touched: who closes a file lets go of the locks that KV may have on it.
    (await Deno.open(path, { createNew: true, write: true, mode: 0o600 })).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** What tells a file from another one that gets its name; as long as it is open, no other has it. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await Deno.stat(path);
    return `${dev}:${ino}`;
  } catch (error) {
    unlessThere(error);
    return undefined;
  }
}

/** How what is there was built. */
async function formatOf(index: KvRecordingIndex): Promise<FormatComparison["kind"]> {
  const found = await index.compareFormat();
  if (found.kind === "other") {
    const { difference } = found;
    log.warning("The index of recordings was built {difference}: it is built anew", { difference });
  }
  return found.kind;
}

/** Moves a file out of the way, and tells. */
async function moveAside(path: string, cause: Record<string, unknown>): Promise<void> {
  const aside = `${path}.broken-${new Date().toISOString().replaceAll(":", "-")}`;
  const earlier = await brokenOnes(path);
  for (const suffix of SUFFIXES) {
    await Deno.rename(`${path}${suffix}`, `${aside}${suffix}`).catch(unlessThere);
  }
  // One is enough to find out what happened; a disk that breaks them all must not be filled.
  for (const old of earlier) await Deno.remove(old, { recursive: true }).catch(() => {});
  log.error("The index of recordings is broken: it is built anew; the old one is {aside}", {
    aside,
    ...cause,
  });
}

async function brokenOnes(path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(dirname(path))) {
    if (name.startsWith(`${basename(path)}.broken-`)) found.push(join(dirname(path), name));
  }
  return found;
}

async function removeFiles(path: string): Promise<void> {
  for (const suffix of SUFFIXES) await Deno.remove(`${path}${suffix}`).catch(unlessThere);
}

function unlessThere(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
