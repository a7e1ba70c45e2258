import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FailureLimiter } from "../../lib/server/failure_limiter.ts";

/** What so many failures at once are. */
function failures(limiter: FailureLimiter, address: string, count: number, nowMs = 0): string[] {
  return Array.from({ length: count }, () => limiter.fail(address, nowMs));
}

Deno.test("failure limiter: as many failures as allowed are within, the next reaches the limit", () => {
  const limiter = new FailureLimiter({ perMinute: 3 });
  assertEquals(failures(limiter, "a", 6), [
    ...Array(3).fill("within"),
    "reached",
    "beyond",
    "beyond",
  ]);
});

Deno.test("failure limiter: failures come back at the rate, one by one", () => {
  const limiter = new FailureLimiter({ perMinute: 3 });
  failures(limiter, "a", 4);
  assertEquals(limiter.fail("a", 19_999), "beyond");
  assertEquals(limiter.fail("a", 20_000), "within");
  assertEquals(limiter.fail("a", 20_000), "beyond");
  assertEquals(failures(limiter, "a", 3, 60_000), ["within", "within", "reached"]);
});

Deno.test("failure limiter: that the limit is reached is said once a minute", () => {
  const limiter = new FailureLimiter({ perMinute: 1 });
  const said: number[] = [];
  for (let nowMs = 0; nowMs < 600_000; nowMs += 100) {
    if (limiter.fail("a", nowMs) === "reached") said.push(nowMs);
  }
  assertEquals(said.length, 10);
  assert(said.every((nowMs, i) => i === 0 || nowMs - (said[i - 1] ?? 0) >= 60_000), String(said));
});

Deno.test("failure limiter: each address has failures of its own", () => {
  const limiter = new FailureLimiter({ perMinute: 2 });
  failures(limiter, "a", 5);
  assertEquals(failures(limiter, "b", 2), ["within", "within"]);
  assertEquals(limiter.size, 2);
});

Deno.test("failure limiter: an address is exhausted when its next failure would be one too many", () => {
  const limiter = new FailureLimiter({ perMinute: 3 });
  assertEquals(limiter.isExhausted("a", 0), false);
  failures(limiter, "a", 2);
  assertEquals(limiter.isExhausted("a", 0), false);
  limiter.fail("a", 0);
  assertEquals(limiter.isExhausted("a", 0), true);
  assertEquals(limiter.isExhausted("a", 19_999), true);
  assertEquals(limiter.isExhausted("a", 20_000), false);
  assertEquals(limiter.isExhausted("b", 0), false);
  assertEquals(limiter.size, 1, "to ask is not to fail");
});

Deno.test("failure limiter: an address that goes on failing stays exhausted", () => {
  const limiter = new FailureLimiter({ perMinute: 30 });
  for (let nowMs = 0; nowMs < 300_000; nowMs += 100) {
    limiter.fail("a", nowMs);
    if (nowMs > 5000) assertEquals(limiter.isExhausted("a", nowMs + 1), true, String(nowMs));
  }
});

Deno.test("failure limiter: it says how long to wait for the next try, in whole seconds", () => {
  for (const [perMinute, seconds] of [[30, 2], [60, 1], [7, 9], [1, 60], [100_000, 1]] as const) {
    const limiter = new FailureLimiter({ perMinute });
    assertEquals(limiter.retryAfterSeconds, seconds);
    failures(limiter, "a", perMinute + 1);
    assertEquals(limiter.isExhausted("a", seconds * 1000), false, "that is long enough");
  }
});

Deno.test("failure limiter: 0 is any number, and nothing is remembered", () => {
  const limiter = new FailureLimiter({ perMinute: 0 });
  assertEquals(new Set(failures(limiter, "a", 1000)), new Set(["within"]));
  assertEquals(limiter.isExhausted("a", 0), false);
  assertEquals(limiter.size, 0);
  assert(limiter.retryAfterSeconds >= 1);
});

Deno.test("failure limiter: an address that has not failed for a minute is forgotten", () => {
  const limiter = new FailureLimiter({ perMinute: 2 });
  for (let i = 0; i < 100; i++) failures(limiter, `old ${i}`, 5);
  failures(limiter, "young", 5, 30_000);
  limiter.fail("new", 59_999);
  assertEquals(limiter.size, 102);
  limiter.fail("new", 60_000);
  assertEquals(limiter.size, 2);
  assertEquals(limiter.isExhausted("young", 30_000), true);
});

Deno.test("failure limiter: full, it forgets the address that failed longest ago", () => {
  const limiter = new FailureLimiter({ perMinute: 1, capacity: 3 });
  for (const [nowMs, address] of ["a", "b", "c"].entries()) limiter.fail(address, nowMs);
  limiter.fail("d", 3);
  assertEquals(limiter.size, 3);
  assertEquals(["a", "b", "c", "d"].map((address) => limiter.isExhausted(address, 3)), [
    false,
    true,
    true,
    true,
  ]);
});

Deno.test("failure limiter: what counts is the last failure, not the first", () => {
  const limiter = new FailureLimiter({ perMinute: 1, capacity: 4 });
  for (const [nowMs, address] of ["a", "b", "c", "a"].entries()) limiter.fail(address, nowMs);
  limiter.fail("d", 4);
  limiter.fail("e", 5);
  assertEquals(limiter.isExhausted("a", 5), true);
  assertEquals(limiter.isExhausted("b", 5), false);
});

Deno.test("failure limiter: an address that failed again within the minute is not forgotten", () => {
  const limiter = new FailureLimiter({ perMinute: 2 });
  failures(limiter, "a", 2);
  assertEquals(limiter.isExhausted("a", 0), true);
  limiter.fail("a", 50_000);
  limiter.fail("b", 61_000);
  assertEquals(limiter.size, 2);
  // It has one failure again; forgotten, it would have two.
  assertEquals(limiter.fail("a", 61_000), "within");
  assertEquals(limiter.isExhausted("a", 61_000), true);
});

Deno.test("failure limiter: it remembers 10,000 addresses unless configured, of any number", () => {
  const limiter = new FailureLimiter({ perMinute: 1 });
  for (let i = 0; i < 100_000; i++) limiter.fail(`address ${i}`, i / 10);
  assertEquals(limiter.size, 10_000);
  assertEquals(limiter.isExhausted("address 99999", 10_000), true);
  assertEquals(limiter.isExhausted("address 90000", 10_000), true);
  assertEquals(limiter.isExhausted("address 89999", 10_000), false);
});

const steps = fc.array(
  fc.record({ address: fc.nat(9), waitMs: fc.nat(20_000) }),
  { minLength: 1, maxLength: 300 },
);

Deno.test("failure limiter: property: with room, no address fails more often than allowed", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), steps, (perMinute, steps) => {
    const limiter = new FailureLimiter({ perMinute, capacity: 11 });
    const within = new Map<number, number[]>();
    let nowMs = 0;
    for (const { address, waitMs } of steps) {
      nowMs += waitMs / 10;
      const mine = within.get(address) ?? [];
      const isExhausted = limiter.isExhausted(String(address), nowMs);
      const isWithin = limiter.fail(String(address), nowMs) === "within";
      if (isWithin) within.set(address, [...mine, nowMs]);
      // The moment of the next token is told in whole milliseconds.
      if (!isExhausted) assert(isWithin, "whoever is not exhausted may fail");
      const recent = mine.filter((time) => time > nowMs - 60_000).length;
      assert(recent + Number(isWithin) <= 2 * perMinute);
    }
  }));
});

Deno.test("failure limiter: property: it never remembers more than it may", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 9 }), steps, (capacity, steps) => {
    const limiter = new FailureLimiter({ perMinute: 5, capacity });
    let nowMs = 0;
    for (const { address, waitMs } of steps) {
      nowMs += waitMs;
      limiter.fail(String(address), nowMs);
      assert(limiter.size >= 1 && limiter.size <= capacity);
    }
  }));
});

Deno.test("failure limiter: as many addresses as fit are all limited, however they take turns", () => {
  const limiter = new FailureLimiter({ perMinute: 2, capacity: 3 });
  const outcomes: string[] = [];
  for (let round = 0; round < 4; round++) {
    for (const address of ["a", "b", "c"]) outcomes.push(limiter.fail(address, round));
  }
  assertEquals(outcomes.slice(0, 6), new Array(6).fill("within"));
  assertEquals(outcomes.slice(6, 9), new Array(3).fill("reached"));
  assertEquals(outcomes.slice(9), new Array(3).fill("beyond"));
});
