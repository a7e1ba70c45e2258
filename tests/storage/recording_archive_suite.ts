/**
 * What every archive of recordings has to do: one suite, for all of them.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type LegalHold,
  type RecordedFile,
  type RecordingArchive,
  type RecordingMetadata,
  recordingMetadataSchema,
} from "../../lib/storage/mod.ts";
import { until, within } from "../helpers/deadline.ts";
import { assertSameBytes, concat, noise } from "../helpers/wav_check.ts";

/** What a recording that has ended consists of; what is absent is not there. */
export interface PutRecording {
  readonly audio?: Uint8Array;
  readonly messages?: Uint8Array;
  /** Text of its metadata, which need not be any. */
  readonly metadata?: string;
}

/** An archive under test, and a way to put things there, and to see them, that goes around it. */
export interface ArchiveUnderTest extends AsyncDisposable {
  readonly archive: RecordingArchive;
  /** Puts a recording there that has ended. */
  put(id: string, recording: PutRecording): Promise<void>;
  /** Puts something there that belongs to no recording; a path relative to where recordings are. */
  putForeign(path: string): Promise<void>;
  /** All that is there, by paths relative to where recordings are, sorted. */
  names(): Promise<string[]>;
}

/** Names of sessions. */
export const SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
export const OTHER_SESSION = "d7934305-0972-4844-938e-9060eef73d05";
/** A recording's id. */
export const ID = `2026-01-31.${SESSION}`;

const HOLD: LegalHold = { since: "2026-02-01T10:00:00.000Z", reason: "A case" };

/** No recordings, whatever they say. */
const MALFORMED_IDS = [
  "",
  SESSION,
  "2026-01-31",
  `2026-01-31/${SESSION}`,
  `2026-13-31.${SESSION}`,
  `2026-01-31.${SESSION}.1`,
  `2026-01-31.${SESSION.toUpperCase()}`,
  `2026-01-31.${SESSION}.json`,
  `2026-01-31.../${SESSION}`,
  `../../etc/passwd`,
  `2026-01-31.${SESSION}\0`,
];

/** Metadata of a recording that ended at a time. */
export function metadataOf(id: string, endedAt = "2026-01-31T10:00:10.000Z"): RecordingMetadata {
  return {
    version: 1,
    sessionId: id.slice(11, 47),
    organizationId: "d7934305-0972-4844-938e-9060eef73d05",
    conversationId: "2a1b5f5e-6e23-4a0c-8b55-4b1f1f3b2c11",
    participant: {
      id: "883efee8-3d6c-4537-b500-6d7ca4b92fa0",
      ani: "+1-555-555-1234",
      aniName: "John Doe",
      dnis: "+1-800-555-6789",
    },
    language: "en-US",
    media: { format: "PCMU", channels: ["external", "internal"], rate: 8000 },
    startedAt: new Date(Date.parse(endedAt) - 10_000).toISOString(),
    endedAt,
    durationSamples: 80_000,
    duration: "PT10S",
    recordedSamples: 80_000,
    gaps: [],
    unlistedGaps: 0,
    closeReason: "end",
    isComplete: true,
    recovered: false,
    unloggedMessages: 0,
  };
}

/** Text of a recording's metadata. */
export function metadataTextOf(id: string, endedAt?: string): string {
  return JSON.stringify(metadataOf(id, endedAt), null, 2) + "\n";
}

/** All of a stream. */
export async function bytesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  return concat(...await within(Array.fromAsync(stream), "end of the stream"));
}

async function opened(archive: RecordingArchive, part: "audio" | "messages" = "audio") {
  const file = await archive.open(ID, part);
  assert(file !== undefined, `${part} of ${ID}`);
  return file;
}

/** Registers the suite for an archive. */
export function testRecordingArchive(name: string, make: () => Promise<ArchiveUnderTest>): void {
  const test = (what: string, run: (under: ArchiveUnderTest) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      await using under = await make();
      await run(under);
    });

  test("nothing is there, and nothing goes wrong", async ({ archive, names }) => {
    assertEquals(await Array.fromAsync(archive.list()), []);
    for (const id of [ID, ...MALFORMED_IDS]) {
      assertEquals(await archive.metadata(id), undefined, id);
      assertEquals(await archive.isUnderWay(id), false, id);
      assertEquals(await archive.open(id, "audio"), undefined, id);
      assertEquals(await archive.open(id, "messages"), undefined, id);
      assertEquals(await archive.hold(id), undefined, id);
      assertEquals(await archive.setHold(id, HOLD), false, id);
      assertEquals(await archive.setHold(id, undefined), false, id);
      assertEquals(await archive.remove(id), "not_found", id);
    }
    assertEquals(await names(), []);
  });

  test("recordings are listed day by day, the oldest first", async ({ archive, put }) => {
    const ids = [
      `2025-12-31.${OTHER_SESSION}`,
      `2026-01-31.${SESSION}`,
      `2026-01-31.${SESSION}.0badcafe`,
      `2026-01-31.${SESSION}.10`,
      `2026-01-31.${SESSION}.2`,
      `2026-01-31.${SESSION}.${OTHER_SESSION}`,
      `2026-01-31.${OTHER_SESSION}`,
      `2026-02-01.${SESSION}`,
      `2027-01-01.${SESSION}`,
    ];
    for (const id of ids.toReversed()) {
      await put(id, { audio: noise(10), messages: noise(10), metadata: metadataTextOf(id) });
    }
    const listed = await Array.fromAsync(archive.list());
    assertEquals(listed.toSorted(), ids.toSorted());
    const days = listed.map((id) => id.slice(0, 10));
    assertEquals(days, days.toSorted());
  });

  test("a recording is listed once, whatever parts it has", async ({ archive, put }) => {
    const all: PutRecording[] = [
      { audio: noise(10) },
      { messages: noise(10) },
      { metadata: "{}" },
      { audio: noise(10), messages: noise(10), metadata: "{}" },
    ];
    const ids = all.map((_, index) => `2026-01-31.${SESSION}.${index + 2}`);
    for (const [index, recording] of all.entries()) await put(ids[index] ?? "", recording);
    assertEquals((await Array.fromAsync(archive.list())).sort(), ids);
  });

  test("what is foreign is ignored, and stays", async (under) => {
    const { archive, put, putForeign, names } = under;
    const foreign = [
      "README.txt",
      "2026-01-31.wav",
      "2026-01-31/notes.wav",
      `2026-01-31/${SESSION}.wav.bak`,
      `2026-01-31/${SESSION}.txt`,
      `2026-01-31/${SESSION.toUpperCase()}.wav`,
      `2026-01-31/${SESSION}.11.wav`,
      `2026-01-31/${SESSION}.0BADCAFE.wav`,
      `2026-13-01/${SESSION}.wav`,
      `elsewhere/${SESSION}.wav`,
      `2026-01-31/${OTHER_SESSION}.hold`,
    ];
    for (const path of foreign) await putForeign(path);
    assertEquals(await Array.fromAsync(archive.list()), []);
    await put(ID, { audio: noise(10), metadata: metadataTextOf(ID) });
    assertEquals(await Array.fromAsync(archive.list()), [ID]);
    assertEquals(await archive.hold(`2026-01-31.${OTHER_SESSION}`), undefined);
    assertEquals(await archive.remove(ID), "removed");
    assertEquals(await names(), foreign.toSorted());
  });

  test("listing may end early", async ({ archive, put }) => {
    for (const id of [ID, `${ID}.2`, `2026-02-01.${SESSION}`]) await put(id, { audio: noise(1) });
    for await (const id of archive.list()) {
      assertEquals(id, ID);
      break;
    }
  });

  test("metadata is what was written", async ({ archive, put }) => {
    await put(ID, { metadata: metadataTextOf(ID) });
    assertEquals(await archive.metadata(ID), metadataOf(ID));
  });

  test("metadata that is none counts as not there", async ({ archive, put }) => {
    const right = metadataOf(ID);
    const wrong: string[] = [
      "",
      "{",
      "null",
      "[]",
      "{}",
      JSON.stringify({ ...right, version: 2 }),
      JSON.stringify({ ...right, gaps: undefined }),
      JSON.stringify({ ...right, endedAt: "yesterday" }),
      metadataTextOf(ID).slice(0, -10),
    ];
    for (const [index, metadata] of wrong.entries()) {
      const id = `2026-01-31.${SESSION}.${index + 2}`;
      await put(id, { audio: noise(10), metadata });
      assertEquals(await archive.metadata(id), undefined, metadata);
      assertEquals(await archive.isUnderWay(id), false, metadata);
      assertEquals((await Array.fromAsync(archive.list())).includes(id), true);
      assertEquals(await archive.remove(id), "removed");
    }
  });

  test("parts are opened with what is known of them", async ({ archive, put }) => {
    const beforeMs = Date.now();
    await put(ID, { audio: noise(1000), messages: noise(77, 2), metadata: metadataTextOf(ID) });
    for (const [part, length, seed] of [["audio", 1000, 1], ["messages", 77, 2]] as const) {
      await using file = await opened(archive, part);
      assertEquals(file.size, length);
      assertEquals(file.isFinal, true);
      assert(Math.abs(file.modifiedAt.getTime() - beforeMs) < 60_000, `${file.modifiedAt}`);
      assertSameBytes(await bytesOf(file.read(0, length)), noise(length, seed));
    }
  });

  test("a part that is not there is not opened", async ({ archive, put }) => {
    await put(ID, { messages: noise(10), metadata: metadataTextOf(ID) });
    assertEquals(await archive.open(ID, "audio"), undefined);
    await put(`${ID}.2`, { audio: noise(10), metadata: metadataTextOf(ID) });
    assertEquals(await archive.open(`${ID}.2`, "messages"), undefined);
  });

  test("an empty part can be read", async ({ archive, put }) => {
    await put(ID, { audio: new Uint8Array(), metadata: metadataTextOf(ID) });
    await using file = await opened(archive);
    assertEquals(file.size, 0);
    assertEquals(await bytesOf(file.read(0, 0)), new Uint8Array());
  });

  test("any range is read, of any part, in any order, also at once", async ({ archive, put }) => {
    const sizes = { audio: 300_000, messages: 70_001 };
    const data = { audio: noise(sizes.audio), messages: noise(sizes.messages, 2) };
    await put(ID, { ...data, metadata: metadataTextOf(ID) });
    const reading = fc.constantFrom("audio" as const, "messages" as const).chain((part) => {
      const place = fc.integer({ min: 0, max: sizes[part] });
      return fc.tuple(fc.constant(part), place, place, fc.boolean());
    });
    await fc.assert(
      fc.asyncProperty(fc.array(reading, { minLength: 1, maxLength: 6 }), async (readings) => {
        await using audio = await opened(archive, "audio");
        await using messages = await opened(archive, "messages");
        const files = { audio, messages };
        const under = new Set<Promise<void>>();
        for (const [part, one, other, isAtOnce] of readings) {
          const [from, to] = [Math.min(one, other), Math.max(one, other)];
          const read = bytesOf(files[part].read(from, to)).then((bytes) =>
            assertSameBytes(bytes, data[part].subarray(from, to))
          );
          under.add(read);
          if (!isAtOnce) await read;
        }
        await Promise.all(under);
      }),
      { numRuns: 40 },
    );
  });

  test("places outside of the file, or that are none, are refused", async ({ archive, put }) => {
    await put(ID, { audio: noise(10), metadata: metadataTextOf(ID) });
    await using file = await opened(archive);
    for (const [from, to] of [[-1, 5], [0, 11], [6, 5], [0.5, 5], [0, NaN], [11, 11]] as const) {
      assertThrows(() => file.read(from, to), RangeError);
    }
    assertSameBytes(await bytesOf(file.read(0, 10)), noise(10));
  });

  test("reading waits for whoever reads, and never takes much at once", async (under) => {
    const large = noise(3_000_000);
    await under.put(ID, { audio: large, metadata: metadataTextOf(ID) });
    await using file = await opened(under.archive);
    const reader = file.read(0, large.length).getReader();
    let position = 0;
    for (;;) {
      const { done, value } = await within(reader.read(), "chunk");
      if (done) break;
      assert(0 < value.length && value.length <= 1024 * 1024, `a chunk of ${value.length} bytes`);
      assertSameBytes(value, large.subarray(position, position + value.length));
      position += value.length;
    }
    assertEquals(position, large.length);
  });

  test("reading may end early, and begin again", async ({ archive, put }) => {
    const large = noise(1_000_000);
    await put(ID, { audio: large, metadata: metadataTextOf(ID) });
    await using file = await opened(archive);
    await file.read(0, large.length).cancel();
    const reader = file.read(10, large.length).getReader();
    const { value } = await within(reader.read(), "first chunk");
    assert(value !== undefined);
    assertSameBytes(value, large.subarray(10, 10 + value.length));
    await within(reader.cancel(), "cancel");
    assertSameBytes(await bytesOf(file.read(999_990, 1_000_000)), large.subarray(999_990));
  });

  test("a file that was given back reads nothing", async ({ archive, put }) => {
    await put(ID, { audio: noise(1_000_000), metadata: metadataTextOf(ID) });
    const file = await opened(archive);
    await file[Symbol.asyncDispose]();
    await file[Symbol.asyncDispose]();
    await assertRejects(async () => await bytesOf(file.read(0, 10)));
  });

  test("1,000 read at once", async ({ archive, put }) => {
    const data = noise(200_000);
    await put(ID, { audio: data, metadata: metadataTextOf(ID) });
    const read = async (n: number) => {
      const file: RecordedFile = await opened(archive);
      await using _file = file;
      const from = n * 37 % 100_000;
      assertSameBytes(
        await bytesOf(file.read(from, from + 70_000)),
        data.subarray(from, from + 70_000),
      );
    };
    await within(Promise.all(Array.from({ length: 1000 }, (_, n) => read(n))), "all", 60_000);
  });

  test("a hold is set, replaced, and lifted", async ({ archive, put, names }) => {
    await put(ID, { audio: noise(10), metadata: metadataTextOf(ID) });
    const before = await names();
    assertEquals(await archive.hold(ID), undefined);
    assertEquals(await archive.setHold(ID, HOLD), true);
    assertEquals(await archive.hold(ID), HOLD);
    const other = { since: "2026-03-01T00:00:00.000Z", reason: "" };
    assertEquals(await archive.setHold(ID, other), true);
    assertEquals(await archive.hold(ID), other);
    assertEquals(await archive.hold(`${ID}.2`), undefined);
    assertEquals(await archive.metadata(ID), metadataOf(ID));
    for (let n = 0; n < 2; n++) {
      assertEquals(await archive.setHold(ID, undefined), true);
      assertEquals(await archive.hold(ID), undefined);
    }
    assertEquals(await names(), before);
  });

  test("any hold is kept as it was said", async ({ archive, put }) => {
    await put(ID, { audio: noise(10), metadata: metadataTextOf(ID) });
    const hold = fc.record({
      since: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })
        .map((date) => date.toISOString()),
      reason: fc.string({ unit: "grapheme", maxLength: 500 }).map((text) => text.slice(0, 500))
        // Half a pair has no form in a file.
        .filter((text) => text.isWellFormed()),
    });
    await fc.assert(
      fc.asyncProperty(hold, async (hold) => {
        assertEquals(await archive.setHold(ID, hold), true);
        assertEquals(await archive.hold(ID), hold);
      }),
      { numRuns: 30 },
    );
  });

  test("holds of one recording at once leave one of them", async ({ archive, put }) => {
    await put(ID, { audio: noise(10), metadata: metadataTextOf(ID) });
    const holds = Array.from({ length: 20 }, (_, n) => ({ ...HOLD, reason: `${n}` }));
    await Promise.all(holds.map((hold) => archive.setHold(ID, hold)));
    const hold = await archive.hold(ID);
    assert(hold !== undefined);
    assert(holds.some(({ reason }) => reason === hold.reason), hold.reason);
  });

  test("a recording is removed with all that belongs to it, and no other", async (under) => {
    const { archive, put, names } = under;
    const others = [
      `${ID}.0badcafe`,
      `${ID}.2`,
      `2026-01-31.${OTHER_SESSION}`,
      `2026-02-01.${SESSION}`,
    ];
    for (const id of others) {
      await put(id, { audio: noise(9), messages: noise(9), metadata: metadataTextOf(id) });
    }
    const before = await names();
    await put(ID, { audio: noise(10), messages: noise(10), metadata: metadataTextOf(ID) });
    await archive.setHold(ID, HOLD);
    // Who calls it has looked at holds.
    assertEquals(await archive.remove(ID), "removed");
    assertEquals(await archive.remove(ID), "not_found");
    assertEquals(await names(), before);
    assertEquals((await Array.fromAsync(archive.list())).sort(), others.toSorted());
    assertEquals(await archive.metadata(ID), undefined);
    assertEquals(await archive.open(ID, "audio"), undefined);
    assertEquals(await archive.hold(ID), undefined);
    assertEquals(await archive.setHold(ID, HOLD), false);
    assertEquals(await names(), before);
  });

  test("a recording of a unique name is read, held and removed, and no other of its session", async (under) => {
    const { archive, put, names } = under;
    const [plain, unique, other] = [ID, `${ID}.0badcafe`, `${ID}.0badcaff`];
    for (const id of [plain, other]) {
      await put(id, { audio: noise(9), messages: noise(9), metadata: metadataTextOf(ID) });
    }
    const before = await names();
    await put(unique, { audio: noise(20), messages: noise(9), metadata: metadataTextOf(ID) });
    assertEquals(await archive.metadata(unique), metadataOf(ID));
    assertEquals((await Array.fromAsync(archive.list())).sort(), [plain, unique, other].sort());
    assertEquals(await archive.setHold(unique, HOLD), true);
    const holds = await Promise.all([plain, unique, other].map((id) => archive.hold(id)));
    assertEquals(holds, [undefined, HOLD, undefined]);
    assertEquals(await archive.remove(unique), "removed");
    assertEquals(await archive.metadata(unique), undefined);
    assertEquals(await names(), before);
  });

  test("removals of one recording at once are one", async ({ archive, put, names }) => {
    await put(ID, { audio: noise(10), messages: noise(10), metadata: metadataTextOf(ID) });
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => archive.remove(ID)));
    assert(outcomes.includes("removed"));
    assert(!outcomes.includes("being_made"));
    assertEquals(await names(), []);
  });

  test("recordings can be removed while they are listed", async ({ archive, put, names }) => {
    for (const day of ["2026-01-01", "2026-01-02", "2026-01-03"]) {
      for (let n = 2; n <= 10; n++) {
        await put(`${day}.${SESSION}.${n}`, { audio: noise(10), metadata: "{}" });
      }
    }
    let count = 0;
    for await (const id of archive.list()) {
      assertEquals(await archive.remove(id), "removed", id);
      count++;
    }
    assertEquals(count, 27);
    assertEquals(await names(), []);
  });

  test("what is read while it is removed ends, with all bytes or with an error", async (under) => {
    const { archive, put } = under;
    const large = noise(2_000_000);
    await put(ID, { audio: large, metadata: metadataTextOf(ID) });
    await using file = await opened(archive);
    const reader = file.read(0, large.length).getReader();
    const { value } = await within(reader.read(), "first chunk");
    assertEquals(await archive.remove(ID), "removed");
    const parts = [value ?? new Uint8Array()];
    await until(async () => {
      try {
        const { done, value } = await reader.read();
        if (value !== undefined) parts.push(value);
        if (done) assertSameBytes(concat(...parts), large);
        return done;
      } catch (error) {
        assert(error instanceof Error);
        return !/Assertion/.test(error.name) || Promise.reject(error);
      }
    }, "end of the stream");
  });

  test("metadata is checked by the schema that all use", async ({ archive, put }) => {
    // Written before there was the field.
    const { recovered: _recovered, ...old } = metadataOf(ID);
    await put(ID, { metadata: JSON.stringify({ ...old, more: 1 }) });
    assertEquals(await archive.metadata(ID), recordingMetadataSchema.parse(old));
  });
}
