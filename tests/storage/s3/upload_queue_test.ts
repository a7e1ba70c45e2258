/**
 * The upload of recordings to a real S3 server.
 */
import { assert, assertEquals, assertExists, assertLess, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { until } from "../../helpers/deadline.ts";
import { concat, noise } from "../../helpers/wav_check.ts";
import { BUCKET } from "./object_server.ts";
import { bytes, DAY, idOf, markerOf, MIB, nameOf, Scene, untilDone } from "./upload_scene.ts";

Deno.test("UploadQueue: what has ended is found, uploaded, and marked; what is being made is not", async () => {
  await using scene = await Scene.set();
  const files = [await scene.record(1), await scene.record(2, 100_000), await scene.record(3)];
  await Deno.writeTextFile(scene.path(2, ".hold"), '{"since":"2026-01-31T10:00:00Z","reason":""}');
  // Not ended, and not ours.
  await Deno.writeTextFile(scene.path(4, ".jsonl"), "{}\n");
  await Deno.writeTextFile(scene.path(4, ".wav.part"), "audio");
  await Deno.writeTextFile(join(scene.dir.path, DAY, "notes.json"), "{}");
  await Deno.writeTextFile(join(scene.dir.path, "x.json"), "{}");

  const queue = scene.queue();
  queue.start();
  await untilDone(queue);
  for (const [index, data] of files.entries()) await scene.assertStored(index + 1, data);
  assertEquals(queue.status.uploaded, 3);
  assertEquals(queue.status.oldestWaitingSince, undefined);
  const keys = (await Array.fromAsync(scene.direct.list(""))).map(({ key }) => key);
  assertEquals(keys.length, 10);
  assert(keys.includes(`recordings/${DAY}/${nameOf(2)}.hold`));

  const { location, files: marked } = await markerOf(scene, 1);
  assertEquals(location, `s3://${BUCKET}/recordings/${DAY}/${nameOf(1)}`);
  assertEquals(Object.keys(marked), [".wav", ".jsonl", ".json"]);
  const audio = files[0]?.get(".wav") ?? noise(0);
  assertEquals(marked[".wav"], {
    sizeBytes: 1000,
    sha256: createHash("sha256").update(audio).digest("hex"),
    etag: createHash("md5").update(audio).digest("hex"),
    verifiedBy: "etag",
  });
  assert((await scene.dir.files()).every((name) => !/\.s3\./.test(name)));
});

Deno.test("UploadQueue: what is added later is uploaded, too, and nothing twice", async () => {
  await using scene = await Scene.set();
  const queue = scene.queue();
  queue.start();
  const files = await scene.record(1);
  queue.add(idOf(1));
  queue.add(idOf(1));
  queue.add("no id");
  await untilDone(queue);
  await scene.assertStored(1, files);
  const { uploadedAt } = await markerOf(scene, 1);
  const puts = () => scene.proxy.heads.filter((head) => head.startsWith("PUT ")).length;
  assertEquals(puts(), 3);

  const next = scene.queue();
  next.start();
  await untilDone(next);
  next.add(idOf(1));
  await untilDone(next);
  assertEquals(puts(), 3);
  assertEquals((await markerOf(scene, 1)).uploadedAt, uploadedAt);
});

Deno.test("UploadQueue: local files go when all is verified, if that is wanted", async () => {
  await using scene = await Scene.set();
  const files = [await scene.record(1), await scene.record(2)];
  await Deno.writeTextFile(scene.path(1, ".hold"), '{"since":"2026-01-31T10:00:00Z","reason":""}');
  const queue = scene.queue({ removesLocal: true });
  queue.start();
  await untilDone(queue);
  assertEquals(await scene.dir.files(), []);
  for (const [index, data] of files.entries()) await scene.assertStored(index + 1, data);
  assertExists(await scene.stored(1, ".hold"));
});

Deno.test("UploadQueue: local files that are uploaded go when that is wanted later, if the objects are there", async () => {
  await using scene = await Scene.set();
  const files = [await scene.record(1), await scene.record(2)];
  const queue = scene.queue();
  queue.start();
  await untilDone(queue);
  await scene.direct.delete(`recordings/${DAY}/${nameOf(2)}.wav`);

  const next = scene.queue({ removesLocal: true });
  next.start();
  await untilDone(next);
  assertEquals(await scene.dir.files(), []);
  // It was uploaded again, before it went.
  for (const [index, data] of files.entries()) await scene.assertStored(index + 1, data);
});

for (const left of [[".jsonl", ".json"], [".json"], [".hold"], []]) {
  Deno.test(`UploadQueue: a removal that ended with ${left.join(" and ") || "nothing"} beside the marker goes on`, async () => {
    await using scene = await Scene.set();
    const files = await scene.record(1);
    await Deno.writeTextFile(
      scene.path(1, ".hold"),
      '{"since":"2026-01-31T10:00:00Z","reason":""}',
    );
    const queue = scene.queue();
    queue.start();
    await untilDone(queue);
    for (const extension of [".wav", ".jsonl", ".json", ".hold"]) {
      if (!left.includes(extension) && !(extension === ".hold" && left.includes(".json"))) {
        await Deno.remove(scene.path(1, extension));
      }
    }
    const next = scene.queue({ removesLocal: true });
    next.start();
    await untilDone(next);
    assertEquals(await scene.dir.files(), []);
    await scene.assertStored(1, files);
  });
}

Deno.test("UploadQueue: a recording whose writer is still there waits for it", async () => {
  await using scene = await Scene.set();
  const files = await scene.record(1);
  const writer = await Deno.open(scene.path(1, ".jsonl"), { append: true });
  assert(writer.tryLockSync(true));
  const queue = scene.queue();
  queue.start();
  await until(() => !queue.status.isScanning && queue.status.underWay === 0, "it was looked at");
  assertEquals([queue.status.waiting, queue.status.uploaded], [1, 0]);
  const last = bytes('{"the":"last"}\n');
  await writer.write(last);
  writer.close();
  await untilDone(queue);
  await scene.assertStored(1, files.set(".jsonl", concat(files.get(".jsonl") ?? noise(0), last)));
});

Deno.test("UploadQueue: a hold that is set meanwhile is uploaded; one that was lifted goes", async () => {
  await using scene = await Scene.set();
  await scene.record(1, 20 * MIB);
  await Deno.writeTextFile(scene.path(1, ".hold"), '{"since":"2026-01-31T10:00:00Z","reason":"1"}');
  scene.proxy.become({ kind: "slow", pauseMs: 1 });
  const queue = scene.queue({ removesLocal: true });
  queue.start();
  await until(() => scene.proxy.passedBytes > 4 * MIB, "it is under way", 60_000);
  await Deno.writeTextFile(scene.path(1, ".hold"), '{"since":"2026-01-31T10:00:00Z","reason":"2"}');
  await untilDone(queue);
  assertMatch(new TextDecoder().decode(await scene.stored(1, ".hold")), /"reason":"2"/);

  // Stored by an upload that nobody noted, and lifted since.
  await scene.record(2);
  await scene.direct.put(`recordings/${DAY}/${nameOf(2)}.hold`, bytes("{}"));
  queue.add(idOf(2));
  await untilDone(queue);
  assertEquals(await scene.stored(2, ".hold"), undefined);
});

Deno.test("UploadQueue: a recording that is removed meanwhile is in no place", async () => {
  await using scene = await Scene.set();
  await scene.record(1, 30 * MIB);
  scene.proxy.become({ kind: "slow", pauseMs: 2 });
  const queue = scene.queue();
  queue.start();
  await until(() => scene.proxy.passedBytes > 10 * MIB, "it is under way", 60_000);
  // As an archive does.
  await Deno.writeTextFile(scene.path(1, ".removed"), "");
  for (const extension of [".wav", ".jsonl", ".json", ".removed"]) {
    await Deno.remove(scene.path(1, extension));
  }
  scene.proxy.become({ kind: "none" });
  await untilDone(queue);
  assertEquals(await scene.dir.files(), []);
  assertEquals(await Array.fromAsync(scene.direct.list("")), []);
});

Deno.test("UploadQueue: more recordings than are kept in memory are found later", async () => {
  await using scene = await Scene.set();
  for (let n = 1; n <= 9; n++) await scene.record(n);
  const queue = scene.queue({ maxWaiting: 2 });
  queue.start();
  await until(() => queue.status.uploaded === 9, "all are uploaded");
  await untilDone(queue);
  assertEquals(queue.status.uploaded, 9);
});

Deno.test({
  name: "UploadQueue: a file of 200 MB takes the memory of a few parts",
  fn: async () => {
    await using scene = await Scene.set();
    await scene.record(1, 20 * MIB);
    const queue = scene.queue({ client: scene.direct });
    queue.start();
    await untilDone(queue);

    await scene.record(2);
    {
      // Sparse, but for its end: what is on the disk does not matter here.
      using file = await Deno.open(scene.path(2, ".wav"), { write: true });
      await file.seek(200 * MIB - 1000, Deno.SeekMode.Start);
      await file.write(noise(1000));
    }
    const beforeBytes = Deno.memoryUsage().rss;
    let mostBytes = 0;
    const timer = setInterval(() => {
      mostBytes = Math.max(mostBytes, Deno.memoryUsage().rss - beforeBytes);
    }, 20);
    queue.add(idOf(2));
    await untilDone(queue, 120_000);
    clearInterval(timer);
    const info = await scene.direct.head(`recordings/${DAY}/${nameOf(2)}.wav`);
    assertEquals(info?.sizeBytes, 200 * MIB);
    assertLess(mostBytes, 100 * MIB);
  },
});
