import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { join } from "node:path";
import { BackgroundIndex } from "../../lib/storage/background_index.ts";
import type { KvDatabase } from "../../lib/storage/answering_kv.ts";
import { KvRecordingIndex } from "../../lib/storage/kv_recording_index.ts";
import { IndexUnavailableError, InvalidCursorError } from "../../lib/storage/recording_index.ts";
import { until, within } from "../helpers/deadline.ts";
import { recording } from "../helpers/index_entries.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { TempDir } from "../helpers/temp_dir.ts";

const KEY = new Uint8Array(32).fill(1);
/** As quick as tests are. */
const QUICK = { firstRetryMs: 1, maxRetryMs: 5 };

/** A real database that hangs, or is closed, when a test wants it to. */
class UnreliableKv {
  /** What was asked for while it hung. */
  hanging = 0;
  /** Is waited for before each question. */
  step: () => Promise<unknown> = () => Promise.resolve();
  readonly #kv: Deno.Kv;
  #gate: PromiseWithResolvers<void> | undefined;
  #error: Error | undefined;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  static async open(): Promise<UnreliableKv> {
    return new UnreliableKv(await Deno.openKv(":memory:"));
  }

  hang(): void {
    this.#gate = Promise.withResolvers();
  }

  fail(error: Error | undefined): void {
    this.#error = error;
  }

  goOn(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
    this.hanging = 0;
  }

  /** The database, each of whose questions first passes here. */
  get database(): KvDatabase {
    const kv = this.#kv;
    const pass = () => this.#pass();
    return {
      get: async (key, options) => (await pass(), await kv.get(key, options)),
      getMany: async (keys, options) => (await pass(), await kv.getMany(keys, options)),
      list: (range, options) => this.#list(kv.list(range, options)),
      atomic: () => this.#atomic(kv.atomic()),
      close: () => kv.close(),
    };
  }

  #list<T>(list: Deno.KvListIterator<T>): Deno.KvListIterator<T> {
    const next = list.next.bind(list);
    list.next = async () => (await this.#pass(), await next());
    return list;
  }

  #atomic(atomic: Deno.AtomicOperation): Deno.AtomicOperation {
    const commit = atomic.commit.bind(atomic);
    atomic.commit = async () => (await this.#pass(), await commit());
    return atomic;
  }

  async #pass(): Promise<void> {
    await this.step();
    if (this.#error !== undefined) throw this.#error;
    if (this.#gate === undefined) return;
    this.hanging++;
    await this.#gate.promise;
  }
}

const isDone = (index: { status: { waiting: number } }) => () => index.status.waiting === 0;

Deno.test("background index: what is put is found soon, in the end as it was last", async () => {
  await using _logs = await LogRecords.watch();
  await using index = new BackgroundIndex(async () =>
    new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY })
  );
  for (let n = 0; n < 50; n++) {
    await index.put(recording(n, { state: "recording" }));
    await index.put(recording(n));
    if (n % 5 === 0) await index.remove(recording(n).id);
  }
  await until(isDone(index), "all is done");
  assertEquals((await index.find({}, 100)).entries.length, 40);
  assertEquals((await index.find({ state: "recording" }, 100)).entries.length, 0);
  assertEquals((await index.get(recording(1).id))?.state, "finished");
  assertEquals(index.status, {
    waiting: 0,
    failingSince: undefined,
    dropped: 0,
    isRebuildDue: false,
  });
});

Deno.test("background index: a database that is closed is tried again, and told of once", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  const closed = await Deno.openKv(path);
  closed.close();
  let kv: Deno.Kv = closed;
  // A reconnection, as a database that is reached by a URL has it.
  const database: KvDatabase = {
    get: (key, options) => kv.get(key, options),
    getMany: (keys, options) => kv.getMany(keys, options),
    list: (range, options) => kv.list(range, options),
    atomic: () => kv.atomic(),
    close: () => kv.close(),
  };
  await using index = new BackgroundIndex(
    () => Promise.resolve(new KvRecordingIndex(database, { key: KEY })),
    { ...QUICK, maxTries: 1_000_000 },
  );
  for (let n = 0; n < 10; n++) await index.put(recording(n));
  await until(() => index.status.failingSince !== undefined, "it fails");
  await assertRejects(() => index.find({}, 9), IndexUnavailableError);
  await assertRejects(() => index.get(recording(1).id), IndexUnavailableError);
  assertEquals(index.status.waiting, 10);
  kv = await Deno.openKv(path);
  await until(isDone(index), "all is done");
  assertEquals((await index.find({}, 100)).entries.length, 10);
  assertEquals(index.status.failingSince, undefined);
  assertEquals(logs.of("Cannot write to the index").length, 1);
  assertEquals(logs.of("The index of recordings works again").length, 1);
  await assertRejects(() => index.find({}, 9, "no cursor"), InvalidCursorError);
});

Deno.test("background index: a database that hangs delays nobody, and is asked again", async () => {
  await using logs = await LogRecords.watch();
  const kv = await UnreliableKv.open();
  await using index = new BackgroundIndex(
    () => Promise.resolve(new KvRecordingIndex(kv.database, { key: KEY })),
    { ...QUICK, tryTimeoutMs: 10, readTimeoutMs: 10, maxTries: 1_000_000 },
  );
  kv.hang();
  await index.put(recording(1, { state: "recording" }));
  await until(() => kv.hanging >= 3, "it is tried again");
  await index.put(recording(1));
  await assertRejects(() => index.get(recording(1).id), IndexUnavailableError);
  // All that hung goes on now, the late ones, too.
  kv.goOn();
  await until(isDone(index), "all is done");
  assertEquals((await index.find({}, 100)).entries.map(({ state }) => state), ["finished"]);
  assertEquals(logs.of("Cannot write to the index").length, 1);
});

Deno.test("background index: when too many wait, the oldest goes, and a rebuild is due", async () => {
  await using logs = await LogRecords.watch();
  const kv = await UnreliableKv.open();
  await using index = new BackgroundIndex(
    () => Promise.resolve(new KvRecordingIndex(kv.database, { key: KEY })),
    { ...QUICK, maxWaiting: 10 },
  );
  kv.hang();
  for (let n = 0; n < 25; n++) {
    await index.put(recording(n));
    // Of the same recording, one change waits at most.
    await index.put(recording(n));
  }
  assertEquals(index.status.waiting, 10);
  assertEquals([index.status.dropped, index.status.isRebuildDue], [15, true]);
  assertEquals(logs.of("Changes get lost").length, 1);
  kv.goOn();
  await until(isDone(index), "all is done");
  const found = (await index.find({}, 100)).entries.map(({ id }) => id);
  for (let n = 15; n < 25; n++) assert(found.includes(recording(n).id));
  await assertRejects(() => index.rebuild(() => Promise.reject(new Error("failed"))));
  assertEquals(index.status.isRebuildDue, true);
  await index.rebuild((opened) => opened.putAll([recording(0)]));
  assertEquals([index.status.dropped, index.status.isRebuildDue], [15, false]);
});

Deno.test("background index: one that can never be put does not hold up the others", async () => {
  await using _logs = await LogRecords.watch();
  await using index = new BackgroundIndex(
    async () => new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY }),
    { ...QUICK, maxTries: 3 },
  );
  await index.put({ ...recording(1), startedAt: "never" });
  await index.put(recording(2));
  await until(isDone(index), "all is done");
  assertEquals((await index.find({}, 100)).entries.map(({ id }) => id), [recording(2).id]);
  assertEquals([index.status.dropped, index.status.isRebuildDue], [1, true]);
});

Deno.test("background index: it is opened when it can be", async () => {
  await using logs = await LogRecords.watch();
  let tries = 0;
  await using index = new BackgroundIndex(async () => {
    if (++tries < 4) throw new Error("no network");
    return new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY });
  }, QUICK);
  assertEquals(tries, 0, "not before it's needed");
  await assertRejects(() => index.get(recording(1).id), IndexUnavailableError);
  await index.put(recording(1));
  await until(isDone(index), "all is done");
  assertEquals(tries, 4);
  assertEquals((await index.find({}, 100)).entries.length, 1);
  assertEquals(logs.of("Cannot write to the index").length, 1);
});

Deno.test("background index: one that cannot be rebuilt is failing, though nothing waits for it", async () => {
  await using _logs = await LogRecords.watch();
  await using index = new BackgroundIndex(async () =>
    new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY })
  );
  assertEquals(index.status.failingSince, undefined);
  await assertRejects(() => index.rebuild(() => Promise.reject(new Error("No disk"))), Error);
  const { failingSince } = index.status;
  assert(failingSince !== undefined);
  await assertRejects(() => index.rebuild(() => Promise.reject(new Error("No disk"))), Error);
  assertEquals(index.status.failingSince, failingSince);
  await index.rebuild(() => Promise.resolve());
  assertEquals(index.status.failingSince, undefined);
});

Deno.test("background index: one that opens slowly is failing until it has opened", async () => {
  await using logs = await LogRecords.watch();
  const opened = Promise.withResolvers<KvRecordingIndex>();
  let tries = 0;
  await using index = new BackgroundIndex(() => {
    tries++;
    return opened.promise;
  }, { slowOpenMs: 5 });
  assertEquals(index.status.failingSince, undefined);
  const rebuilding = index.rebuild((opened) => opened.putAll([recording(1)]));
  await until(() => index.status.failingSince !== undefined, "it is noticed");
  assertEquals(logs.of("Cannot write to the index").length, 1);
  opened.resolve(new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY }));
  await rebuilding;
  assertEquals(index.status.failingSince, undefined);
  assertEquals(tries, 1, "it is not opened a second time");
});

Deno.test("background index: a database that falls silent makes rebuilding fail, not wait", async () => {
  await using _logs = await LogRecords.watch();
  const kv = await UnreliableKv.open();
  await using index = new BackgroundIndex(() =>
    Promise.resolve(new KvRecordingIndex(kv.database, { key: KEY, answerTimeoutMs: 10 }))
  );
  await index.rebuild((opened) => opened.putAll([recording(1)]));
  assertEquals(index.status.failingSince, undefined);
  kv.hang();
  const work: ((opened: KvRecordingIndex) => Promise<unknown>)[] = [
    (opened) => opened.putAll([recording(1)]),
    (opened) => opened.missing([recording(1).id]),
    (opened) => opened.compareFormat(),
    (opened) => Array.fromAsync(opened.walk("", "~")),
    (opened) => opened.writeFormat(),
    (opened) => opened.removeOthers(),
  ];
  for (const one of work) {
    await within(assertRejects(() => index.rebuild(one)), String(one));
    assert(index.status.failingSince !== undefined);
  }
  kv.goOn();
  await index.look((opened) => opened.compareFormat());
  assertEquals(index.status.failingSince, undefined);
});

Deno.test("background index: it is opened again", async () => {
  await using _logs = await LogRecords.watch();
  await using index = new BackgroundIndex(
    async () => new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY }),
    QUICK,
  );
  await index.reopen();
  await index.put(recording(1));
  await until(isDone(index), "all is done");
  await index.reopen();
  assertEquals((await index.find({}, 100)).entries, []);
  await index.put(recording(2));
  await until(isDone(index), "all is done");
  assertEquals((await index.find({}, 100)).entries.length, 1);
});

Deno.test("background index: its end waits for what is under way", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const path = join(dir.path, "index.kv");
  {
    await using index = new BackgroundIndex(async () =>
      new KvRecordingIndex(await Deno.openKv(path), { key: KEY })
    );
    for (let n = 0; n < 200; n++) await index.put(recording(n));
    assert(index.status.waiting > 100);
  }
  using index = new KvRecordingIndex(await Deno.openKv(path), { key: KEY });
  assertEquals((await index.find({}, 500)).entries.length, 200);
});

Deno.test("background index: its end does not wait for ever, and says what is lost", async () => {
  for (const how of ["hangs", "fails", "never opens"]) {
    await using logs = await LogRecords.watch();
    const kv = await UnreliableKv.open();
    const never = Promise.withResolvers<KvRecordingIndex>();
    const index = new BackgroundIndex(
      () =>
        how === "never opens"
          ? never.promise
          : Promise.resolve(new KvRecordingIndex(kv.database, { key: KEY })),
      { firstRetryMs: 60_000, maxRetryMs: 60_000, stopTimeoutMs: 20 },
    );
    if (how === "hangs") kv.hang();
    if (how === "fails") kv.fail(new Error("broken"));
    await index.put(recording(1));
    await index.put(recording(2));
    const question = index.get(recording(1).id).catch((error) => error);
    await within(index[Symbol.asyncDispose](), how);
    assert(await question instanceof IndexUnavailableError);
    assertEquals(logs.of("{count} changes are not in the index")[0]?.properties.count, 2, how);
    await index.put(recording(3));
    await assertRejects(() => index.find({}, 9), IndexUnavailableError);
    kv.fail(undefined);
    kv.goOn();
    if (how === "never opens") never.resolve(new KvRecordingIndex(kv.database, { key: KEY }));
  }
});

Deno.test("background index: in whatever order a recording ends and is removed, it has no entry", async () => {
  const entry = recording(1);
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.boolean(), async (scheduler, isOther) => {
      const step = () => scheduler.schedule(Promise.resolve());
      using kv = await Deno.openKv(":memory:");
      let isThere = true;
      const open = () => {
        const unreliable = new UnreliableKv(kv);
        unreliable.step = step;
        const database: KvDatabase = { ...unreliable.database, close: () => {} };
        return Promise.resolve(new KvRecordingIndex(database, { key: KEY }));
      };
      const options = {
        ...QUICK,
        isThere: async () => {
          await step();
          const answer = isThere;
          await step();
          return answer;
        },
      };
      await using maker = new BackgroundIndex(open, options);
      // Whoever removes it may be another program.
      await using another = new BackgroundIndex(open, options);
      const remover = isOther ? another : maker;
      const make = async () => {
        await maker.put(recording(1, { state: "recording" }));
        await step();
        await maker.put(entry);
      };
      const remove = async () => {
        await step();
        await step();
        isThere = false;
        await step();
        await remover.remove(entry.id);
      };
      const all = Promise.all([make(), remove()]).then(() =>
        until(() => isDone(maker)() && isDone(another)(), "all changes")
      );
      await scheduler.waitFor(all);
      using left = new KvRecordingIndex({ ...new UnreliableKv(kv).database, close: () => {} }, {
        key: KEY,
      });
      assertEquals(await left.get(entry.id), undefined);
    }),
    { numRuns: 100 },
  );
});

Deno.test("background index: an entry is put again as long as nobody knows whether its recording is there", async () => {
  await using logs = await LogRecords.watch();
  const entry = recording(1);
  const gone = recording(2);
  let looks = 0;
  await using index = new BackgroundIndex(
    async () => new KvRecordingIndex(await Deno.openKv(":memory:"), { key: KEY }),
    {
      ...QUICK,
      isThere: ({ id }) => {
        if (++looks <= 3) return Promise.reject(new Error("The disk does not answer"));
        return Promise.resolve(id === entry.id);
      },
    },
  );
  await index.put(gone);
  await index.put(entry);
  await until(isDone(index), "all changes");
  assertEquals((await index.find({}, 9)).entries.map(({ id }) => id), [entry.id]);
  assertEquals([looks, logs.of("Cannot write to the index").length], [5, 1]);
  assertEquals(index.status.dropped, 0);
});
