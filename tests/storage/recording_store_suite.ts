/**
 * What every store of recordings has to do: one suite, for all of them.
 */
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { placeOf, type RecordingFiles, type RecordingStore } from "../../lib/storage/mod.ts";
import { assertSameBytes, concat, noise } from "../helpers/wav_check.ts";
import { endingOf } from "./ending_of.ts";

/** What a recording consists of, at the moment. */
export interface StoredRecording {
  /** The audio file, while it is not finished. */
  readonly unfinishedAudio: Uint8Array | undefined;
  /** The audio file with its final name. */
  readonly audio: Uint8Array | undefined;
  readonly messages: Uint8Array | undefined;
  readonly metadata: string | undefined;
}

/** A store under test, and a way to see what it holds, which goes around it. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: RecordingStore;
  /** What is behind the session's id in a recording's name: a number if need be, or always digits. */
  readonly names: "numbered" | "unique";
  /** Reads what is at a recording's location. */
  read(files: RecordingFiles): Promise<StoredRecording>;
  /** How many recordings there are, of all days. */
  count(): Promise<number>;
}

const DAY = "2026-01-31";
const ID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const OTHER_ID = "d7934305-0972-4844-938e-9060eef73d05";
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (data: Uint8Array | undefined) => data && new TextDecoder().decode(data);

/** Registers the suite for a store. */
export function testRecordingStore(name: string, make: () => Promise<StoreUnderTest>): void {
  const test = (what: string, run: (under: StoreUnderTest) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using under = await make();
      await run(under);
    });

  test("a recording from its beginning to its end", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    assert(files.location.includes(ID), "people find it by its session");
    await files.writeAudio(0, bytes("HEAD"));
    await files.writeMessages(0, bytes("one\n"));
    await files.writeAudio(4, bytes("audio"));
    await files.writeAudio(9, bytes("more"));
    await files.writeMessages(4, bytes("two\n"));

    const running = await read(files);
    assertEquals(textOf(running.unfinishedAudio), "HEADaudiomore");
    assertEquals(running.audio, undefined);
    assertEquals(textOf(running.messages), "one\ntwo\n");
    assertEquals(running.metadata, undefined);

    await files.finish({
      audio: { header: bytes("DONE"), rest: { offset: 13, bytes: bytes("rest") } },
      messages: { offset: 8, bytes: bytes("three\n") },
      metadata: '{"all":"of it"}\n',
    });
    await files.writeMessages(14, bytes("four\n"));
    await files.close();

    assertEquals(await read(files), {
      unfinishedAudio: undefined,
      audio: bytes("DONEaudiomorerest"),
      messages: bytes("one\ntwo\nthree\nfour\n"),
      metadata: '{"all":"of it"}\n',
    });
  });

  test("a recording without audio", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    await files.writeMessages(0, bytes("one\n"));
    await files.finish(endingOf());
    await files.close();
    assertEquals(await read(files), {
      unfinishedAudio: undefined,
      audio: undefined,
      messages: bytes("one\n"),
      metadata: "{}",
    });
  });

  test("a recording that was begun and let go", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    await files.close();
    const { audio, metadata } = await read(files);
    assertEquals([audio, metadata], [undefined, undefined]);
  });

  test("audio can go on after its beginning was written again", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    await files.writeAudio(0, bytes("head"));
    await files.writeAudio(4, bytes("1"));
    await files.writeAudio(0, bytes("HEAD"));
    await files.writeAudio(5, bytes("2"));
    await files.finish(endingOf({ header: bytes("HEAD") }));
    await files.close();
    assertEquals(textOf((await read(files)).audio), "HEAD12");
  });

  test("a write may be tried again: at the same place, with the same bytes", async (under) => {
    const files = await under.store.create(DAY, ID);
    for (const offset of [0, 3]) {
      await files.writeAudio(offset, bytes("abc"));
      await files.writeAudio(offset, bytes("abc"));
      await files.writeMessages(offset, bytes("ab\n"));
      await files.writeMessages(offset, bytes("ab\n"));
    }
    await files.finish(endingOf({ header: bytes("a") }));
    await files.close();
    const { audio, messages, metadata } = await under.read(files);
    assertEquals([textOf(audio), textOf(messages), metadata], ["abcabc", "ab\nab\n", "{}"]);
  });

  test("a recording may be finished again: with the same arguments", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    await files.writeAudio(0, bytes("head"));
    const ending = endingOf({
      header: bytes("HEAD"),
      rest: { offset: 4, bytes: bytes("audio") },
      messages: { offset: 0, bytes: bytes("one\n") },
      metadata: '{"all":"of it"}',
    });
    for (let n = 0; n < 3; n++) await files.finish(ending);
    await files.writeMessages(4, bytes("two\n"));
    await files.finish(ending);
    await files.close();
    assertEquals(await read(files), {
      unfinishedAudio: undefined,
      audio: bytes("HEADaudio"),
      messages: bytes("one\ntwo\n"),
      metadata: '{"all":"of it"}',
    });
  });

  test("a recording of which nothing was written before its end", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    const rest = { offset: 4, bytes: bytes("audio") };
    const messages = { offset: 0, bytes: bytes("one\n") };
    await files.finish(endingOf({ header: bytes("HEAD"), rest, messages }));
    await files.close();
    const { audio, messages: log, metadata } = await read(files);
    assertEquals([textOf(audio), textOf(log), metadata], ["HEADaudio", "one\n", "{}"]);
  });

  test("recordings have identifiers, each its own", async ({ store, names }) => {
    const all = await Promise.all([ID, ID, OTHER_ID].map((id) => store.create(DAY, id)));
    const ids = all.map(({ id }) => id).sort();
    if (names === "numbered") {
      assertEquals(ids, [`${DAY}.${ID}`, `${DAY}.${ID}.2`, `${DAY}.${OTHER_ID}`]);
    } else {
      assertEquals(
        ids.map((id) => id.slice(0, 47)),
        [ID, ID, OTHER_ID].map((id) => `${DAY}.${id}`),
      );
      for (const id of ids) assertMatch(id.slice(47), /^\.[\da-f]{8}$/);
      assertEquals(new Set(ids).size, 3);
    }
    for (const id of ids) assert(placeOf(id) !== undefined, id);
    await Promise.all(all.map((files) => files.close()));
  });

  test("bytes may be used again when a write has settled", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    const buffer = new Uint8Array(1000);
    for (let n = 0; n < 10; n++) {
      buffer.fill(n);
      await files.writeAudio(n * 1000, buffer);
      await files.writeMessages(n * 1000, buffer);
    }
    buffer.fill(99);
    await files.finish(endingOf({ header: new Uint8Array() }));
    await files.close();
    const expected = concat(...Array.from({ length: 10 }, (_, n) => new Uint8Array(1000).fill(n)));
    const { audio, messages } = await read(files);
    assertSameBytes(audio ?? new Uint8Array(), expected);
    assertSameBytes(messages ?? new Uint8Array(), expected);
  });

  test("a view on a larger buffer is written, not the buffer", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    await files.writeAudio(0, bytes("0123456789").subarray(3, 6));
    await files.writeAudio(3, new Uint8Array());
    const rest = { offset: 3, bytes: bytes("0123456789").subarray(7, 9) };
    const messages = { offset: 0, bytes: bytes("one\ntwo\nthree\n").subarray(4, 8) };
    const header = bytes("0123456789").subarray(4, 5);
    await files.finish(endingOf({ header, rest, messages }));
    await files.close();
    const { audio, messages: log } = await read(files);
    assertEquals([textOf(audio), textOf(log)], ["44578", "two\n"]);
  });

  test("megabytes in one write", async ({ store, read }) => {
    const files = await store.create(DAY, ID);
    const large = noise(5_000_000);
    await files.writeAudio(0, large);
    await files.finish(endingOf({ header: large.subarray(0, 44) }));
    await files.close();
    assertSameBytes((await read(files)).audio ?? new Uint8Array(), large);
  });

  test("a second recording of one session is another one", async (under) => {
    const { store, read, count, names } = under;
    const all: RecordingFiles[] = [];
    for (const text of ["first", "second", "third"]) {
      const files = await store.create(DAY, ID);
      await files.writeAudio(0, bytes(text));
      await files.writeMessages(0, bytes(text));
      await files.finish(endingOf({ header: bytes(text).subarray(0, 1), metadata: text }));
      await files.close();
      all.push(files);
    }
    const [first, second] = all;
    assert(first !== undefined && second !== undefined);
    if (names === "numbered") assertEquals(second.location, `${first.location}.2`);
    else assertNotEquals(second.location, first.location);
    for (const [index, text] of ["first", "second", "third"].entries()) {
      const files = all[index];
      assert(files !== undefined);
      assertEquals(await read(files), {
        unfinishedAudio: undefined,
        audio: bytes(text),
        messages: bytes(text),
        metadata: text,
      });
    }
    assertEquals(await count(), 3);
  });

  test("recordings of one session at once, none touches another", async (under) => {
    const all = await Promise.all(Array.from({ length: 20 }, async (_, n) => {
      const files = await under.store.create(DAY, ID);
      await files.writeAudio(0, noise(100, n));
      await files.writeMessages(0, bytes(`${n}`));
      await files.finish(endingOf({ header: noise(10, n), metadata: `${n}` }));
      await files.close();
      return files;
    }));
    assertEquals(new Set(all.map(({ location }) => location)).size, 20);
    for (const [n, files] of all.entries()) {
      const { audio, messages, metadata } = await under.read(files);
      assertSameBytes(audio ?? new Uint8Array(), noise(100, n));
      assertEquals([textOf(messages), metadata], [`${n}`, `${n}`]);
    }
    assertEquals(await under.count(), 20);
  });

  test("a session's id on another day, and another session on one day", async (under) => {
    const one = await under.store.create(DAY, ID);
    const two = await under.store.create("2026-02-01", ID);
    const three = await under.store.create(DAY, OTHER_ID);
    for (const [n, files] of [one, two, three].entries()) {
      await files.writeMessages(0, bytes(`${n}`));
      await files.close();
    }
    assertNotEquals(one.location, two.location);
    for (const [n, files] of [one, two, three].entries()) {
      assertEquals(textOf((await under.read(files)).messages), `${n}`);
      assert(!files.location.endsWith(".2"));
    }
  });

  test("any order of audio and messages, each write tried once or twice", async (under) => {
    const write = fc.record({
      what: fc.constantFrom("audio", "messages"),
      size: fc.integer({ min: 0, max: 5000 }),
      tries: fc.integer({ min: 1, max: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.uuid(), fc.array(write, { maxLength: 30 }), async (id, writes) => {
        const files = await under.store.create(DAY, id);
        const expected: Record<string, Uint8Array[]> = { audio: [], messages: [] };
        const offsets: Record<string, number> = { audio: 0, messages: 0 };
        await files.writeAudio(0, new Uint8Array());
        for (const [seed, { what, size, tries }] of writes.entries()) {
          const data = noise(size, seed);
          for (let n = 0; n < tries; n++) {
            if (what === "audio") await files.writeAudio(offsets[what] ?? 0, data);
            else await files.writeMessages(offsets[what] ?? 0, data);
          }
          expected[what]?.push(data);
          offsets[what] = (offsets[what] ?? 0) + size;
        }
        await files.finish(endingOf({ header: new Uint8Array() }));
        await files.close();
        const { audio, messages } = await under.read(files);
        assertSameBytes(audio ?? new Uint8Array(), concat(...expected.audio ?? []));
        assertSameBytes(messages ?? new Uint8Array(), concat(...expected.messages ?? []));
      }),
      { numRuns: 30 },
    );
  });
}
