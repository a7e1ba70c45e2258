/**
 * Segments of a real S3 server that are read ahead: in order, whichever comes first, within bounds
 * that are counted at the server, and with nothing left under way when one can't be read.
 */
import { assertEquals, assertGreater, assertLessOrEqual, assertRejects } from "@std/assert";
import { S3Client } from "../../../lib/storage/s3/mod.ts";
import { S3Error } from "../../../lib/storage/s3/s3_error.ts";
import { segmentKey } from "../../../lib/storage/s3/segment_stream.ts";
import { SegmentedFile } from "../../../lib/storage/s3/segmented_file.ts";
import { until, within } from "../../helpers/deadline.ts";
import { watchDefects } from "../../helpers/defects.ts";
import { concat, noise } from "../../helpers/wav_check.ts";
import type { FaultProxy } from "./fault_proxy.ts";
import { LeftScene, MIB } from "./left_scene.ts";
import { BUCKET, CREDENTIALS } from "./object_server.ts";

const BASE = "calls/audio-";
const AT_ONCE = 8;
const MAX_BYTES = 4 * MIB;

/** Stores segments; the file that they are is read by the client of a proxy. */
async function store(
  scene: LeftScene,
  client: S3Client,
  sizes: readonly number[],
): Promise<{ file: SegmentedFile; data: Uint8Array; keys: string[] }> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const keys: string[] = [];
  let at = 0;
  for (const [index, size] of sizes.entries()) {
    const part = new Uint8Array(noise(size, index));
    const key = segmentKey(BASE, at);
    await scene.client.put(key, part);
    parts.push(part);
    keys.push(key);
    at += size;
  }
  const listed = await Array.fromAsync(scene.client.list(BASE));
  const file = SegmentedFile.of(client, BASE, listed.toReversed());
  if (file === undefined) throw new Error("A segment is missing");
  return { file, data: concat(...parts), keys };
}

/** Holds requests for segments at the proxy, each until it is let go. */
class HeldRequests implements Disposable {
  /** Heads of all that came. */
  readonly heads: string[] = [];
  readonly #held = new Map<string, () => void>();
  #isOver = false;

  constructor(proxy: FaultProxy, count: number, onHead: () => void = () => {}) {
    for (let n = 0; n < count; n++) {
      proxy.before((head) => head.startsWith("GET ") && head.includes(BASE), () => {
        const head = proxy.heads.at(-1) ?? "";
        this.heads.push(head);
        onHead();
        if (this.#isOver) return Promise.resolve();
        return new Promise((resolve) => this.#held.set(head, resolve));
      });
    }
  }

  /** Bytes that were asked for by all that came. */
  get bytes(): number[] {
    return this.heads.map((head) => {
      const [, first, last] = /^range: bytes=(\d+)-(\d+)$/im.exec(head) ?? [];
      return Number(last) - Number(first) + 1;
    });
  }

  async came(count: number): Promise<void> {
    await until(() => this.heads.length === count, `${count} requests, not ${this.heads.length}`);
  }

  /** Lets go of those for a key; of all others by default. */
  release(key = ""): void {
    for (const [head, resolve] of this.#held) {
      if (!head.includes(key)) continue;
      this.#held.delete(head);
      resolve();
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.release();
  }
}

/** Keeps what can stop each reading. */
class WatchedClient extends S3Client {
  readonly signals: (AbortSignal | undefined)[] = [];

  override read(...args: Parameters<S3Client["read"]>): ReturnType<S3Client["read"]> {
    this.signals.push(args[4]?.signal);
    return super.read(...args);
  }
}

Deno.test("SegmentedFile: segments that come in another order than asked for, and few at a time", async () => {
  using _defects = watchDefects();
  await using scene = await LeftScene.set();
  const { client, proxy } = scene.patient();
  const sizes = Array.from({ length: 30 }, (_, index) => 100 + index);
  const { file, data, keys } = await store(scene, client, sizes);
  const taken: Uint8Array[] = [];
  let most = 0;
  using held = new HeldRequests(proxy, keys.length, () => {
    most = Math.max(most, held.heads.length - taken.length);
  });
  const reading = (async () => {
    for await (const bytes of file.bytes(10, data.length - 10)) taken.push(bytes);
  })();
  for (let first = 0; first < keys.length; first += AT_ONCE) {
    const asked = keys.slice(first, first + AT_ONCE);
    await held.came(first + asked.length);
    for (const key of asked.toReversed()) {
      assertEquals(taken.length, first, "none is taken before the first has come");
      held.release(key);
      await scene.client.head(key);
    }
  }
  await within(reading, "all of it");
  assertEquals(concat(...taken.map((part) => new Uint8Array(part))), data.slice(10, -10));
  assertEquals([held.heads.length, most], [keys.length, AT_ONCE]);
});

Deno.test("SegmentedFile: what is under way has a bound in bytes, of large segments, too", async () => {
  await using scene = await LeftScene.set();
  const { client, proxy } = scene.patient();
  const { file, data } = await store(scene, client, [MIB, MIB, 100, 6 * MIB + 5, MIB]);
  const taken: Uint8Array[] = [];
  const sum = (sizes: readonly number[]) => sizes.reduce((all, size) => all + size, 0);
  const underWay = () => sum(held.bytes) - sum(taken.map(({ length }) => length));
  let most = 0;
  using held = new HeldRequests(proxy, 100, () => {
    most = Math.max(most, underWay());
  });
  const reading = (async () => {
    for await (const bytes of file.bytes(0, data.length)) taken.push(bytes);
  })();
  await held.came(4);
  assertEquals(underWay(), 3 * MIB + 100);
  const all = reading.then(() => true);
  await until(async () => {
    held.release();
    return await Promise.race([all, Promise.resolve(false)]);
  }, "all of it");
  assertEquals(concat(...taken.map((part) => new Uint8Array(part))), data);
  assertEquals([held.heads.length, most], [2 + 1 + 7 + 1, MAX_BYTES]);
  assertEquals(Math.max(...held.bytes), MIB);
});

Deno.test("SegmentedFile: one that can't be read, while others are under way, ends all of them", async () => {
  using _defects = watchDefects();
  await using scene = await LeftScene.set();
  const { client, proxy } = scene.patient();
  const { file, data, keys } = await store(scene, client, Array(20).fill(50));
  await scene.client.delete(keys[2] ?? "");
  using held = new HeldRequests(proxy, keys.length);
  const taken: Uint8Array[] = [];
  const reading = assertRejects(async () => {
    for await (const bytes of file.bytes(0, data.length)) taken.push(bytes);
  }, S3Error);
  await held.came(AT_ONCE);
  // It is known long before its turn comes.
  for (const index of [2, 1, 0]) held.release(keys[index]);
  const error = await within(reading, "it ends, though nothing answers the others");
  assertEquals([error.status, error.code], [404, "NoSuchKey"]);
  assertEquals(taken.length, 2);
  assertLessOrEqual(held.heads.length, AT_ONCE + 2);
});

Deno.test("SegmentedFile: a segment that was replaced is not read", async () => {
  await using scene = await LeftScene.set();
  const { file, data, keys } = await store(scene, scene.client, [10, 20, 30]);
  await scene.client.put(keys[1] ?? "", new Uint8Array(20));
  const error = await assertRejects(() => Array.fromAsync(file.bytes(0, data.length)), S3Error);
  assertEquals(error.status, 412);
});

Deno.test("SegmentedFile: read as a file, to its end or not, and again", async () => {
  using _defects = watchDefects();
  await using scene = await LeftScene.set();
  const { proxy } = scene.instance();
  const client = new WatchedClient({ endpoint: proxy.url, bucket: BUCKET }, CREDENTIALS);
  const stored = await store(scene, client, Array(20).fill(70));
  const into = new Uint8Array(64);
  {
    await using file = stored.file;
    for (let n = 0; n < 2; n++) {
      await file.seek(0);
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for (let count; (count = await file.read(into)) !== null;) parts.push(into.slice(0, count));
      assertEquals(concat(...parts), stored.data);
    }
    await file.seek(0);
    using held = new HeldRequests(proxy, 20);
    const reading = file.read(into);
    await held.came(AT_ONCE);
    held.release(stored.keys[0]);
    assertGreater(await reading, 0);
    // The others are never answered, and nobody wants them any more.
    await within(file[Symbol.asyncDispose](), "what is under way ends");
    assertEquals(
      client.signals.slice(40).map((signal) => signal?.aborted),
      Array(AT_ONCE).fill(true),
    );
  }
  assertEquals(await stored.file.read(into), null);
});
