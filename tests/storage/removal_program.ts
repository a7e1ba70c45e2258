/**
 * A process that removes all recordings of a data folder, one after the other, to be killed.
 */
import { join } from "node:path";
import { FileAuditLog, FileRecordingArchive, RecordingRemoval } from "../../lib/storage/mod.ts";

const [dataDir = ""] = Deno.args;
const archive = new FileRecordingArchive(join(dataDir, "recordings"));
const index = { remove: () => Promise.resolve() };
const removal = new RecordingRemoval({ archive, index, audit: new FileAuditLog(dataDir) });
await removal.finishInterrupted();
for await (const id of archive.list()) {
  const result = await removal.remove(id, "retention");
  await Deno.stdout.write(new TextEncoder().encode(`${result} ${id}\n`));
}
