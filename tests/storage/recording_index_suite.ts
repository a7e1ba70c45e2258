/**
 * What every index of recordings has to do: one suite, for all of them.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  type IndexedRecording,
  InvalidCursorError,
  type RecordingEntry,
  type RecordingFilter,
  type RecordingIndex,
  type RecordingPage,
} from "../../lib/storage/recording_index.ts";
import {
  isLookedFor,
  newestFirst,
  ORGANIZATION,
  recording,
  START_MS,
  uuid,
} from "../helpers/index_entries.ts";

/** An index under test. */
export interface IndexUnderTest extends AsyncDisposable {
  readonly index: RecordingIndex;
  /** Whether participants are in its entries. */
  readonly showsParticipants: boolean;
}

const MINUTE_MS = 60_000;

/** All pages of what is found; fails if there is no end of them. */
export async function allPages(
  index: RecordingIndex,
  filter: RecordingFilter,
  limit: number,
): Promise<RecordingEntry[]> {
  const found: RecordingEntry[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 1000; pages++) {
    const page = await index.find(filter, limit, cursor);
    assert(page.entries.length <= limit, "no more than were asked for");
    found.push(...page.entries);
    cursor = page.cursor;
    if (cursor === undefined) return found;
  }
  throw new Error("There is no end of pages");
}

/** As many as are asked for, of one page or several. */
async function wholePage(
  index: RecordingIndex,
  limit: number,
  cursor?: string,
): Promise<RecordingPage> {
  const entries: RecordingEntry[] = [];
  do {
    const page = await index.find({}, limit - entries.length, cursor);
    entries.push(...page.entries);
    cursor = page.cursor;
  } while (cursor !== undefined && entries.length < limit);
  return { entries, cursor };
}

const idsOf = (entries: readonly { readonly id: string }[]) => entries.map(({ id }) => id);

/**
 * Registers the suite for an index.
 *
 * @param numRuns How many random sequences of puts, removals and searches are tried.
 */
export function testRecordingIndex(
  name: string,
  make: () => Promise<IndexUnderTest>,
  numRuns = 60,
): void {
  const test = (what: string, run: (under: IndexUnderTest) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using under = await make();
      await run(under);
    });

  const asShown = ({ showsParticipants }: IndexUnderTest, entry: IndexedRecording) => {
    if (showsParticipants) return entry;
    const { participant: _, ...rest } = entry;
    return rest;
  };

  test("an entry is there until it is removed", async (under) => {
    const { index } = under;
    const entry = recording(1, { language: "de-DE" });
    assertEquals(await index.get(entry.id), undefined);
    await index.put(entry);
    assertEquals(await index.get(entry.id), asShown(under, entry));
    assertEquals(await index.find({}, 10), {
      entries: [asShown(under, entry)],
      cursor: undefined,
    });
    await index.remove(entry.id);
    await index.remove(entry.id);
    assertEquals(await index.get(entry.id), undefined);
    assertEquals(await index.find({}, 10), { entries: [], cursor: undefined });
  });

  test("what is no id names nothing", async ({ index }) => {
    await index.put(recording(1));
    for (const id of ["", "x", `2026-03-04.${"x".repeat(5000)}`, "2026-03-04."]) {
      assertEquals(await index.get(id), undefined);
      await index.remove(id);
    }
    assertEquals((await index.find({}, 10)).entries.length, 1);
  });

  test("a session without audio, whose connection broke", async (under) => {
    const entry: IndexedRecording = { ...recording(1), media: null, closeReason: null };
    await under.index.put(entry);
    assertEquals(await under.index.get(entry.id), asShown(under, entry));
  });

  test("what is no recording is refused", async ({ index }) => {
    for (const wrong of [{ startedAt: "yesterday" }, { id: "no id" }, { sessionId: "no UUID" }]) {
      await assertRejects(() => index.put({ ...recording(1), ...wrong }));
    }
    assertEquals(await index.find({}, 10), { entries: [], cursor: undefined });
  });

  test("the newest first; of the same moment, always in the same order", async ({ index }) => {
    const all = [3, 1, 4, 5, 2].map((n) => recording(n));
    const sameMs = [9, 7, 8].map((n) => recording(n, { startedMs: START_MS }));
    for (const entry of [...all, ...sameMs]) await index.put(entry);
    const expected = idsOf([...all, ...sameMs].sort(newestFirst));
    assertEquals(idsOf(await allPages(index, {}, 100)), expected);
    for (const limit of [1, 2, 3, 7]) {
      assertEquals(idsOf(await allPages(index, {}, limit)), expected);
    }
  });

  test("recordings of one session at one moment, of all kinds of names", async ({ index }) => {
    const { id } = recording(1);
    const all = ["", ".2", ".10", ".0badcafe", ".600df00d", ".12345678"]
      .map((suffix) => ({ ...recording(1), id: id + suffix }));
    for (const entry of all) await index.put(entry);
    const expected = idsOf(all.toSorted(newestFirst));
    for (const limit of [1, 2, 4, 100]) {
      assertEquals(idsOf(await allPages(index, {}, limit)), expected);
    }
    await index.remove(`${id}.0badcafe`);
    assertEquals(
      idsOf(await allPages(index, {}, 2)),
      expected.filter((one) => one !== `${id}.0badcafe`),
    );
  });

  test("before 1970 and far ahead is a time, too", async ({ index }) => {
    const times = ["1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.000Z"];
    times.push("9999-12-31T00:00:00.000Z");
    const all = times.map((time, n) => recording(n, { startedMs: Date.parse(time) }));
    for (const entry of all) await index.put(entry);
    assertEquals(idsOf(await allPages(index, {}, 1)), idsOf(all.toReversed()));
    const filter = { fromMs: -1, toMs: 0 };
    assertEquals(idsOf((await index.find(filter, 9)).entries), idsOf(all.slice(0, 1)));
  });

  test("a recording that goes on to be finished is one entry", async (under) => {
    const { index } = under;
    const running = recording(1, { state: "recording" });
    const done = recording(1, { state: "finished" });
    await index.put(running);
    assertEquals((await index.find({ state: "recording" }, 9)).entries.length, 1);
    await index.put(done);
    await index.put(done);
    assertEquals((await index.find({ state: "recording" }, 9)).entries, []);
    assertEquals((await index.find({}, 9)).entries, [asShown(under, done)]);
    assertEquals((await index.find({ state: "finished" }, 9)).entries, [asShown(under, done)]);
  });

  test("what a recording was found by before, it is found by no more", async ({ index }) => {
    const before = recording(1, { participant: { ani: "tel:+491", id: uuid(77) } });
    const after: IndexedRecording = {
      ...recording(1, { participant: { ani: "tel:+492", id: uuid(78), dnis: "tel:+493" } }),
      startedAt: new Date(START_MS + 90 * MINUTE_MS).toISOString(),
      organizationId: uuid(5),
      conversationId: uuid(6),
      state: "recovered",
    };
    await index.put(before);
    await index.put(after);
    const { conversationId, organizationId, participant } = before;
    const startedMs = Date.parse(before.startedAt);
    const olds: RecordingFilter[] = [
      { conversationId },
      { organizationId },
      { participant: participant.id },
      { participant: participant.ani },
      { participant: participant.dnis },
      { fromMs: startedMs, toMs: startedMs + 1 },
      { state: "finished" },
    ];
    for (const filter of olds) assertEquals(await allPages(index, filter, 9), []);
    const news: RecordingFilter[] = [
      {},
      { conversationId: uuid(6) },
      { organizationId: uuid(5) },
      { participant: uuid(78) },
      { participant: "tel:+492" },
      { participant: "tel:+493" },
      { fromMs: START_MS + 90 * MINUTE_MS, toMs: START_MS + 91 * MINUTE_MS },
      { state: "recovered" },
    ];
    for (const filter of news) assertEquals(idsOf(await allPages(index, filter, 9)), [after.id]);
  });

  test("times: from the first on, up to the second, which is not included", async ({ index }) => {
    const all = [0, 1, 2, 3, 4].map((n) => recording(n));
    for (const entry of all) await index.put(entry);
    const find = async (filter: RecordingFilter) => idsOf(await allPages(index, filter, 2));
    const ms = (n: number) => START_MS + n * MINUTE_MS;
    const ids = (...numbers: number[]) => numbers.map((n) => recording(n).id);
    assertEquals(await find({ fromMs: ms(1), toMs: ms(3) }), ids(2, 1));
    assertEquals(await find({ fromMs: ms(1) - 1, toMs: ms(3) + 1 }), ids(3, 2, 1));
    assertEquals(await find({ fromMs: ms(3) }), ids(4, 3));
    assertEquals(await find({ toMs: ms(2) }), ids(1, 0));
    assertEquals(await find({ fromMs: ms(2), toMs: ms(2) }), []);
    assertEquals(await find({ fromMs: ms(3), toMs: ms(1) }), []);
    assertEquals(await find({ fromMs: 1.5, toMs: 8.64e15 + 1 }), ids(4, 3, 2, 1, 0));
    assertEquals(await find({ organizationId: ORGANIZATION, fromMs: ms(1), toMs: ms(2) }), ids(1));
  });

  test("UUIDs are compared without regard to case, participants exactly", async ({ index }) => {
    const [organizationId, conversationId] = [uuid(0xabc), uuid(0xdef)];
    const participant = { id: uuid(0xfff), ani: "sip:Anna@example.com" };
    const entry = recording(1, { organizationId, conversationId, participant });
    await index.put(entry);
    for (const change of [String, (id: string) => id.toUpperCase()]) {
      const byOrganization = await index.find({ organizationId: change(organizationId) }, 9);
      const byConversation = await index.find({ conversationId: change(conversationId) }, 9);
      assertEquals(idsOf(byOrganization.entries), [entry.id]);
      assertEquals(idsOf(byConversation.entries), [entry.id]);
    }
    const byAni = await index.find({ participant: "sip:Anna@example.com" }, 9);
    assertEquals(idsOf(byAni.entries), [entry.id]);
    for (const other of ["sip:anna@example.com", " sip:Anna@example.com", "sip:Anna", "Caller 1"]) {
      assertEquals((await index.find({ participant: other }, 9)).entries, []);
    }
  });

  test("nobody, and everybody's number: participants without a number", async ({ index }) => {
    const nobody = recording(1, { participant: { ani: "", dnis: "" } });
    await index.put(nobody);
    await index.put(recording(2));
    assertEquals(idsOf(await allPages(index, { participant: "" }, 9)), [nobody.id]);
  });

  test("whatever a participant is called, it's found", async ({ index }) => {
    const long = "tel:" + "9".repeat(100_000);
    const texts = [long, `${long}0`, "\0", "a\0b", "=", "#", "ü💥", "\ud800", "__proto__", '"'];
    for (const [n, ani] of texts.entries()) {
      await index.put(recording(n, { participant: { ani, aniName: long, dnis: `${n}` } }));
    }
    for (const [n, ani] of texts.entries()) {
      const found = await allPages(index, { participant: ani }, 9);
      assertEquals(idsOf(found), [recording(n).id], Deno.inspect(ani.slice(0, 20)));
    }
  });

  test("over-long texts of a client do no harm", async ({ index }) => {
    const long = "ä".repeat(200_000);
    const participant = { ani: long, aniName: long, dnis: long };
    const entry: IndexedRecording = {
      ...recording(1, { participant, language: long, closeReason: long }),
      media: { format: "L16", channels: Array(100_000).fill("external"), rate: 8000 },
      duration: long,
    };
    await index.put(entry);
    const found = await index.get(entry.id);
    assert(found !== undefined);
    assert(JSON.stringify(found).length < 4000, "bounded");
    assertEquals(idsOf((await index.find({ participant: long }, 9)).entries), [entry.id]);
    await index.remove(entry.id);
    assertEquals((await index.find({ participant: long }, 9)).entries, []);
  });

  test("a cursor goes on where the page ended, whatever comes and goes", async ({ index }) => {
    for (let n = 0; n < 30; n += 2) await index.put(recording(n));
    const first = await wholePage(index, 5);
    assertEquals(idsOf(first.entries), [28, 26, 24, 22, 20].map((n) => recording(n).id));
    // Newer ones, one among those that were read, the last that was read, and the next one.
    await index.put(recording(40));
    await index.put(recording(25));
    await index.remove(recording(20).id);
    await index.remove(recording(18).id);
    await index.put(recording(17));
    const second = await wholePage(index, 5, first.cursor);
    assertEquals(idsOf(second.entries), [17, 16, 14, 12, 10].map((n) => recording(n).id));
    // The same cursor may be used again.
    assertEquals(await wholePage(index, 5, first.cursor), second);
    const third = await wholePage(index, 100, second.cursor);
    assertEquals(idsOf(third.entries), [8, 6, 4, 2, 0].map((n) => recording(n).id));
    assertEquals(third.cursor, undefined);
  });

  test("a cursor stays good when all that it was for is gone", async ({ index }) => {
    for (let n = 0; n < 4; n++) await index.put(recording(n));
    const { cursor } = await index.find({}, 2);
    assert(cursor !== undefined);
    for (let n = 0; n < 4; n++) await index.remove(recording(n).id);
    assertEquals(await index.find({}, 2, cursor), { entries: [], cursor: undefined });
  });

  test("a cursor says nothing of a participant, and fits into an address", async ({ index }) => {
    for (let n = 0; n < 4; n++) await index.put(recording(n));
    const { cursor } = await index.find({ participant: "tel:+18005550100" }, 2);
    assert(cursor !== undefined && /^[\w-]{1,200}$/.test(cursor), cursor);
  });

  test("a cursor of another filter, or none at all, is refused", async ({ index }) => {
    for (let n = 0; n < 4; n++) await index.put(recording(n));
    const filters: RecordingFilter[] = [
      {},
      { fromMs: 0 },
      { fromMs: 1 },
      { toMs: START_MS * 2 },
      { organizationId: ORGANIZATION },
      { participant: "tel:+18005550100" },
      { state: "finished" },
      { state: "finished", organizationId: ORGANIZATION },
    ];
    for (const one of filters) {
      const { cursor } = await index.find(one, 2);
      assert(cursor !== undefined);
      for (const other of filters) {
        if (one === other) assertEquals((await index.find(other, 9, cursor)).entries.length, 2);
        else await assertRejects(() => index.find(other, 9, cursor), InvalidCursorError);
      }
      for (const [i, char] of [...cursor].entries()) {
        const changed = cursor.slice(0, i) + (char === "A" ? "B" : "A") + cursor.slice(i + 1);
        await assertRejects(() => index.find(one, 9, changed), InvalidCursorError);
      }
      for (const wrong of [cursor.slice(0, -1), `${cursor}A`, `${cursor}=`, ` ${cursor}`]) {
        await assertRejects(() => index.find(one, 9, wrong), InvalidCursorError);
      }
    }
    for (const wrong of ["", "A", "null", "é", "A".repeat(100_000), "AAAA".repeat(20)]) {
      await assertRejects(() => index.find({}, 9, wrong), InvalidCursorError);
    }
  });

  test("any text as a cursor is refused", async ({ index }) => {
    await index.put(recording(1));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.base64String()), async (text) => {
        await assertRejects(() => index.find({}, 9, text), InvalidCursorError);
      }),
      { numRuns: 100 },
    );
  });

  test("a limit of nothing, or of very much, is no reason to fail", async ({ index }) => {
    for (let n = 0; n < 4; n++) await index.put(recording(n));
    for (const limit of [0, -1, 1]) {
      const { entries, cursor } = await index.find({}, limit);
      assert(entries.length <= 1 && cursor !== undefined);
    }
    assertEquals((await allPages(index, {}, 1_000_000_000)).length, 4);
  });

  test("what is put at once is all there, also of one recording", async ({ index }) => {
    const states = ["recording", "finished", "recovered"] as const;
    await Promise.all(Array.from({ length: 60 }, (_, n) =>
      index.put(
        recording(n % 20, { state: states[Math.floor(n / 20)], conversationId: uuid(n) }),
      )));
    assertEquals((await allPages(index, {}, 100)).length, 20);
    for (let n = 0; n < 20; n++) {
      const entry = await index.get(recording(n).id);
      // Whichever was the last: it is found by all that it has, the others are not.
      const candidates = [n, n + 20, n + 40].map(uuid);
      for (const conversationId of candidates) {
        const found = await index.find({ conversationId }, 9);
        assertEquals(found.entries.length, conversationId === entry?.conversationId ? 1 : 0);
      }
      const entries = await allPages(index, { state: entry?.state }, 100);
      assert(idsOf(entries).includes(recording(n).id));
    }
  });

  test("any puts, removals and searches give what a plain list gives", async (under) => {
    const { index } = under;
    const small = fc.integer({ min: 0, max: 3 });
    const state = fc.constantFrom("recording", "finished", "recovered");
    const number = fc.constantFrom("tel:+1", "tel:+2", "", "=");
    const traits = fc.record({
      startedMs: small.map((n) => START_MS + n),
      state,
      organizationId: small.map(uuid),
      conversationId: small.map((n) => uuid(n + 10)),
      participant: fc.record({ id: small.map((n) => uuid(n + 20)), ani: number, dnis: number }),
    });
    const filter = fc.record({
      fromMs: small.map((n) => START_MS + n),
      toMs: small.map((n) => START_MS + n + 1),
      organizationId: small.map(uuid),
      conversationId: small.map((n) => uuid(n + 10)),
      participant: fc.oneof(number, small.map((n) => uuid(n + 20))),
      state,
    }, { requiredKeys: [] });
    const step = fc.oneof(
      fc.record({ do: fc.constant("put"), n: fc.integer({ min: 0, max: 15 }), traits }),
      fc.record({ do: fc.constant("put"), n: fc.integer({ min: 0, max: 15 }), traits }),
      fc.record({ do: fc.constant("remove"), n: fc.integer({ min: 0, max: 15 }) }),
      fc.record({ do: fc.constant("find"), filter, limit: fc.integer({ min: 1, max: 6 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        for (const { id } of await allPages(index, {}, 100)) await index.remove(id);
        const model = new Map<string, IndexedRecording>();
        const check = async (wanted: RecordingFilter, limit: number) => {
          const expected = [...model.values()].filter((entry) => isLookedFor(entry, wanted))
            .sort(newestFirst);
          const found = await allPages(index, wanted, limit);
          assertEquals(found, expected.map((entry) => asShown(under, entry)));
        };
        for (const one of steps) {
          if ("traits" in one) {
            const entry = recording(one.n, one.traits);
            model.set(entry.id, entry);
            await index.put(entry);
          } else if ("filter" in one) {
            await check(one.filter, one.limit);
          } else {
            const { id } = recording(one.n, { startedMs: START_MS });
            model.delete(id);
            await index.remove(id);
          }
        }
        await check({}, 5);
        for (const [id, entry] of model) {
          assertEquals(await index.get(id), asShown(under, entry));
        }
      }),
      { numRuns },
    );
  });
}
