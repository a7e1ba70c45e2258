/**
 * Uploads to the same place in a real S3 server that meet each other, or are broken off, at any
 * step: all of one is there in the end, and nothing of another one.
 */
import { assert, assertEquals } from "@std/assert";
import { until } from "../../helpers/deadline.ts";
import { readIfExists } from "../../helpers/temp_dir.ts";
import { assertSameBytes, noise } from "../../helpers/wav_check.ts";
import { isSame, Machine, SESSION, stored } from "./upload_machine.ts";
import { bytes, DAY, MIB, nameOf, Scene } from "./upload_scene.ts";

for (const audioBytes of [1000, 20 * MIB]) {
  Deno.test(`UploadQueue: an object that comes in the midst of an upload of ${audioBytes} bytes is not replaced`, async () => {
    await using scene = await Scene.set();
    const machine = new Machine(scene, "one");
    const { location } = await machine.record({ seed: 1, audioBytes });
    const key = `recordings/${DAY}/${SESSION}.wav`;
    // Each request waits: the place was looked at, and found free, long before the audio is there.
    scene.proxy.become({ kind: "slow", pauseMs: audioBytes > MIB ? 1 : 50 });
    const queue = machine.queue({ removesLocal: true });
    queue.start();
    await until(
      () => scene.proxy.heads.some((head) => /^PUT .*\.jsonl/.test(head)),
      "the upload has begun",
    );
    await scene.direct.put(key, bytes("of another one"));
    await until(() => queue.status.refused === 1, "it is refused", 60_000);
    assertSameBytes(await scene.direct.get(key, MIB) ?? noise(0), bytes("of another one"));
    assertEquals((await machine.files(location)).size, 3);
    assertEquals(await Array.fromAsync(scene.direct.listUploads("")), []);

    // Removed now, only here: what is there of another one stays.
    for (const extension of [".wav", ".jsonl", ".json"]) await Deno.remove(location + extension);
    scene.proxy.become({ kind: "none" });
    const next = await machine.upload();
    assertEquals([next.status.refused, next.status.waiting], [0, 0]);
    assertSameBytes(await scene.direct.get(key, MIB) ?? noise(0), bytes("of another one"));
    assertEquals(await readIfExists(`${location}.s3.upload`), undefined);
  });
}

for (
  const [what, to, audioBytes] of [
    ["messages", /^PUT .*\.jsonl /, 1000],
    ["audio", /^PUT .*\.wav /, 1000],
    ["metadata", /^PUT .*\.json /, 1000],
    ["audio made of parts", /^POST .*\.wav\?uploadId=/, 20 * MIB],
  ] as const
) {
  Deno.test(`UploadQueue: if only the answer is lost when it is stored, that is no other recording: ${what}`, async () => {
    await using scene = await Scene.set();
    const machine = new Machine(scene, "one");
    const { location } = await machine.record({ seed: 1, audioBytes });
    scene.proxy.become({ kind: "loses answers", to }, 1);
    const queue = await machine.upload();
    assertEquals(scene.proxy.faults, 1);
    assertEquals(scene.proxy.heads.filter((head) => to.test(head)).length, 2, "tried again");
    assertEquals([queue.status.uploaded, queue.status.refused], [1, 0]);
    assert(isSame(await stored(scene, SESSION), await machine.files(location)));
    assertEquals(await Array.fromAsync(scene.direct.listUploads("")), []);
  });
}

Deno.test("UploadQueue: of two uploads of the same name at the same moment, all of one gets there, and nothing of the other", async () => {
  await using scene = await Scene.set();
  const machines = [new Machine(scene, "one"), new Machine(scene, "two")];
  const made: Map<string, Uint8Array>[][] = [];
  for (let n = 1; n <= 20; n++) {
    made.push([]);
    for (const [index, machine] of machines.entries()) {
      // With audio and without, which is the same in some.
      const audioBytes = [0, 100, 1000][(n + index * Math.floor(n / 3)) % 3] ?? 0;
      const files = await machine.record({ seed: index + 1, audioBytes, sessionId: nameOf(n) });
      if (n % 5 === 0 && audioBytes > 0) await Deno.writeFile(`${files.location}.wav`, noise(99));
      made.at(-1)?.push(await machine.files(files.location));
    }
  }
  const queues = await Promise.all(machines.map((machine) => machine.upload()));
  const numbers = queues.map(({ status }) => [status.uploaded, status.refused]);
  assertEquals(numbers.map(([uploaded = 0, refused = 0]) => uploaded + refused), [20, 20]);
  assertEquals(numbers.reduce((sum, [uploaded = 0]) => sum + uploaded, 0), 20);
  for (const [index, [first = new Map(), second = new Map()]] of made.entries()) {
    const there = await stored(scene, nameOf(index + 1));
    assert(isSame(there, first) !== isSame(there, second), nameOf(index + 1));
  }
});

for (const isOtherRemoved of [false, true]) {
  Deno.test(`UploadQueue: wherever an upload is broken off, another server's of the same name never mixes with it${isOtherRemoved ? ", nor when it is removed" : ""}`, async () => {
    await using scene = await Scene.set();
    const outcomes = new Set<string>();
    for (let requests = 0; requests < 16; requests++) {
      const sessionId = nameOf(requests + 1);
      const [one, two] = [
        new Machine(scene, `one ${requests}`),
        new Machine(scene, `two ${requests}`),
      ];
      const { location, id } = await one.record({ seed: 1, sessionId });
      const other = await two.record({ seed: 2, sessionId });
      const [files, otherFiles] = [await one.files(location), await two.files(other.location)];
      // As one that is killed: what it knew is gone but for what is on the disk.
      scene.proxy.failAfter(requests);
      const killed = one.queue();
      killed.start();
      await until(() => killed.status.lastErrorCode || killed.status.uploaded === 1, "its end");
      await killed.stop(0);
      scene.proxy.failAfter(Infinity);

      const { refused } = (await two.upload({ client: scene.direct })).status;
      const between = await stored(scene, sessionId);
      if (refused === 0) assert(isSame(between, otherFiles), `${requests}`);
      else assert([...between].every(([what, data]) => data.toHex() === files.get(what)?.toHex()));

      if (isOtherRemoved) {
        assertEquals(await one.archive.remove(id), "removed");
        await one.upload({ client: scene.direct });
        const left = await stored(scene, sessionId);
        const hasMarker = killed.status.uploaded === 1;
        if (refused === 0) assert(isSame(left, otherFiles), "the other one is as it was");
        // It was uploaded, and then removed here only.
        else if (hasMarker) assert(isSame(left, files));
        else assertEquals(left, new Map(), "nothing is left of what was removed");
        assertEquals(await one.files(location), new Map());
        assertEquals(await readIfExists(`${location}.s3.upload`), undefined);
      } else {
        const next = await one.upload({ client: scene.direct });
        assertEquals(next.status.refused, refused === 0 ? 1 : 0);
        assert(isSame(await stored(scene, sessionId), refused === 0 ? otherFiles : files));
        assert(isSame(await one.files(location), files));
      }
      assert(isSame(await two.files(other.location), otherFiles));
      outcomes.add(refused === 0 ? "the other one" : "it");
    }
    assertEquals(outcomes.size, 2, "both were the first");
  });
}
