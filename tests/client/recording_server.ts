/**
 * A real server with the real recorder, in the test's process, and what it recorded.
 */
import { assertEquals, assertExists } from "@std/assert";
import type { App, Call, CallHandler } from "../../lib/app/app.ts";
import { Recorder } from "../../lib/app/recorder.ts";
import { Keyring } from "../../lib/protocol/mod.ts";
import { type AudioHookServer, startServer } from "../../lib/server/mod.ts";
import { FileRecordingStore } from "../../lib/storage/mod.ts";
import { filesBelow, TemporaryFolder, wavChunks } from "../helpers/program.ts";

/** A key with a secret, and one without. */
export const SIGNED_KEY = "client-test-key";
export const SECRET = "Y2xpZW50LXRlc3Qtc2VjcmV0LWNsaWVudC10ZXN0";
export const UNSIGNED_KEY = "unsigned-key";

/** What a server recorded of one call. */
export interface Recorded {
  /** Chunks of the audio file; `undefined` if there is none. */
  readonly wav: Map<string, Uint8Array> | undefined;
  readonly data: Uint8Array;
  /** The `.json`. */
  // deno-lint-ignore no-explicit-any
  readonly metadata: any;
  /** The text messages as they went over the wire, without what the log adds. */
  readonly messages: readonly LoggedMessage[];
}

/** A text message in the message log. */
export interface LoggedMessage {
  readonly type: string;
  readonly seq: number;
  readonly position?: string;
  readonly serverseq?: number;
  readonly clientseq?: number;
  readonly parameters: Record<string, unknown>;
}

/** Runs until it is disposed of. */
export class RecordingServer implements AsyncDisposable {
  readonly #server: AudioHookServer;
  readonly #recorder: Recorder;
  readonly folder: TemporaryFolder;
  #isStopped = false;

  private constructor(server: AudioHookServer, recorder: Recorder, folder: TemporaryFolder) {
    this.#server = server;
    this.#recorder = recorder;
    this.folder = folder;
  }

  /** @param apps What else takes part in each call. */
  static async start(...apps: App[]): Promise<RecordingServer> {
    const folder = await TemporaryFolder.make();
    const recorder = new Recorder(new FileRecordingStore(folder.path));
    const server = startServer({
      keyring: await Keyring.create(
        new Map([
          [SIGNED_KEY, Uint8Array.fromBase64(SECRET)],
          [UNSIGNED_KEY, new Uint8Array()],
        ]),
      ),
      apps: [...apps, recorder],
      authFailureDelayMs: 20,
    });
    return new RecordingServer(server, recorder, folder);
  }

  get url(): URL {
    return new URL(`ws://127.0.0.1:${this.#server.addr.port}/api/v1/audiohook/ws`);
  }

  /** Stops, so that all is written. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#server.shutdown();
    await this.#recorder.finished();
  }

  /** Stops, and reads the only recording. */
  async recorded(): Promise<Recorded> {
    await this.stop();
    const files = await filesBelow(this.folder.path);
    const read = (extension: string) => {
      const found = files.filter((path) => path.endsWith(extension));
      assertEquals(found.length <= 1, true, files.join());
      return found[0] === undefined ? undefined : Deno.readFileSync(this.folder.join(found[0]));
    };
    assertEquals(files.filter((path) => path.endsWith(".part")), []);
    const json = read(".json");
    const jsonl = read(".jsonl");
    assertExists(json, files.join());
    assertExists(jsonl, files.join());
    const wav = read(".wav");
    const chunks = wav && wavChunks(wav);
    return {
      wav: chunks,
      data: chunks?.get("data") ?? new Uint8Array(),
      metadata: JSON.parse(new TextDecoder().decode(json)),
      messages: new TextDecoder().decode(jsonl).trimEnd().split("\n")
        .filter((line) => "from" in JSON.parse(line))
        .map(findMessage),
    };
  }

  /** How many recordings there are. */
  async count(): Promise<number> {
    await this.stop();
    return (await filesBelow(this.folder.path)).filter((path) => path.endsWith(".json")).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.folder[Symbol.asyncDispose]();
  }
}

/** The protocol's message in a line of the log, however it is wrapped. */
function findMessage(line: string): LoggedMessage {
  const seek = (value: unknown): LoggedMessage | undefined => {
    if (typeof value !== "object" || value === null) return undefined;
    if ("version" in value && "seq" in value) return value as unknown as LoggedMessage;
    for (const inner of Object.values(value)) {
      const found = seek(inner);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const found = seek(JSON.parse(line));
  assertExists(found, line);
  return found;
}

/** An app out of what it does with a call. */
export function app(name: string, open: (call: Call) => CallHandler): App {
  return { name, open };
}
