/**
 * A program that has an index of recordings, for tests of how such programs end, and of what the
 * system does to them. Its arguments: what it does, the index's file, and which recording is the
 * first.
 */
import { BackgroundIndex } from "../../lib/storage/background_index.ts";
import { openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import { until } from "../helpers/deadline.ts";
import { recording, uuid } from "../helpers/index_entries.ts";

const [what = "", path = "", first = "0"] = Deno.args;
const open = () =>
  openRecordingIndex({ place: { kind: "file", path }, key: new Uint8Array(32).fill(1) });

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

/** Puts one after the other, and says which ones are there: to be killed at any moment. */
async function putAlways(): Promise<void> {
  const index = await open();
  for (let n = Number(first);; n++) {
    await index.put(recording(n, { state: "recording" }));
    await index.put(recording(n, { conversationId: uuid(n) }));
    say(String(n));
  }
}

/** How large a file of this program may be, in bytes: like a disk that is full, and then is not. */
async function limitFiles(bytes: string): Promise<void> {
  const args = ["--pid", String(Deno.pid), `--fsize=${bytes}:unlimited`];
  const { success } = await new Deno.Command("prlimit", { args }).output();
  if (!success) throw new Error("prlimit failed");
}

/** The disk is full for a while. */
async function fillDisk(): Promise<void> {
  await using index = new BackgroundIndex(open, { firstRetryMs: 5, maxRetryMs: 20, maxTries: 1e9 });
  await index.put(recording(0));
  await until(() => index.status.waiting === 0, "the first one is there");
  await limitFiles("4096");
  for (let n = 1; n < 20; n++) await index.put(recording(n));
  await until(() => index.status.failingSince !== undefined, "it fails");
  const { entries } = await index.find({}, 50);
  say(`while it is full: ${index.status.waiting} wait, ${entries.length} can be found`);
  await limitFiles("unlimited");
  await until(() => index.status.waiting === 0, "it works again");
  const { failingSince, dropped } = index.status;
  const found = (await index.find({}, 50)).entries.length;
  say(`afterwards: ${found} can be found, ${failingSince ?? "nothing"} fails, ${dropped} dropped`);
}

if (what === "put always") await putAlways();
else await fillDisk();
