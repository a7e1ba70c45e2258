/**
 * Retention: which recordings go when.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { FileRecordingArchive } from "../../lib/storage/mod.ts";
import { until, within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { noise } from "../helpers/wav_check.ts";
import { metadataTextOf, SESSION } from "./recording_archive_suite.ts";
import { DAY_MS, HOUR_MS, NOW, Under } from "./retention_rig.ts";

Deno.test("retention: what ended so many days ago goes, to the millisecond", async () => {
  await using under = await Under.make();
  await under.put("2026-01-01T10:00:00.000Z");
  await under.put("2026-05-16T11:59:59.999Z");
  await under.put("2026-05-16T12:00:00.000Z");
  const young = await under.put("2026-05-16T12:00:00.001Z");
  // It started before, and ended after.
  const long = await under.put("2026-05-15T23:00:00.000Z", "2026-05-16T12:30:00.000Z");
  const today = await under.put("2026-06-15T11:00:00.000Z");
  await using retention = under.retention();
  assertEquals(await retention.run(), { removed: 3, onHold: 0, failed: 0 });
  assertEquals(await under.left(), [long, young, today]);
  under.clock.pass(HOUR_MS);
  assertEquals(await retention.run(), { removed: 2, onHold: 0, failed: 0 });
  assertEquals(await under.left(), [today]);
  const log = await Deno.readTextFile(`${under.recordings.dir.path}/audit.jsonl`);
  const lines = log.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(
    lines.map(({ action, by }) => `${action} by ${by}`),
    Array(5).fill("removed by retention"),
  );
});

Deno.test("retention: of recordings of one session, each goes when it is old enough", async () => {
  await using under = await Under.make();
  const old = "2026-05-16T11:00:00.000Z";
  for (const suffix of ["", ".2", ".0badcafe"]) await under.put(old, old, SESSION + suffix);
  const young = await under.put(old, "2026-05-16T12:30:00.000Z", `${SESSION}.600df00d`);
  await using retention = under.retention();
  assertEquals(await retention.run(), { removed: 3, onHold: 0, failed: 0 });
  assertEquals(await under.left(), [young]);
});

Deno.test("retention: it does not look at days that are young", async () => {
  await using under = await Under.make();
  const old = await under.put("2026-01-01T10:00:00.000Z");
  for (const day of ["2026-05-17", "2026-05-18", "2026-06-15"]) {
    await under.put(`${day}T00:00:00.000Z`);
  }
  const looked: string[] = [];
  await using retention = under.retention({
    archive: {
      list: () => under.archive.list(),
      open: (id, part) => under.archive.open(id, part),
      metadata(id) {
        looked.push(id);
        return under.archive.metadata(id);
      },
    },
  });
  await retention.run();
  assertEquals(looked, [old]);
});

Deno.test("retention: what is held, and what is being made, stays however old it is", async () => {
  await using under = await Under.make();
  const held = await under.put("2026-01-01T10:00:00.000Z");
  await under.removal.setHold(held, { since: NOW, reason: "" }, "api");
  const made = `2026-01-02.${SESSION}`;
  await under.recordings.put(made, { ".jsonl": "{}\n", ".wav.part": noise(10) });
  const longAgo = "2026-01-02T00:00:00Z";
  for (const extension of [".jsonl", ".wav.part"]) await under.touch(made, extension, longAgo);
  await using retention = under.retention();
  {
    using _lock = await under.recordings.lock(made);
    assertEquals(await retention.run(), { removed: 0, onHold: 1, failed: 0 });
    assertEquals(await under.left(), [held, made]);
  }
  // Nobody writes it any more, and nobody has completed it.
  assertEquals(await retention.run(), { removed: 1, onHold: 1, failed: 0 });
  await under.removal.setHold(held, undefined, "api");
  assertEquals(await retention.run(), { removed: 1, onHold: 0, failed: 0 });
  assertEquals(await under.recordings.names(), []);
});

Deno.test("retention: without metadata, the last write counts", async () => {
  await using under = await Under.make();
  const id = `2026-01-02.${SESSION}`;
  await under.recordings.put(id, { ".jsonl": "{}\n", ".wav": noise(10), ".json": "{" });
  await under.touch(id, ".jsonl", "2026-01-02T00:00:00Z");
  await under.touch(id, ".wav", "2026-05-20T00:00:00Z");
  await using retention = under.retention();
  assertEquals((await retention.run()).removed, 0);
  await under.touch(id, ".wav", "2026-05-16T00:00:00Z");
  assertEquals((await retention.run()).removed, 1);
  assertEquals(await under.left(), []);
});

Deno.test("retention: a last write after the end counts: the clock was set while it was made", async () => {
  await using under = await Under.make();
  const kept: string[] = [];
  for (const extension of [".wav", ".jsonl"]) {
    const id = await under.put("2026-01-02T10:00:00.000Z");
    await under.touch(id, extension, "2026-05-17T00:00:00Z");
    kept.push(id);
  }
  const old = await under.put("2026-01-02T10:00:00.000Z");
  await under.touch(old, ".wav", "2026-05-16T00:00:00Z");
  await using retention = under.retention();
  assertEquals((await retention.run()).removed, 1);
  assertEquals(await under.left(), kept.sort());
  under.clock.pass(2 * DAY_MS);
  assertEquals((await retention.run()).removed, 2);
});

Deno.test("retention: what is left of a recording without any part of it goes after a day", async () => {
  await using under = await Under.make();
  const id = `2026-05-16.${SESSION}`;
  await under.recordings.put(id, { ".removed": "", ".json": metadataTextOf(id, NOW) });
  await using retention = under.retention();
  assertEquals((await retention.run()).removed, 0);
  under.clock.pass(23 * 3_600_000);
  assertEquals((await retention.run()).removed, 0);
  under.clock.pass(3_600_000);
  assertEquals((await retention.run()).removed, 1);
  assertEquals(await under.recordings.names(), []);
});

Deno.test("retention: it rests after each recording", async () => {
  await using under = await Under.make();
  for (let n = 0; n < 5; n++) await under.put("2026-01-01T10:00:00.000Z");
  await using retention = under.retention();
  await retention.run();
  assertEquals(under.clock.waits, Array(5).fill(20));
});

Deno.test("retention: one that cannot be removed keeps no other", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  const ids = [];
  for (let n = 1; n <= 9; n++) ids.push(await under.put(`2026-01-0${n}T10:00:00.000Z`));
  const stubborn = ids.slice(2, 5);
  await using retention = under.retention({
    removal: {
      finishInterrupted: () => under.removal.finishInterrupted(),
      remove: (id, by) =>
        stubborn.includes(id)
          ? Promise.reject(new Error("The disk says no"))
          : under.removal.remove(id, by),
    },
  });
  assertEquals(await retention.run(), { removed: 6, onHold: 0, failed: 3 });
  assertEquals(await under.left(), stubborn);
  assertEquals(logs.of("Cannot remove the old recording").length, 1);
});

Deno.test("retention: a place that removes nothing is not asked for all of them", async () => {
  await using under = await Under.make();
  for (let n = 0; n < 30; n++) await under.put("2026-01-01T10:00:00.000Z");
  await using retention = under.retention({
    removal: {
      finishInterrupted: () => Promise.resolve(),
      remove: () => Promise.reject(new Error("The disk says no")),
    },
  });
  assertEquals(await retention.run(), { removed: 0, onHold: 0, failed: 10 });
});

Deno.test("retention: a day of which nothing can be removed keeps no other day", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  for (let n = 0; n < 30; n++) await under.put("2026-01-01T10:00:00.000Z");
  await under.put("2026-01-02T10:00:00.000Z");
  await under.put("2026-06-15T10:00:00.000Z");
  const tried: string[] = [];
  await using retention = under.retention({
    removal: {
      finishInterrupted: () => under.removal.finishInterrupted(),
      remove: (id, by) => {
        tried.push(id.slice(0, 10));
        return id.startsWith("2026-01-01")
          ? Promise.reject(new Error("The disk says no"))
          : under.removal.remove(id, by);
      },
    },
  });
  assertEquals(await retention.run(), { removed: 1, onHold: 0, failed: 10 });
  assertEquals(tried, [...Array(10).fill("2026-01-01"), "2026-01-02"]);
  assertEquals(logs.of("Cannot remove the old recording").length, 1);
});

Deno.test("retention: when nothing can be removed of any day, not all are tried", async () => {
  await using under = await Under.make();
  for (let day = 1; day <= 12; day++) {
    const time = `2026-01-${String(day).padStart(2, "0")}T10:00:00.000Z`;
    for (let n = 0; n < 11; n++) await under.put(time);
  }
  await using retention = under.retention({
    removal: {
      finishInterrupted: () => Promise.resolve(),
      remove: () => Promise.reject(new Error("The disk says no")),
    },
  });
  assertEquals(await retention.run(), { removed: 0, onHold: 0, failed: 100 });
});

Deno.test("retention: a list that fails is logged, and tried again", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  await under.put("2026-01-01T10:00:00.000Z");
  let isBroken = true;
  await using retention = under.retention({
    newestDay: () =>
      isBroken ? Promise.reject(new Error("The disk says no")) : under.archive.newestDay(),
  });
  assertEquals(await retention.run(), { removed: 0, onHold: 0, failed: 0 });
  assertEquals(logs.of("Cannot look for old recordings").length, 1);
  isBroken = false;
  assertEquals((await retention.run()).removed, 1);
});

Deno.test("retention: it runs at once, and then every hour, until it is stopped", async () => {
  await using under = await Under.make();
  await under.put("2026-05-16T11:30:00.000Z");
  const second = await under.put("2026-05-16T12:30:00.000Z");
  const hours = Promise.withResolvers<void>();
  const lefts: string[][] = [];
  under.clock.onWait = async (ms) => {
    if (ms !== HOUR_MS) return;
    lefts.push(await under.left());
    if (lefts.length === 3) {
      hours.resolve();
      // As long as it takes to be stopped.
      await stopped.promise;
    }
  };
  const stopped = Promise.withResolvers<void>();
  const retention = under.retention();
  retention.start();
  retention.start();
  await within(hours.promise, "three runs");
  const stopping = retention[Symbol.asyncDispose]();
  stopped.resolve();
  await within(stopping, "stop");
  assertEquals(lefts, [[second], [], []]);
});

Deno.test("retention: stopped in the midst of a run, it ends after the recording of the moment", async () => {
  await using under = await Under.make();
  for (let n = 0; n < 50; n++) await under.put("2026-01-01T10:00:00.000Z");
  const retention = under.retention();
  under.clock.onWait = () => {
    if (under.clock.waits.length === 5) void retention[Symbol.asyncDispose]();
  };
  retention.start();
  await within(retention[Symbol.asyncDispose](), "stop");
  const left = await under.left();
  assert(left.length >= 44, `${left.length} are left`);
  // What was begun is done.
  assertEquals((await under.recordings.names()).length, left.length * 3);
});

Deno.test("retention: by the system's clock, it stops at once", async () => {
  await using under = await Under.make();
  await under.put("2026-01-01T10:00:00.000Z");
  const archive = new FileRecordingArchive(under.recordings.folder);
  await under.clockMemory.write({ expectedMs: Date.now(), doubtedMs: undefined });
  await using retention = under.retention({ archive, clock: undefined, retentionDays: 0.5 });
  retention.start();
  await until(async () => (await under.left()).length === 0, "removal");
});

Deno.test("retention: days that are none are refused", async () => {
  await using under = await Under.make();
  for (const retentionDays of [0, -1, NaN]) {
    assertThrows(() => under.retention({ retentionDays }), RangeError);
  }
});
