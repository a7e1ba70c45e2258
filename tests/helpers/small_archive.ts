/**
 * An archive over real files, as small as can be: for tests of what needs an archive, whichever.
 */
import { join } from "node:path";
import type { RecordedFile, RecordingArchive } from "../../lib/storage/recording_archive.ts";
import { placeOf } from "../../lib/storage/recording_id.ts";
import type { IndexedRecording } from "../../lib/storage/recording_index.ts";
import {
  type RecordingMetadata,
  recordingMetadataSchema,
} from "../../lib/storage/recording_metadata.ts";
import { metadataOf } from "./index_entries.ts";

export class SmallArchive implements RecordingArchive {
  /** How often metadata was read. */
  reads = 0;
  /** Is called when metadata was read, before it's given out. */
  onRead: (id: string) => void | Promise<void> = () => {};
  /** Is called after the recordings of a day were listed. */
  onDayListed: (day: string) => void | Promise<void> = () => {};
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the files of a recording: those that it has at its state. */
  async add(entry: IndexedRecording): Promise<void> {
    const path = this.#path(entry.id, "");
    await Deno.mkdir(join(path, ".."), { recursive: true });
    await Deno.writeTextFile(`${path}.jsonl`, "");
    if (entry.state === "recording") return;
    await Deno.writeTextFile(`${path}.json`, JSON.stringify(metadataOf(entry)));
  }

  async writeMetadata(id: string, text: string): Promise<void> {
    await Deno.writeTextFile(this.#path(id, ".json"), text);
  }

  async *list(): AsyncGenerator<string> {
    const days = (await Array.fromAsync(Deno.readDir(this.#folder))).map(({ name }) => name).sort();
    for (const day of days) {
      const names = (await Array.fromAsync(Deno.readDir(join(this.#folder, day))))
        .filter(({ name }) => name.endsWith(".jsonl"));
      await this.onDayListed(day);
      for (const { name } of names) yield `${day}.${name.slice(0, -".jsonl".length)}`;
    }
  }

  async metadata(id: string): Promise<RecordingMetadata | undefined> {
    this.reads++;
    const text = await Deno.readTextFile(this.#path(id, ".json")).catch(noneIfMissing);
    await this.onRead(id);
    return text === undefined ? undefined : recordingMetadataSchema.parse(JSON.parse(text));
  }

  async open(id: string, part: "audio" | "messages"): Promise<RecordedFile | undefined> {
    const path = this.#path(id, part === "audio" ? ".wav" : ".jsonl");
    const file = await Deno.open(path).catch(noneIfMissing);
    if (file === undefined) return undefined;
    const { size } = await file.stat();
    const metadata = await Deno.stat(this.#path(id, ".json")).catch(noneIfMissing);
    return {
      size,
      isFinal: metadata !== undefined,
      modifiedAt: new Date(0),
      read: () => new ReadableStream(),
      [Symbol.asyncDispose]: () => Promise.resolve(file.close()),
    };
  }

  async isUnderWay(id: string): Promise<boolean> {
    return await Deno.stat(this.#path(id, ".json")).then(() => false, () => true);
  }

  hold(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  setHold(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async remove(id: string): Promise<"removed"> {
    for (const extension of [".json", ".wav", ".jsonl"]) {
      await Deno.remove(this.#path(id, extension)).catch(noneIfMissing);
    }
    return "removed";
  }

  #path(id: string, extension: string): string {
    const place = placeOf(id);
    if (place === undefined) throw new Error(`${id} is no id`);
    return join(this.#folder, place.day, `${place.name}${extension}`);
  }
}

function noneIfMissing(error: unknown): undefined {
  if (error instanceof Deno.errors.NotFound) return undefined;
  throw error;
}
