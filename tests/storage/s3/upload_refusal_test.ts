/**
 * Several recordings that would go to the same place in a real S3 server: none ever replaces
 * another one, or removes its objects.
 */
import { assert, assertEquals, assertExists, assertMatch } from "@std/assert";
import { join } from "node:path";
import type { RecordedFile, RecordingFiles } from "../../../lib/storage/mod.ts";
import { CombinedArchive, S3Error, S3RecordingArchive } from "../../../lib/storage/s3/mod.ts";
import { RecordingKeys } from "../../../lib/storage/s3/recording_keys.ts";
import { UploadStateFile } from "../../../lib/storage/s3/upload_marker.ts";
import { uploadRecording } from "../../../lib/storage/s3/upload_recording.ts";
import { until } from "../../helpers/deadline.ts";
import { LogRecords } from "../../helpers/log_records.ts";
import { readIfExists } from "../../helpers/temp_dir.ts";
import { assertSameBytes, noise } from "../../helpers/wav_check.ts";
import { ID, isSame, Machine, SESSION, snapshot, stored } from "./upload_machine.ts";
import { bytes, DAY, MIB, nameOf, Scene, untilDone } from "./upload_scene.ts";

async function bytesOf(file: RecordedFile | undefined): Promise<Uint8Array> {
  assertExists(file);
  await using opened = file;
  return new Uint8Array(await new Response(opened.read(0, opened.size)).arrayBuffer());
}

for (const kind of ["", "opaque", "old"] as const) {
  Deno.test(`UploadQueue: of two servers with the same name, the second one is refused: a server that is ${kind || "as it should be"}`, async () => {
    await using logs = await LogRecords.watch();
    await using scene = await Scene.set(kind);
    const [one, two] = [new Machine(scene, "one"), new Machine(scene, "two")];
    await one.record({ seed: 1 });
    const second = await two.record({ seed: 2 });
    const other = await two.record({ seed: 3, sessionId: nameOf(3) });
    assertEquals((await one.upload()).status.uploaded, 1);
    const before = await snapshot(scene);
    assertEquals(before.size, 3);
    const files = await two.files(second.location);

    const queue = two.queue({ removesLocal: true, refusedPauseMs: 20 });
    queue.start();
    await until(() => queue.status.refused === 1 && queue.status.uploaded === 1, "both are tried");
    const lists = () => scene.proxy.heads.filter((head) => head.includes(SESSION)).length;
    const tried = lists();
    await until(() => lists() > tried + 5, "the one that was refused is tried again");
    await queue.stop();
    const { refused, uploaded, waiting, failingSince, lastErrorCode } = queue.status;
    assertEquals([refused, uploaded, failingSince, lastErrorCode], [1, 1, undefined, "mismatch"]);
    assert(waiting <= 1);

    // All of the first as it was, and all of the second where it was.
    for (const [key, what] of before) assertEquals((await snapshot(scene)).get(key), what, key);
    assert(isSame(await two.files(second.location), files));
    assertSameBytes(
      await bytesOf(await two.archive.open(ID, "audio")),
      files.get(".wav") ?? noise(0),
    );
    assertEquals((await two.archive.metadata(ID))?.language, "xx");
    assertEquals(await readIfExists(`${second.location}.s3`), undefined);
    assertEquals(await readIfExists(`${second.location}.s3.upload`), undefined);
    assertEquals((await stored(scene, nameOf(3))).size, 3);
    assertEquals(await two.files(other.location), new Map());

    const records = logs.of("Cannot upload");
    assertEquals(records.length, 1, "said once");
    const message = String(records[0]?.properties.message);
    assertMatch(message, /another recording is at that place.*give all of its files one new name/);
  });
}

Deno.test("UploadQueue: a recording that is refused gets there under another name, as the message says", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.set();
  const [one, two] = [new Machine(scene, "one"), new Machine(scene, "two")];
  const first = await one.record({ seed: 1 });
  const second = await two.record({ seed: 2 });
  await one.upload();
  await two.upload();
  assertMatch(logs.text, /the session's id, a dot, 8 hex digits/);
  const name = `${SESSION}.0badcafe`;
  const files = await two.files(second.location);
  for (const extension of files.keys()) {
    await Deno.rename(second.location + extension, join(two.folder, DAY, name + extension));
  }
  const queue = await two.upload();
  assertEquals([queue.status.uploaded, queue.status.refused], [1, 0]);
  assert(isSame(await stored(scene, SESSION), await one.files(first.location)));
  assert(isSame(await stored(scene, name), files));
});

Deno.test("UploadQueue: a recording that is refused gets there when the other one is removed", async () => {
  await using scene = await Scene.set();
  const [one, two] = [new Machine(scene, "one"), new Machine(scene, "two")];
  await one.record({ seed: 1 });
  const { location } = await two.record({ seed: 2 });
  await one.upload();
  const queue = two.queue({ refusedPauseMs: 20 });
  queue.start();
  await until(() => queue.status.refused === 1, "it is refused");
  assertEquals(await new S3RecordingArchive(scene.direct).remove(ID), "removed");
  await until(() => queue.status.uploaded === 1, "it is uploaded");
  await untilDone(queue);
  assertEquals([queue.status.refused, queue.status.lastErrorCode], [0, undefined]);
  assert(isSame(await stored(scene, SESSION), await two.files(location)));
});

Deno.test("UploadQueue: recordings that are refused keep no others from being found", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await Scene.set();
  const [one, two] = [new Machine(scene, "one"), new Machine(scene, "two")];
  for (let n = 1; n <= 4; n++) {
    await one.record({ seed: 1, sessionId: nameOf(n) });
    await two.record({ seed: 2, sessionId: nameOf(n) });
  }
  for (let n = 5; n <= 9; n++) await two.record({ seed: 2, sessionId: nameOf(n) });
  await one.upload();
  const queue = two.queue({ maxWaiting: 2, refusedPauseMs: 10_000 });
  queue.start();
  await until(() => queue.status.uploaded === 5, "all others are uploaded", 60_000);
  await untilDone(queue);
  // So many are remembered.
  assertEquals(queue.status.refused, 2);
  assertEquals(queue.status.failingSince, undefined);
  assert(logs.of("Cannot upload recording").length >= 4);
});

Deno.test("UploadQueue: after trouble with the server, a refusal says that it works again", async () => {
  await using scene = await Scene.set();
  const [one, two] = [new Machine(scene, "one"), new Machine(scene, "two")];
  await one.record({ seed: 1 });
  await two.record({ seed: 2 });
  await one.upload();
  scene.proxy.become({ kind: "answers", status: 503, code: "SlowDown" });
  const queue = two.queue();
  queue.start();
  await until(() => queue.status.failingSince, "it fails");
  scene.proxy.become({ kind: "none" });
  await until(() => queue.status.refused === 1, "it is refused");
  assertEquals(queue.status.failingSince, undefined);
});

for (const kind of ["", "old"] as const) {
  Deno.test(`UploadQueue: of unique names, all recordings of a session get there: a server that is ${kind || "as it should be"}`, async () => {
    await using scene = await Scene.set(kind);
    const made: [Machine, RecordingFiles, Map<string, Uint8Array>][] = [];
    for (const name of ["one", "two"]) {
      const machine = new Machine(scene, name);
      for (const audioBytes of [0, 1000, 20 * MIB]) {
        const seed = made.length + 1;
        const files = await machine.record({ seed, audioBytes, hasUniqueName: true });
        made.push([machine, files, await machine.files(files.location)]);
      }
    }
    const queues = await Promise.all([...new Set(made.map(([machine]) => machine))].map(
      (machine) => machine.upload({ removesLocal: true }),
    ));
    assertEquals(queues.map(({ status }) => [status.uploaded, status.refused]), [[3, 0], [3, 0]]);
    const ids = new Set(made.map(([, { id }]) => id));
    assertEquals(ids.size, 6);
    for (const [machine, { id, location }, files] of made) {
      assert(isSame(await stored(scene, id.slice(DAY.length + 1)), files), id);
      assertEquals(await machine.files(location), new Map());
    }
    const listed = await Array.fromAsync(new S3RecordingArchive(scene.direct).list());
    assertEquals(new Set(listed), ids);
    assertEquals(await Array.fromAsync(scene.direct.listUploads("")), []);
  });
}

for (const hasUniqueName of [true, false]) {
  Deno.test(`UploadQueue: a session that is recorded again when its first recording is gone from the disk: ${hasUniqueName ? "unique" : "plain"} names`, async () => {
    await using scene = await Scene.set();
    const machine = new Machine(scene, "one");
    const first = await machine.record({ seed: 1, hasUniqueName });
    const files = await machine.files(first.location);
    await machine.upload({ removesLocal: true });
    assertEquals(await scene.dir.files(), []);
    const before = await snapshot(scene);

    const second = await machine.record({ seed: 2, hasUniqueName });
    const later = await machine.files(second.location);
    const { uploaded, refused } = (await machine.upload({ removesLocal: true })).status;
    for (const [key, what] of before) assertEquals((await snapshot(scene)).get(key), what, key);
    assert(isSame(await stored(scene, first.id.slice(DAY.length + 1)), files));
    if (hasUniqueName) {
      assertEquals([uploaded, refused], [1, 0]);
      assertEquals(await scene.dir.files(), []);
      assert(isSame(await stored(scene, second.id.slice(DAY.length + 1)), later));
    } else {
      assertEquals(second.id, first.id);
      assertEquals([uploaded, refused], [0, 1]);
      assert(isSame(await machine.files(second.location), later));
    }
  });
}

for (const kind of ["", "opaque"] as const) {
  for (const there of [[".jsonl"], [".jsonl", ".wav"], [".wav"], [".jsonl", ".wav", ".json"]]) {
    Deno.test(`UploadQueue: its own bytes (${there.join(", ")}) that nobody noted are no other recording: a server that is ${kind || "as it should be"}`, async () => {
      await using scene = await Scene.set(kind);
      const machine = new Machine(scene, "one");
      const { location } = await machine.record({ seed: 1 });
      const files = await machine.files(location);
      for (const extension of there) {
        const data = new Uint8Array(files.get(extension) ?? noise(0));
        await scene.direct.put(`recordings/${DAY}/${SESSION}${extension}`, data);
      }
      const queue = await machine.upload();
      assertEquals([queue.status.uploaded, queue.status.refused], [1, 0]);
      assert(isSame(await stored(scene, SESSION), files));
      const puts = scene.proxy.heads.filter((head) => head.startsWith("PUT "));
      assertEquals(puts.length, 3 - there.length, "what is there is not sent again");
      assertExists(await readIfExists(`${location}.s3`));
    });
  }
}

for (const rest of [".wav", ".jsonl", ".json", ".part/begin", ".part/audio-0000000000000"]) {
  for (const audioBytes of [1000, 0]) {
    Deno.test(`UploadQueue: a ${rest} of another recording refuses one of ${audioBytes} bytes`, async () => {
      await using scene = await Scene.set();
      const machine = new Machine(scene, "one");
      const { location } = await machine.record({ seed: 1, audioBytes });
      const files = await machine.files(location);
      await scene.direct.put(`recordings/${DAY}/${SESSION}${rest}`, bytes("of another one"));
      await scene.direct.put(`recordings/${DAY}/${SESSION}.hold`, bytes("of another one"));
      const before = await snapshot(scene);
      const queue = await machine.upload({ removesLocal: true });
      assertEquals([queue.status.uploaded, queue.status.refused], [0, 1]);
      assertEquals(await snapshot(scene), before);
      assert(isSame(await machine.files(location), files));
    });
  }
}

Deno.test("uploadRecording: the error of a refusal is an S3Error, and says which object it was", async () => {
  await using scene = await Scene.set();
  const machine = new Machine(scene, "one");
  await machine.record({ seed: 1 });
  await scene.direct.put(`recordings/${DAY}/${SESSION}.json`, bytes("of another one"));
  const error = await uploadRecording({
    client: scene.direct,
    keys: new RecordingKeys("recordings"),
    folder: machine.folder,
    place: { day: DAY, name: SESSION },
    removesLocal: true,
    signal: new AbortController().signal,
    isStopping: () => false,
  }).then(() => undefined, (error) => error);
  assert(error instanceof S3Error);
  assertEquals([error.failure, error.isTransient], ["mismatch", false]);
  assertMatch(error.message, new RegExp(`recordings/${DAY}/${SESSION}.json .*another recording`));
});

Deno.test("UploadQueue: what is removed on the disk alone takes nothing from another one in storage", async () => {
  await using scene = await Scene.set();
  const [one, two] = [new Machine(scene, "one"), new Machine(scene, "two")];
  await one.record({ seed: 1 });
  await one.upload();
  await two.record({ seed: 2 });
  await new S3RecordingArchive(scene.direct)
    .setHold(ID, { since: "2026-01-31T10:00:00Z", reason: "of the first" });
  const before = await snapshot(scene);
  const queue = two.queue({ refusedPauseMs: 20 });
  queue.start();
  await until(() => queue.status.refused === 1, "it is refused");
  assertEquals(await two.archive.remove(ID), "removed");
  await until(() => queue.status.refused === 0, "it is no longer refused");
  await queue.stop();
  assertEquals(await snapshot(scene), before);

  // With a state, whatever it was of.
  const { location } = await two.record({ seed: 3 });
  for (
    const objects of [[], [{
      extension: ".wav",
      sizeBytes: 1044,
      sha256: "0".repeat(64),
      etag: "",
    }]] as const
  ) {
    await new UploadStateFile(location).begin([...objects]);
    assertEquals((await two.upload()).status.refused, 1);
    assertEquals(await snapshot(scene), before);
  }
  assertEquals(await two.archive.remove(ID), "removed");
  await two.upload();
  assertEquals(await snapshot(scene), before);
  assertEquals((await scene.dir.files()).filter((name) => name.startsWith("two")), []);
});

Deno.test("UploadQueue: who removes a refused recording from all places removes the other one, too", async () => {
  await using scene = await Scene.set();
  const [one, two] = [new Machine(scene, "one"), new Machine(scene, "two")];
  await one.record({ seed: 1 });
  await one.upload();
  await two.record({ seed: 2 });
  assertEquals((await two.upload()).status.refused, 1);
  const all = new CombinedArchive([two.archive, new S3RecordingArchive(scene.direct)]);
  assertEquals((await all.metadata(ID))?.language, "xx", "the nearest is the one that is found");
  assertEquals(await all.remove(ID), "removed");
  assertEquals(await all.metadata(ID), undefined);
  assertEquals(await Array.fromAsync(scene.direct.list("")), []);
});
