/**
 * The upload of recordings to a real S3 server, which is stopped, killed, and made to fail in the
 * midst of it; and stops of the queue itself: nothing is lost.
 */
import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertLess,
  assertNotMatch,
} from "@std/assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { endOldUploads } from "../../../lib/storage/s3/old_uploads.ts";
import { UploadStateFile } from "../../../lib/storage/s3/upload_marker.ts";
import { until, within } from "../../helpers/deadline.ts";
import { LogRecords } from "../../helpers/log_records.ts";
import { readIfExists } from "../../helpers/temp_dir.ts";
import { noise } from "../../helpers/wav_check.ts";
import { BUCKET, type CREDENTIALS } from "./object_server.ts";
import { clientOf, DAY, idOf, markerOf, MIB, nameOf, Scene, untilDone } from "./upload_scene.ts";

Deno.test("UploadQueue: a server that is stopped, and started again", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.set();
  await scene.server.kill();
  const files = [await scene.record(1), await scene.record(2), await scene.record(3)];
  const queue = scene.queue();
  queue.start();
  await until(() => queue.status.failingSince, "it fails");
  await until(() => scene.proxy.heads.length >= 0 && queue.status.waiting === 3, "all wait");
  assertEquals(queue.status.lastErrorCode, "network");
  assertExists(queue.status.oldestWaitingSince);
  queue.add(idOf(3));
  await new Promise((resolve) => setTimeout(resolve, 500));
  assertEquals(logs.of("Cannot upload").length, 1, "said once");

  await scene.server.restart();
  await untilDone(queue);
  for (const [index, data] of files.entries()) await scene.assertStored(index + 1, data);
  assertEquals(queue.status.failingSince, undefined);
  assertEquals(queue.status.lastErrorCode, undefined);
  assertEquals(logs.of("Recordings are uploaded again").length, 1);
  assertEquals(logs.of("Cannot upload").length, 1);
});

for (
  const [status, code] of [[500, "InternalError"], [503, "SlowDown"], [
    403,
    "AccessDenied",
  ]] as const
) {
  Deno.test(`UploadQueue: a server that answers ${status} ${code} for a while`, async () => {
    await using logs = await LogRecords.watch();
    await using scene = await Scene.set();
    const files = [await scene.record(1), await scene.record(2)];
    scene.proxy.become({ kind: "answers", status, code });
    const queue = scene.queue();
    queue.start();
    await until(() => queue.status.lastErrorCode, "it fails");
    const { faults } = scene.proxy;
    await until(() => scene.proxy.faults > faults + 4, "it is tried again");
    assertEquals(queue.status.lastErrorCode, code);
    assertEquals(queue.status.waiting, 2);
    scene.proxy.become({ kind: "none" });
    await untilDone(queue);
    for (const [index, data] of files.entries()) await scene.assertStored(index + 1, data);
    assertEquals(logs.of("Cannot upload").length, 1);
  });
}

Deno.test("UploadQueue: wrong keys, and a bucket that is not there, are told, without a key", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.set();
  const files = await scene.record(1);
  const wrong = { accessKeyId: "S3RVER", secretAccessKey: "nobody-must-see-this" };
  const other = clientOf(scene.server.url, BUCKET, wrong as typeof CREDENTIALS);
  for (
    const [client, code] of [
      [other, "SignatureDoesNotMatch"],
      [clientOf(scene.server.url, "missing"), "NoSuchBucket"],
    ] as const
  ) {
    const queue = scene.queue({ client });
    queue.start();
    await until(() => queue.status.lastErrorCode, "it fails");
    assertEquals([queue.status.lastErrorCode, queue.status.waiting], [code, 1]);
    await queue.stop();
  }
  assertEquals(logs.of("Cannot upload").length, 2);
  assertNotMatch(logs.text, /nobody-must-see-this/);
  const queue = scene.queue();
  queue.start();
  await untilDone(queue);
  await scene.assertStored(1, files);
});

Deno.test("UploadQueue: a server that is killed in the midst of a large file", async () => {
  await using scene = await Scene.set();
  const files = await scene.record(1, 30 * MIB);
  scene.proxy.become({ kind: "slow", pauseMs: 2 });
  const queue = scene.queue();
  queue.start();
  await until(() => scene.proxy.passedBytes > 12 * MIB, "half of it is under way", 60_000);
  await scene.server.kill();
  await until(() => queue.status.failingSince, "it fails");
  scene.proxy.become({ kind: "none" });
  await scene.server.restart();
  await untilDone(queue);
  await scene.assertStored(1, files);
  assert((await scene.dir.files()).every((name) => !name.endsWith(".s3.upload")));
  assertEquals(await Array.fromAsync(scene.direct.listUploads("")).catch(() => []), []);
});

Deno.test("UploadQueue: a queue that is stopped in the midst of a large file goes on at the next start", async () => {
  await using scene = await Scene.set();
  const files = await scene.record(1, 30 * MIB);
  scene.proxy.become({ kind: "slow", pauseMs: 2 });
  const queue = scene.queue();
  queue.start();
  await until(() => scene.proxy.passedBytes > 12 * MIB, "half of it is under way", 60_000);
  await queue.stop(60_000);
  assertExists(await readIfExists(scene.path(1, ".s3.upload")));
  assertEquals(await readIfExists(scene.path(1, ".s3")), undefined);
  assertEquals(await scene.stored(1, ".json"), undefined);
  const parts = () => scene.proxy.heads.filter((head) => /^PUT .*partNumber=/.test(head)).length;
  const before = parts();
  assertGreater(before, 0);
  assertLess(before, 4);

  scene.proxy.become({ kind: "none" });
  const next = scene.queue();
  next.start();
  await untilDone(next);
  await scene.assertStored(1, files);
  assertEquals(parts(), 4, "no part was sent twice");
  assertEquals(await readIfExists(scene.path(1, ".s3.upload")), undefined);
});

Deno.test("UploadQueue: stopping has a deadline", async () => {
  await using scene = await Scene.set();
  await scene.record(1, 100_000);
  scene.proxy.become({ kind: "hangs" });
  const queue = scene.queue();
  queue.start();
  await until(() => scene.proxy.faults > 0, "a request hangs");
  // A request is waited for longer than that.
  await within(queue.stop(100), "stop");
  assertEquals(await readIfExists(scene.path(1, ".s3")), undefined);
});

Deno.test("UploadQueue: a recording that is removed while the server is away is in no place", async () => {
  await using scene = await Scene.set();
  await scene.record(1);
  // Two of its files get there.
  scene.proxy.failAfter(4);
  const queue = scene.queue();
  queue.start();
  await until(() => queue.status.lastErrorCode, "it fails");
  await queue.stop();
  assertGreater((await Array.fromAsync(scene.direct.list(""))).length, 0);
  for (const extension of [".wav", ".jsonl", ".json"]) await Deno.remove(scene.path(1, extension));

  const next = scene.queue({ client: scene.direct });
  next.start();
  await untilDone(next);
  assertEquals(await scene.dir.files(), []);
  assertEquals(await Array.fromAsync(scene.direct.list("")), []);
});

Deno.test("UploadQueue: a folder that cannot be read is looked through later", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.set();
  const folder = join(scene.dir.path, "in the way");
  const ready = join(scene.dir.path, "ready");
  await Deno.mkdir(join(ready, DAY), { recursive: true });
  for (const [extension, data] of await scene.record(1)) {
    await Deno.writeFile(join(ready, DAY, nameOf(1) + extension), data);
  }
  await Deno.writeTextFile(folder, "");
  const queue = scene.queue({ folder });
  queue.start();
  await until(() => logs.of("Cannot look for recordings").length > 0, "it fails");
  await Deno.remove(folder);
  await Deno.rename(ready, folder);
  await until(() => queue.status.uploaded === 1, "it is uploaded");
  assertEquals(logs.of("Cannot look for recordings").length, 1);
});

Deno.test("UploadQueue: old uploads of which parts are left are ended, but for those that go on", async () => {
  await using scene = await Scene.set();
  const key = (n: number) => `recordings/${DAY}/${nameOf(n)}.wav`;
  const ids = [1, 2].map(async (n) => await scene.direct.createUpload(key(n)));
  const [left, noted] = await Promise.all(ids);
  await scene.direct.createUpload("other/file");
  await scene.record(2);
  const parts = { key: key(2), uploadId: noted ?? "", sizeBytes: 1, sha256: "0".repeat(64) };
  await new UploadStateFile(scene.path(2, "")).setParts(parts);
  const options = { folder: scene.dir.path, client: scene.direct, prefix: "recordings" };
  const { signal } = new AbortController();
  assertEquals(await endOldUploads({ ...options, signal }), 0, "they are not old");
  assertEquals(await endOldUploads({ ...options, signal, oldMs: -60_000 }), 1);
  const rest = await Array.fromAsync(scene.direct.listUploads(""));
  assertEquals(rest.map((upload) => upload.key).sort(), ["other/file", key(2)]);
  assert(rest.every(({ uploadId }) => uploadId !== left));
});

Deno.test("UploadQueue: what one recording fails at holds up no other one", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.set();
  await scene.record(1);
  await Deno.remove(scene.path(1, ".wav"));
  await Deno.mkdir(scene.path(1, ".wav"));
  const files = await scene.record(2);
  const queue = scene.queue();
  queue.start();
  await until(() => queue.status.uploaded === 1, "the other one is uploaded");
  await scene.assertStored(2, files);
  assertEquals(queue.status.waiting, 1);
  assertEquals(queue.status.failingSince, undefined);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assertEquals(logs.of("Cannot upload recording {id}").length, 1, "said once");
  await Deno.remove(scene.path(1, ".wav"));
  await untilDone(queue);
});

Deno.test("UploadQueue: an object that is not what was sent is found", async () => {
  await using scene = await Scene.set();
  const files = await scene.record(1, 200_000);
  const key = `recordings/${DAY}/${nameOf(1)}.wav`;
  // Of the same length; a server that lost the write would have such a thing, which says of itself
  // what was sent.
  const sha256 = createHash("sha256").update(files.get(".wav") ?? noise(0)).digest("hex");
  await scene.direct.put(key, noise(200_000, 99), { sha256 });
  const queue = scene.queue();
  queue.start();
  await untilDone(queue);
  await scene.assertStored(1, files);
});

for (const [kind, code] of [["", "BadDigest"], ["careless", "mismatch"]] as const) {
  Deno.test(`UploadQueue: bytes that are changed on their way are found, by a server that is ${kind || "careful"}`, async () => {
    await using logs = await LogRecords.watch();
    await using scene = await Scene.set(kind);
    const files = await scene.record(1, 100_000);
    scene.proxy.become({ kind: "corrupts" });
    const queue = scene.queue();
    queue.start();
    await until(() => queue.status.lastErrorCode, "it fails");
    assertEquals(queue.status.lastErrorCode, code);
    assertEquals(queue.status.failingSince, undefined, "others can be uploaded");
    assertEquals(await readIfExists(scene.path(1, ".s3")), undefined);
    await until(() => scene.proxy.faults > 2, "it is tried again");
    scene.proxy.become({ kind: "none" });
    await untilDone(queue);
    await scene.assertStored(1, files);
    assertEquals(logs.of("Cannot upload recording {id}").length, 1);
  });
}

for (const audioBytes of [100_000, 20 * MIB]) {
  Deno.test(`UploadQueue: where ETags tell nothing, what is stored is read back: ${audioBytes} bytes`, async () => {
    await using scene = await Scene.set("opaque");
    const files = await scene.record(1, audioBytes);
    const queue = scene.queue();
    queue.start();
    await untilDone(queue);
    await scene.assertStored(1, files);
    assertEquals((await markerOf(scene, 1)).files[".wav"]?.verifiedBy, "reading");
    const next = scene.queue({ removesLocal: true });
    next.start();
    await untilDone(next);
    assertEquals(await scene.dir.files(), []);
    await scene.assertStored(1, files);
  });
}

Deno.test("UploadQueue: a disk on which nothing can be written makes room all the same", async () => {
  await using scene = await Scene.set();
  const files = await scene.record(1, 20 * MIB);
  // In the way of the state, and of the marker.
  await Deno.mkdir(scene.path(1, ".s3.upload.part"));
  await Deno.mkdir(scene.path(1, ".s3.part"));
  const queue = scene.queue({ removesLocal: true });
  queue.start();
  await until(() => queue.status.lastErrorCode, "the marker cannot be written");
  assertEquals(await readIfExists(scene.path(1, ".wav")), undefined);
  await scene.assertStored(1, files);

  await Deno.remove(scene.path(1, ".s3.part"));
  await untilDone(queue);
  await Deno.remove(scene.path(1, ".s3.upload.part"));
  assertEquals(await scene.dir.files(), []);
  await scene.assertStored(1, files);
});

Deno.test("UploadQueue: a removal whose marker was damaged takes nothing from object storage", async () => {
  await using scene = await Scene.set();
  const files = await scene.record(1);
  const queue = scene.queue();
  queue.start();
  await untilDone(queue);
  await Deno.writeTextFile(scene.path(1, ".s3"), "damaged");
  for (const extension of [".wav", ".jsonl"]) await Deno.remove(scene.path(1, extension));
  const next = scene.queue({ removesLocal: true });
  next.start();
  await untilDone(next);
  assertEquals(await scene.dir.files(), []);
  await scene.assertStored(1, files);
});
