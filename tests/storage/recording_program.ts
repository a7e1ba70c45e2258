/**
 * A program that records, for tests of how such programs end, and of what the system does to them.
 * Its arguments: what it does, and in which folder.
 */
import { join } from "node:path";
import { FileRecordingStore } from "../../lib/storage/mod.ts";
import { noise } from "../helpers/wav_check.ts";

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
  for (const files of all) {
    await files.finishAudio();
    files.close();
  }
}

switch (what) {
  case "forgets":
    void writeLarge();
    break;
  case "waits":
    await writeLarge();
    break;
  case "full":
    await fillDisk();
    break;
  default:
    throw new Error(`There is no ${what}`);
}
