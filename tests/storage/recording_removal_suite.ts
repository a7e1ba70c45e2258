/**
 * What removing and holding recordings has to do, wherever they are and whatever the audit log is:
 * one suite, for all of them.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { auditedHold, auditedRemoval } from "../../lib/storage/recording_removal.ts";
import {
  type AuditLine,
  type AuditLog,
  type RecordingArchive,
  RecordingRemoval,
  type RecordingRemovalParts,
} from "../../lib/storage/mod.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { ID, metadataOf } from "./recording_archive_suite.ts";

export const CONVERSATION = metadataOf(ID).conversationId;
export const HOLD = { since: "2026-02-01T10:00:00.000Z", reason: "A case" };

/** An archive and an audit log, and ways around them. */
export interface RemovalPlace {
  readonly archive: RecordingArchive;
  /**
   * The log, as a server has it that has just started.
   *
   * @param nowMs The present time, as that server sees it.
   */
  newLog(nowMs?: () => number): AuditLog;
  /** Puts a recording there that has ended. */
  put(id: string): Promise<void>;
  /** All that is there of recordings. */
  names(): Promise<string[]>;
  /** Lines of the log, checked. */
  lines(): Promise<AuditLine[]>;
  /** What is put down for later. */
  pending(): Promise<string[]>;
}

/** Where places are made. */
export interface RemovalScene extends AsyncDisposable {
  /** Another place, with nothing in it. */
  place(): Promise<RemovalPlace>;
}

/** A place, an index of it, and what removes recordings there. */
export class Under {
  readonly place: RemovalPlace;
  readonly archive: RecordingArchive;
  /** Identifiers that the index has. */
  readonly indexed = new Set<string>();
  /** Whether the index can be written. */
  indexFails = false;
  readonly removal: RecordingRemoval;

  constructor(place: RemovalPlace) {
    this.place = place;
    this.archive = place.archive;
    this.removal = new RecordingRemoval(this.#partsWith(place.newLog()));
  }

  /** Like those of another server, at the same time. */
  get others(): RecordingRemovalParts {
    return this.#partsWith(this.place.newLog());
  }

  /** Like those of the server that starts a while after a crash. */
  get parts(): RecordingRemovalParts {
    return this.#partsWith(this.place.newLog(() => Date.now() + 3_600_000));
  }

  async put(id: string): Promise<void> {
    this.indexed.add(id);
    await this.place.put(id);
  }

  #partsWith(audit: AuditLog): RecordingRemovalParts {
    return {
      archive: this.archive,
      audit,
      index: {
        remove: (id: string) => {
          if (this.indexFails) return Promise.reject(new Error("The index is broken"));
          this.indexed.delete(id);
          return Promise.resolve();
        },
      },
    };
  }
}

/** What a line says, but for its time. */
export function said(line: AuditLine): (string | undefined)[] {
  const { action, id, by, conversationId } = line;
  return [action, id, by, conversationId];
}

/** Does so many steps, and ends as if it was killed; returns the last one. */
async function upTo<T>(
  last: number,
  steps: AsyncGenerator<string, T>,
  result: T,
): Promise<IteratorResult<string, T>> {
  let step = await steps.next();
  for (let n = 1; n < last && !step.done; n++) step = await steps.next();
  await steps.return(result);
  return step;
}

/** Registers the suite. */
export function testRecordingRemoval(name: string, set: () => Promise<RemovalScene>): void {
  const test = (what: string, run: (make: () => Promise<Under>) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using scene = await set();
      await run(async () => new Under(await scene.place()));
    });

  test("a recording goes, its entry too, and one line says so", async (make) => {
    const under = await make();
    await under.put(ID);
    const others = [`${ID}.0badcafe`, `${ID}.2`];
    for (const id of others) await under.put(id);
    const beforeMs = Date.now();
    assertEquals(await under.removal.remove(ID, "api"), "removed");
    assertEquals(await under.removal.remove(ID, "api"), "not_found");
    assertEquals([...under.indexed], others);
    assertEquals(await Array.fromAsync(under.archive.list()), others);
    const lines = await under.place.lines();
    assertEquals(lines.map(said), [["removed", ID, "api", CONVERSATION]]);
    const ms = Date.parse(lines[0]?.time ?? "");
    assert(beforeMs - 1 <= ms && ms <= Date.now(), lines[0]?.time);
    assertEquals(await under.place.pending(), []);
  });

  test("a recording of a unique name goes, and no other of its session", async (make) => {
    const under = await make();
    const [one, two] = [`${ID}.0badcafe`, `${ID}.600df00d`];
    for (const id of [ID, one, two]) await under.put(id);
    assertEquals(await under.removal.setHold(two, HOLD, "api"), true);
    assertEquals(await under.removal.remove(one, "api"), "removed");
    assertEquals(await under.removal.remove(two, "retention"), "on_hold");
    assertEquals([...under.indexed], [ID, two]);
    assertEquals((await under.place.lines()).map(said), [
      ["hold_set", two, "api", CONVERSATION],
      ["removed", one, "api", CONVERSATION],
    ]);
    assertEquals(await under.place.pending(), []);
  });

  test("what is held is not touched", async (make) => {
    const under = await make();
    await under.put(ID);
    assertEquals(await under.removal.setHold(ID, HOLD, "api"), true);
    const before = await under.place.names();
    assertEquals(await under.removal.remove(ID, "retention"), "on_hold");
    assertEquals(await under.place.names(), before);
    assertEquals(await under.removal.setHold(ID, undefined, "api"), true);
    // It was lifted already.
    assertEquals(await under.removal.setHold(ID, undefined, "api"), true);
    assertEquals(await under.removal.remove(ID, "retention"), "removed");
    assertEquals((await under.place.lines()).map(said), [
      ["hold_set", ID, "api", CONVERSATION],
      ["hold_lifted", ID, "api", CONVERSATION],
      ["removed", ID, "retention", CONVERSATION],
    ]);
  });

  test("another reason for a hold has its line only if it was put down", async (make) => {
    const other = { ...HOLD, reason: "Another case" };
    for (const last of [1, 2, 3]) {
      const under = await make();
      await under.put(ID);
      await under.archive.setHold(ID, HOLD);
      await upTo(last, auditedHold(under.others, ID, other, "api"), true);
      await new RecordingRemoval(under.parts).finishInterrupted();
      assertEquals(await under.archive.hold(ID), last === 1 ? HOLD : other);
      assertEquals((await under.place.lines()).length, last === 1 ? 0 : 1);
    }
  });

  test("by the archive that it hands out, changes are accounted for, too", async (make) => {
    const under = await make();
    const archive = under.removal.archiveFor("api");
    await under.put(ID);
    await under.put(`${ID}.2`);
    assertEquals((await Array.fromAsync(archive.list())).sort(), [ID, `${ID}.2`]);
    assertEquals(await archive.metadata(ID), metadataOf(ID));
    assertEquals(await archive.setHold(ID, HOLD), true);
    assertEquals(await archive.hold(ID), HOLD);
    await assertRejects(() => archive.remove(ID), Error, "held");
    assertEquals(await archive.remove(`${ID}.2`), "removed");
    await using messages = await archive.open(ID, "messages");
    assertEquals(messages?.size, 3);
    assertEquals((await under.place.lines()).map(said), [
      ["hold_set", ID, "api", CONVERSATION],
      ["removed", `${ID}.2`, "api", CONVERSATION],
    ]);
  });

  test("what is not there leaves no line and no hold", async (make) => {
    const under = await make();
    under.indexed.add(ID);
    assertEquals(await under.removal.remove(ID, "api"), "not_found");
    assertEquals([...under.indexed], [], "the index is put right");
    for (const id of [ID, "../../etc/passwd", ""]) {
      assertEquals(await under.removal.setHold(id, HOLD, "api"), false);
      assertEquals(await under.removal.setHold(id, undefined, "api"), false);
      assertEquals(await under.removal.remove(id, "api"), "not_found");
    }
    assertEquals(await under.place.lines(), []);
    assertEquals(await under.place.pending(), []);
  });

  test("asked for many times at once, there is one line", async (make) => {
    const under = await make();
    const ids = Array.from({ length: 9 }, (_, n) => `${ID}.${n + 2}`);
    for (const id of ids) await under.put(id);
    const results = await Promise.all(
      [...ids, ...ids, ...ids].map((id) => under.removal.remove(id, "api")),
    );
    assertEquals(results.filter((result) => result === "removed").length, ids.length);
    assertEquals((await under.place.lines()).map(({ id }) => id).sort(), ids.toSorted());
  });

  test("a hold and a removal at once: the one or the other", async (make) => {
    const under = await make();
    for (let n = 0; n < 10; n++) {
      await under.put(ID);
      const removing = () => under.removal.remove(ID, "api");
      const holding = () => under.removal.setHold(ID, HOLD, "api");
      const [result, isHeld] = n % 2 === 0
        ? await Promise.all([removing(), holding()])
        : await Promise.all([holding(), removing()]).then(([held, result]) =>
          [result, held] as const
        );
      assertEquals([result, isHeld], n % 2 === 0 ? ["removed", false] : ["on_hold", true]);
      await under.removal.setHold(ID, undefined, "api");
    }
  });

  test("it can end at any step, and be finished by the next start", async (make) => {
    for (let last = 1;; last++) {
      const under = await make();
      await under.put(ID);
      const step = await upTo(last, auditedRemoval(under.others, ID, "api"), "removed");
      const where = `after ${step.value}`;
      const next = new RecordingRemoval(under.parts);
      await next.finishInterrupted();
      await next.finishInterrupted();
      assertEquals(await under.place.pending(), [], where);
      const expected = [["removed", ID, "api", CONVERSATION]];
      if (step.value === "begin") {
        // Nothing was removed, and nobody was told so.
        assertEquals(await under.archive.metadata(ID), metadataOf(ID));
        assertEquals(await under.place.lines(), [], where);
        assertEquals(await next.remove(ID, "retention"), "removed", where);
        expected[0]?.splice(2, 1, "retention");
      }
      assertEquals((await under.place.lines()).map(said), expected, where);
      assertEquals(await under.place.names(), [], where);
      assertEquals([...under.indexed], [], where);
      if (step.done) {
        assert(last > 4, `${last} steps`);
        break;
      }
    }
  });

  test("finished by the next one who asks, instead of the next start", async (make) => {
    for (let last = 1; last <= 4; last++) {
      const under = await make();
      await under.put(ID);
      await upTo(last, auditedRemoval(under.others, ID, "retention"), "removed");
      const next = new RecordingRemoval(under.parts);
      const isBegun = await under.archive.metadata(ID) === undefined;
      const result = await next.remove(ID, "api");
      assert(result === "removed" || last === 4, result);
      const by = isBegun ? "retention" : "api";
      assertEquals((await under.place.lines()).map(said), [["removed", ID, by, CONVERSATION]]);
      assertEquals(await under.place.pending(), []);
    }
  });

  const holds = [["hold_set", undefined, HOLD], ["hold_lifted", HOLD, undefined]] as const;
  for (const [action, before, after] of holds) {
    test(`${action} can end at any step: then it has a line, or did not happen`, async (make) => {
      for (let last = 1;; last++) {
        const under = await make();
        await under.put(ID);
        if (before !== undefined) await under.archive.setHold(ID, before);
        const step = await upTo(last, auditedHold(under.others, ID, after, "api"), true);
        await new RecordingRemoval(under.parts).finishInterrupted();
        const isDone = step.value !== "begin";
        assertEquals(await under.archive.hold(ID), isDone ? after : before, `${step.value}`);
        const lines = await under.place.lines();
        assertEquals(lines.map(({ action }) => action), isDone ? [action] : []);
        assertEquals(await under.place.pending(), []);
        if (step.done) {
          assertEquals(last, 4);
          break;
        }
      }
    });
  }

  test("one that is held when its removal was put down is not removed", async (make) => {
    const under = await make();
    await under.put(ID);
    const steps = auditedRemoval(under.others, ID, "api");
    assertEquals((await steps.next()).value, "begin");
    await under.archive.setHold(ID, HOLD);
    assertEquals(await steps.next(), { done: true, value: "on_hold" });
    assertEquals(await under.place.pending(), []);
    assertEquals(await under.place.lines(), []);
    assertEquals(await under.archive.hold(ID), HOLD);
  });

  test("one that is gone when its removal was put down has no line", async (make) => {
    const under = await make();
    await under.put(ID);
    const steps = auditedRemoval(under.others, ID, "api");
    assertEquals((await steps.next()).value, "begin");
    assertEquals(await under.archive.remove(ID), "removed");
    assertEquals((await steps.next()).value, "remove the files");
    assertEquals((await steps.next()).value, "remove the entry");
    assertEquals(await steps.next(), { done: true, value: "not_found" });
    assertEquals(await under.place.pending(), []);
    assertEquals(await under.place.lines(), []);
  });

  test("an index that fails leaves it to be finished, with one line in the end", async (make) => {
    await using logs = await LogRecords.watch();
    const under = await make();
    await under.put(ID);
    under.indexFails = true;
    await assertRejects(() => under.removal.remove(ID, "api"), Error, "The index is broken");
    assertEquals(await under.place.lines(), []);
    await under.removal.finishInterrupted();
    assertEquals(logs.of("Cannot finish what was begun").length, 1);
    under.indexFails = false;
    await under.removal.finishInterrupted();
    assertEquals((await under.place.lines()).map(said), [["removed", ID, "api", CONVERSATION]]);
    assertEquals([...under.indexed], []);
  });

  test("the same thing done twice in a moment has two lines", async (make) => {
    const under = await make();
    const removal = new RecordingRemoval({ ...under.others, nowMs: () => 1_800_000_000_000 });
    for (let n = 0; n < 2; n++) {
      await under.put(ID);
      assertEquals(await removal.remove(ID, "api"), "removed");
    }
    assertEquals((await under.place.lines()).length, 2);
  });
}
