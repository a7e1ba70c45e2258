import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import { Keyring, MemoryNonceStore } from "../../lib/protocol/mod.ts";
import { Authenticator } from "../../lib/server/authenticator.ts";
import { FailureLimiter } from "../../lib/server/failure_limiter.ts";
import { RefusalLog } from "../../lib/server/refusal_log.ts";
import { Gate } from "../../lib/server/gate.ts";
import { until } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import {
  API_KEY,
  type ConnectOptions,
  ENDPOINT,
  requestHeaders,
  SECRET,
  UNSIGNED_KEY,
} from "../helpers/wire_client.ts";

const AUTHORITY = "audiohook.example.com";
const NOBODY = new Uint8Array();
const STRANGER: ConnectOptions = { apiKey: "a-stranger", secret: NOBODY };
const UNSIGNED: ConnectOptions = { apiKey: UNSIGNED_KEY, secret: NOBODY };

interface TestGate {
  /** The status of the answer; 101 for who is let in. */
  admit(options: ConnectOptions, address?: string): Promise<number>;
  readonly limiter: FailureLimiter;
}

async function makeGate(perMinute: number, failureDelayMs = 0): Promise<TestGate> {
  const keyring = await Keyring.create(
    new Map([[API_KEY, SECRET], [UNSIGNED_KEY, new Uint8Array()]]),
  );
  const authenticator = new Authenticator({ keyring, nonces: new MemoryNonceStore() });
  const limiter = new FailureLimiter({ perMinute });
  const gate = new Gate({
    authenticator,
    limiter,
    refusals: new RefusalLog(),
    failureDelayMs,
  });
  return {
    limiter,
    async admit(options, address = "192.0.2.1") {
      const headers = new Headers(await requestHeaders(AUTHORITY, options));
      headers.set("host", AUTHORITY);
      const admission = await gate.admit({ requestTarget: ENDPOINT, headers, address });
      return admission.outcome === "admitted" ? 101 : admission.response.status;
    },
  };
}

Deno.test("gate: a valid signature gets in from an address beyond its limit, and changes nothing", async () => {
  const { admit } = await makeGate(1);
  assertEquals(await admit(STRANGER), 401);
  assertEquals(await admit(STRANGER), 429);
  assertEquals(await admit({}), 101);
  assertEquals(await admit(STRANGER), 429);
  assertEquals(await admit({}), 101);
});

Deno.test("gate: a key that signs nothing does not get in from an address beyond its limit", async () => {
  const { admit } = await makeGate(2);
  assertEquals(await admit(UNSIGNED), 101);
  assertEquals(await admit(STRANGER), 401);
  assertEquals(await admit(UNSIGNED), 101);
  assertEquals(await admit(STRANGER), 401);
  assertEquals(await admit(UNSIGNED), 429);
  assertEquals(await admit(UNSIGNED, "192.0.2.2"), 101);
});

Deno.test("gate: beyond the limit, right and wrong keys that sign nothing look alike", async () => {
  const { admit } = await makeGate(1);
  await admit(STRANGER);
  assertEquals(await admit(UNSIGNED), await admit(STRANGER));
});

Deno.test("gate: who gets in is no failure", async () => {
  const { admit, limiter } = await makeGate(1);
  for (let i = 0; i < 5; i++) {
    assertEquals(await admit({}), 101);
    assertEquals(await admit(UNSIGNED), 101);
  }
  assertEquals(limiter.size, 0);
});

Deno.test("gate: every cause counts: a nonce sent twice, a bad signature, a bad id", async () => {
  for (
    const options of [
      { nonce: "AAAAAAAAAAAAAAAAAAAAAA" },
      { secret: new Uint8Array(32) },
      { headers: { "Audiohook-Session-Id": "none" } },
    ]
  ) {
    const { admit } = await makeGate(1);
    if ("nonce" in options) assertEquals(await admit(options), 101);
    assertEquals(await admit(options), 401);
    assertEquals(await admit(options), 429);
  }
});

Deno.test("gate: 0 is any number of failures", async () => {
  const { admit } = await makeGate(0);
  for (let i = 0; i < 100; i++) assertEquals(await admit(STRANGER), 401);
  assertEquals(await admit(UNSIGNED), 101);
});

/** Timers that are set until the end of the scope: what each would do. */
function holdTimers(): Disposable & { readonly held: (() => void)[] } {
  const { setTimeout } = globalThis;
  const held: (() => void)[] = [];
  globalThis.setTimeout = ((callback: () => void) => held.push(callback)) as never;
  return {
    held,
    [Symbol.dispose]() {
      globalThis.setTimeout = setTimeout;
    },
  };
}

Deno.test("gate: at most 1000 refusals are held back at a time, more are answered 429 at once", async () => {
  const { admit } = await makeGate(0, 1000);
  const statuses: number[] = [];
  const answered = Promise.withResolvers<void>();
  let refusals: Promise<void>[];
  {
    using timers = holdTimers();
    refusals = Array.from({ length: 1005 }, async (_, i) => {
      statuses.push(await admit(STRANGER, `192.0.2.${i % 100}`));
      if (statuses.length === 5) answered.resolve();
    });
    await answered.promise;
    assertEquals(statuses, Array(5).fill(429));
    assertEquals(timers.held.length, 1000);
    for (const release of timers.held) release();
  }
  await Promise.all(refusals);
  assertEquals(statuses.slice(5), Array(1000).fill(401));
  assertEquals(await admit(STRANGER), 401, "there is room again");
});

Deno.test("gate: a flood of refusals has few lines in the log, and then one with their number", async () => {
  await using logs = await LogRecords.watch();
  const startMs = performance.now();
  const { admit } = await makeGate(0);
  let count = 0;
  for (; count < 500; count++) await admit(STRANGER);
  const seconds = (performance.now() - startMs) / 1000;
  assertLessOrEqual(logs.records.length, 2 * (60 + seconds));
  assertEquals(logs.of("Refused a connection").slice(0, 60).length, 60);

  const linesBefore = logs.records.length;
  await until(async () => {
    await admit(STRANGER);
    count++;
    return logs.records.length > linesBefore;
  }, "line with the number of refusals");
  const unlogged = logs.of("Refused {count} more connections")
    .map(({ properties }) => Number(properties.count));
  assertGreater(unlogged[0], 0);
  const logged = logs.of("Refused a connection: {reason}").length;
  const sum = unlogged.reduce((sum, number) => sum + number);
  assertEquals(logged + sum, count, "each refusal is counted once");
});

Deno.test("gate: that an address is beyond its limit is logged once, not each time", async () => {
  await using logs = await LogRecords.watch();
  const { admit } = await makeGate(2);
  for (let i = 0; i < 20; i++) await admit(STRANGER, "192.0.2.9");
  const [line, ...others] = logs.of("Refused too many connections from {address}");
  assertEquals(line?.properties.address, "192.0.2.9");
  assertEquals(others, []);
  assertEquals(logs.records.length, 3);
});

Deno.test("gate: the log has the cause of a refusal, and neither key nor secret", async () => {
  await using logs = await LogRecords.watch();
  const { admit } = await makeGate(1);
  await admit({ apiKey: "a-secret-looking-key", secret: NOBODY });
  await admit({ apiKey: "a-secret-looking-key", secret: NOBODY });
  await admit(UNSIGNED);
  assertEquals(
    logs.of("Refused").map(({ properties }) => typeof properties.reason),
    ["string", "string", "string"],
  );
  assert(!logs.text.includes("a-secret-looking-key") && !logs.text.includes(UNSIGNED_KEY));
});
