/**
 * Recordings that one instance completes while their maker is not gone, or while somebody removes
 * them: at whatever request that happens, nothing that was recorded is lost, and nothing comes back.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { LogRecords } from "../../helpers/log_records.ts";
import { until } from "../../helpers/deadline.ts";
import { ALL_STALE, LeftScene, MIB, requestFor } from "./left_scene.ts";

const NOTHING = { recovered: [], impossible: [] };

Deno.test("recoverSegments: of calls that go on while others are completed, nothing is removed", async () => {
  await using scene = await LeftScene.set();
  const staleMs = 3_000;
  const left = await scene.make("10b0e395-84d3-4570-ac13-9a62d8f514c0");
  await left.storeUpTo(10_000);
  // Listed when its only sign of life is old already.
  const late = await scene.make("20b0e395-84d3-4570-ac13-9a62d8f514c0");
  const isOld = async (made: typeof left) => Date.now() - await made.storedMs("begin") > staleMs;
  await until(() => isOld(late), "it is old");
  // Listed when it has just begun.
  const fresh = await scene.make("30b0e395-84d3-4570-ac13-9a62d8f514c0");
  const { store, proxy } = scene.instance();
  proxy.before(requestFor("PUT", ".wav"), async () => {
    await fresh.storeUpTo(20_000);
    await until(() => isOld(fresh), "it is old");
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
  let isDuring = true;
  let request = 0;
  for (; isDuring; request++) {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    isDuring = false;
    proxy.before(() => proxy.heads.length === request + 1, async () => {
      isDuring = true;
      await made.storeUpTo(30_000);
      await made.finish();
    });
    await store.recoverSegments(ALL_STALE);
    if (!isDuring) await made.finish();
    await made.assertFinished(`request ${request}`);
  }
  assert(request > 12);
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
  let isDuring = true;
  let request = 0;
  for (; isDuring; request++) {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    isDuring = false;
    proxy.before(() => proxy.heads.length === request + 1, async () => {
      isDuring = true;
      await made.storeUpTo(30_000);
    });
    await store.recoverSegments(ALL_STALE);
    const other = scene.instance().store;
    await other.recoverSegments(ALL_STALE);
    await made.assertRecovered(isDuring ? 30_000 : 10_000, `request ${request}`);
    assertEquals(await other.recoverSegments(ALL_STALE), NOTHING, `request ${request}`);
    await scene.archive.remove(made.id);
  }
  assert(request > 12);
});

Deno.test("recoverSegments: a second completion that is broken off at any request is done at the next look", async () => {
  await using scene = await LeftScene.set();
  let isBroken = true;
  for (let request = 0; isBroken; request++) {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    await store.recoverSegments(ALL_STALE);
    await made.storeUpTo(30_000);
    proxy.failAfter(request);
    isBroken = await store.recoverSegments(ALL_STALE).then(() => false, () => true);
    proxy.failAfter(Infinity);
    const { store: other } = scene.instance();
    await other.recoverSegments(ALL_STALE);
    await made.assertRecovered(30_000, `request ${request}`);
    assertEquals(await other.recoverSegments(ALL_STALE), NOTHING);
    await scene.archive.remove(made.id);
  }
});

Deno.test("recoverSegments: what is removed at any request of a second completion does not come back", async () => {
  await using scene = await LeftScene.set();
  let isDuring = true;
  let request = 0;
  for (; isDuring; request++) {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const { store, proxy } = scene.instance();
    await store.recoverSegments(ALL_STALE);
    await made.storeUpTo(30_000);
    isDuring = false;
    const before = proxy.heads.length;
    proxy.before(() => proxy.heads.length === before + request + 1, async () => {
      isDuring = true;
      assertEquals(await scene.archive.remove(made.id), "removed");
    });
    await store.recoverSegments(ALL_STALE);
    if (isDuring) assertEquals(await scene.keys(), [], `request ${request}`);
  }
  assert(request > 12);
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
