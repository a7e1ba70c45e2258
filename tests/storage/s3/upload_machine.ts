/**
 * Servers whose recordings go to the same place, for tests of the upload.
 */
import { join } from "node:path";
import {
  FileRecordingArchive,
  FileRecordingStore,
  type RecordingFiles,
} from "../../../lib/storage/mod.ts";
import type { UploadQueue, UploadQueueOptions } from "../../../lib/storage/s3/mod.ts";
import { readIfExists } from "../../helpers/temp_dir.ts";
import { noise } from "../../helpers/wav_check.ts";
import { endingOf } from "../ending_of.ts";
import { metadataOf } from "../recording_archive_suite.ts";
import { bytes, DAY, idOf, MIB, nameOf, type Scene, untilDone } from "./upload_scene.ts";

/** The session that is recorded unless another one is named. */
export const SESSION = nameOf(1);
/** Identifier of its recording of a plain name. */
export const ID = idOf(1);

/** What a recording is made of. */
export interface Content {
  /** Two of another one differ in all they have. */
  readonly seed: number;
  /** Without any, there is no audio file. */
  readonly audioBytes?: number;
  readonly hasUniqueName?: boolean;
  readonly sessionId?: string;
}

/** A folder of recordings, as each server has one. */
export class Machine {
  readonly folder: string;

  constructor(readonly scene: Scene, name: string) {
    this.folder = join(scene.dir.path, name);
  }

  get archive(): FileRecordingArchive {
    return new FileRecordingArchive(this.folder);
  }

  /** Makes a recording, as servers do. */
  async record(content: Content): Promise<RecordingFiles> {
    const { seed, audioBytes = 1000, hasUniqueName = false, sessionId = SESSION } = content;
    await using store = new FileRecordingStore(this.folder, { hasUniqueNames: hasUniqueName });
    const files = await store.create(DAY, sessionId);
    const header = noise(44, seed);
    if (audioBytes > 0) await files.writeAudio(0, header);
    const rest = { offset: 44, bytes: noise(audioBytes, seed) };
    await files.finish(endingOf({
      ...(audioBytes > 0 && { header, rest }),
      messages: { offset: 0, bytes: bytes(`{"time":${seed}}\n`) },
      metadata: metadataText(seed),
    }));
    await files.close();
    return files;
  }

  queue(options: Partial<UploadQueueOptions> = {}): UploadQueue {
    return this.scene.queue({ folder: this.folder, ...options });
  }

  /** Uploads all it can. */
  async upload(options: Partial<UploadQueueOptions> = {}): Promise<UploadQueue> {
    const queue = this.queue(options);
    queue.start();
    await untilDone(queue);
    await queue.stop();
    return queue;
  }

  /** Names and bytes of a recording's files, by their extensions. */
  async files(location: string): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    for (const extension of [".wav", ".jsonl", ".json"]) {
      const data = await readIfExists(location + extension);
      if (data !== undefined) found.set(extension, data);
    }
    return found;
  }
}

/** Differs in its length, too. */
function metadataText(seed: number): string {
  return JSON.stringify({ ...metadataOf(ID), language: "x".repeat(seed) });
}

/** All objects, with what may be changed of them. */
export async function snapshot(scene: Scene): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key, modifiedAt } of scene.direct.list("")) {
    const data = await scene.direct.get(key, 300 * MIB);
    found.set(key, `${modifiedAt.toISOString()} ${data?.toHex().slice(0, 100_000)}`);
  }
  return found;
}

/** The extensions that are stored of a name, with their bytes. */
export async function stored(scene: Scene, name: string): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for (const extension of [".wav", ".jsonl", ".hold", ".json"]) {
    const data = await scene.direct.get(`recordings/${DAY}/${name}${extension}`, 300 * MIB);
    if (data !== undefined) found.set(extension, data);
  }
  return found;
}

export function isSame(a: Map<string, Uint8Array>, b: Map<string, Uint8Array>): boolean {
  return a.size === b.size &&
    [...a].every(([extension, data]) => b.get(extension)?.toHex() === data.toHex());
}
