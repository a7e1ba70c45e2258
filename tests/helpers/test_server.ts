/**
 * A server for one test: on a free port, with a recorder, in a folder of its own.
 */
import { join } from "node:path";
import type { App } from "../../lib/app/app.ts";
import { Recorder, type RecorderOptions } from "../../lib/app/recorder.ts";
import {
  type RecordingMetadata,
  recordingMetadataSchema,
} from "../../lib/storage/recording_metadata.ts";
import { type LogLine, logLineSchema } from "../../lib/storage/recording_log.ts";
import { Keyring } from "../../lib/protocol/keyring.ts";
import { type AudioHookServer, type ServerOptions, startServer } from "../../lib/server/mod.ts";
import { FileRecordingStore, type RecordingStore } from "../../lib/storage/mod.ts";
import { until, within } from "./deadline.ts";
import { upgrade } from "./knock.ts";
import type { RawSocket } from "./raw_socket.ts";
import { readIfExists, TempDir } from "./temp_dir.ts";
import {
  API_KEY,
  type ConnectOptions,
  type Json,
  SECRET,
  UNSIGNED_KEY,
  WireClient,
} from "./wire_client.ts";

/** What a test wants of its server, besides the server's own options. */
export interface TestServerOptions extends Partial<Omit<ServerOptions, "keyring">> {
  /** Apps besides the recorder, after it. */
  readonly apps?: readonly App[];
  /** Whether there is a recorder; `true` unless given. */
  readonly record?: boolean;
  /** Of the recorder; any length unless given. */
  readonly maxSilenceAheadSeconds?: number;
  /** Of the recorder, beside that. */
  readonly recorderOptions?: RecorderOptions;
  /** Makes the recorder's store; by default files. */
  readonly store?: (files: RecordingStore) => RecordingStore;
}

/** The files of a recording, read. */
export interface LoadedRecording {
  readonly wav: Uint8Array<ArrayBuffer> | undefined;
  readonly metadata: RecordingMetadata;
  /** Lines of the message log that are messages. */
  readonly lines: readonly MessageLine[];
  /** All lines of the message log. */
  readonly log: readonly LogLine[];
}

/** A line of a message log that is a message. */
export interface MessageLine {
  readonly time: string;
  readonly position: string;
  readonly from: string;
  readonly message?: Json;
  readonly text?: string;
}

export class TestServer implements AsyncDisposable {
  readonly server: AudioHookServer;
  readonly recorder: Recorder;
  /** Data of the server, of which `recordings` is a part. */
  readonly data: TempDir;
  /** The files, whatever store is between them and the recorder. */
  readonly fileStore: FileRecordingStore;
  #hasStopped = false;

  private constructor(
    server: AudioHookServer,
    recorder: Recorder,
    data: TempDir,
    files: FileRecordingStore,
  ) {
    this.server = server;
    this.recorder = recorder;
    this.data = data;
    this.fileStore = files;
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const {
      apps = [],
      record = true,
      store = (files) => files,
      maxSilenceAheadSeconds = 31 * 24 * 3600,
      recorderOptions = {},
      ...rest
    } = options;
    const data = await TempDir.create();
    const files = new FileRecordingStore(join(data.path, "recordings"));
    const recorder = new Recorder(store(files), { maxSilenceAheadSeconds, ...recorderOptions });
    const keyring = await Keyring.create(
      new Map([[API_KEY, SECRET], [UNSIGNED_KEY, new Uint8Array()]]),
    );
    let server: AudioHookServer;
    try {
      server = startServer({
        keyring,
        authFailureDelayMs: 20,
        maxAuthFailuresPerMinute: 0,
        ...rest,
        apps: record ? [recorder, ...apps] : apps,
      });
    } catch (error) {
      await data[Symbol.asyncDispose]();
      throw error;
    }
    return new TestServer(server, recorder, data, files);
  }

  get addr(): Deno.NetAddr {
    return this.server.addr;
  }

  get authority(): string {
    return `127.0.0.1:${this.addr.port}`;
  }

  connect(options?: ConnectOptions): Promise<WireClient> {
    return WireClient.connect(this, options);
  }

  /** A session over bare TCP, just upgraded. */
  connectRaw(id: string): Promise<RawSocket> {
    return upgrade(this, { id });
  }

  /** Settles when no connection is left. */
  async idle(timeoutMs?: number): Promise<void> {
    await until(() => this.server.connectionCount === 0, "end of all connections", timeoutMs);
  }

  /** Files of the server's data, without the day's folder: `<id>.wav` and the like. */
  async files(): Promise<string[]> {
    const names = await this.data.files();
    return names.map((name) => name.replace(/^recordings\/\d{4}-\d\d-\d\d\//, ""));
  }

  /** Waits for a recording and all before it, and reads its files. All calls must have ended. */
  async recording(id: string): Promise<LoadedRecording> {
    await within(this.recorder.finished(), "end of all recordings");
    // Not by today's date: it may be midnight.
    const name = (await this.data.files()).find((file) => file.endsWith(`/${id}.json`));
    if (name === undefined) throw new Error(`There is no recording ${id}`);
    const path = join(this.data.path, name.slice(0, -".json".length));
    const metadata = JSON.parse(await Deno.readTextFile(`${path}.json`));
    const text = await Deno.readTextFile(`${path}.jsonl`);
    if (!text.endsWith("\n")) throw new Error("The message log is cut off");
    const lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    return {
      wav: await readIfExists(`${path}.wav`),
      metadata: recordingMetadataSchema.parse(metadata),
      lines: lines.filter(({ from }) => from !== undefined),
      log: lines.map((line) => logLineSchema.parse(line)),
    };
  }

  /** Stops the server; done by itself at the end of a test. */
  async stop(timeoutMs = 2000): Promise<void> {
    if (this.#hasStopped) return;
    this.#hasStopped = true;
    await within(this.server.shutdown(timeoutMs), "shutdown", timeoutMs + 15_000);
    await within(this.server.finished, "server.finished");
    await within(this.recorder.finished(), "recorder.finished()");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      await this.fileStore[Symbol.asyncDispose]();
      await this.data[Symbol.asyncDispose]();
    }
  }
}
