/**
 * What the log says of recordings that can't be written: few lines, however many recordings.
 */
import { assertEquals } from "@std/assert";
import { WriteFailures } from "../../lib/app/write_failures.ts";
import { until } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";

const FULL = Object.assign(new Error("No space left on device"), { code: "ENOSPC" });

const said = ({ records }: LogRecords) =>
  records.map(({ level, rawMessage }) => [level, rawMessage]);

Deno.test("write failures: one line for the first of a thousand recordings, one when all are written", async () => {
  await using logs = await LogRecords.watch();
  const failures = new WriteFailures();
  for (let n = 0; n < 1000; n++) failures.failed(`${n}`, crypto.randomUUID(), FULL);
  assertEquals([failures.failing, failures.last?.code], [1000, "ENOSPC"]);
  const begun = [["error", "Cannot write recordings; trying again"]];
  assertEquals(said(logs), begun);
  for (let n = 0; n < 999; n++) failures.written(`${n}`);
  assertEquals([failures.failing, said(logs)], [1, begun]);
  failures.written("999");
  const ended = [...begun, ["info", "Recordings are written again, after {seconds} s"]];
  assertEquals([failures.failing, said(logs)], [0, ended]);
  // A disk that fails and works again and again is not told each time.
  for (const key of ["1000", "1001"]) {
    failures.failed(key, crypto.randomUUID(), FULL);
    failures.written(key);
  }
  assertEquals([failures.failing, said(logs)], [0, ended]);
});

Deno.test("write failures: what comes later is told like what was first; what goes on, by its number", async () => {
  await using logs = await LogRecords.watch();
  const failures = new WriteFailures();
  const { now } = performance;
  try {
    for (let minutes = 0; minutes < 3; minutes++) {
      performance.now = () => now.call(performance) + minutes * 61_000;
      failures.failed("1", crypto.randomUUID(), FULL);
      failures.written("1");
    }
  } finally {
    performance.now = now;
  }
  assertEquals(said(logs).map(([level]) => level), Array(3).fill(["error", "info"]).flat());

  const hasty = new WriteFailures(40);
  hasty.failed("1", crypto.randomUUID(), FULL);
  hasty.written("1");
  hasty.failed("1", crypto.randomUUID(), FULL);
  await until(() => logs.of("{count} recordings cannot").length === 1, "the number");
  hasty.written("1");
  const [, last] = logs.of("Recordings are written again").slice(-2);
  assertEquals(last?.level, "info");
});

Deno.test("write failures: how many there are is said now and then, if they have become more", async () => {
  await using logs = await LogRecords.watch();
  const failures = new WriteFailures(5);
  const counts = () => logs.of("{count} recordings").map(({ properties }) => properties["count"]);
  failures.failed("1", crypto.randomUUID(), FULL);
  failures.failed("2", crypto.randomUUID(), FULL);
  failures.failed("3", crypto.randomUUID(), FULL);
  await until(() => counts().length === 1, "the number");
  failures.failed("4", crypto.randomUUID(), FULL);
  await until(() => counts().length === 2, "the next one");
  assertEquals(counts(), [3, 4]);
  for (const key of ["1", "2", "3", "4"]) failures.written(key);
  assertEquals(logs.of("Recordings are written again").length, 1);
});

Deno.test("write failures: recordings that are given up do not say that the storage works again", async () => {
  await using logs = await LogRecords.watch();
  const failures = new WriteFailures();
  failures.failed("1", crypto.randomUUID(), FULL);
  failures.over("1");
  failures.failed("2", crypto.randomUUID(), FULL);
  failures.over("2");
  assertEquals([failures.failing, said(logs).length], [0, 1]);
  failures.written("3");
  assertEquals(logs.of("Recordings are written again").length, 1);
});
