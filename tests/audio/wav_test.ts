import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  createWavHeader,
  decodeMulaw,
  encodeMulaw,
  extractChannels,
  parseWav,
  type WavEncoding,
  type WavFormat,
  WavFormatError,
  wavHeaderBytes,
  wavPaddingBytes,
} from "../../lib/audio/mod.ts";

const CALL_WAV = new URL("../testdata/call.wav", import.meta.url);
const CALL_DATA_BYTES = 688_140;

const PCMU_STEREO = { encoding: "PCMU", channelCount: 2, rate: 8000 } as const;
const L16_STEREO = { encoding: "L16", channelCount: 2, rate: 8000 } as const;
const AUDIO = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

const uint16 = (value: number): number[] => [value & 0xFF, (value >>> 8) & 0xFF];
const uint32 = (value: number): number[] => [...uint16(value), ...uint16(value >>> 16)];
const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];

/** A chunk with its pad byte; `size` is what its header says, if not the truth. */
function chunk(id: string, body: Iterable<number>, size?: number): number[] {
  const bytes = [...body];
  return [
    ...ascii(id),
    ...uint32(size ?? bytes.length),
    ...bytes,
    ...(bytes.length % 2 ? [0] : []),
  ];
}

/** A RIFF/WAVE file of these chunks; `size` is what its header says, if not the truth. */
function wavFile(chunks: number[][], size?: number): Uint8Array {
  const body = [...ascii("WAVE"), ...chunks.flat()];
  return Uint8Array.of(...ascii("RIFF"), ...uint32(size ?? body.length), ...body);
}

/** The body of a `fmt ` chunk: stereo µ-law at 8 kHz, but for what is given. */
function fmtBody(
  { tag = 7, channelCount = 2, rate = 8000, bits = 8, rest = [] as number[] } = {},
): number[] {
  const blockAlign = channelCount * bits / 8;
  const start = [...uint16(tag), ...uint16(channelCount), ...uint32(rate)];
  return [...start, ...uint32(rate * blockAlign), ...uint16(blockAlign), ...uint16(bits), ...rest];
}

/** The rest of a `fmt ` chunk for WAVE_FORMAT_EXTENSIBLE, with the subformat GUID of this tag. */
function extension(tag: number, validBits: number): number[] {
  const guid = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
  return [...uint16(22), ...uint16(validBits), ...uint32(3), ...uint16(tag), ...guid];
}

function sizesIn(header: Uint8Array): Record<string, number> {
  const view = new DataView(header.buffer);
  return { riff: view.getUint32(4, true), data: view.getUint32(header.length - 4, true) };
}

function factIn(pcmuHeader: Uint8Array): number {
  return new DataView(pcmuHeader.buffer).getUint32(46, true);
}

function messageFor(bytes: Uint8Array): string {
  return assertThrows(() => parseWav(bytes), WavFormatError).message;
}

Deno.test("wav header: for PCMU it is the one of call.wav", async () => {
  const file = await Deno.readFile(CALL_WAV);
  const header = createWavHeader(PCMU_STEREO, CALL_DATA_BYTES);
  assertEquals(header.length, 58);
  assertEquals(header, file.subarray(0, 58));
});

Deno.test("wav header: for L16 it is the canonical 44 bytes", () => {
  const expected = [
    ...ascii("RIFF"),
    ...uint32(36 + 320),
    ...ascii("WAVE"),
    ...ascii("fmt "),
    ...uint32(16),
    ...uint16(1),
    ...uint16(2),
    ...uint32(8000),
    ...uint32(32000),
    ...uint16(4),
    ...uint16(16),
    ...ascii("data"),
    ...uint32(320),
  ];
  assertEquals([...createWavHeader(L16_STEREO, 320)], expected);
});

Deno.test("wav header: is as long as wavHeaderBytes says", () => {
  for (const [encoding, bytes] of [["PCMU", 58], ["L16", 44]] as const) {
    assertEquals(wavHeaderBytes(encoding), bytes);
    assertEquals(createWavHeader({ encoding, channelCount: 1, rate: 8000 }, 0).length, bytes);
  }
});

Deno.test("wav header: an odd size needs one byte of padding, an even one none", () => {
  assertEquals([0, 1, 2, 3, 1601, Infinity].map(wavPaddingBytes), [0, 1, 0, 1, 1, 0]);
});

Deno.test("wav header: the RIFF size counts the pad byte, the data size does not", () => {
  const mono = { ...PCMU_STEREO, channelCount: 1 };
  assertEquals(sizesIn(createWavHeader(mono, 3)), { riff: 50 + 4, data: 3 });
  assertEquals(sizesIn(createWavHeader(mono, 4)), { riff: 50 + 4, data: 4 });
  assertEquals(factIn(createWavHeader(mono, 3)), 3);
});

Deno.test("wav header: sizes beyond 32 bits saturate, each for itself", () => {
  const max = 0xFFFFFFFF;
  // The audio fits by itself, but no longer together with its header.
  assertEquals(sizesIn(createWavHeader(L16_STEREO, max - 3)), { riff: max, data: max - 3 });
  for (const dataBytes of [max, 2 ** 32, 2 ** 32 + 8, 2 ** 40, Infinity]) {
    assertEquals(sizesIn(createWavHeader(L16_STEREO, dataBytes)), { riff: max, data: max });
  }
  assertEquals(factIn(createWavHeader(PCMU_STEREO, 2 ** 32 + 8)), 2 ** 31 + 4);
  assertEquals(factIn(createWavHeader(PCMU_STEREO, 2 ** 40)), max);
  assertEquals(factIn(createWavHeader(PCMU_STEREO, Infinity)), max);
});

Deno.test("wav header: values that a header cannot state are refused", () => {
  for (const dataBytes of [-1, 0.5, NaN, -Infinity]) {
    assertThrows(
      () => createWavHeader(PCMU_STEREO, dataBytes),
      RangeError,
      `Cannot write a WAV header for ${dataBytes} bytes of audio`,
    );
  }
  for (const channelCount of [0, -1, 1.5, NaN, 32768]) {
    assertThrows(
      () => createWavHeader({ ...L16_STEREO, channelCount }, 0),
      RangeError,
      `Cannot write a WAV header for ${channelCount} channels`,
    );
  }
  for (const rate of [0, -8000, 0.5, NaN, 2 ** 31]) {
    assertThrows(
      () => createWavHeader({ ...L16_STEREO, rate }, 0),
      RangeError,
      `Cannot write a WAV header for a rate of ${rate} Hz`,
    );
  }
});

Deno.test("wav: call.wav is stereo PCMU at 8 kHz, and its audio is a view on the file", async () => {
  const file = await Deno.readFile(CALL_WAV);
  const { format, data } = parseWav(file);
  assertEquals(format, PCMU_STEREO);
  assertEquals(data.length, CALL_DATA_BYTES);
  assertStrictEquals(data.buffer, file.buffer);
  assertEquals(data.byteOffset, 58);
});

Deno.test("wav: the audio of call.wav survives splitting, decoding and encoding", async () => {
  const { data } = parseWav(await Deno.readFile(CALL_WAV));
  const external = extractChannels(data, 2, [0], 1);
  const internal = extractChannels(data, 2, [1], 1);
  assertEquals(external.length, CALL_DATA_BYTES / 2);

  // Dana, on the internal channel, speaks first: from 0.8 s to 6.157 s, by call.json.
  const energy = (channel: Uint8Array) =>
    decodeMulaw(channel.subarray(8000, 48000)).reduce((sum, sample) => sum + sample * sample, 0);
  assert(energy(internal) > 100 * energy(external));

  const swapped = extractChannels(data, 2, [1, 0], 1);
  assertEquals(extractChannels(swapped, 2, [0], 1), internal);
  const expected = data.map((byte) => byte === 0x7F ? 0xFF : byte);
  assertEquals(encodeMulaw(decodeMulaw(data)), expected);
});

Deno.test("wav: what createWavHeader describes is what parseWav finds, for any audio", () => {
  fc.assert(fc.property(
    fc.constantFrom<WavEncoding>("PCMU", "L16"),
    fc.constantFrom(1, 2),
    fc.uint8Array({ maxLength: 64 }),
    fc.nat(3),
    (encoding, channelCount, audio, offset) => {
      const format: WavFormat = { encoding, channelCount, rate: 8000 };
      const frameBytes = channelCount * (encoding === "L16" ? 2 : 1);
      const whole = audio.subarray(0, audio.length - audio.length % frameBytes);
      const padding = new Uint8Array(wavPaddingBytes(whole.length));
      const header = createWavHeader(format, whole.length);
      const bytes = Uint8Array.of(
        ...new Uint8Array(offset),
        ...header,
        ...whole,
        ...padding,
      ).subarray(offset);
      assertEquals(new DataView(header.buffer).getUint32(4, true), bytes.length - 8);
      assertEquals(parseWav(bytes), { format, data: whole });
    },
  ));
});

Deno.test("wav: unknown chunks are skipped, also odd ones with their pad byte", () => {
  const bytes = wavFile([
    chunk("JUNK", [1, 2, 3]),
    chunk("fmt ", fmtBody()),
    chunk("fact", uint32(4)),
    chunk("LIST", ascii("INFOISFT")),
    chunk("data", AUDIO),
    chunk("LIST", ascii("later")),
  ]);
  assertEquals(parseWav(bytes), { format: PCMU_STEREO, data: AUDIO });
});

Deno.test("wav: the format may come after the audio", () => {
  const mono = fmtBody({ channelCount: 1 });
  const bytes = wavFile([
    chunk("data", AUDIO.subarray(0, 7)),
    chunk("LIST", [1]),
    chunk("fmt ", mono),
  ]);
  assertEquals(parseWav(bytes), {
    format: { ...PCMU_STEREO, channelCount: 1 },
    data: AUDIO.subarray(0, 7),
  });
});

Deno.test("wav: of several formats and several pieces of audio the first counts", () => {
  const bytes = wavFile([
    chunk("fmt ", fmtBody()),
    chunk("fmt ", fmtBody({ channelCount: 1 })),
    chunk("data", AUDIO),
    chunk("data", [9, 9]),
  ]);
  assertEquals(parseWav(bytes), { format: PCMU_STEREO, data: AUDIO });
  const formatLast = wavFile([
    chunk("data", AUDIO),
    chunk("data", [9, 9]),
    chunk("fmt ", fmtBody()),
  ]);
  assertEquals(parseWav(formatLast), { format: PCMU_STEREO, data: AUDIO });
});

Deno.test("wav: wrong block align and byte rate do no harm", () => {
  const fmt = [...uint16(7), ...uint16(2), ...uint32(8000), ...uint32(0), 0, 0, ...uint16(8)];
  const bytes = wavFile([chunk("fmt ", fmt), chunk("data", AUDIO)]);
  assertEquals(parseWav(bytes), { format: PCMU_STEREO, data: AUDIO });
});

Deno.test("wav: a data size of 0xFFFFFFFF or beyond the file gives the audio that is there", () => {
  for (const size of [0xFFFFFFFF, 0x7FFFFFFF, AUDIO.length + 1, AUDIO.length + 2]) {
    const bytes = wavFile([chunk("fmt ", fmtBody()), chunk("data", AUDIO, size)]);
    assertEquals(parseWav(bytes), { format: PCMU_STEREO, data: AUDIO });
  }
});

Deno.test("wav: a header written for no audio yet, or for unknown audio, gives what follows", () => {
  for (const dataBytes of [0, Infinity]) {
    for (const format of [PCMU_STEREO, L16_STEREO]) {
      const bytes = Uint8Array.of(...createWavHeader(format, dataBytes), ...AUDIO);
      assertEquals(parseWav(bytes), { format, data: AUDIO });
    }
  }
});

Deno.test("wav: with a data size of 0, a RIFF size of 0 or beyond the file means unfinished", () => {
  for (const riffSize of [0, 0x7FFFFFFF, 0xFFFFFFFF]) {
    const bytes = wavFile([chunk("fmt ", fmtBody()), chunk("data", AUDIO, 0)], riffSize);
    assertEquals(parseWav(bytes), { format: PCMU_STEREO, data: AUDIO });
  }
});

Deno.test("wav: an empty data chunk in a finished file is no audio, whatever chunk follows", () => {
  const none = { format: PCMU_STEREO, data: new Uint8Array(0) };
  const fmt = chunk("fmt ", fmtBody());
  const list = chunk("LIST", AUDIO);
  assertEquals(parseWav(wavFile([fmt, chunk("data", [])])), none);
  assertEquals(parseWav(wavFile([fmt, chunk("data", []), list])), none);
  assertEquals(parseWav(wavFile([chunk("data", []), list, fmt])), none);
});

Deno.test("wav: a file cut short gives whole samples for all channels", () => {
  const pcm = fmtBody({ tag: 1, bits: 16 });
  const bytes = wavFile([chunk("fmt ", pcm), chunk("data", AUDIO)]);
  for (const [missing, left] of [[0, 8], [1, 4], [4, 4], [5, 0], [8, 0]] as const) {
    const cut = bytes.subarray(0, bytes.length - missing);
    assertEquals(parseWav(cut), { format: L16_STEREO, data: AUDIO.subarray(0, left) });
  }
});

Deno.test("wav: WAVE_FORMAT_EXTENSIBLE is read by its subformat", () => {
  const pcm = fmtBody({ tag: 0xFFFE, bits: 16, rest: extension(1, 16) });
  const mulaw = fmtBody({ tag: 0xFFFE, bits: 8, rest: extension(7, 8) });
  assertEquals(parseWav(wavFile([chunk("fmt ", pcm), chunk("data", AUDIO)])), {
    format: L16_STEREO,
    data: AUDIO,
  });
  assertEquals(parseWav(wavFile([chunk("fmt ", mulaw), chunk("data", AUDIO)])), {
    format: PCMU_STEREO,
    data: AUDIO,
  });
});

Deno.test("wav: WAVE_FORMAT_EXTENSIBLE with another subformat, or none, is refused", () => {
  const float = fmtBody({ tag: 0xFFFE, bits: 32, rest: extension(3, 32) });
  const ambisonic = fmtBody({ tag: 0xFFFE, bits: 16, rest: extension(1, 16).with(-1, 0) });
  const short = fmtBody({ tag: 0xFFFE, bits: 16 });
  for (
    const [fmt, found] of [
      [float, "8 kHz 32-bit floating point, stereo."],
      [ambisonic, "8 kHz audio of format 0xFFFE, stereo."],
      [short, "8 kHz audio of format 0xFFFE, stereo."],
    ] as const
  ) {
    const message = messageFor(wavFile([chunk("fmt ", fmt), chunk("data", AUDIO)]));
    assert(message.includes(`this one has ${found} `), message);
  }
});

Deno.test("wav: another format is refused, with what was found, expected, and how to convert", () => {
  const cd = fmtBody({ tag: 1, rate: 44100, bits: 16 });
  assertEquals(
    messageFor(wavFile([chunk("fmt ", cd), chunk("data", AUDIO)])),
    "Expected a WAV file with 8 kHz µ-law or 16-bit PCM audio, mono or stereo; this one has " +
      "44.1 kHz 16-bit PCM, stereo. Convert it, for example: " +
      "sox in.wav -r 8000 -e mu-law out.wav",
  );
});

Deno.test("wav: each thing that can be wrong with a format is named", () => {
  const cases = [
    [{ tag: 1, bits: 8 }, "8 kHz 8-bit PCM, stereo"],
    [{ tag: 1, bits: 24, channelCount: 1 }, "8 kHz 24-bit PCM, mono"],
    [{ tag: 3, bits: 32, rate: 48000 }, "48 kHz 32-bit floating point, stereo"],
    [{ tag: 6 }, "8 kHz A-law, stereo"],
    [{ tag: 7, bits: 16 }, "8 kHz µ-law with 16 bits per sample, stereo"],
    [{ tag: 7, rate: 11025 }, "11.025 kHz µ-law, stereo"],
    [{ tag: 7, rate: 0 }, "0 kHz µ-law, stereo"],
    [{ tag: 7, channelCount: 0 }, "8 kHz µ-law, 0 channels"],
    [{ tag: 0x11, bits: 4 }, "8 kHz IMA ADPCM, stereo"],
    [{ tag: 0x31, bits: 0 }, "8 kHz GSM 6.10, stereo"],
    [{ tag: 0x55, bits: 0 }, "8 kHz MP3, stereo"],
    [{ tag: 0x2A }, "8 kHz audio of format 0x002A, stereo"],
  ] as const;
  for (const [fields, found] of cases) {
    const message = messageFor(wavFile([chunk("fmt ", fmtBody(fields)), chunk("data", AUDIO)]));
    assert(message.includes(`this one has ${found}. Convert it`), message);
  }
});

Deno.test("wav: the advice for more than two channels mixes them down", () => {
  const surround = fmtBody({ tag: 1, bits: 16, channelCount: 6 });
  const message = messageFor(wavFile([chunk("fmt ", surround), chunk("data", AUDIO)]));
  assert(message.includes("16-bit PCM, 6 channels."), message);
  assert(message.includes("sox in.wav -r 8000 -c 2 -e mu-law out.wav"), message);
});

Deno.test("wav: what is no RIFF/WAVE file is refused as such", () => {
  const riffAvi = Uint8Array.of(...ascii("RIFF"), ...uint32(4), ...ascii("AVI "));
  const rifx = Uint8Array.of(...ascii("RIFX"), ...wavFile([]).subarray(4));
  const cut = wavFile([]).subarray(0, 11);
  for (const bytes of [new Uint8Array(0), Uint8Array.from(ascii("ID3")), riffAvi, rifx, cut]) {
    const message = messageFor(bytes);
    assert(message.includes("this one is not a WAV file"), message);
  }
});

Deno.test("wav: a missing or short chunk is named", () => {
  const fmt = chunk("fmt ", fmtBody());
  const cases = [
    [wavFile([]), "does not state its format"],
    [wavFile([chunk("data", AUDIO)]), "does not state its format"],
    [wavFile([fmt]), "has no audio"],
    [wavFile([fmt, chunk("LIST", AUDIO, 0xFFFFFFFF)]), "has no audio"],
    [wavFile([fmt, chunk("data", AUDIO)]).subarray(0, 30), "has no audio"],
    [
      wavFile([chunk("fmt ", fmtBody().slice(0, 14)), chunk("data", AUDIO)]),
      "has a format (`fmt ` chunk) of 14 bytes instead of 16 or more",
    ],
  ] as const;
  for (const [bytes, found] of cases) {
    const message = messageFor(bytes);
    assert(message.includes(`this one ${found}`), message);
    assert(message.endsWith("It may be damaged or cut short."), message);
  }
});

Deno.test("wav: WavFormatError is an Error with its own name", () => {
  const error = assertThrows(() => parseWav(new Uint8Array(0)), WavFormatError);
  assertInstanceOf(error, Error);
  assertEquals(error.name, "WavFormatError");
});

Deno.test("wav: a file of nothing but empty chunks is given up on", () => {
  const bytes = new Uint8Array(12 + 8 * 100_000);
  bytes.set(wavFile([]));
  assertEquals(
    messageFor(bytes),
    "Expected a WAV file with 8 kHz µ-law or 16-bit PCM audio, mono or stereo; this one has more " +
      "than 1024 chunks before its format and audio. It may be damaged or cut short.",
  );
});

/** What holds for any bytes at all: a result in bounds, or a `WavFormatError`. */
function assertParsesOrRefuses(bytes: Uint8Array): void {
  const before = bytes.slice();
  try {
    const { format, data } = parseWav(bytes);
    assert(format.encoding === "PCMU" || format.encoding === "L16");
    assertEquals(format.rate, 8000);
    assert(format.channelCount === 1 || format.channelCount === 2);
    assertEquals(data.length % (format.channelCount * (format.encoding === "L16" ? 2 : 1)), 0);
    assertStrictEquals(data.buffer, bytes.buffer);
    assert(data.byteOffset >= bytes.byteOffset);
    assert(data.byteOffset + data.length <= bytes.byteOffset + bytes.length);
  } catch (error) {
    assertInstanceOf(error, WavFormatError);
  }
  assertEquals(bytes, before);
}

Deno.test("wav: any bytes give audio in bounds or a WavFormatError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), assertParsesOrRefuses));
});

Deno.test("wav: any bytes after RIFF and WAVE give audio in bounds or a WavFormatError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (rest) => {
      assertParsesOrRefuses(Uint8Array.of(...wavFile([]), ...rest));
    }),
  );
});

const anyChunk = fc.record({
  id: fc.constantFrom("fmt ", "data", "fact", "LIST", "\0\0\0\0"),
  body: fc.oneof(
    fc.uint8Array({ maxLength: 48 }),
    fc.constant(fmtBody()),
    fc.constant(fmtBody({ tag: 1, bits: 16, channelCount: 1 })),
    fc.constant(fmtBody({ tag: 0xFFFE, bits: 16, rest: extension(1, 16) })),
  ),
  size: fc.option(fc.oneof(fc.nat(64), fc.integer({ min: 0, max: 0xFFFFFFFF })), {
    nil: undefined,
  }),
}).map(({ id, body, size }) => chunk(id, body, size));

Deno.test("wav: any chunks with any sizes give audio in bounds or a WavFormatError", () => {
  fc.assert(
    fc.property(
      fc.array(anyChunk, { maxLength: 6 }),
      fc.option(fc.integer({ min: 0, max: 0xFFFFFFFF }), { nil: undefined }),
      (chunks, size) => assertParsesOrRefuses(wavFile(chunks, size)),
    ),
    { numRuns: 1000 },
  );
});

Deno.test("wav: any mutation of a valid file gives audio in bounds or a WavFormatError", () => {
  const valid = [
    wavFile([chunk("fmt ", fmtBody()), chunk("LIST", [1, 2, 3]), chunk("data", AUDIO)]),
    wavFile([
      chunk("fmt ", fmtBody({ tag: 0xFFFE, bits: 16, rest: extension(1, 16) })),
      chunk("data", AUDIO),
    ]),
    Uint8Array.of(...createWavHeader(PCMU_STEREO, AUDIO.length), ...AUDIO),
    Uint8Array.of(...createWavHeader(L16_STEREO, AUDIO.length), ...AUDIO),
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...valid),
      fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 4 }),
      fc.nat(100),
      fc.nat(9),
      (file, changes, kept, offset) => {
        const bytes = new Uint8Array(offset + file.length);
        bytes.set(file, offset);
        for (const [at, value] of changes) bytes[offset + at % file.length] = value;
        // Some are cut, the others whole, so that changes alone are tried, too.
        assertParsesOrRefuses(bytes.subarray(offset, kept < 70 ? offset + kept : undefined));
      },
    ),
    { numRuns: 2000 },
  );
});
