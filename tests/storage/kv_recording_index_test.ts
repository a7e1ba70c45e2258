import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { join } from "node:path";
import { KvRecordingIndex } from "../../lib/storage/kv_recording_index.ts";
import { recording, uuid } from "../helpers/index_entries.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { allPages, testRecordingIndex } from "./recording_index_suite.ts";

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);

for (const indexPersonalData of [false, true]) {
  const kind = indexPersonalData ? "with personal data" : "participants hidden";
  for (const maxScanned of [undefined, 3]) {
    const scan = maxScanned === undefined ? "" : `, at most ${maxScanned} scanned a page`;
    testRecordingIndex(`index in a KV file, ${kind}${scan}`, async () => {
      const dir = await TempDir.create();
      const kv = await Deno.openKv(join(dir.path, "index.kv"));
      const index = new KvRecordingIndex(kv, { key: KEY, indexPersonalData, maxScanned });
      return {
        index,
        showsParticipants: indexPersonalData,
        async [Symbol.asyncDispose]() {
          index[Symbol.dispose]();
          await dir[Symbol.asyncDispose]();
        },
      };
    });
  }
}

/** All keys and values of a database. */
async function contentOf(kv: Deno.Kv): Promise<{ keys: Deno.KvKey[]; text: string }> {
  const all = await Array.fromAsync(kv.list({ prefix: [] }));
  const text = all.map(({ key, value }) => `${JSON.stringify(key)} ${JSON.stringify(value)}`);
  return { keys: all.map(({ key }) => key), text: text.join("\n") };
}

const participant = {
  id: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
  ani: "tel:+4930123456",
  aniName: "Anna Beispiel",
  dnis: "tel:+18005550199",
};

Deno.test("index in KV: nothing of a hidden participant is in the database", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY });
  await index.put(recording(1, { participant }));
  await index.writeFormat();
  const { text } = await contentOf(kv);
  for (const word of [...Object.values(participant), "4930123456", "8005550199", "Anna"]) {
    assert(!text.includes(word), word);
  }
  const plain = new KvRecordingIndex(kv, { key: KEY, indexPersonalData: true });
  await plain.put(recording(1, { participant }));
  const { text: plainText } = await contentOf(kv);
  for (const word of Object.values(participant)) assert(plainText.includes(word), word);
});

Deno.test("index in KV: a hidden participant is found with the same key only", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY });
  const same = new KvRecordingIndex(kv, { key: KEY.slice() });
  const other = new KvRecordingIndex(kv, { key: OTHER_KEY });
  await index.put(recording(1, { participant }));
  for (const text of [participant.id, participant.ani, participant.dnis]) {
    assertEquals((await same.find({ participant: text }, 9)).entries.length, 1);
    assertEquals((await other.find({ participant: text }, 9)).entries.length, 0);
  }
  assertEquals((await other.find({}, 9)).entries.length, 0);
  assertNotEquals(index.format, other.format);
  assert(!JSON.stringify(index.format).includes(KEY.toHex()));
});

Deno.test("index in KV: a hidden participant's hash is an HMAC-SHA-256 of its text", async () => {
  using kv = await Deno.openKv(":memory:");
  await new KvRecordingIndex(kv, { key: KEY }).put(recording(1, { participant }));
  const key = await crypto.subtle.importKey(
    "raw",
    KEY,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const text = new TextEncoder().encode(`participant\n${participant.ani}`);
  const hash = new Uint8Array(await crypto.subtle.sign("HMAC", key, text));
  const expected = hash.toBase64({ alphabet: "base64url", omitPadding: true });
  assert((await contentOf(kv)).text.includes(expected));
});

Deno.test("index in KV: when all is removed, no key is left", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY });
  const states = ["recording", "finished", "recovered"] as const;
  for (let n = 0; n < 60; n++) {
    await index.put(recording(n % 20, {
      state: states[n % 3],
      conversationId: uuid(n),
      participant: { ani: `tel:+${n}` },
    }));
  }
  // Of each: the record, time, conversation, organization, three of the participant, some a state.
  const { keys } = await contentOf(kv);
  const unfinished = (await allPages(index, {}, 9)).filter(({ state }) => state !== "finished");
  assertEquals(keys.length, 20 * 7 + unfinished.length);
  for (let n = 0; n < 20; n++) await index.remove(recording(n).id);
  assertEquals((await contentOf(kv)).keys, []);
});

Deno.test("index in KV: many at once, and nothing is written twice", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY });
  const all = Array.from({ length: 120 }, (_, n) => recording(n));
  assertEquals(await index.putAll(all), 120);
  const { versionstamp } = await kv.atomic().set(["mark"], 1).commit() as Deno.KvCommitResult;
  assertEquals(await index.putAll(all), 0);
  assertEquals(await index.putAll([...all, recording(7, { state: "recovered" })]), 1);
  let changed = 0;
  for await (const entry of kv.list({ prefix: [] })) {
    if (entry.versionstamp > versionstamp) changed++;
  }
  // The record, and the reference by its state.
  assertEquals(changed, 2);
  assertEquals((await allPages(index, {}, 50)).length, 120);
});

Deno.test("index in KV: many of the largest recordings fit into one write", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY, indexPersonalData: true });
  const long = (n: number) => `${n}`.padEnd(128, "x");
  const make = (state: "recording" | "recovered", traits: number) =>
    Array.from({ length: 25 }, (_, n) =>
      recording(n, {
        state,
        conversationId: uuid(1000 + n + traits),
        organizationId: uuid(2000 + n + traits),
        participant: {
          id: uuid(3000 + n + traits),
          ani: long(n + traits),
          dnis: long(n + traits + 1),
          aniName: "ü".repeat(1000),
        },
        language: "ü".repeat(1000),
      }));
  assertEquals(await index.putAll(make("recording", 0)), 25);
  assertEquals(await index.putAll(make("recovered", 500)), 25);
  assertEquals((await index.find({ participant: long(0) }, 9)).entries.length, 0);
  assertEquals((await index.find({ participant: long(500) }, 9)).entries.length, 1);
});

Deno.test("index in KV: a page that has looked at enough ends, and the next one goes on", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY, maxScanned: 100 });
  await index.putAll(Array.from({ length: 450 }, (_, n) =>
    recording(n, {
      organizationId: uuid(n % 2),
      state: n % 10 === 0 ? "finished" : "recovered",
    })));
  const filter = { organizationId: uuid(0), state: "finished" } as const;
  const { entries, cursor } = await index.find(filter, 80);
  assert(entries.length > 0 && entries.length < 80 && cursor !== undefined);
  assertEquals((await allPages(index, filter, 80)).length, 45);
  assertEquals((await allPages(index, { state: "recording" }, 80)).length, 0);
});

Deno.test("index in KV: of several ways to what is looked for, the shortest is gone", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY, maxScanned: 100 });
  await index.putAll(Array.from({ length: 400 }, (_, n) =>
    recording(n, {
      organizationId: uuid(n % 40 === 0 ? 1 : 2),
      participant: { ani: n % 40 === 1 ? "tel:+1" : "tel:+3", dnis: "tel:+2" },
      state: n < 10 ? "recovered" : "finished",
    })));
  const counts = [
    { filter: { organizationId: uuid(1), participant: "tel:+2" }, expected: 10 },
    { filter: { organizationId: uuid(2), participant: "tel:+1" }, expected: 10 },
    { filter: { organizationId: uuid(2), state: "recovered" as const }, expected: 9 },
    { filter: { participant: "tel:+2", state: "recovered" as const }, expected: 10 },
  ];
  for (const { filter, expected } of counts) {
    const { entries, cursor } = await index.find(filter, 50);
    assertEquals([entries.length, cursor], [expected, undefined]);
  }
});

Deno.test("index in KV: what was given up is not written any more", async () => {
  using kv = await Deno.openKv(":memory:");
  const given = new AbortController();
  // The database is slow to read: meanwhile, the change is given up.
  const slow = new Proxy(kv, {
    get(target, name) {
      if (name === "getMany") {
        return async (keys: Deno.KvKey[]) => {
          const found = await target.getMany(keys);
          given.abort(new Error("given up"));
          return found;
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const index = new KvRecordingIndex(slow, { key: KEY });
  const outcome = await index.put(recording(1), given.signal).catch(({ message }) => message);
  assertEquals(outcome, "given up");
  assertEquals((await contentOf(kv)).keys, []);
});

Deno.test("index in KV: what others write to the database does not get in the way", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY });
  const all = [1, 2, 3].map((n) => recording(n));
  await index.putAll(all);
  const { keys } = await contentOf(kv);
  const keyOf = (n: number) => {
    const key = keys.find((key) => key[2] === "recording" && key[3] === recording(n).id);
    assert(key !== undefined);
    return key;
  };
  await kv.set(keyOf(1), "rubbish");
  await kv.set(keyOf(2), { entry: { id: "x" }, terms: 7 });
  await kv.set(["audiohook"], 1);
  await kv.set(["zebra", 1], 1);
  assertEquals((await allPages(index, {}, 2)).map(({ id }) => id), [recording(3).id]);
  assertEquals(await index.get(recording(1).id), undefined);
  assertEquals(await index.putAll(all), 2);
  assertEquals((await allPages(index, {}, 2)).length, 3);
});

Deno.test("index in KV: other indexes are removed, this one and others' keys stay", async () => {
  using kv = await Deno.openKv(":memory:");
  const options = [
    { key: KEY },
    { key: OTHER_KEY },
    { key: new Uint8Array(32).fill(3) },
    { key: KEY, indexPersonalData: true },
  ];
  const indexes = options.map((one) => new KvRecordingIndex(kv, one));
  const all = Array.from({ length: 70 }, (_, n) => recording(n));
  for (const index of indexes) await index.putAll(all);
  await kv.set(["audio", "zebra"], 1);
  await kv.set(["audiohook2", "zebra"], 1);
  const [index] = indexes;
  await index?.writeFormat();
  await index?.removeOthers();
  assertEquals((await contentOf(kv)).keys.length, 70 * 7 + 3);
  assertEquals(await index?.readFormat(), index?.format);
  for (const [n, one] of indexes.entries()) {
    assertEquals((await one.find({}, 100)).entries.length, n === 0 ? 70 : 0);
  }
});

Deno.test("index in KV: entries are walked in the order of days, in any part", async () => {
  using kv = await Deno.openKv(":memory:");
  const index = new KvRecordingIndex(kv, { key: KEY });
  const day = 24 * 60;
  await index.putAll([3 * day, 0, 1, day, 2 * day].map((n) => recording(n)));
  const walk = async (from: string, to: string) =>
    (await Array.fromAsync(index.walk(from, to))).map(({ id }) => id);
  const ids = [0, 1, day, 2 * day, 3 * day].map((n) => recording(n).id);
  assertEquals(await walk("", "~"), ids);
  assertEquals(await walk("2026-03-05", "2026-03-07"), ids.slice(2, 4));
  assertEquals(await walk("2026-03-08", "2026-03-09"), []);
});
