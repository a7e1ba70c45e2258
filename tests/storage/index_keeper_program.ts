/**
 * A program that keeps an index of recordings complete, as a server does, for tests of several of
 * them. It says whatever it logs, how many recordings it finds, and whether something fails.
 *
 * Its argument is a {@link Keeping} as JSON.
 */
import { configure } from "@logtape/logtape";
import { BackgroundIndex } from "../../lib/storage/background_index.ts";
import { IndexUpkeep } from "../../lib/storage/index_upkeep.ts";
import { type IndexPlace, openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import { recording } from "../helpers/index_entries.ts";
import { SmallArchive } from "../helpers/small_archive.ts";

/** What one program does. */
export interface Keeping {
  readonly place: IndexPlace;
  /** Path of the folder that recordings are in. */
  readonly folder: string;
  /** Number of a recording that it is making, which has no file yet. */
  readonly making?: number;
  readonly slowOpenMs?: number;
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

await configure({
  sinks: { stdout: ({ message }) => say(message.map(String).join("")) },
  loggers: [
    { category: ["logtape"], lowestLevel: "error" },
    { category: ["audiohook"], lowestLevel: "debug", sinks: ["stdout"] },
  ],
});

const { place, folder, making, slowOpenMs = 10_000 }: Keeping = JSON.parse(Deno.args[0] ?? "");
const key = new Uint8Array(32).fill(1);
await using index = new BackgroundIndex(() => openRecordingIndex({ place, key }), { slowOpenMs });
await using upkeep = new IndexUpkeep(index, new SmallArchive(folder), { lookMs: 50 });
if (making !== undefined) {
  await index.put(recording(making, { state: "recording", startedMs: Date.now() }));
}
upkeep.start();
for (let last = "";;) {
  const found = await index.find({}, 500).then(({ entries }) => entries.length, () => "nothing");
  const now = `${found} found, ${index.status.failingSince === undefined ? "well" : "failing"}`;
  if (now !== last) say(now);
  last = now;
  await new Promise((resolve) => setTimeout(resolve, 10));
}
