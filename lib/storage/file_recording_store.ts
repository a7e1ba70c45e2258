/**
 * Recordings as files in a folder (file_operations.ts has their names), written by a thread of their
 * own.
 *
 * Must not import: the protocol's session, the server.
 */
import type { RecordingFiles, RecordingStore } from "./recording_store.ts";
import { RecordingThread } from "./recording_thread.ts";

/**
 * Recordings in a folder, which is made if there is none. Beside the folder, the program must be
 * allowed to read `recording_thread_worker.ts`, which the thread begins with.
 */
export class FileRecordingStore implements RecordingStore, AsyncDisposable {
  readonly #folder: string;
  readonly #thread = new RecordingThread();
  #lastId = 0;

  /** @param folder Path of the folder that has a folder for each day. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes a new recording. Of several of one session, the second is named `<sessionId>.2`. */
  async create(day: string, sessionId: string): Promise<RecordingFiles> {
    const id = ++this.#lastId;
    const request = { what: "create", id, folder: this.#folder, day, sessionId } as const;
    const location = await this.#thread.do(request);
    return new LocalRecordingFiles(this.#thread, id, location);
  }

  /**
   * Ends the thread, which is begun by the first recording: for programs that go on without the
   * store. One that just ends need not ask for it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.close();
  }
}

class LocalRecordingFiles implements RecordingFiles {
  readonly location: string;
  readonly #thread: RecordingThread;
  readonly #id: number;
  #isUrgent = false;

  constructor(thread: RecordingThread, id: number, location: string) {
    this.#thread = thread;
    this.#id = id;
    this.location = location;
  }

  writeAudio(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#thread.write("audio", this.#id, offset, bytes, this.#isUrgent);
  }

  writeMessages(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#thread.write("messages", this.#id, offset, bytes, this.#isUrgent);
  }

  async finishAudio(): Promise<void> {
    await this.#thread.do({ what: "finish", id: this.#id });
  }

  async writeMetadata(text: string): Promise<void> {
    await this.#thread.do({ what: "metadata", id: this.#id, text });
  }

  hurry(): void {
    this.#isUrgent = true;
    this.#thread.flush();
  }

  close(): void {
    // What it could fail at is of no interest to anybody.
    this.#thread.do({ what: "close", id: this.#id }).catch(() => {});
  }
}
