/**
 * Syncs folders: the names of files outlast a power failure only when their folder was synced.
 *
 * Imports its neighbour.
 */
import { whereSupported } from "./sync_support.ts";

/** What is under way for a folder, and what begins after it. */
interface FolderSync {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

const SYNCS = new Map<string, FolderSync>();

/**
 * Lets the names in a folder last, as they are now. Those who ask while it is being synced share
 * the next sync.
 *
 * @throws What the disk says. Where folders can't be synced, it does nothing.
 */
export function syncFolder(path: string): Promise<void> {
  const sync = SYNCS.get(path);
  if (sync === undefined) return start(path);
  return sync.next ??= sync.running.then(() => start(path), () => start(path));
}

function start(path: string): Promise<void> {
  const running = syncNow(path);
  const sync: FolderSync = { running, next: undefined };
  SYNCS.set(path, sync);
  const end = () => {
    // Not if another one has begun, or is about to.
    if (SYNCS.get(path) === sync && sync.next === undefined) SYNCS.delete(path);
  };
  running.then(end, end);
  return running;
}

async function syncNow(path: string): Promise<void> {
  // It opens no folders.
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path);
  await whereSupported(folder.sync());
}
