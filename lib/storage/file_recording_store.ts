/**
 * Recordings as files: `<folder>/<YYYY-MM-DD>/<sessionId>.wav` (`.wav.part` until it is finished),
 * `.jsonl` and `.json`.
 *
 * Must not import: the protocol's session, the server.
 */
import { join } from "node:path";
import type { RecordingFiles, RecordingStore } from "./recording_store.ts";

/** A session that a client tries again may keep its id; more than this is no retry. */
const MAX_NUMBERED = 10;
/** What people say on the phone is not for every user of the machine. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

/** Recordings in a folder, which is made if there is none. */
export class FileRecordingStore implements RecordingStore {
  readonly #folder: string;

  /** @param folder Path of the folder that has a folder for each day. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes a new recording. Of several of one session, the second is named `<sessionId>.2`. */
  async create(day: string, sessionId: string): Promise<RecordingFiles> {
    const folder = join(this.#folder, day);
    try {
      return await this.#createIn(folder, sessionId);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // The first of a day: for all others, there is no need to ask for the folder.
      await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
      return await this.#createIn(folder, sessionId);
    }
  }

  async #createIn(folder: string, sessionId: string): Promise<RecordingFiles> {
    for (let number = 1; number <= MAX_NUMBERED + 1; number++) {
      // Not by ever more numbers, which would take ever more time to find a free one.
      const suffix = number <= MAX_NUMBERED ? number : crypto.randomUUID();
      const location = join(folder, number === 1 ? sessionId : `${sessionId}.${suffix}`);
      if (await existsAnyOf(location, [".wav", ".wav.part", ".json"])) continue;
      const messages = await createNew(`${location}.jsonl`);
      if (messages !== undefined) return new LocalRecordingFiles(location, messages);
    }
    throw new Error(`There is no free name for a recording of session ${sessionId}`);
  }
}

class LocalRecordingFiles implements RecordingFiles {
  readonly location: string;
  readonly #messages: Deno.FsFile;
  #audio: Deno.FsFile | undefined;
  /** Where each file's own position is, so that writing on needs no seek. */
  readonly #positions = new Map<Deno.FsFile, number>();

  constructor(location: string, messages: Deno.FsFile) {
    this.location = location;
    this.#messages = messages;
  }

  async writeAudio(offset: number, bytes: Uint8Array): Promise<void> {
    this.#audio ??= await createFile(`${this.location}.wav.part`);
    await this.#write(this.#audio, offset, bytes);
  }

  async finishAudio(): Promise<void> {
    await Deno.rename(`${this.location}.wav.part`, `${this.location}.wav`);
  }

  async writeMessages(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#write(this.#messages, offset, bytes);
  }

  async writeMetadata(text: string): Promise<void> {
    // A reader must never see half of it.
    const temporary = `${this.location}.json.part`;
    await Deno.writeTextFile(temporary, text, { mode: FILE_MODE });
    await Deno.rename(temporary, `${this.location}.json`);
  }

  close(): void {
    this.#messages.close();
    this.#audio?.close();
    this.#audio = undefined;
  }

  async #write(file: Deno.FsFile, offset: number, bytes: Uint8Array): Promise<void> {
    const position = this.#positions.get(file) ?? 0;
    // Unknown until it succeeded: a write may fail halfway.
    this.#positions.set(file, -1);
    if (position !== offset) await file.seek(offset, Deno.SeekMode.Start);
    for (let written = 0; written < bytes.length;) {
      written += await file.write(bytes.subarray(written));
    }
    this.#positions.set(file, offset + bytes.length);
  }
}

async function existsAnyOf(location: string, extensions: readonly string[]): Promise<boolean> {
  for (const extension of extensions) {
    if (await Deno.lstat(location + extension).then(() => true, () => false)) return true;
  }
  return false;
}

function createFile(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { write: true, createNew: true, mode: FILE_MODE });
}

/** Makes a file; `undefined` if there is one of that name. */
async function createNew(path: string): Promise<Deno.FsFile | undefined> {
  try {
    return await createFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return undefined;
    throw error;
  }
}
