import { assertEquals, assertRejects } from "@std/assert";
import { WorkQueue, type WorkResult } from "../../lib/api/work_queue.ts";

const LIMITS = { maxRunning: 2, maxWaiting: 2, waitTimeoutMs: 60_000 };
const NEVER = new AbortController().signal;

/** Work that ends when a test says so. */
class Work {
  readonly done = Promise.withResolvers<string>();
  hasBegun = false;
  result: Promise<WorkResult<string>>;

  constructor(queue: WorkQueue, signal: AbortSignal = NEVER) {
    this.result = queue.run(() => {
      this.hasBegun = true;
      return this.done.promise;
    }, signal);
  }
}

/** Lets all that can go on go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

Deno.test("work queue: so much at once, so much waiting, and no more", async () => {
  const queue = new WorkQueue(LIMITS);
  const works = Array.from({ length: 5 }, () => new Work(queue));
  await settle();
  assertEquals(works.map(({ hasBegun }) => hasBegun), [true, true, false, false, false]);
  assertEquals(await works[4]?.result, { outcome: "busy" });
  works[1]?.done.resolve("one");
  assertEquals(await works[1]?.result, { outcome: "done", value: "one" });
  await settle();
  assertEquals(works.map(({ hasBegun }) => hasBegun), [true, true, true, false, false]);
  for (const i of [0, 2, 3]) works[i]?.done.resolve("x");
  for (const i of [0, 2, 3]) assertEquals((await works[i]?.result)?.outcome, "done");
  // All of it is free again.
  const later = Array.from({ length: 3 }, () => new Work(queue));
  await settle();
  assertEquals(later.map(({ hasBegun }) => hasBegun), [true, true, false]);
  for (const work of later) work.done.resolve("x");
  await Promise.all(later.map(({ result }) => result));
});

Deno.test("work queue: work that fails makes room as well", async () => {
  const queue = new WorkQueue({ ...LIMITS, maxRunning: 1 });
  const failing = new Work(queue);
  const next = new Work(queue);
  failing.done.reject(new Error("no"));
  await assertRejects(() => failing.result, Error, "no");
  await settle();
  assertEquals(next.hasBegun, true);
  next.done.resolve("x");
  await next.result;
});

Deno.test("work queue: who does not want it any more, leaves the queue", async () => {
  const queue = new WorkQueue({ ...LIMITS, maxRunning: 1, maxWaiting: 1 });
  const running = new Work(queue);
  const controller = new AbortController();
  const waiting = new Work(queue, controller.signal);
  await settle();
  controller.abort();
  assertEquals(await waiting.result, { outcome: "gone" });
  const next = new Work(queue);
  running.done.resolve("x");
  await running.result;
  await settle();
  assertEquals([waiting.hasBegun, next.hasBegun], [false, true]);
  next.done.resolve("x");
  await next.result;
  assertEquals(await new Work(queue, controller.signal).result, { outcome: "gone" });
});

Deno.test("work queue: nobody waits without end", async () => {
  const queue = new WorkQueue({ ...LIMITS, maxRunning: 1, waitTimeoutMs: 5 });
  const running = new Work(queue);
  const waiting = new Work(queue);
  assertEquals(await waiting.result, { outcome: "busy" });
  running.done.resolve("x");
  await running.result;
});
