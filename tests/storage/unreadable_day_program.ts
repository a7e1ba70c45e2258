/**
 * A process that lists, indexes and removes recordings by their age, of a data folder a part of which
 * it may not read; and says what it found.
 *
 * Arguments: the data folder, the time, and a second folder of recordings that can be read.
 */
import { join } from "node:path";
import {
  FileAuditLog,
  FileRecordingArchive,
  KvRecordingIndex,
  rebuildIndex,
  type RecordingArchive,
  RecordingRemoval,
  Retention,
} from "../../lib/storage/mod.ts";
import { CombinedArchive } from "../../lib/storage/s3/combined_archive.ts";
import { recording } from "../helpers/index_entries.ts";

const [dataDir = "", now = "", second = ""] = Deno.args;
const files = new FileRecordingArchive(join(dataDir, "recordings"));
const archives: Record<string, RecordingArchive> = {
  files,
  both: new CombinedArchive([files, new FileRecordingArchive(second)]),
};

async function listed(archive: RecordingArchive): Promise<string[]> {
  const found: string[] = [];
  for await (const id of archive.list((day) => found.push(`not ${day}`))) found.push(id);
  return found;
}

/** Rebuilds an index that has an entry of the day that is not read, and one of a day without any. */
async function indexed(archive: RecordingArchive) {
  const key = new Uint8Array(32);
  using index = new KvRecordingIndex(await Deno.openKv(":memory:"), { key });
  const entries = ["2026-01-02", "2026-01-05"].map((day, n) =>
    recording(n, { startedMs: Date.parse(`${day}T10:00:00Z`) })
  );
  await index.putAll(entries);
  const counts = await rebuildIndex(index, archive);
  const { entries: found } = await index.find({}, 100);
  return { counts, days: found.map(({ id }) => id.slice(0, 10)).sort() };
}

const before = Object.fromEntries(
  await Promise.all(
    Object.entries(archives).map(async ([name, archive]) =>
      [name, { listed: await listed(archive), indexed: await indexed(archive) }] as const
    ),
  ),
);
const newestDay = await files.newestDay();
const audit = new FileAuditLog(dataDir, { reserve: { reserveBytes: 0 } });
const index = { remove: () => Promise.resolve() };
const removed: Record<string, unknown> = {};
for (const [name, archive] of Object.entries(archives)) {
  await using retention = new Retention({
    archive,
    removal: new RecordingRemoval({ archive, index, audit }),
    newestDay: () => files.newestDay(),
    retentionDays: 30,
    clock: {
      nowMs: () => Date.parse(now),
      tickMs: () => performance.now(),
      delay: () => Promise.resolve(),
    },
  });
  removed[name] = await retention.run();
}
await Deno.stdout.write(
  new TextEncoder().encode(JSON.stringify({ before, newestDay, removed })),
);
