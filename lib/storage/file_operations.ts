/**
 * What is done with the files of recordings, one request after the other, without waiting for
 * anything but the disk: it runs in a thread of its own (recording_thread.ts).
 *
 * Names: `<folder>/<YYYY-MM-DD>/<sessionId>.wav` (`.wav.part` until it is finished), `.jsonl` and
 * `.json`. Must not import: anything that the server's thread needs to be loaded here.
 */
import { join } from "node:path";

/** A session that a client tries again may keep its id; more than this is no retry. */
const MAX_NUMBERED = 10;
/** What people say on the phone is not for every user of the machine. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

/** Something to be done with the files of recording `id`, a number that the caller chooses. */
export type FileRequest =
  /** Makes a new recording. Of several of one session, the second is named `<sessionId>.2`. */
  | {
    readonly what: "create";
    readonly id: number;
    readonly folder: string;
    readonly day: string;
    readonly sessionId: string;
  }
  /** Gives the audio file its final name. */
  | { readonly what: "finish"; readonly id: number }
  | { readonly what: "metadata"; readonly id: number; readonly text: string }
  | { readonly what: "close"; readonly id: number };

/** The files of recordings that are being made. All methods throw what the disk says. */
export class FileOperations {
  readonly #recordings = new Map<number, OpenRecording>();

  /** Writes a part of a file of a recording. */
  write(file: "audio" | "messages", id: number, offset: number, bytes: Uint8Array): void {
    this.#find(id)[file].write(offset, bytes);
  }

  /**
   * Does something other than writing.
   *
   * @returns Location of the recording, without an extension.
   */
  do(request: FileRequest): string {
    if (request.what === "create") {
      const made = create(join(request.folder, request.day), request.sessionId);
      this.#recordings.set(request.id, made);
      return made.location;
    }
    const recording = this.#find(request.id);
    const { location } = recording;
    switch (request.what) {
      case "finish":
        Deno.renameSync(`${location}.wav.part`, `${location}.wav`);
        break;
      case "metadata":
        writeMetadata(location, request.text);
        break;
      case "close":
        this.#recordings.delete(request.id);
        try {
          recording.audio.close();
        } finally {
          recording.messages.close();
        }
    }
    return location;
  }

  #find(id: number): OpenRecording {
    const recording = this.#recordings.get(id);
    if (recording === undefined) throw new Error(`There is no open recording ${id}`);
    return recording;
  }
}

interface OpenRecording {
  readonly location: string;
  readonly audio: FileBeingWritten;
  readonly messages: FileBeingWritten;
}

/** A file that is made when it is first written to. */
class FileBeingWritten {
  readonly #path: string;
  #file: Deno.FsFile | undefined;
  /** Where the file's own position is, so that writing on needs no seek. */
  #position = 0;

  constructor(path: string, file?: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  write(offset: number, bytes: Uint8Array): void {
    const file = this.#file ??= createFile(this.#path);
    const seeks = this.#position !== offset;
    // Unknown until it succeeded: a write may fail halfway.
    this.#position = -1;
    if (seeks) file.seekSync(offset, Deno.SeekMode.Start);
    for (let written = 0; written < bytes.length;) {
      const count = file.writeSync(written === 0 ? bytes : bytes.subarray(written));
      // Or it would be tried forever, and nothing else be written.
      if (count === 0) throw new Deno.errors.WriteZero(`Nothing could be written to ${this.#path}`);
      written += count;
    }
    this.#position = offset + bytes.length;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

function create(folder: string, sessionId: string): OpenRecording {
  try {
    return createIn(folder, sessionId);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    // The first of a day: for all others, there is no need to ask for the folder.
    Deno.mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    return createIn(folder, sessionId);
  }
}

function createIn(folder: string, sessionId: string): OpenRecording {
  for (let number = 1; number <= MAX_NUMBERED + 1; number++) {
    // Not by ever more numbers, which would take ever more time to find a free one.
    const suffix = number <= MAX_NUMBERED ? number : crypto.randomUUID();
    const location = join(folder, number === 1 ? sessionId : `${sessionId}.${suffix}`);
    if ([".wav", ".wav.part", ".json"].some((extension) => exists(location + extension))) continue;
    const messages = `${location}.jsonl`;
    try {
      return {
        location,
        audio: new FileBeingWritten(`${location}.wav.part`),
        messages: new FileBeingWritten(messages, createFile(messages)),
      };
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  throw new Error(`There is no free name for a recording of session ${sessionId}`);
}

function writeMetadata(location: string, text: string): void {
  // A reader must never see half of it.
  const temporary = `${location}.json.part`;
  Deno.writeTextFileSync(temporary, text, { mode: FILE_MODE });
  Deno.renameSync(temporary, `${location}.json`);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function createFile(path: string): Deno.FsFile {
  return Deno.openSync(path, { write: true, createNew: true, mode: FILE_MODE });
}
