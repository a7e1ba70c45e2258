/**
 * What every audit log has to do: one suite, for all of them.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import type { AuditLine, AuditLog, PendingChange } from "../../lib/storage/mod.ts";
import { within } from "../helpers/deadline.ts";
import { ID, metadataOf, OTHER_SESSION } from "./recording_archive_suite.ts";
import type { RemovalPlace, RemovalScene } from "./recording_removal_suite.ts";

const OTHER_ID = `2026-01-31.${OTHER_SESSION}`;
const REMOVED: AuditLine = {
  time: "2026-01-31T10:00:00.000Z",
  action: "removed",
  id: ID,
  by: "api",
  conversationId: metadataOf(ID).conversationId,
};
const HELD: PendingChange = {
  line: { ...REMOVED, id: OTHER_ID, action: "hold_set", by: "api" },
  hold: { since: "2026-01-31T10:00:00.000Z", reason: "“Ein Fall”\n" },
};

/** Registers the suite for an audit log. */
export function testAuditLog(name: string, set: () => Promise<RemovalScene>): void {
  const test = (what: string, run: (place: RemovalPlace, log: AuditLog) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using scene = await set();
      const place = await scene.place();
      await run(place, place.newLog());
    });

  test("with nothing in it, nothing goes wrong", async (place, log) => {
    await log.prepare();
    await log.prepare();
    assertEquals(await log.pendingIds(), []);
    assertEquals(await log.pending(ID), undefined);
    await log.cancel(ID);
    await log.commit(ID);
    assertEquals(await place.lines(), []);
    assertEquals(await place.pending(), []);
  });

  test("what is begun is there for the next start, as it was put down", async (place, log) => {
    assertEquals(await log.begin({ line: REMOVED }), "begun");
    assertEquals(await log.begin(HELD), "begun");
    for (const reader of [log, place.newLog()]) {
      assertEquals(await reader.pendingIds(), [ID, OTHER_ID].sort());
      const removed = await reader.pending(ID);
      assertEquals([removed?.line, removed?.hold], [REMOVED, undefined]);
      const held = await reader.pending(OTHER_ID);
      assertEquals([held?.line, held?.hold], [HELD.line, HELD.hold]);
    }
    assertEquals(await place.lines(), []);
  });

  test("what is committed has one line, whoever does it how often", async (place, log) => {
    await log.begin({ line: REMOVED });
    await log.begin(HELD);
    await log.commit(ID);
    await log.commit(ID);
    await place.newLog().commit(OTHER_ID);
    await place.newLog().commit(OTHER_ID);
    await log.commit(OTHER_ID);
    const byId = (one: AuditLine, other: AuditLine) => one.id < other.id ? -1 : 1;
    assertEquals((await place.lines()).sort(byId), [REMOVED, HELD.line].sort(byId));
    assertEquals(await place.pending(), []);
  });

  test("what is cancelled has no line", async (place, log) => {
    await log.begin({ line: REMOVED });
    await log.cancel(ID);
    await log.commit(ID);
    await log.begin(HELD);
    // After a start, when it is clear that nobody is at it.
    await place.newLog(() => Date.parse(REMOVED.time) + 3_600_000).cancel(OTHER_ID);
    assertEquals(await place.lines(), []);
    assertEquals(await place.pending(), []);
  });

  test("what is begun anew takes the place of what was", async (place, log) => {
    const later = { ...REMOVED, time: "2026-01-31T11:00:00.000Z", by: "retention" } as const;
    await log.begin({ line: REMOVED });
    assertEquals(await log.begin({ line: later }), "begun");
    assertEquals((await log.pending(ID))?.line, later);
    await log.commit(ID);
    assertEquals(await place.lines(), [later]);
  });

  test("days and times of lines may be any", async (place, log) => {
    const times = ["2026-02-28T23:59:59.999Z", "2024-02-29T00:00:00Z", "2026-01-31T10:00:00.1234Z"];
    for (const time of times) {
      await log.begin({ line: { ...REMOVED, time } });
      await log.commit(ID);
    }
    assertEquals((await place.lines()).map(({ time }) => time).sort(), times.toSorted());
  });

  test("one change is made after the other, and a failure holds up none", async (_, log) => {
    let running = 0;
    const order: number[] = [];
    const changes = Array.from({ length: 10 }, (_, n) =>
      log.exclusively(async () => {
        assertEquals(++running, 1);
        await delay(1);
        running--;
        if (n % 3 === 0) throw new RangeError(`${n}`);
        order.push(n);
        return n;
      }));
    const results = await within(Promise.allSettled(changes), "changes");
    assertEquals(order, [1, 2, 4, 5, 7, 8]);
    assertEquals(
      results.map((result) => result.status === "fulfilled" ? result.value : result.reason.message),
      ["0", 1, 2, "3", 4, 5, "6", 7, 8, "9"],
    );
  });

  test("what is the id of no recording is refused", async (place, log) => {
    for (const id of ["", "../../etc/passwd", `${ID}/x`, ID.toUpperCase()]) {
      await assertRejects(() => log.begin({ line: { ...REMOVED, id } }), TypeError);
      await assertRejects(() => log.pending(id), TypeError);
      await assertRejects(() => log.cancel(id), TypeError);
      await assertRejects(() => log.commit(id), TypeError);
    }
    assertEquals(await place.pending(), []);
  });
}
