import { assertEquals, assertRejects } from "@std/assert";
import { Patience, type PatienceLimits } from "../../lib/api/patience.ts";
import { StorageTimeoutError } from "../../lib/api/storage_failure.ts";
import { LogRecords } from "../helpers/log_records.ts";

const LIMITS: PatienceLimits = { timeoutMs: 60_000, maxRunning: 2, maxWaiting: 1 };
const QUICK: PatienceLimits = { ...LIMITS, timeoutMs: 5 };

/** A question that is answered when a test says so. */
class Question {
  readonly answer = Promise.withResolvers<string>();
  readonly dropped: string[] = [];
  readonly asked: Promise<string>;
  isAsked = false;

  constructor(patience: Patience) {
    this.asked = patience.ask(() => {
      this.isAsked = true;
      return this.answer.promise;
    }, (late) => this.dropped.push(late));
    // Whoever asks may look at it later.
    this.asked.catch(() => {});
  }

  /** How it was given up; `mayStillHappen`, or not. */
  async failure(): Promise<boolean> {
    return (await assertRejects(() => this.asked, StorageTimeoutError)).mayStillHappen;
  }
}

/** Lets all that can go on go on. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

Deno.test("patience: what comes in time is the answer, be it an error", async () => {
  const patience = new Patience(LIMITS);
  const [good, bad] = [new Question(patience), new Question(patience)];
  good.answer.resolve("yes");
  bad.answer.reject(new TypeError("no"));
  assertEquals(await good.asked, "yes");
  await assertRejects(() => bad.asked, TypeError, "no");
  assertEquals(good.dropped, []);
  // Also one that is thrown at once.
  await assertRejects(
    () =>
      patience.ask(() => {
        throw new TypeError("at once");
      }),
    TypeError,
    "at once",
  );
});

Deno.test("patience: what comes later is dropped, and makes room only then", async () => {
  const patience = new Patience({ ...QUICK, isForChanges: true });
  const hanging = [new Question(patience), new Question(patience)];
  for (const question of hanging) assertEquals(await question.failure(), true);
  // All that may be under way hangs.
  const refused = new Question(patience);
  assertEquals(await refused.failure(), false);
  hanging[0]?.answer.resolve("late");
  await settle();
  assertEquals(hanging.map(({ dropped }) => dropped), [["late"], []]);
  const next = new Question(patience);
  next.answer.resolve("in time");
  assertEquals(await next.asked, "in time");
  assertEquals([refused.isAsked, next.isAsked], [false, true]);
  hanging[1]?.answer.resolve("late");
});

Deno.test("patience: only a change that was begun may still happen", async () => {
  const patience = new Patience(QUICK);
  const read = new Question(patience);
  assertEquals(await read.failure(), false);
  read.answer.resolve("late");
});

Deno.test("patience: what waits too long for its turn is never asked", async () => {
  const patience = new Patience({ ...QUICK, maxRunning: 1, isForChanges: true });
  const running = new Question(patience);
  const waiting = new Question(patience);
  const oneTooMany = new Question(patience);
  assertEquals(await oneTooMany.failure(), false);
  assertEquals(await waiting.failure(), false);
  assertEquals(await running.failure(), true);
  running.answer.resolve("late");
  await settle();
  assertEquals([running, waiting, oneTooMany].map(({ isAsked }) => isAsked), [true, false, false]);
});

Deno.test("patience: what fails later is logged, and makes room", async () => {
  await using logs = await LogRecords.watch();
  const patience = new Patience({ ...QUICK, maxRunning: 1 });
  const late = new Question(patience);
  await late.failure();
  late.answer.reject(new Error("the disk is broken"));
  await settle();
  assertEquals(logs.records.length, 1);
  assertEquals(logs.of("Storage failed after its deadline").length, 1);
  const next = new Question(patience);
  next.answer.resolve("in time");
  assertEquals(await next.asked, "in time");
});
