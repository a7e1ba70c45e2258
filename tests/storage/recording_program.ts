/**
 * A program that records, for tests of how such programs end, and of what the system does to them.
 * Its arguments: what it does, and in which folder.
 */
import { join } from "node:path";
import { FileRecordingStore, type RecordingFiles } from "../../lib/storage/mod.ts";
import { until } from "../helpers/deadline.ts";
import { noise } from "../helpers/wav_check.ts";
import { endingOf } from "./ending_of.ts";

const DAY = "2026-01-31";
const LARGE_BYTES = 32 * 1024 * 1024;

const [what = "", folder = ""] = Deno.args;
const recordings = join(folder, "recordings");

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

/** Writes what takes a while, and lets go of nothing. */
async function writeLarge(): Promise<void> {
  const files = await new FileRecordingStore(recordings).create(DAY, "session");
  await files.writeAudio(0, new Uint8Array(LARGE_BYTES));
  say("written");
}

/** How large a file of this program may be, in bytes: like a disk that is full, and then is not. */
async function limitFiles(bytes: string): Promise<void> {
  const args = ["--pid", String(Deno.pid), `--fsize=${bytes}:unlimited`];
  const { success } = await new Deno.Command("prlimit", { args }).output();
  if (!success) throw new Error("prlimit failed");
}

/** One recording of three is too large for a while. */
async function fillDisk(): Promise<void> {
  const store = new FileRecordingStore(recordings);
  const all = await Promise.all([0, 1, 2].map((index) => store.create(DAY, `session${index}`)));
  const audio = [3000, 9000, 100].map((size, index) => noise(size, index));
  const writeAll = () =>
    Promise.allSettled(all.map((files, index) => files.writeAudio(0, audio[index] ?? noise(0))));
  await limitFiles("4096");
  const how = (await writeAll()).map((result) =>
    result.status === "fulfilled" ? result.status : result.reason.message
  );
  const { size } = await Deno.stat(join(recordings, DAY, "session1.wav.part"));
  say(`${how.join(", ")}; ${size} bytes`);
  await limitFiles("unlimited");
  await all[1]?.writeAudio(0, audio[1] ?? noise(0));
  for (const files of all) await finish(files);
}

async function finish(files: RecordingFiles): Promise<void> {
  await files.finish(endingOf({ header: new Uint8Array() }));
  await files.close();
}

/** A recording from its beginning to its end, and no syncs but those of its end. */
async function finishOne(): Promise<void> {
  const files = await new FileRecordingStore(recordings, { syncSeconds: 0 }).create(DAY, "session");
  await files.writeAudio(0, noise(1000));
  await files.finish({
    audio: { header: noise(44), rest: { offset: 1000, bytes: noise(100) } },
    messages: { offset: 0, bytes: new TextEncoder().encode("{}\n") },
    metadata: "{}",
  });
  await files.close();
}

/** Finishes a recording, trying until it succeeds. */
async function finishAtLast(): Promise<void> {
  const files = await new FileRecordingStore(recordings, { syncSeconds: 0 }).create(DAY, "session");
  const ending = {
    audio: { header: noise(44), rest: { offset: 44, bytes: noise(1000) } },
    messages: { offset: 0, bytes: new TextEncoder().encode("{}\n") },
    metadata: "{}",
  };
  await until(async () => {
    try {
      await files.finish(ending);
      return true;
    } catch (error) {
      say(`failed: ${(error as { code?: string }).code}`);
      return false;
    }
  }, "the end of the recording");
  await files.close();
  say("finished");
}

/** Says what becomes of syncs, and ends the recording when they succeed again. */
async function sync(): Promise<void> {
  const store = new FileRecordingStore(recordings, { syncSeconds: 0.2 });
  const synced = Promise.withResolvers<void>();
  const files = await store.create(DAY, "session", (error) => {
    if (error === undefined) synced.resolve();
    else say(`${(error as { code?: string }).code}: ${(error as Error).message}`);
  });
  await files.writeAudio(0, noise(3000));
  await until(() => store.status.unsyncedSeconds > 0, "something that is not synced");
  await synced.promise;
  say("synced after all");
  await finish(files);
}

/** Goes on writing while syncs take as long as they take, and tells how far they are behind. */
async function fallBehind(): Promise<void> {
  const store = new FileRecordingStore(recordings, { syncSeconds: 0.2 });
  const all = await Promise.all(
    Array.from({ length: 10 }, (_, index) => store.create(DAY, `session${index}`)),
  );
  let offset = 0;
  await until(async () => {
    await Promise.all(all.map((files) => files.writeAudio(offset, noise(100))));
    offset += 100;
    return store.status.unsyncedSeconds > 2;
  }, "a disk that doesn't keep up");
  say(`${store.status.unsyncedFiles} files`);
  await until(() => store.status.unsyncedFiles === 0, "a disk that has kept up");
  for (const files of all) await finish(files);
  say(`${offset} bytes`);
}

const WHAT: Readonly<Record<string, () => Promise<void>>> = {
  forgets: () => Promise.resolve(void writeLarge()),
  waits: writeLarge,
  full: fillDisk,
  finishes: finishOne,
  "finishes at last": finishAtLast,
  syncs: sync,
  "falls behind": fallBehind,
};

await WHAT[what]?.();
