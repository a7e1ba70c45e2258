/**
 * Recordings in a folder, read as plainly as can be: what tests of the API hold against it. It
 * counts what is open.
 */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type {
  LegalHold,
  RecordedFile,
  RecordingArchive,
  RecordingPart,
} from "../../lib/storage/recording_archive.ts";
import { placeOf } from "../../lib/storage/recording_id.ts";
import {
  type RecordingMetadata,
  recordingMetadataSchema,
} from "../../lib/storage/recording_metadata.ts";

/** How much is read at a time: no multiple of anything, so that nothing fits by chance. */
const CHUNK_BYTES = 9_973;

export class FolderArchive implements RecordingArchive {
  readonly #folder: string;
  /** Files that were opened and not disposed of. */
  openCount = 0;
  /** All that were opened, ever. */
  openedCount = 0;
  /** Bytes that were read. */
  readBytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async *list(): AsyncIterable<string> {
    for (const day of [...Deno.readDirSync(this.#folder)].map(({ name }) => name).sort()) {
      for await (const { name } of Deno.readDir(join(this.#folder, day))) {
        if (name.endsWith(".jsonl")) yield `${day}.${name.slice(0, -".jsonl".length)}`;
      }
    }
  }

  async metadata(id: string): Promise<RecordingMetadata | undefined> {
    const text = await this.#text(id, ".json");
    return text === undefined ? undefined : recordingMetadataSchema.parse(JSON.parse(text));
  }

  /** What has audio of its final name, or metadata, is not. */
  async isUnderWay(id: string): Promise<boolean> {
    const [log, ...ended] = [".jsonl", ".wav", ".json"].map((extension) =>
      this.#path(id, extension)
    );
    if (log === undefined || !await exists(log)) return false;
    return !(await Promise.all(ended.map((path) => exists(path ?? "")))).includes(true);
  }

  async open(id: string, part: RecordingPart): Promise<RecordedFile | undefined> {
    const extensions = part === "audio" ? [".wav", ".wav.part"] : [".jsonl"];
    for (const extension of extensions) {
      const path = this.#path(id, extension);
      if (path === undefined || !await exists(path)) continue;
      const handle = await open(path);
      this.openCount++;
      this.openedCount++;
      const { size, mtime } = await handle.stat();
      const isFinal = part === "audio"
        ? extension === ".wav"
        : await this.#text(id, ".json") !== undefined;
      return {
        size,
        isFinal,
        modifiedAt: mtime,
        read: (from, to) => this.#read(handle, from, to),
        [Symbol.asyncDispose]: async () => {
          this.openCount--;
          await handle.close();
        },
      };
    }
    return undefined;
  }

  async hold(id: string): Promise<LegalHold | undefined> {
    const text = await this.#text(id, ".hold");
    return text === undefined ? undefined : JSON.parse(text);
  }

  async setHold(id: string, hold: LegalHold | undefined): Promise<boolean> {
    const path = this.#path(id, ".hold");
    const messages = this.#path(id, ".jsonl");
    if (path === undefined || messages === undefined || !await exists(messages)) return false;
    if (hold !== undefined) await Deno.writeTextFile(path, JSON.stringify(hold));
    else await Deno.remove(path).catch(() => {});
    return true;
  }

  async remove(id: string): Promise<"removed" | "not_found" | "being_made"> {
    const messages = this.#path(id, ".jsonl");
    if (messages === undefined || !await exists(messages)) return "not_found";
    if (await this.#text(id, ".json") === undefined) return "being_made";
    for (const extension of [".wav", ".hold", ".json", ".jsonl"]) {
      await Deno.remove(this.#path(id, extension) ?? "").catch(() => {});
    }
    return "removed";
  }

  #read(handle: FileHandle, from: number, to: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    let position = from;
    return new ReadableStream({
      pull: async (controller) => {
        const bytes = new Uint8Array(Math.min(CHUNK_BYTES, to - position));
        const { bytesRead } = bytes.length === 0
          ? { bytesRead: 0 }
          : await handle.read(bytes, 0, bytes.length, position);
        position += bytesRead;
        this.readBytes += bytesRead;
        if (bytesRead > 0) controller.enqueue(bytes.subarray(0, bytesRead));
        else controller.close();
      },
    }, { highWaterMark: 0 });
  }

  #path(id: string, extension: string): string | undefined {
    const place = placeOf(id);
    return place && join(this.#folder, place.day, place.name + extension);
  }

  async #text(id: string, extension: string): Promise<string | undefined> {
    const path = this.#path(id, extension);
    return path !== undefined && await exists(path) ? await Deno.readTextFile(path) : undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
