/**
 * Of several instances, one completes a recording, for as long as it takes.
 */
import { assert, assertEquals } from "@std/assert";
import { until } from "../../helpers/deadline.ts";
import { watchDefects } from "../../helpers/defects.ts";
import { RecoveryClaim } from "../../../lib/storage/s3/recovery_claim.ts";
import { RecordingKeys } from "../../../lib/storage/s3/recording_keys.ts";
import { atEachRequest } from "./each_request.ts";
import { ALL_STALE, LeftScene, MIB, requestFor } from "./left_scene.ts";
import { DAY } from "./some_recording.ts";

const PLACE = { day: DAY, name: "30b0e395-84d3-4570-ac13-9a62d8f514c0" };

Deno.test("RecoveryClaim: of three instances, one completes a recording, though it takes long", async () => {
  await using scene = await LeftScene.set();
  const staleMs = 24_000;
  const made = await scene.make();
  await made.storeUpTo(20 * MIB);
  await made.age(2 * staleMs);
  const one = scene.instance();
  const others = [scene.instance(), scene.instance()];
  const found: string[] = [];
  let looks = 0;
  let renewals = 0;
  one.proxy.before((head) => /^PUT \S*partNumber=2/.test(head), async () => {
    // Each time, so long passes that it would be old if it were not said again.
    for (; renewals < 3; renewals++) {
      await made.age(staleMs / 2, ["claim"]);
      const agedMs = await made.storedMs("claim");
      await until(async () => {
        for (const { store } of others) {
          found.push(...(await store.recoverSegments({ staleMs })).recovered);
          looks++;
        }
        return await made.storedMs("claim") > agedMs;
      }, "it says that it is still at it");
    }
  });
  assertEquals((await one.store.recoverSegments({ staleMs })).recovered, [made.id]);
  assertEquals(found, []);
  assert(looks > 3);
  assertEquals(renewals, 3);
  await made.assertRecovered(20 * MIB, "by one");
  for (const { store } of others) {
    assertEquals((await store.recoverSegments({ staleMs })).recovered, []);
  }
});

Deno.test("RecoveryClaim: who has lost it while a large recording is put together stops", async () => {
  using _defects = watchDefects();
  await using scene = await LeftScene.set();
  const made = await scene.make();
  await made.storeUpTo(30 * MIB);
  const { store, proxy } = scene.instance();
  const isOfClaim = requestFor("HEAD", "claim");
  proxy.before((head) => /^PUT \S*partNumber=1/.test(head), async () => {
    await scene.client.delete(`${made.base}.part/claim`);
    // It asks what is there, when it could not say it again.
    await until(() => proxy.heads.some(isOfClaim), "it knows");
  });
  assertEquals((await store.recoverSegments(ALL_STALE)).recovered, []);
  assert(!proxy.heads.some((head) => /^PUT \S*partNumber=[34]/.test(head)), "it stops");
  assertEquals(await Array.fromAsync(scene.client.listUploads("")), []);
  assertEquals((await scene.keys()).filter((key) => !key.includes(".part/")), []);
  assertEquals((await store.recoverSegments(ALL_STALE)).recovered, [made.id]);
  await made.assertRecovered(30 * MIB, "at the next look");
});

Deno.test("RecoveryClaim: taken over at any request, the recording is completed", async () => {
  await using scene = await LeftScene.set();
  await atEachRequest(12, async (request) => {
    const made = await scene.make();
    await made.storeUpTo(10_000);
    const recovered: string[] = [];
    const [one, two] = [scene.instance(), scene.instance()];
    const recoverBy = async ({ store }: typeof one) => {
      recovered.push(...(await store.recoverSegments(ALL_STALE)).recovered);
    };
    await request.before(one.proxy, () => recoverBy(two), () => recoverBy(one));
    // Twice if all of it was stored by then, but not looked at.
    assertEquals(new Set(recovered), new Set([made.id]), request.what);
    await made.assertRecovered(10_000, request.what);
    assert(!(await made.segments()).includes("claim"), request.what);
    await scene.archive.remove(made.id);
  });
});

for (const kind of ["", "old"] as const) {
  Deno.test(`RecoveryClaim: who has it can tell: a server that is ${kind || "as it should be"}`, async () => {
    await using scene = await LeftScene.set(kind);
    const { client } = scene;
    const bucket = { client, keys: new RecordingKeys("calls") };
    const take = async () => {
      const [stale] = await Array.fromAsync(client.list("calls/"));
      return await RecoveryClaim.take(bucket, PLACE, stale);
    };
    await using one = await take();
    assert(one !== undefined);
    assertEquals(await RecoveryClaim.take(bucket, PLACE), undefined, "there is one");
    const [stale] = await Array.fromAsync(client.list("calls/"));
    assertEquals([await one.confirm(), await one.confirm()], [true, true]);
    assertEquals(await RecoveryClaim.take(bucket, PLACE, stale), undefined, "it was said again");
    // As if it had said nothing for a while.
    await using two = await take();
    assert(two !== undefined);
    assertEquals([await one.confirm(), await two.confirm()], [false, true]);
    await one.release();
    assertEquals(await two.confirm(), true, "what is another one's is not removed");
    await two.release();
    assertEquals(await scene.keys(), []);
    assertEquals(await two.confirm(), false);
    assertEquals(await scene.keys(), []);
  });
}

Deno.test("RecoveryClaim: if only the answer is lost when it is taken or said again, it is ours", async () => {
  await using scene = await LeftScene.set();
  const { client, proxy } = scene.patient();
  const bucket = { client, keys: new RecordingKeys("calls") };
  proxy.become({ kind: "loses answers", to: /^PUT / }, 1);
  await using claim = await RecoveryClaim.take(bucket, PLACE);
  assert(claim !== undefined);
  assertEquals(proxy.faults, 1);
  proxy.become({ kind: "loses answers", to: /^PUT / }, 1);
  assertEquals(await claim.confirm(), true);
  assertEquals(proxy.faults, 1 + 1);
  assertEquals(await claim.confirm(), true);
});
