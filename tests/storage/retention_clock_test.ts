/**
 * Retention: which clocks are not believed, and what a wrong one has recorded.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Retention } from "../../lib/storage/mod.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { DAY_MS, FakeClock, HOUR_MS, NOW, Under } from "./retention_rig.ts";

Deno.test("retention: what was recorded before the clock was set stays, and is told of once", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make(new FakeClock("1970-01-23T00:01:00.000Z"));
  const odd = [
    await under.put("1970-01-23T00:00:30.000Z"),
    await under.put("2024-12-31T23:59:59.999Z"),
  ];
  await using before = under.retention();
  assertEquals((await before.run()).removed, 0);
  under.clock.set(NOW);
  // While it runs, and after a restart, with and without something that is old by the right clock.
  assertEquals((await before.run()).removed, 0);
  await under.clockMemory.write({ expectedMs: Date.parse(NOW), doubtedMs: undefined });
  await under.put("2025-01-01T00:00:00.000Z");
  await using after = under.retention();
  assertEquals((await after.run()).removed, 1);
  under.clock.pass(400 * DAY_MS);
  await after.run();
  assertEquals(await under.left(), odd);
  assertEquals(logs.of("Recordings of days before 2025").length, 1);
});

Deno.test("retention: a clock that was never set removes nothing", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make(new FakeClock("1970-01-01T00:01:00.000Z"));
  await under.put("1969-01-01T10:00:00.000Z");
  await using retention = under.retention({ newestDay: () => Promise.resolve(undefined) });
  for (let n = 0; n < 3; n++) assertEquals((await retention.run()).removed, 0);
  assertEquals(logs.of("No old recordings are removed").length, 1);
});

Deno.test("retention: a clock before the newest recording removes nothing", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  await under.put("2026-01-01T10:00:00.000Z");
  const newest = await under.put("2026-06-16T00:00:00.000Z");
  await using retention = under.retention();
  under.clock.set("2026-06-14T23:59:00.000Z");
  for (let n = 0; n < 3; n++) assertEquals((await retention.run()).removed, 0);
  assertEquals(logs.of("No old recordings are removed").length, 1);
  // Less than a day before: a machine elsewhere may have been somewhat ahead.
  under.clock.set("2026-06-15T00:01:00.000Z");
  assertEquals((await retention.run()).removed, 1);
  assertEquals(logs.of("Old recordings are removed again").length, 1);
  assertEquals(await under.left(), [newest]);
});

/** Runs it each hour, and says in which hour it removed something. */
async function hoursUntilRemoval(under: Under, retention: Retention): Promise<number> {
  for (let hour = 0; hour <= 24 * 30; hour++) {
    if ((await retention.run()).removed > 0) return hour;
    under.clock.pass(HOUR_MS);
  }
  return Infinity;
}

Deno.test("retention: a clock that goes forward by days is not believed for three days", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  const recent = await under.put("2026-06-14T10:00:00.000Z");
  await using retention = under.retention();
  await retention.run();
  under.clock.set("2027-01-01T00:00:00.000Z");
  for (let hour = 0; hour < 71; hour++) {
    under.clock.pass(HOUR_MS);
    assertEquals((await retention.run()).removed, 0, `hour ${hour}`);
  }
  assertEquals(logs.of("No old recordings are removed for 3 days").length, 1);
  // Somebody puts it right: nothing was lost.
  under.clock.set("2026-06-18T12:00:00.000Z");
  assertEquals((await retention.run()).removed, 0);
  assertEquals(await under.left(), [recent]);
  assertEquals(logs.of("Old recordings are removed again").length, 1);
  // And if it goes wrong once more, there is as much time as before.
  under.clock.set("2027-01-01T00:00:00.000Z");
  assertEquals(await hoursUntilRemoval(under, retention), 72);
});

Deno.test("retention: a clock that is ahead at the start is not believed for three days", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  const recent = await under.put("2026-06-14T10:00:00.000Z");
  under.clock.set("2029-03-11T12:00:00.000Z");
  await using retention = under.retention();
  assertEquals((await retention.run()).removed, 0);
  assertEquals(logs.of("No old recordings are removed for 3 days").length, 1);
  // By now, the newest recording is what the wrong clock says.
  const wrong = await under.put("2029-03-11T12:10:00.000Z");
  under.clock.pass(71 * HOUR_MS);
  assertEquals((await retention.run()).removed, 0);
  assertEquals(await under.left(), [recent, wrong]);
});

Deno.test("retention: what a wrong clock has recorded makes it right at no later start", async () => {
  await using under = await Under.make();
  const recent = await under.put("2026-06-14T10:00:00.000Z");
  under.clock.set("2029-03-11T12:00:00.000Z");
  for (let start = 0; start < 70; start++) {
    await using retention = under.retention();
    assertEquals((await retention.run()).removed, 0, `start ${start}`);
    await under.put(new Date(under.clock.nowMs()).toISOString());
    under.clock.pass(HOUR_MS);
    assertEquals((await retention.run()).removed, 0, `start ${start}`);
  }
  assert((await under.left()).includes(recent));
});

Deno.test("retention: without a memory, the newest recording says that the clock is ahead", async () => {
  for (const memory of ["none", "lost", "damaged"]) {
    await using logs = await LogRecords.watch();
    await using under = await Under.make();
    const path = `${under.recordings.dir.path}/clock.json`;
    if (memory === "lost") await Deno.remove(path);
    if (memory === "damaged") await Deno.writeTextFile(path, "\0".repeat(80));
    for (const day of ["06-14", "06-13", "06-09", "06-06"]) {
      await under.put(`2026-${day}T10:00:00.000Z`);
    }
    const options = memory === "none" ? { clockMemory: undefined } : {};
    under.clock.set("2029-03-11T12:00:00.000Z");
    await using ahead = under.retention(options);
    assertEquals((await ahead.run()).removed, 0, memory);
    assertEquals(logs.of("Cannot read").length, memory === "damaged" ? 1 : 0);
    under.clock.set(NOW);
    await using right = under.retention({ ...options, retentionDays: 5 });
    assertEquals((await right.run()).removed, 2, memory);
  }
});

Deno.test("retention: a server that was off for a year removes what is old after three days", async () => {
  for (const isRestarted of [false, true]) {
    await using under = await Under.make();
    await under.put("2026-06-14T10:00:00.000Z");
    under.clock.set("2027-06-15T12:00:00.000Z");
    let hours = 0;
    if (isRestarted) {
      // Each time, it runs for two hours and some more, and is off for two weeks.
      for (; hours < 60; hours += 2) {
        await using retention = under.retention();
        for (let hour = 0; hour < 3; hour++) {
          assertEquals((await retention.run()).removed, 0, `after ${hours} hours`);
          if (hour < 2) under.clock.pass(HOUR_MS);
        }
        under.clock.set(new Date(under.clock.nowMs() + 14 * DAY_MS).toISOString());
      }
    }
    await using retention = under.retention();
    assertEquals(hours + await hoursUntilRemoval(under, retention), 72);
  }
});

Deno.test("retention: a server that was off for less than a day removes what is old at once", async () => {
  await using under = await Under.make();
  await under.put("2026-05-16T13:00:00.000Z");
  await under.put("2026-06-01T00:00:00.000Z");
  {
    await using retention = under.retention();
    assertEquals((await retention.run()).removed, 0);
  }
  under.clock.set("2026-06-16T12:00:00.000Z");
  await using retention = under.retention();
  assertEquals((await retention.run()).removed, 1);
});

Deno.test("retention: a memory that cannot be written keeps nothing, and is told of once", async () => {
  await using logs = await LogRecords.watch();
  await using under = await Under.make();
  const path = `${under.recordings.dir.path}/clock.json`;
  await Deno.remove(path);
  await Deno.mkdir(path);
  await under.put("2026-01-01T10:00:00.000Z");
  const today = await under.put("2026-06-15T10:00:00.000Z");
  await using retention = under.retention();
  assertEquals((await retention.run()).removed, 1);
  await retention.run();
  assertEquals(await under.left(), [today]);
  assertEquals(logs.of("Cannot write").length, 1, logs.text);
});

Deno.test("retention property: no clock takes what is younger than it is kept for", async () => {
  const step = fc.record({
    /** How far the clock is from the right one, in days. */
    offDays: fc.oneof(fc.constant(0), fc.integer({ min: -21_000, max: 21_000 })),
    hours: fc.integer({ min: 1, max: 60 }),
    isStarted: fc.boolean(),
    isOff: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      await using logs = await LogRecords.watch();
      await using under = await Under.make();
      const right = { nowMs: under.clock.nowMs() };
      const pass = (hours: number) => {
        under.clock.pass(hours * HOUR_MS);
        right.nowMs += hours * HOUR_MS;
      };
      const young = await under.put("2026-06-15T10:00:00.000Z");
      let retention = under.retention();
      try {
        for (const { offDays, hours, isStarted, isOff } of steps) {
          // Somebody looks at it, and sets it right, before three days are over.
          under.clock.set(new Date(right.nowMs + offDays * DAY_MS).toISOString());
          if (isStarted) {
            await retention[Symbol.asyncDispose]();
            if (isOff) right.nowMs += 12 * HOUR_MS;
            under.clock.set(new Date(right.nowMs + offDays * DAY_MS).toISOString());
            retention = under.retention();
          }
          await retention.run();
          for (let hour = 0; hour < hours; hour += 6) {
            pass(6);
            await retention.run();
          }
          under.clock.set(new Date(right.nowMs).toISOString());
          await retention.run();
        }
        const isYoung = right.nowMs - Date.parse("2026-06-15T10:00:00.000Z") < 30 * DAY_MS;
        if (isYoung) assertEquals(await under.left(), [young], logs.text);
      } finally {
        await retention[Symbol.asyncDispose]();
      }
    }),
    { numRuns: 25 },
  );
});
