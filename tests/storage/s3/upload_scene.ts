/**
 * What tests of the upload need: a real S3 server, a proxy before it, a folder, recordings.
 */
import { assertExists } from "@std/assert";
import { join } from "node:path";
import { S3Client, UploadQueue, type UploadQueueOptions } from "../../../lib/storage/s3/mod.ts";
import { type UploadMarker, uploadMarkerSchema } from "../../../lib/storage/s3/upload_marker.ts";
import { until } from "../../helpers/deadline.ts";
import { TempDir } from "../../helpers/temp_dir.ts";
import { assertSameBytes, noise } from "../../helpers/wav_check.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { BUCKET, CREDENTIALS, ObjectServer, type ServerKind } from "./object_server.ts";

export const DAY = "2026-01-31";
export const MIB = 1024 * 1024;

/** UTF-8. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Name of a recording. */
export function nameOf(n: number): string {
  return `30b0e395-84d3-4570-ac13-${String(n).padStart(12, "0")}`;
}

/** Identifier of a recording. */
export function idOf(n: number): string {
  return `${DAY}.${nameOf(n)}`;
}

/** A client that does not wait long. */
export function clientOf(url: string, bucket = BUCKET, credentials = CREDENTIALS): S3Client {
  return new S3Client({ endpoint: url, bucket }, credentials, {
    attempts: 2,
    firstPauseMs: 1,
    timeoutMs: 60_000,
  });
}

/** A server, a folder, and queues between them. Make it by `await using scene = await Scene.set()`. */
export class Scene implements AsyncDisposable {
  readonly #queues: UploadQueue[] = [];

  private constructor(
    readonly server: ObjectServer,
    readonly proxy: FaultProxy,
    readonly dir: TempDir,
  ) {}

  static async set(kind: ServerKind = ""): Promise<Scene> {
    const server = await ObjectServer.start(kind);
    return new Scene(server, FaultProxy.to(server.port), await TempDir.create());
  }

  /** Past the proxy. */
  get direct(): S3Client {
    return clientOf(this.server.url);
  }

  path(n: number, extension: string): string {
    return join(this.dir.path, DAY, nameOf(n) + extension);
  }

  /** Makes the files of a recording that has ended. */
  async record(n: number, audioBytes = 1000): Promise<Map<string, Uint8Array>> {
    await Deno.mkdir(join(this.dir.path, DAY), { recursive: true });
    const files = new Map<string, Uint8Array>([
      [".wav", noise(audioBytes, n)],
      [".jsonl", bytes(`{"n":${n}}\n`)],
      [".json", bytes(`{"of":${n}}\n`)],
    ]);
    for (const [extension, data] of files) await Deno.writeFile(this.path(n, extension), data);
    return files;
  }

  queue(options: Partial<UploadQueueOptions> = {}): UploadQueue {
    const queue = new UploadQueue({
      folder: this.dir.path,
      client: clientOf(this.proxy.url),
      firstPauseMs: 20,
      maxPauseMs: 100,
      ...options,
    });
    this.#queues.push(queue);
    return queue;
  }

  async stored(n: number, extension: string): Promise<Uint8Array | undefined> {
    return await this.direct.get(`recordings/${DAY}/${nameOf(n)}${extension}`, 300 * MIB);
  }

  async assertStored(n: number, files: Map<string, Uint8Array>): Promise<void> {
    for (const [extension, data] of files) {
      const stored = await this.stored(n, extension);
      assertExists(stored, `${n}${extension}`);
      assertSameBytes(stored, data);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const queue of this.#queues) await queue.stop(0);
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Waits until nothing is left to be uploaded. */
export function untilDone(queue: UploadQueue, timeoutMs = 60_000): Promise<true> {
  const isDone = () => queue.status.waiting === 0 && !queue.status.isScanning && (true as const);
  return until(isDone, "all is uploaded", timeoutMs);
}

/** The marker of a recording. */
export async function markerOf(scene: Scene, n: number): Promise<UploadMarker> {
  return uploadMarkerSchema.parse(JSON.parse(await Deno.readTextFile(scene.path(n, ".s3"))));
}
