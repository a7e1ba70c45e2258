/**
 * A recording's audio over HTTP: as it is, decoded, one channel of it, and ranges of all that.
 */
import { assert, assertEquals, assertLess, assertMatch, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { ApiServer } from "../helpers/api_server.ts";
import { expectedAudio, type MadeAudio, wavFile } from "../helpers/recordings.ts";
import { assertSameBytes, noise } from "../helpers/wav_check.ts";

const CALL = await Deno.readFile(new URL("../testdata/call.wav", import.meta.url));

/** The audio of a WAV file, found by hand. */
function dataOf(file: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 12;;) {
    const name = String.fromCharCode(...file.subarray(at, at + 4));
    const size = view.getUint32(at + 4, true);
    if (name === "data") return file.subarray(at + 8, at + 8 + size);
    at += 8 + size + size % 2;
  }
}

const BOTH = ["external", "internal"] as const;

/** Kinds of recordings; those of one channel have odd lengths, which take padding. */
const SOURCES: readonly [name: string, audio: MadeAudio, file?: Uint8Array][] = [
  ["a call", { format: "PCMU", channels: BOTH, data: dataOf(CALL) }, CALL],
  ["µ-law, one channel", { format: "PCMU", channels: ["external"], data: noise(40_001) }],
  ["L16, two channels", { format: "L16", channels: BOTH, data: noise(80_004) }],
  ["L16, one channel", { format: "L16", channels: ["internal"], data: noise(30_002) }],
  ["no audio yet", { format: "PCMU", channels: BOTH, data: new Uint8Array() }],
];

const FORMATS = ["original", "pcm16"] as const;

/** All that can be asked for of some audio. */
function* choicesOf({ channels }: MadeAudio) {
  for (const format of FORMATS) {
    for (const channel of [undefined, ...channels]) {
      const query = new URLSearchParams({ format, ...(channel && { channel }) });
      yield { format, channel, query: `?${query}` };
    }
  }
}

for (const isBeingMade of [false, true]) {
  const kind = isBeingMade ? "being made" : "finished";
  Deno.test(`audio: ${kind}, in every form, and any range is the slice of the whole`, async () => {
    await using api = await ApiServer.start();
    for (const [name, audio, file] of SOURCES) {
      const { id } = await api.record({ audio, isBeingMade, file: isBeingMade ? undefined : file });
      const path = `/api/recordings/${id}/audio`;
      for (const { format, channel, query } of choicesOf(audio)) {
        const what = `${name}${query}`;
        const response = await api.fetch(path + query);
        assertEquals(response.status, 200, what);
        const { headers } = response;
        const whole = new Uint8Array(await response.arrayBuffer());
        const isWhole = format === "original" && channel === undefined && !isBeingMade;
        const expected = isWhole && file !== undefined
          ? file
          : wavFile(expectedAudio(audio, format, channel));
        assertSameBytes(whole, expected);
        assertEquals(headers.get("content-length"), String(expected.length), what);
        assertEquals(headers.get("content-type"), "audio/wav");
        assertEquals(headers.get("accept-ranges"), "bytes");
        assertEquals(headers.get("cache-control"), "private, no-store");
        assertEquals(headers.get("x-content-type-options"), "nosniff");
        assertMatch(headers.get("etag") ?? "", isBeingMade ? /^W\/"[^"]+"$/ : /^"[^"]+"$/);
        const names = [channel, format === "pcm16" ? format : undefined].filter((part) => part);
        assertEquals(
          headers.get("content-disposition"),
          `attachment; filename="${[id, ...names, "wav"].join(".")}"`,
        );

        const place = fc.oneof(
          fc.nat(whole.length - 1),
          fc.integer({ min: 0, max: Math.min(70, whole.length - 1) }),
        );
        const range = fc.oneof(
          fc.tuple(place, fc.nat(whole.length + 10)).map(([from, length]) => ({
            header: `bytes=${from}-${from + length}`,
            from,
            to: Math.min(whole.length, from + length + 1),
          })),
          place.map((from) => ({ header: `bytes=${from}-`, from, to: whole.length })),
          place.map((from) => ({
            header: `bytes=-${whole.length - from}`,
            from,
            to: whole.length,
          })),
        );
        await fc.assert(
          fc.asyncProperty(range, async ({ header, from, to }) => {
            const response = await api.fetch(path + query, { headers: { range: header } });
            assertEquals(response.status, 206);
            assertEquals(
              response.headers.get("content-range"),
              `bytes ${from}-${to - 1}/${whole.length}`,
            );
            assertEquals(response.headers.get("content-length"), String(to - from));
            const bytes = new Uint8Array(await response.arrayBuffer());
            assertSameBytes(bytes, whole.subarray(from, to));
          }),
          { numRuns: 12 },
        );
      }
    }
    await api.closed();
  });
}

Deno.test("audio: of a range, no more is read than it takes", async () => {
  await using api = await ApiServer.start();
  const { id } = await api.record({
    audio: { format: "PCMU", channels: BOTH, data: noise(1_000_000) },
  });
  for (
    const query of ["", "?format=pcm16", "?channel=internal", "?format=pcm16&channel=internal"]
  ) {
    api.archive.readBytes = 0;
    const path = `/api/recordings/${id}/audio${query}`;
    assertEquals((await api.bytes(path, { range: "bytes=400000-400999" })).length, 1000);
    // The header of the file, and the range of it, by what its samples take.
    assertLess(api.archive.readBytes, 256 + 2 * 1000 + 10);
  }
});

Deno.test("audio: HEAD says the same as GET, reads no audio, and leaves no file open", async () => {
  await using api = await ApiServer.start();
  const { id } = await api.record({
    audio: { format: "PCMU", channels: BOTH, data: noise(100_001 * 2) },
  });
  for (const query of ["", "?format=pcm16&channel=external"]) {
    const path = `/api/recordings/${id}/audio${query}`;
    const get = await api.fetch(path);
    await get.arrayBuffer();
    api.archive.readBytes = 0;
    const head = await api.fetch(path, { method: "HEAD", headers: { range: "bytes=0-9" } });
    assertEquals(head.status, 200);
    assertEquals(await head.text(), "");
    for (const name of ["content-length", "content-type", "etag", "last-modified"]) {
      assertEquals(head.headers.get(name), get.headers.get(name), name);
      assertNotEquals(get.headers.get(name), null, name);
    }
    assertLess(api.archive.readBytes, 300);
    await api.closed();
  }
});

Deno.test("audio: who has it, is not sent it again; who has a part, gets the rest", async () => {
  await using api = await ApiServer.start();
  const { id, wav } = await api.record({
    audio: { format: "PCMU", channels: BOTH, data: noise(10_000) },
  });
  assert(wav !== undefined);
  const path = `/api/recordings/${id}/audio`;
  const first = await api.fetch(path);
  await first.arrayBuffer();
  const etag = first.headers.get("etag") ?? "";
  const modified = first.headers.get("last-modified") ?? "";
  const ask = async (headers: HeadersInit, query = "") => {
    const response = await api.fetch(path + query, { headers });
    return { status: response.status, length: (await response.arrayBuffer()).byteLength };
  };
  assertEquals(await ask({ "if-none-match": etag }), { status: 304, length: 0 });
  assertEquals(await ask({ "if-modified-since": modified }), { status: 304, length: 0 });
  const { length } = wav;
  assertEquals(await ask({ "if-none-match": '"x"' }), { status: 200, length });
  const range = "bytes=100-199";
  assertEquals(await ask({ range, "if-range": etag }), { status: 206, length: 100 });
  assertEquals(await ask({ range, "if-range": modified }), { status: 206, length: 100 });
  assertEquals(await ask({ range, "if-range": '"x"' }), { status: 200, length });
  // Another form of it is another file.
  assertEquals((await ask({ "if-none-match": etag }, "?format=pcm16")).status, 200);
  assertEquals((await ask({ "if-match": etag }, "?channel=internal")).status, 412);
  await api.closed();
});

Deno.test("audio: of a recording that is being made, there is more each time, and no range of two", async () => {
  await using api = await ApiServer.start();
  const audio: MadeAudio = { format: "PCMU", channels: BOTH, data: noise(8_000) };
  const { id, path } = await api.record({ audio, isBeingMade: true });
  const target = `/api/recordings/${id}/audio`;
  const first = await api.fetch(target);
  assertSameBytes(new Uint8Array(await first.arrayBuffer()), wavFile(audio));
  const more: MadeAudio = { ...audio, data: noise(9_001) };
  // One channel's sample without the other's.
  await Deno.writeFile(`${path}.wav.part`, wavFile(more, 0xFFFFFFFF));
  const second = await api.fetch(target, {
    headers: { range: "bytes=0-9", "if-range": first.headers.get("etag") ?? "" },
  });
  assertEquals(second.status, 200);
  const whole = { ...more, data: more.data.subarray(0, 9_000) };
  assertSameBytes(new Uint8Array(await second.arrayBuffer()), wavFile(whole));
  assertNotEquals(first.headers.get("etag"), second.headers.get("etag"));
});

Deno.test("audio: the header's size counts, unless it says to the end", async () => {
  await using api = await ApiServer.start();
  const audio: MadeAudio = { format: "L16", channels: BOTH, data: noise(4_000) };
  // What follows the audio is no audio.
  const file = new Uint8Array([...wavFile(audio), ...noise(100)]);
  const { id } = await api.record({ audio, file });
  const one = await api.bytes(`/api/recordings/${id}/audio?channel=internal`);
  assertSameBytes(one, wavFile(expectedAudio(audio, "original", "internal")));
  const open = await api.record({ audio, file: wavFile(audio, 0xFFFFFFFF) });
  const other = await api.bytes(`/api/recordings/${open.id}/audio?channel=internal`);
  assertSameBytes(other, one);
});
