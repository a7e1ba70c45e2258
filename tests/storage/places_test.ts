/**
 * Places: so much at a time, in order, whatever fails.
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Places } from "../../lib/storage/places.ts";

Deno.test("places: never more at a time, never fewer than there could be, in order, also if some fail", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.record({ waits: fc.nat(3), fails: fc.boolean() }), { maxLength: 30 }),
      async (places, works) => {
        const turns = new Places(places);
        const begun: number[] = [];
        let running = 0;
        let most = 0;
        const results = await Promise.allSettled(
          works.map(({ waits, fails }, index) =>
            turns.take(async () => {
              begun.push(index);
              most = Math.max(most, ++running);
              for (let n = 0; n <= waits; n++) await Promise.resolve();
              running--;
              if (fails) throw new Error(`${index}`);
              return index;
            })
          ),
        );
        assertEquals(begun, works.map((_, index) => index));
        assertEquals(most, Math.min(places, works.length));
        assertEquals(
          results.map(({ status }) => status === "rejected"),
          works.map(({ fails }) => fails),
        );
      },
    ),
    { numRuns: 50 },
  );
});
