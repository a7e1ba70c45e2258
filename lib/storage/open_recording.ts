/**
 * The files of one recording that is being made: `.wav.part`, `.jsonl`, and at its end `.wav` and
 * `.json`.
 *
 * As long as it is open, its `.jsonl` is locked: whoever gets the lock knows that nobody writes it.
 * Imports its neighbours.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createFile, FileBeingWritten, openFile, writeAll } from "./file_being_written.ts";
import { FILE_MODE, FOLDER_MODE } from "./file_modes.ts";
import { syncFolder } from "./folder_sync.ts";
import type { RecordingEnding } from "./recording_store.ts";
import type { SyncSchedule } from "./sync_schedule.ts";
import { whereSupported } from "./sync_support.ts";
import type { Places } from "./places.ts";
import { uniqueRecordingName } from "./unique_recording_name.ts";

/** A session that a client tries again may keep its id; more than this is no retry. */
const MAX_NUMBERED = 10;
/** A thread that ends lets go of its files a little later. */
const LOCK_TRIES = 20;
const LOCK_MS = 50;

/** What a recording needs to be written. */
export interface OpenRecordingOptions {
  readonly schedule: SyncSchedule;
  /** For the syncs of recordings that end. */
  readonly places: Places;
  /** Its files can't be synced, for this reason; or, `undefined`, they can again. */
  readonly onSync: (error: unknown) => void;
  /** Whether a new one's name is unique, wherever recordings are made; else it is numbered. */
  readonly hasUniqueName: boolean;
}

/** A recording that is being made. All methods throw what the disk says. */
export class OpenRecording {
  /** Path without an extension. */
  readonly location: string;
  readonly audio: FileBeingWritten;
  readonly messages: FileBeingWritten;
  readonly #places: Places;
  readonly #unsyncable = new Set<FileBeingWritten>();
  /** Whether its metadata has its name: then it has ended, whatever is called again. */
  #hasEnded: boolean;

  private constructor(
    location: string,
    files: { readonly audio?: Deno.FsFile; readonly messages: Deno.FsFile },
    { schedule, places, onSync }: OpenRecordingOptions,
    hasEnded: boolean,
  ) {
    const watcher = {
      changed: (file: FileBeingWritten) => schedule.add(file),
      synced: (file: FileBeingWritten, error: unknown) => {
        const wasFailing = this.#unsyncable.size > 0;
        if (error === undefined) this.#unsyncable.delete(file);
        else this.#unsyncable.add(file);
        if (wasFailing !== this.#unsyncable.size > 0) onSync(error);
      },
    };
    this.location = location;
    this.#places = places;
    this.#hasEnded = hasEnded;
    this.audio = new FileBeingWritten(`${location}.wav.part`, watcher, files.audio);
    this.messages = new FileBeingWritten(`${location}.jsonl`, watcher, files.messages);
  }

  /**
   * Makes a new recording. If names are numbered, the second one of a session is named
   * `<sessionId>.2`.
   */
  static create(folder: string, sessionId: string, options: OpenRecordingOptions): OpenRecording {
    try {
      return createIn(folder, sessionId, options);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // The first of a day: for all others, there is no need to ask for the folder.
      makeFolder(folder);
      return createIn(folder, sessionId, options);
    }
  }

  /**
   * Makes one of files that were made just now, and of which no other one may exist.
   *
   * @param messages Locked.
   */
  static of(
    location: string,
    messages: Deno.FsFile,
    options: OpenRecordingOptions,
  ): OpenRecording {
    return new OpenRecording(location, { messages }, options, false);
  }

  /** Goes on with a recording that another thread began, which has ended, or is about to. */
  static async reopen(location: string, options: OpenRecordingOptions): Promise<OpenRecording> {
    const messages = openFile(`${location}.jsonl`);
    let audio: Deno.FsFile | undefined;
    try {
      for (let tries = 1; !lock(messages); tries++) {
        if (tries === LOCK_TRIES) {
          throw new Deno.errors.Busy(`Cannot write ${location}: somebody else does`);
        }
        await delay(LOCK_MS);
      }
      const path = [".wav.part", ".wav"].map((extension) => location + extension).find(existsSync);
      audio = path === undefined ? undefined : openFile(path);
      const files = audio === undefined ? { messages } : { audio, messages };
      const recording = new OpenRecording(location, files, options, existsSync(`${location}.json`));
      if (path !== undefined) recording.audio.moved(path);
      // What the other thread had not synced, nobody knows.
      recording.audio.mayBeUnsynced();
      recording.messages.mayBeUnsynced();
      return recording;
    } catch (error) {
      messages.close();
      audio?.close();
      throw error;
    }
  }

  /**
   * Finishes the recording. Whenever it ends, by a fault or with the machine, the files are those of
   * a recording that runs, or of one that has ended; called again, it completes.
   */
  async finish(ending: RecordingEnding): Promise<void> {
    if (!this.#hasEnded) {
      const { audio, messages } = ending;
      if (audio !== undefined) {
        // First: a header that says too much is mended after a crash, and says that the rest is
        // padding, which otherwise would be taken for a sample.
        this.audio.write(0, audio.header);
        this.audio.write(audio.rest.offset, audio.rest.bytes);
      }
      this.messages.write(messages.offset, messages.bytes);
      await this.#places.take(() => this.#end(ending));
    }
    await syncFolder(dirname(this.location));
    this.audio.nameIsSynced();
    this.messages.nameIsSynced();
  }

  async #end({ audio, metadata }: RecordingEnding): Promise<void> {
    const { location } = this;
    await settled(this.audio.sync(), this.messages.sync());
    // Who finds it knows that the audio is complete.
    await writePart(location, metadata);
    if (audio !== undefined) {
      nameAsFinished(`${location}.wav`);
      this.audio.moved(`${location}.wav`);
    }
    nameAsFinished(`${location}.json`);
    this.#hasEnded = true;
  }

  /** Lets go of the files. What is not synced is, at its time. */
  close(): void {
    try {
      this.audio.close();
    } finally {
      this.messages.close();
    }
  }
}

/** What there is of a recording beside the `.jsonl`, or of one whose removal has begun. */
const TAKEN = [".wav", ".wav.part", ".json", ".removed"];

function createIn(folder: string, sessionId: string, options: OpenRecordingOptions): OpenRecording {
  for (let number = 1; number <= MAX_NUMBERED + 1; number++) {
    const name = options.hasUniqueName
      ? uniqueRecordingName(sessionId)
      : numberedName(sessionId, number);
    const location = join(folder, name);
    // Asked for without exceptions, which would cost more than all the rest.
    if (TAKEN.some((extension) => existsSync(location + extension))) continue;
    const messages = createLocked(`${location}.jsonl`);
    if (messages !== undefined) return OpenRecording.of(location, messages, options);
  }
  throw new Error(`There is no free name for a recording of session ${sessionId}`);
}

function numberedName(sessionId: string, number: number): string {
  if (number === 1) return sessionId;
  // Not by ever more numbers, which would take ever more time to find a free one.
  return `${sessionId}.${number <= MAX_NUMBERED ? number : crypto.randomUUID()}`;
}

/** `undefined` if somebody has made it before, or has taken it this very moment. */
function createLocked(path: string): Deno.FsFile | undefined {
  let file: Deno.FsFile;
  try {
    file = createFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return undefined;
    throw error;
  }
  if (lock(file)) return file;
  file.close();
  return undefined;
}

/** Whether nobody else has it. */
function lock(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    // A file system without locks, where nobody else can have it either.
    return true;
  }
}

/** Makes a folder, and those above it that are missing, and lets their names last. */
function makeFolder(path: string): void {
  const parents: string[] = [];
  for (let folder = path; !existsSync(folder) && dirname(folder) !== folder;) {
    parents.push(folder = dirname(folder));
  }
  Deno.mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  // No recording waits for it. What it fails at is found by the syncs of the recordings.
  for (const parent of parents) syncFolder(parent).catch(() => {});
}

/** Metadata that have not their name yet: a reader must never see half of them. */
async function writePart(location: string, metadata: string): Promise<void> {
  const path = `${location}.json.part`;
  const options = { write: true, create: true, truncate: true, mode: FILE_MODE };
  using file = Deno.openSync(path, options);
  writeAll(file, new TextEncoder().encode(metadata), path);
  await whereSupported(file.syncData());
}

/** Takes the `.part` off a name; never from a file that is there. */
function nameAsFinished(path: string): void {
  const part = `${path}.part`;
  if (existsSync(path)) {
    // It was renamed when this was tried before.
    if (!existsSync(part)) return;
    throw new Deno.errors.AlreadyExists(`There is another ${path}, which is not overwritten`);
  }
  Deno.renameSync(part, path);
}

/** Waits for all, also if one fails. */
async function settled(...promises: readonly Promise<void>[]): Promise<void> {
  const failure = (await Promise.allSettled(promises)).find(({ status }) => status === "rejected");
  if (failure?.status === "rejected") throw failure.reason;
}
