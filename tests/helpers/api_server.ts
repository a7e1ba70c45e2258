/**
 * A server with the API for recordings, for one test: over real HTTP, with recordings in a folder.
 */
import {
  type Api,
  type ApiLimits,
  type ApiOptions,
  createApi,
  type FailedTries,
  type RemoveOutcome,
} from "../../lib/api/mod.ts";
import { Keyring } from "../../lib/protocol/keyring.ts";
import { type AudioHookServer, FailureLimiter, startServer } from "../../lib/server/mod.ts";
import type { RecordingArchive } from "../../lib/storage/recording_archive.ts";
import type { RecordingIndex } from "../../lib/storage/recording_index.ts";
import type { RecordingLibrary } from "../../lib/storage/recording_library.ts";
import { until, within } from "./deadline.ts";
import { FolderArchive } from "./folder_archive.ts";
import { MemoryIndex } from "./memory_index.ts";
import { type MadeRecording, makeRecording, type RecordingWish } from "./recordings.ts";
import { TempDir } from "./temp_dir.ts";

/** What clients of a test's API have to know. */
export const ADMIN_TOKEN = "an-admin-token-of-some-40-characters-0123";

/** Any number of wrong tokens. */
export const ANY_TRIES: FailedTries = { retryAfterSeconds: 1, fail: () => "within" };

/** The API for the recordings of a library. */
export function apiOf(
  library: RecordingLibrary,
  more: Pick<ApiOptions, "limits" | "metrics"> = {},
): Api {
  return createApi({
    archive: library.archive,
    index: library.index,
    adminToken: ADMIN_TOKEN,
    failedTries: ANY_TRIES,
    remove: (id) => library.remove(id),
    ...more,
  });
}

/** What a test wants of its server. */
export interface ApiServerOptions {
  readonly limits?: Partial<ApiLimits>;
  /** Wrong tokens of one address in a minute; any number unless given. */
  readonly maxFailuresPerMinute?: number;
  /** In place of the folder's own, which it is given. */
  readonly archive?: (archive: FolderArchive) => RecordingArchive;
  readonly index?: (index: MemoryIndex) => RecordingIndex;
}

export class ApiServer implements AsyncDisposable {
  readonly server: AudioHookServer;
  readonly archive: FolderArchive;
  readonly index: MemoryIndex;
  readonly #folder: TempDir;

  private constructor(
    server: AudioHookServer,
    archive: FolderArchive,
    index: MemoryIndex,
    folder: TempDir,
  ) {
    this.server = server;
    this.archive = archive;
    this.index = index;
    this.#folder = folder;
  }

  static async start(options: ApiServerOptions = {}): Promise<ApiServer> {
    const { limits, maxFailuresPerMinute = 0 } = options;
    const folder = await TempDir.create();
    const archive = new FolderArchive(folder.path);
    const index = new MemoryIndex();
    const limiter = new FailureLimiter({ perMinute: maxFailuresPerMinute });
    const api = createApi({
      archive: options.archive?.(archive) ?? archive,
      index: options.index?.(index) ?? index,
      adminToken: ADMIN_TOKEN,
      failedTries: {
        retryAfterSeconds: limiter.retryAfterSeconds,
        fail: (address) => limiter.fail(address, performance.now()),
      },
      async remove(id): Promise<RemoveOutcome> {
        if (await archive.hold(id) !== undefined) return "on_hold";
        const outcome = await archive.remove(id);
        if (outcome === "removed") await index.remove(id);
        return outcome;
      },
      limits,
    });
    const keyring = await Keyring.create(new Map());
    const server = startServer({ keyring, apps: [], routes: api });
    return new ApiServer(server, archive, index, folder);
  }

  /** Makes a recording that the index knows. */
  async record(wish: RecordingWish): Promise<MadeRecording> {
    const recording = await makeRecording(this.#folder.path, wish);
    await this.index.put(recording.entry);
    return recording;
  }

  /** A request with the token, unless its headers have another one. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has("authorization")) headers.set("authorization", `Bearer ${ADMIN_TOKEN}`);
    const url = `http://127.0.0.1:${this.server.addr.port}${path}`;
    return await within(fetch(url, { ...init, headers }), `${init.method ?? "GET"} ${path}`);
  }

  /** The bytes of an answer whose status is 2xx. */
  async bytes(path: string, headers: HeadersInit = {}): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.fetch(path, { headers });
    const body = new Uint8Array(await response.arrayBuffer());
    if (!response.ok) throw new Error(`${response.status}: ${new TextDecoder().decode(body)}`);
    return body;
  }

  /** Settles when no file is open any more. */
  async closed(): Promise<void> {
    await until(() => this.archive.openCount === 0, "end of all files");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await within(this.server.shutdown(1000), "shutdown");
      await this.closed();
    } finally {
      await this.#folder[Symbol.asyncDispose]();
    }
  }
}
