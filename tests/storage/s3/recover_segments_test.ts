/**
 * Recordings that one instance completes while their maker is not gone, or while somebody removes
 * them: at whatever request that happens, nothing that was recorded is lost, and nothing comes back.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { newestOf } from "../../../lib/storage/s3/left_recording.ts";
import { S3Error } from "../../../lib/storage/s3/s3_error.ts";
import { watchDefects } from "../../helpers/defects.ts";
import { LogRecords } from "../../helpers/log_records.ts";
import { atEachRequest } from "./each_request.ts";
import { ALL_STALE, LeftScene, MIB, requestFor } from "./left_scene.ts";

const NOTHING = { recovered: [], impossible: [] };

Deno.test("recoverSegments: of calls that go on while others are completed, nothing is removed", async () => {
  await using scene = await LeftScene.set();
  const staleMs = 60_000;
  const left = await scene.make("10b0e395-84d3-4570-ac13-9a62d8f514c0");
  await left.storeUpTo(10_000);
  // Listed when its only sign of life is old already.
  const late = await scene.make("20b0e395-84d3-4570-ac13-9a62d8f514c0");
  for (const made of [left, late]) await made.age(2 * staleMs);
  // Listed when it has just begun.
  const fresh = await scene.make("30b0e395-84d3-4570-ac13-9a62d8f514c0");
  const { store, proxy } = scene.instance();
  proxy.before(requestFor("PUT", ".wav"), async () => {
    await fresh.storeUpTo(20_000);
    await fresh.age(2 * staleMs);
    await late.storeUpTo(30_000);
  });
  assertEquals((await store.recoverSegments({ staleMs })).recovered, [left.id]);
  for (const made of [late, fresh]) {
    const segments = ["audio-0000000000000", "begin", "messages-0000000000000"];
    assertEquals(await made.segments(), segments);
    await made.storeUpTo(40_000);
    await made.finish();
    await made.assertFinished(made.id);
  }
});

Deno.test("recoverSegments: of one that had begun, no more is removed than was seen, and the log says so", async () => {
  await using scene = await LeftScene.set();
  await using logs = await LogRecords.watch();
  const made = await scene.make();
  const { store, proxy } = scene.instance();
  proxy.before(requestFor("DELETE", "begin"), () => made.storeUpTo(10_000));
  assertEquals(await store.recoverSegments(ALL_STALE), NOTHING);
  assertEquals(await made.segments(), ["audio-0000000000000", "messages-0000000000000"]);
  assertEquals(logs.of("Recording {id} was begun, and nothing").length, 1);
  await made.finish();
  await made.assertFinished("its maker ends it");
});

Deno.test("recoverSegments: a maker that ends its recording at any request of another's completion has the last word", async () => {
  await using scene = await LeftScene.set();
  await atEachRequest(12, async (request) => {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    const finish = async () => {
      await made.storeUpTo(30_000);
      await made.finish();
    };
    await request.before(proxy, finish, () => store.recoverSegments(ALL_STALE));
    if (!request.isReached) await made.finish();
    await made.assertFinished(request.what);
  });
});

Deno.test("recoverSegments: nor is a large recording replaced that ended while another one was put together", async () => {
  await using scene = await LeftScene.set();
  const made = await scene.make();
  await made.storeUpTo(17 * MIB);
  const { store, proxy } = scene.instance();
  const isComplete = (head: string) => /^POST \S*uploadId=/.test(head);
  proxy.before(isComplete, async () => {
    await made.storeUpTo(18 * MIB);
    await made.finish();
  });
  assertEquals(await store.recoverSegments(ALL_STALE), NOTHING);
  await made.assertFinished("large");
  assertEquals(await Array.fromAsync(scene.client.listUploads("")), []);
});

Deno.test("recoverSegments: what is stored at any request of a completion is taken up at the next look", async () => {
  await using scene = await LeftScene.set();
  await atEachRequest(12, async (request) => {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    const storeMore = () => made.storeUpTo(30_000);
    await request.before(proxy, storeMore, () => store.recoverSegments(ALL_STALE));
    const other = scene.instance().store;
    await other.recoverSegments(ALL_STALE);
    await made.assertRecovered(request.isReached ? 30_000 : 10_000, request.what);
    assertEquals(await other.recoverSegments(ALL_STALE), NOTHING, request.what);
    await scene.archive.remove(made.id);
  });
});

Deno.test("recoverSegments: a second completion that is broken off at any request is done at the next look", async () => {
  await using scene = await LeftScene.set();
  await atEachRequest(12, async (request) => {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    await store.recoverSegments(ALL_STALE);
    await made.storeUpTo(30_000);
    const isBroken = await request.fail(
      proxy,
      () => store.recoverSegments(ALL_STALE).then(() => false, () => true),
    );
    assertEquals(isBroken, request.isReached, request.what);
    const { store: other } = scene.instance();
    await other.recoverSegments(ALL_STALE);
    await made.assertRecovered(30_000, request.what);
    assertEquals(await other.recoverSegments(ALL_STALE), NOTHING, request.what);
    await scene.archive.remove(made.id);
  });
});

Deno.test("recoverSegments: what is removed at any request of a second completion does not come back", async () => {
  await using scene = await LeftScene.set();
  await atEachRequest(12, async (request) => {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    await store.recoverSegments(ALL_STALE);
    await made.storeUpTo(30_000);
    const remove = async () => assertEquals(await scene.archive.remove(made.id), "removed");
    await request.before(proxy, remove, () => store.recoverSegments(ALL_STALE));
    if (request.isReached) assertEquals(await scene.keys(), [], request.what);
  });
});

Deno.test("recoverSegments: what is removed while it is completed for the first time does not come back", async () => {
  await using scene = await LeftScene.set();
  const made = await scene.make();
  await made.storeUpTo(10_000);
  const { store, proxy } = scene.instance();
  const isStored = requestFor("PUT", ".jsonl");
  const isOfClaim = requestFor("PUT", "claim");
  // All that is missing is what says that it is complete.
  proxy.before((head) => isOfClaim(head) && proxy.heads.some(isStored), async () => {
    for (const key of await scene.keys()) await scene.client.delete(key);
  });
  assertEquals(await store.recoverSegments(ALL_STALE), NOTHING);
  assertEquals(await scene.keys(), []);
});

for (const audioBytes of [10_000, 17 * MIB]) {
  Deno.test(`recoverSegments: of a server that stores on no condition: ${audioBytes} bytes`, async () => {
    await using scene = await LeftScene.set("old");
    const made = await scene.make();
    await made.storeUpTo(audioBytes);
    const { store, proxy } = scene.instance();
    assertEquals((await store.recoverSegments(ALL_STALE)).recovered, [made.id]);
    await made.assertRecovered(audioBytes, "completed");
    await made.storeUpTo(audioBytes + 10_000);
    assertEquals((await store.recoverSegments(ALL_STALE)).recovered, [made.id]);
    await made.assertRecovered(audioBytes + 10_000, "completed again");
    assertEquals(await store.recoverSegments(ALL_STALE), NOTHING);
    await made.storeUpTo(audioBytes + 20_000);
    // Before it is asked what is there.
    proxy.before(requestFor("HEAD", ".jsonl"), () => made.finish());
    assertEquals(await store.recoverSegments(ALL_STALE), NOTHING);
    await made.assertFinished("its maker ended it");
    assertEquals(await Array.fromAsync(scene.client.listUploads("")), []);
  });
}

Deno.test("recoverSegments: uploads that it is not allowed to list or end are in nobody's way", async () => {
  await using scene = await LeftScene.set();
  const made = await scene.make();
  await made.storeUpTo(17 * MIB);
  const { store, proxy } = scene.instance();
  const to = /^GET \S*\?(\S*&)?uploads|^DELETE \S*uploadId=/;
  proxy.become({ kind: "answers", status: 403, code: "AccessDenied", to });
  assertEquals((await store.recoverSegments(ALL_STALE)).recovered, [made.id]);
  assertEquals(proxy.faults, 1);
  await made.assertRecovered(17 * MIB, "completed");
  proxy.become({ kind: "answers", status: 403, code: "AccessDenied", to: /^GET / });
  await assertRejects(() => store.recoverSegments(ALL_STALE), Error, "AccessDenied");
});

Deno.test("recoverSegments: many segments, some of them small, are put together in order", async () => {
  await using scene = await LeftScene.set();
  const made = await scene.make();
  for (let n = 1; n <= 25; n++) await made.storeUpTo(n * n * 1_000);
  const { store } = scene.instance();
  assertEquals((await store.recoverSegments(ALL_STALE)).recovered, [made.id]);
  await made.assertRecovered(25 * 25 * 1_000, "of 25 segments");
});

Deno.test("recoverSegments: storage that fails while segments are read leaves all as it was", async () => {
  using _defects = watchDefects();
  await using scene = await LeftScene.set();
  const made = await scene.make();
  for (let n = 1; n <= 25; n++) await made.storeUpTo(n * 1_000);
  const before = await scene.keys();
  const { store, proxy } = scene.instance();
  // The first eight are under way, and are answered, when those behind them fail.
  const to = /^GET \S*audio-00000000(09|1)/;
  proxy.become({ kind: "answers", status: 503, code: "SlowDown", to });
  const error = await assertRejects(() => store.recoverSegments(ALL_STALE), S3Error);
  assertEquals([error.operation, error.code], ["GetObject", "SlowDown"]);
  assertEquals(await scene.keys(), [...before, `${made.base}.part/claim`].sort());
  proxy.become({ kind: "none" });
  assertEquals((await store.recoverSegments(ALL_STALE)).recovered, [made.id]);
  await made.assertRecovered(25_000, "when it works again");
});

Deno.test("recoverSegments: a recording that can't be read is in the way of no other one", async () => {
  await using scene = await LeftScene.set();
  const unreadable = await scene.make("10b0e395-84d3-4570-ac13-9a62d8f514c0");
  const other = await scene.make("20b0e395-84d3-4570-ac13-9a62d8f514c0");
  for (const made of [unreadable, other]) await made.storeUpTo(10_000);
  const { store, proxy } = scene.instance();
  // As of an object that was moved to an archive.
  const to = /^GET \S*10b0e395\S*audio-/;
  proxy.become({ kind: "answers", status: 403, code: "InvalidObjectState", to });
  for (let look = 0; look < 2; look++) {
    await assertRejects(() => store.recoverSegments(ALL_STALE), S3Error, "InvalidObjectState");
    await other.assertRecovered(10_000, "the other one");
  }
  proxy.become({ kind: "none" });
  assertEquals((await store.recoverSegments(ALL_STALE)).recovered, [unreadable.id]);
  await unreadable.assertRecovered(10_000, "when it can be read");
});

Deno.test("recoverSegments: segments stay of a recording that has less than they have", async () => {
  await using scene = await LeftScene.set();
  const made = await scene.make();
  await made.storeUpTo(10_000);
  const { store } = scene.instance();
  await store.recoverSegments(ALL_STALE);
  await made.storeUpTo(20_000);
  // Of another version, perhaps: it can't be told whose these are.
  await scene.client.put(`${made.base}.json`, new TextEncoder().encode("{}"));
  const segments = await made.segments();
  const old = { ...ALL_STALE, keptMs: -60_000 };
  assertEquals(await store.recoverSegments(old), NOTHING);
  assertEquals(await made.segments(), segments);
  await made.finish();
  await made.assertFinished("its maker ends it");
});

Deno.test("newestOf: of as many segments as a call of a month has", () => {
  const segments = Array.from({ length: 600_000 }, (_, n) => ({
    ...{ key: `audio-${n}`, sizeBytes: 1, etag: "" },
    modifiedAt: new Date(n % 7),
  }));
  assertEquals(newestOf(segments), 6);
});
