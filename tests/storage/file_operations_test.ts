/**
 * What the thread that writes recordings does with files, without the thread: here, each state of
 * syncing is told, however short it is.
 */
import { assert, assertEquals } from "@std/assert";
import { FileOperations } from "../../lib/storage/file_operations.ts";
import { packEnding } from "../../lib/storage/packed_ending.ts";
import type { SyncStatus } from "../../lib/storage/sync_schedule.ts";
import { Inbox } from "../helpers/deadline.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { noise } from "../helpers/wav_check.ts";
import { endingOf } from "./ending_of.ts";
import { isLocked } from "./lock_check.ts";

const DAY = "2026-01-31";
const bytes = (text: string) => new TextEncoder().encode(text);

/** Files in a folder of their own, which are synced every 0.1 s. */
class Scene implements AsyncDisposable {
  readonly operations: FileOperations;
  /** What was told of recordings that could not be synced. */
  readonly failures: unknown[] = [];
  readonly #statuses = new Inbox<SyncStatus>("how far syncing is");
  readonly #dir: TempDir;

  private constructor(dir: TempDir) {
    this.#dir = dir;
    this.operations = new FileOperations({
      syncSeconds: 0.1,
      hasUniqueNames: false,
      onSync: (_id, error) => this.failures.push(error),
      onStatus: (status) => this.#statuses.push(status),
    });
  }

  static async make(): Promise<Scene> {
    return new Scene(await TempDir.create());
  }

  /** Makes a recording. */
  async create(id: number): Promise<{ readonly id: number; readonly location: string }> {
    const sessionId = crypto.randomUUID();
    const folder = this.#dir.path;
    const request = { what: "create", id, folder, day: DAY, sessionId } as const;
    return { id, location: await this.operations.do(request) };
  }

  /** All that was written before is synced; to be waited for once after each write. */
  async synced(): Promise<void> {
    while (true) {
      const { unsyncedFiles, unsyncedMs } = await this.#statuses.take();
      if (unsyncedFiles > 0) continue;
      assertEquals(unsyncedMs, 0);
      return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]();
  }
}

Deno.test("FileOperations: the messages are locked from their first to their last", async () => {
  await using scene = await Scene.make();
  const { operations } = scene;
  const recording = await scene.create(1);
  assert(await isLocked(recording), "from the beginning");
  operations.write("messages", 1, 0, bytes("one\n"));
  await scene.synced();
  assert(await isLocked(recording), "after it was synced");
  await operations.do({ what: "finish", id: 1, ending: packEnding(endingOf()) });
  assert(await isLocked(recording), "as long as messages may come");
  operations.write("messages", 1, 4, bytes("two\n"));
  await operations.do({ what: "close", id: 1 });
  assert(!await isLocked(recording), "when it is closed");
  await scene.synced();
});

Deno.test("FileOperations: all that was written is synced, and after that nothing waits", async () => {
  await using scene = await Scene.make();
  const { operations } = scene;
  const all = await Promise.all(Array.from({ length: 40 }, (_, id) => scene.create(id)));
  for (let round = 0; round < 3; round++) {
    for (const { id } of all) {
      operations.write("audio", id, round * 1000, noise(1000, round));
      operations.write("messages", id, round * 4, bytes("one\n"));
    }
    await scene.synced();
  }
  // What is left when it is let go is synced, too.
  for (const { id } of all) operations.write("messages", id, 12, bytes("two\n"));
  for (const { id } of all) await operations.do({ what: "close", id });
  await scene.synced();
  assertEquals(scene.failures, []);
});
