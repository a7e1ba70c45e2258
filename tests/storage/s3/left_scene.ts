/**
 * What tests of the recovery need: a real S3 server, instances that record to it or look for what
 * others left, each by a proxy of its own if need be, and what is stored in the end.
 */
import { assert, assertEquals } from "@std/assert";
import { createWavHeader } from "../../../lib/audio/mod.ts";
import type { RecordingMetadata } from "../../../lib/storage/mod.ts";
import { S3Client, S3RecordingArchive, S3RecordingStore } from "../../../lib/storage/s3/mod.ts";
import { S3RecordingFiles } from "../../../lib/storage/s3/s3_recording_files.ts";
import { assertWav, noise } from "../../helpers/wav_check.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { BUCKET, CREDENTIALS, ObjectServer, type ServerKind } from "./object_server.ts";
import { DAY, firstLineOf, FORMAT, SESSION } from "./some_recording.ts";

export const MIB = 1024 * 1024;
/** Whatever is there is older than that. */
export const ALL_STALE = { staleMs: -60_000 } as const;
const HOUR_MS = 3_600_000;
const HEADER_BYTES = 58;
const bytes = (text: string) => new TextEncoder().encode(text);

/** A server and its instances. Make it by `await using scene = await LeftScene.set()`. */
export class LeftScene implements AsyncDisposable {
  readonly #server: ObjectServer;
  readonly #open: AsyncDisposable[];
  /** Around the proxies. */
  readonly client: S3Client;
  readonly archive: S3RecordingArchive;

  private constructor(server: ObjectServer) {
    this.#server = server;
    this.#open = [server];
    this.client = clientOf(server.url);
    this.archive = new S3RecordingArchive(this.client, "calls");
  }

  static async set(kind: ServerKind = ""): Promise<LeftScene> {
    return new LeftScene(await ObjectServer.start(kind));
  }

  /** An instance that looks for what others left, and the proxy before it. */
  instance(): { store: S3RecordingStore; proxy: FaultProxy } {
    const proxy = FaultProxy.to(this.#server.port);
    this.#open.push(proxy);
    return { store: new S3RecordingStore({ client: clientOf(proxy.url), prefix: "calls" }), proxy };
  }

  /** A client that sends a request again, and the proxy before it. */
  patient(): { client: S3Client; proxy: FaultProxy } {
    const proxy = FaultProxy.to(this.#server.port);
    this.#open.push(proxy);
    return { client: clientOf(proxy.url, 3), proxy };
  }

  /** A recording that is begun. Its maker stores nothing by itself, and gives no sign of life. */
  async make(sessionId = SESSION): Promise<MadeRecording> {
    const store = new S3RecordingStore({
      client: this.client,
      prefix: "calls",
      segmentMs: HOUR_MS,
      signOfLifeMs: HOUR_MS,
    });
    const files = await store.create(DAY, sessionId);
    assert(files instanceof S3RecordingFiles);
    const made = new MadeRecording(this.#server, this.client, files, sessionId);
    this.#open.push(made);
    return made;
  }

  async keys(): Promise<string[]> {
    return (await Array.fromAsync(this.client.list(""))).map(({ key }) => key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const open of this.#open.toReversed()) await open[Symbol.asyncDispose]();
  }
}

/** A recording, and what it has to be. */
export class MadeRecording implements AsyncDisposable {
  readonly id: string;
  readonly #server: ObjectServer;
  readonly #client: S3Client;
  readonly #files: S3RecordingFiles;
  readonly #sessionId: string;
  #audioBytes = 0;

  constructor(
    server: ObjectServer,
    client: S3Client,
    files: S3RecordingFiles,
    sessionId: string,
  ) {
    this.#server = server;
    this.#client = client;
    this.#files = files;
    this.#sessionId = sessionId;
    this.id = files.id;
  }

  /** Stores segments until there is so much audio. */
  async storeUpTo(audioBytes: number): Promise<void> {
    const line = this.#line();
    if (this.#audioBytes === 0) {
      const header = createWavHeader(FORMAT, Infinity);
      await this.#files.writeAudio(0, header);
      await this.#files.writeMessages(0, line);
    }
    const audio = noise(audioBytes).subarray(this.#audioBytes);
    await this.#files.writeAudio(HEADER_BYTES + this.#audioBytes, audio);
    this.#audioBytes = audioBytes;
    await this.#files.flush();
  }

  /** Ends it as whoever makes it does. */
  async finish(): Promise<void> {
    const offset = HEADER_BYTES + this.#audioBytes;
    await this.#files.finish({
      audio: {
        header: createWavHeader(FORMAT, this.#audioBytes),
        rest: { offset, bytes: new Uint8Array() },
      },
      messages: { offset: this.#line().length, bytes: bytes("{}\n") },
      metadata: "{}",
    });
    await this.#files.close();
  }

  /** Checks what is there of a recording that its maker ended: all of it, and no segments. */
  async assertFinished(what: string): Promise<void> {
    await this.assertAudio(this.#audioBytes, what);
    assertEquals(await this.#text(".json"), "{}", what);
    assertEquals((await this.#text(".jsonl"))?.split("\n").length, 3, what);
    assertEquals(await this.segments(), [], what);
  }

  /** Checks what is there of one that was completed by another instance. */
  async assertRecovered(audioBytes: number, what: string): Promise<void> {
    await this.assertAudio(audioBytes, what);
    const metadata: RecordingMetadata = JSON.parse(await this.#text(".json") ?? "{}");
    const { recovered, recordedSamples } = metadata;
    assertEquals([recovered, recordedSamples], [true, audioBytes / 2], what);
    assertEquals((await this.#text(".jsonl"))?.split("\n").length, 2, what);
  }

  async assertAudio(audioBytes: number, what: string): Promise<void> {
    const file = await this.#client.get(`${this.base}.wav`, 100 * MIB);
    assert(file !== undefined, what);
    assertWav(file, { format: "PCMU", channels: 2, data: noise(audioBytes) });
  }

  /** Segments that are there, by what is behind the slash. */
  async segments(): Promise<string[]> {
    const base = `${this.base}.part/`;
    const listed = await Array.fromAsync(this.#client.list(base));
    return listed.map(({ key }) => key.slice(base.length));
  }

  /** When a segment was stored, by the clock of the storage. */
  async storedMs(segment: string): Promise<number> {
    const key = `${this.base}.part/${segment}`;
    const listed = await Array.fromAsync(this.#client.list(key));
    return listed.find((object) => object.key === key)?.modifiedAt.getTime() ?? NaN;
  }

  /** Makes segments older, all of them by default. */
  async age(byMs: number, segments?: readonly string[]): Promise<void> {
    for (const segment of segments ?? await this.segments()) {
      await this.#server.age(`${this.base}.part/${segment}`, byMs);
    }
  }

  /** What keys begin with. */
  get base(): string {
    return this.#files.location.slice(`s3://${BUCKET}/`.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files.close();
  }

  async #text(extension: string): Promise<string | undefined> {
    const found = await this.#client.get(this.base + extension, MIB);
    return found && new TextDecoder().decode(found);
  }

  #line(): Uint8Array<ArrayBuffer> {
    return firstLineOf(this.#sessionId);
  }
}

/** By default, a request that fails is not sent again. */
function clientOf(url: string, attempts = 1): S3Client {
  const patience = { attempts, firstPauseMs: 1, timeoutMs: 60_000 };
  return new S3Client({ endpoint: url, bucket: BUCKET }, CREDENTIALS, patience);
}

/** Whether a request's head is that of such a method, and of a key that ends so. */
export function requestFor(method: string, keyEnd: string): (head: string) => boolean {
  return (head) => {
    const [found, target = ""] = head.split(" ");
    return found === method && target.split("?")[0]?.endsWith(keyEnd) === true;
  };
}
