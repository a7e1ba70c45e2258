import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { TokenBucket } from "../../lib/protocol/token_bucket.ts";

/** How many can be taken at a time, one by one. */
function drain(bucket: TokenBucket, nowMs: number, most = 1000): number {
  let count = 0;
  while (count < most && bucket.tryTake(nowMs)) count++;
  return count;
}

Deno.test("token bucket: it starts full, and gives no more than it holds", () => {
  const bucket = new TokenBucket({ perSecond: 2, burst: 5 }, 1000);
  assertEquals(drain(bucket, 1000), 5);
  assertEquals(bucket.tryTake(1000), false);
});

Deno.test("token bucket: tokens come back at the rate, the first not before its time", () => {
  const bucket = new TokenBucket({ perSecond: 2, burst: 5 }, 1000);
  drain(bucket, 1000);
  assertEquals(bucket.tryTake(1499), false);
  assertEquals(bucket.tryTake(1500), true);
  assertEquals(bucket.tryTake(1500), false);
  assertEquals(drain(bucket, 3000), 3);
});

Deno.test("token bucket: however long it waits, it holds no more than its burst", () => {
  const bucket = new TokenBucket({ perSecond: 2, burst: 5 }, 0);
  drain(bucket, 0);
  assertEquals(drain(bucket, 1e9), 5);
});

Deno.test("token bucket: several are taken all or not at all", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 10 }, 0);
  assertEquals(bucket.tryTake(0, 11), false);
  assertEquals(bucket.tryTake(0, 7), true);
  assertEquals(bucket.tryTake(0, 4), false);
  assertEquals(bucket.tryTake(0, 3), true);
  assertEquals(bucket.tryTake(0, 0), true, "nothing can be taken from an empty one");
});

Deno.test("token bucket: a clock that goes back gives nothing, and takes nothing away", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 2 }, 10_000);
  drain(bucket, 10_000);
  assertEquals(bucket.tryTake(0), false);
  assertEquals(bucket.tryTake(10_999), false);
  assertEquals(bucket.tryTake(11_000), true);
});

Deno.test("token bucket: what can't wait runs into debt, which has to be paid back", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 3 }, 0);
  for (let i = 0; i < 5; i++) bucket.take(0);
  assertEquals(bucket.nextMs, 3000, "two of debt, and one to take");
  assertEquals(bucket.tryTake(2999), false);
  assertEquals(bucket.tryTake(3000), true);
});

Deno.test("token bucket: the debt is no larger than the burst", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 3 }, 0);
  for (let i = 0; i < 10_000; i++) bucket.take(0);
  assertEquals(bucket.nextMs, 4000);
});

Deno.test("token bucket: blocked, it gives nothing before the time, and then at the rate", () => {
  const bucket = new TokenBucket({ perSecond: 2, burst: 5 }, 0);
  bucket.block(10_000, 0);
  assertEquals(bucket.nextMs, 10_000);
  assertEquals(bucket.tryTake(9999), false);
  assertEquals(drain(bucket, 10_000), 1);
  assertEquals(drain(bucket, 11_000), 2);
});

Deno.test("token bucket: a block does not shorten a debt", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 5 }, 0);
  for (let i = 0; i < 10; i++) bucket.take(0);
  const { nextMs } = bucket;
  bucket.block(10, 0);
  assertEquals(bucket.nextMs, nextMs);
});

const options = fc.record({
  perSecond: fc.integer({ min: 1, max: 1000 }),
  burst: fc.integer({ min: 1, max: 1000 }),
});

Deno.test("token bucket: property: it never gives more than burst and rate allow", () => {
  const steps = fc.array(
    fc.record({ waitMs: fc.nat(2000), count: fc.nat(50) }),
    { minLength: 1, maxLength: 200 },
  );
  fc.assert(fc.property(options, steps, (options, steps) => {
    const bucket = new TokenBucket(options, 0);
    let nowMs = 0;
    let taken = 0;
    for (const { waitMs, count } of steps) {
      nowMs += waitMs;
      if (bucket.tryTake(nowMs, count)) taken += count;
      const allowed = options.burst + nowMs * options.perSecond / 1000;
      assert(taken <= allowed + 1e-6, `${taken} of ${allowed}`);
    }
  }));
});

Deno.test("token bucket: property: whoever keeps to the rate is never refused", () => {
  const steps = fc.array(fc.nat(100), { maxLength: 200 });
  fc.assert(fc.property(options, steps, (options, waits) => {
    const bucket = new TokenBucket(options, 0);
    const step = Math.ceil(1000 / options.perSecond);
    let nowMs = 0;
    for (const waitMs of waits) {
      assert(bucket.tryTake(nowMs));
      nowMs += step + waitMs;
    }
  }));
});

Deno.test("token bucket: property: nextMs is when the next can be taken, to the millisecond", () => {
  const times = fc.array(fc.nat(5000), { minLength: 1, maxLength: 50 });
  fc.assert(fc.property(options, times, (options, waits) => {
    const bucket = new TokenBucket(options, 0);
    let nowMs = 0;
    for (const waitMs of waits) {
      nowMs += waitMs;
      bucket.take(nowMs);
    }
    const { nextMs } = bucket;
    assert(nextMs >= nowMs);
    // A token more than a millisecond early would be one too many.
    if (nextMs > nowMs + 1) assertEquals(bucket.tryTake(nextMs - 2), false);
    assertEquals(bucket.tryTake(nextMs + 1), true);
  }));
});

/** A bucket that looks at the time whenever something is taken. */
class ExactBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #updatedMs = 0;

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  tryTake(nowMs: number, count: number): boolean {
    const tokens = this.#tokens + (nowMs - this.#updatedMs) * this.#perSecond / 1000;
    this.#tokens = Math.min(this.#burst, tokens);
    this.#updatedMs = nowMs;
    const isEnough = this.#tokens >= count;
    if (isEnough) this.#tokens -= count;
    return isEnough;
  }
}

const takes = fc.array(fc.record({ waitMs: fc.nat(2000), count: fc.nat(50) }), { maxLength: 200 });

Deno.test("token bucket: property: what an exact one gives is never refused", () => {
  fc.assert(fc.property(options, takes, (options, takes) => {
    const bucket = new TokenBucket(options, 0);
    const exact = new ExactBucket(options);
    let nowMs = 0;
    for (const { waitMs, count } of takes) {
      nowMs += waitMs;
      if (exact.tryTake(nowMs, count)) assert(bucket.tryTake(nowMs, count));
    }
  }));
});

Deno.test("token bucket: property: in any time, it gives an eighth more than it holds at most", () => {
  fc.assert(fc.property(options, takes, (options, takes) => {
    const bucket = new TokenBucket(options, 0);
    const given: { readonly atMs: number; readonly count: number }[] = [];
    let nowMs = 0;
    for (const { waitMs, count } of takes) {
      nowMs += waitMs;
      if (bucket.tryTake(nowMs, count)) given.push({ atMs: nowMs, count });
    }
    for (const [first, { atMs }] of given.entries()) {
      let sum = 0;
      for (const { atMs: thenMs, count } of given.slice(first)) {
        sum += count;
        const allowed = options.burst * 9 / 8 + (thenMs - atMs) * options.perSecond / 1000;
        assert(sum <= allowed + 1e-6, `${sum} of ${allowed}`);
      }
    }
  }));
});
