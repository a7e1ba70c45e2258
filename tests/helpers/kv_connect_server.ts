/**
 * A server of KV Connect, protocol version 3 (github.com/denoland/denokv, proto/kv-connect.md and
 * proto/schema/datapath.proto), for tests of what Deno KV does over a network. It reads and writes
 * as the protocol says; what the index has no need of (queues, sums, expiry) is refused.
 *
 * Must not import: anything of lib.
 */
import { protobuf, ProtobufMessage } from "./protobuf.ts";

/** The token to connect with, for `DENO_KV_ACCESS_TOKEN`. */
export const KV_TOKEN = "connect-token";

const VERSION = 3;
const VERSIONSTAMP_BYTES = 10;
const MAX_READ_ENTRIES = 1000;
const MAX_CHECKS = 100;
const MAX_MUTATIONS = 1000;
const MAX_WRITE_KEY_BYTES = 80 * 1024;
const MAX_WRITE_BYTES = 800 * 1024;

/** Numbers of the protocol's enumerations. */
const READ_SUCCESS = 1;
const WRITE_SUCCESS = 1;
const WRITE_CHECK_FAILED = 2;
const SET = 1;
const DELETE = 2;

/** An entry, by the hexadecimal text of its key, which has the keys' order. */
interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly encoding: number;
  readonly versionstamp: Uint8Array;
}

/**
 * How the server is: it answers, refuses everything, says nothing, or says nothing by connections
 * that were used before.
 */
export type KvServerMood = "well" | "refusing" | "silent" | "deaf";

/** Make it by `await using server = KvConnectServer.start()`. */
export class KvConnectServer implements AsyncDisposable {
  /** How long tokens of the data path are good, in milliseconds. */
  tokenMs = 3_600_000;
  /** How often it was asked what: `/` is the exchange of metadata. */
  readonly asked = new Map<string, number>();
  /** What it refused because it was against the protocol. */
  readonly refused: string[] = [];
  readonly #databaseId = crypto.randomUUID();
  /** Tokens of the data path, and until when they are good. */
  readonly #tokens = new Map<string, number>();
  readonly #entries = new Map<string, Entry>();
  /** Keys, in order; `undefined` when it has to be sorted anew. */
  #sorted: string[] | undefined = [];
  #version = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Ends silence. */
  #voice = Promise.withResolvers<void>();
  #mood: KvServerMood = "well";
  #waiting = 0;
  /** Ports that clients have used, and those that it has become deaf to. */
  readonly #ports = new Set<number>();
  #deafTo: ReadonlySet<number> = new Set();

  private constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request, { remoteAddr }) => this.#answer(request, remoteAddr.port),
    );
  }

  static start(): KvConnectServer {
    return new KvConnectServer();
  }

  /** What `Deno.openKv` takes. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** How it treats what is asked from now on. When it was silent, what it was asked is answered. */
  set mood(mood: KvServerMood) {
    this.#mood = mood;
    this.#deafTo = new Set(mood === "deaf" ? this.#ports : []);
    this.#voice.resolve();
    this.#voice = Promise.withResolvers();
  }

  /** How many requests wait for an answer because it is silent. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Number of entries. */
  get size(): number {
    return this.#entries.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.mood = "well";
    await this.#server.shutdown();
  }

  async #answer(request: Request, port: number): Promise<Response> {
    this.#ports.add(port);
    const { pathname } = new URL(request.url);
    const body = await request.bytes();
    this.asked.set(pathname, (this.asked.get(pathname) ?? 0) + 1);
    if (this.#mood === "silent" || this.#deafTo.has(port)) {
      this.#waiting++;
      await this.#voice.promise;
      this.#waiting--;
    }
    if (this.#mood === "refusing") return new Response(null, { status: 503 });
    try {
      if (request.method !== "POST") throw new RangeError("Expected POST");
      if (pathname === "/") return this.#exchange(request, body);
      this.#authorize(request);
      const message = new ProtobufMessage(body);
      if (pathname === "/data/snapshot_read") return protobufResponse(this.#read(message));
      if (pathname === "/data/atomic_write") return protobufResponse(this.#write(message));
      throw new RangeError(`Expected no ${pathname}`);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.refused.push(error.message);
      return new Response(error.message, { status: 400 });
    }
  }

  /** The exchange of metadata: who has the token learns where the data are, for a while. */
  #exchange(request: Request, body: Uint8Array): Response {
    if (request.headers.get("authorization") !== `Bearer ${KV_TOKEN}`) {
      return new Response("Wrong token", { status: 401 });
    }
    const { supportedVersions } = JSON.parse(new TextDecoder().decode(body));
    if (!supportedVersions.includes(VERSION)) throw new RangeError(`Expected version ${VERSION}`);
    const token = crypto.randomUUID();
    const expiresMs = Date.now() + this.tokenMs;
    this.#tokens.set(token, expiresMs);
    return Response.json({
      version: VERSION,
      databaseId: this.#databaseId,
      endpoints: [{ url: `${this.url}/data`, consistency: "strong" }],
      token,
      expiresAt: new Date(expiresMs).toISOString(),
    });
  }

  #authorize({ headers }: Request): void {
    const token = headers.get("authorization")?.replace("Bearer ", "") ?? "";
    if ((this.#tokens.get(token) ?? 0) < Date.now()) throw new RangeError("Expected a good token");
    if (headers.get("x-denokv-version") !== String(VERSION)) throw new RangeError("Wrong version");
    if (headers.get("x-denokv-database-id") !== this.#databaseId) {
      throw new RangeError("Wrong database");
    }
  }

  /** All ranges as of one moment. */
  #read(request: ProtobufMessage): Uint8Array<ArrayBuffer> {
    const ranges = request.messages(1).map((range) => {
      const limit = range.number(3);
      if (limit < 1 || limit > MAX_READ_ENTRIES) throw new RangeError(`Wrong limit ${limit}`);
      const found = this.#between(range.bytes(1).toHex(), range.bytes(2).toHex());
      const wanted = range.number(4) === 1 ? found.reverse() : found;
      const values = wanted.slice(0, limit).map(({ key, value, encoding, versionstamp }) =>
        protobuf({ 1: key, 2: value, 3: encoding, 4: versionstamp })
      );
      return protobuf({ 1: values });
    });
    return protobuf({ 1: ranges, 4: 1, 8: READ_SUCCESS });
  }

  /** All of it, or nothing if a check fails. */
  #write(request: ProtobufMessage): Uint8Array<ArrayBuffer> {
    const checks = request.messages(1);
    const mutations = request.messages(2);
    const keyBytes = [...checks, ...mutations].reduce((sum, one) => sum + one.bytes(1).length, 0);
    if (checks.length > MAX_CHECKS) throw new RangeError(`${checks.length} checks`);
    if (mutations.length > MAX_MUTATIONS) throw new RangeError(`${mutations.length} mutations`);
    if (keyBytes > MAX_WRITE_KEY_BYTES) throw new RangeError(`${keyBytes} bytes of keys`);
    if (request.messages(3).length > 0) throw new RangeError("Expected no queues");
    const failed = checks.flatMap((check, i) => {
      const current = this.#entries.get(check.bytes(1).toHex());
      return check.bytes(2).toHex() === (current?.versionstamp.toHex() ?? "") ? [] : [i];
    });
    if (failed.length > 0) return protobuf({ 1: WRITE_CHECK_FAILED, 4: failed });
    const versionstamp = new Uint8Array(VERSIONSTAMP_BYTES);
    new DataView(versionstamp.buffer).setUint32(4, ++this.#version);
    let bytes = keyBytes;
    for (const mutation of mutations) bytes += mutation.messages(2)[0]?.bytes(1).length ?? 0;
    if (bytes > MAX_WRITE_BYTES) throw new RangeError(`${bytes} bytes`);
    for (const mutation of mutations) this.#mutate(mutation, versionstamp);
    return protobuf({ 1: WRITE_SUCCESS, 2: versionstamp });
  }

  #mutate(mutation: ProtobufMessage, versionstamp: Uint8Array): void {
    const key = mutation.bytes(1);
    const type = mutation.number(3);
    if (mutation.number(4) !== 0) throw new RangeError("Expected no expiry");
    if (type === DELETE) {
      if (this.#entries.delete(key.toHex())) this.#sorted = undefined;
    } else if (type === SET) {
      const [value] = mutation.messages(2);
      if (value === undefined) throw new RangeError("Expected a value");
      if (!this.#entries.has(key.toHex())) this.#sorted = undefined;
      this.#entries.set(key.toHex(), {
        key,
        value: value.bytes(1),
        encoding: value.number(2),
        versionstamp,
      });
    } else throw new RangeError(`Expected no mutation ${type}`);
  }

  /** What is from a key on up to another one, which is not included. */
  #between(start: string, end: string): Entry[] {
    this.#sorted ??= [...this.#entries.keys()].sort();
    const keys = this.#sorted;
    return keys.slice(placeIn(keys, start), placeIn(keys, end)).flatMap((key) =>
      this.#entries.get(key) ?? []
    );
  }
}

/** Of the first key that is not less. */
function placeIn(keys: readonly string[], key: string): number {
  let [from, to] = [0, keys.length];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    if ((keys[middle] ?? "") < key) from = middle + 1;
    else to = middle;
  }
  return from;
}

function protobufResponse(body: Uint8Array<ArrayBuffer>): Response {
  return new Response(body, { headers: { "content-type": "application/x-protobuf" } });
}
