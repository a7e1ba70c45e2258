import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { MemoryNonceStore, type NonceStore } from "../../lib/protocol/nonce_store.ts";

const now = 1641013200;

Deno.test("nonce store: a nonce is granted once, to its last moment", () => {
  const store = new MemoryNonceStore();
  assertEquals(store.claim("key", "nonce", now + 13, now), true);
  assertEquals(store.claim("key", "nonce", now + 13, now), false);
  assertEquals(store.claim("key", "nonce", now + 13, now + 13), false);
  assertEquals(store.claim("key", "another", now + 13, now + 13), true);
  assertEquals(store.claim("key", "nonce", now + 13, now + 14), false);
});

Deno.test("nonce store: of two claims at once one is granted", async () => {
  const store: NonceStore = new MemoryNonceStore();
  const claim = async () => await store.claim("key", "nonce", now + 13, now);
  assertEquals((await Promise.all([claim(), claim()])).sort(), [false, true]);
});

Deno.test("nonce store: a nonce signed again with another time is refused", () => {
  const store = new MemoryNonceStore();
  assertEquals(store.claim("key", "nonce", now + 13, now), true);
  assertEquals(store.claim("key", "nonce", now + 15, now + 2), false);
});

Deno.test("nonce store: each API key has nonces of its own", () => {
  const store = new MemoryNonceStore();
  assertEquals(store.claim("key", "nonce", now + 13, now), true);
  assertEquals(store.claim("key2", "nonce", now + 13, now), true);
  assertEquals(store.claim("ke", "ynonce", now + 13, now), true);
});

Deno.test("nonce store: a nonce may be used again long after its end", () => {
  const store = new MemoryNonceStore();
  assertEquals(store.claim("key", "nonce", now + 13, now), true);
  assertEquals(store.claim("key", "nonce", now + 100, now + 90), true);
});

Deno.test("nonce store: what is over, or has no end, is refused", () => {
  const store = new MemoryNonceStore();
  assertEquals(store.claim("key", "a", now - 1, now), false);
  assertEquals(store.claim("key", "b", now + 0.4, now + 0.5), false);
  assertEquals(store.claim("key", "c", Infinity, now), false);
  assertEquals(store.claim("key", "d", NaN, now), false);
  assertEquals(store.claim("key", "e", now, NaN), false);
  assertEquals(store.size, 0);
});

Deno.test("nonce store: expired nonces are dropped, whatever order they came in", () => {
  const store = new MemoryNonceStore();
  for (const [i, lifetime] of [16, 3, 9, 3.5, 16, 0].entries()) {
    assertEquals(store.claim("key", `nonce${i}`, now + lifetime, now), true);
  }
  assertEquals(store.size, 6);
  const sizeAt = (nowSeconds: number) => {
    store.claim("key", "expired", now - 1, nowSeconds);
    return store.size;
  };
  assertEquals(sizeAt(now + 0.9), 6);
  assertEquals(sizeAt(now + 1), 5);
  assertEquals(sizeAt(now + 3.9), 5);
  assertEquals(sizeAt(now + 4), 3);
  assertEquals(sizeAt(now + 16), 2);
  assertEquals(sizeAt(now + 17), 0);
});

Deno.test("nonce store: a full store refuses rather than forgets, until some expire", () => {
  const store = new MemoryNonceStore({ capacity: 2 });
  assertEquals(store.claim("key", "a", now + 13, now), true);
  assertEquals(store.claim("key", "b", now + 15, now), true);
  assertEquals(store.claim("key", "c", now + 13, now), false);
  assertEquals(store.claim("key", "a", now + 13, now), false);
  assertEquals(store.claim("key", "c", now + 20, now + 13), false);
  assertEquals(store.claim("key", "c", now + 20, now + 14), true);
  assertEquals(store.claim("key", "b", now + 15, now + 14), false);
  assertEquals(store.size, 2);
});

Deno.test("nonce store: a clock set back reopens no forgotten nonce, and locks out no new one", () => {
  const store = new MemoryNonceStore();
  assertEquals(store.claim("key", "nonce", now + 13, now), true);
  assertEquals(store.claim("key", "other", now + 4000, now + 3600), true);
  assertEquals(store.claim("key", "nonce", now + 13, now + 1), false);
  assertEquals(store.claim("key", "new", now + 14, now + 1), true);
});

Deno.test("nonce store: a time that is not a number forgets nothing", () => {
  const store = new MemoryNonceStore();
  assertEquals(store.claim("key", "nonce", now + 13, now), true);
  assertEquals(store.claim("key", "other", now + 13, NaN), false);
  assertEquals(store.claim("key", "nonce", now + 13, now), false);
});

Deno.test("nonce store: no nonce is granted twice while it is valid, however claims arrive", () => {
  const claims = fc.array(fc.record({
    nonce: fc.constantFrom("a", "b", "c", "d"),
    lifetime: fc.double({ min: -1, max: 16, noNaN: true }),
    step: fc.double({ min: -2, max: 5, noNaN: true }),
  }));
  fc.assert(fc.property(claims, fc.integer({ min: 1, max: 4 }), (list, capacity) => {
    const store = new MemoryNonceStore({ capacity });
    const grantedUntil = new Map<string, number>();
    let nowSeconds = now;
    for (const { nonce, lifetime, step } of list) {
      nowSeconds += step;
      const validUntil = nowSeconds + lifetime;
      if (!store.claim("key", nonce, validUntil, nowSeconds)) continue;
      const before = grantedUntil.get(nonce) ?? -Infinity;
      // Compared with the later end: the clock of this test goes back at times.
      assertEquals(validUntil > before, true);
      assertEquals(validUntil >= nowSeconds, true);
      grantedUntil.set(nonce, Math.max(before, validUntil));
      assertEquals(store.size <= capacity, true);
    }
  }));
});
