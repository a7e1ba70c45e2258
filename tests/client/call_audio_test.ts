import { assert, assertEquals, assertExists, assertMatch, assertThrows } from "@std/assert";
import { WavFormatError } from "../../lib/audio/mod.ts";
import { CallAudio } from "../../lib/client/call_audio.ts";
import type { AudioChannel, AudioFormat, Media } from "../../lib/protocol/mod.ts";
import { assertSameBytes, CALL_WAV } from "../helpers/program.ts";
import { channelOf, mulawBytes, pcm8File, someMulaw, somePcm16, wavFile } from "./wav_files.ts";

function media(format: AudioFormat, ...channels: AudioChannel[]): Media {
  return { type: "audio", format, channels, rate: 8000 };
}

Deno.test("call audio: the real call is stereo, and comes out as it is in the file", async () => {
  const file = await Deno.readFile(CALL_WAV);
  const audio = CallAudio.fromWav(file);
  assertEquals(audio.channels, ["external", "internal"]);
  assertEquals(audio.samples, 344_070);
  const bytes = audio.bytesFor(media("PCMU", "external", "internal"));
  assertSameBytes(bytes, file.subarray(58, 58 + 688_140));
});

Deno.test("call audio: a mono file is the external channel", () => {
  const data = someMulaw(801);
  const audio = CallAudio.fromWav(wavFile("PCMU", 1, data));
  assertEquals(audio.channels, ["external"]);
  assertEquals(audio.samples, 801);
  assertSameBytes(audio.bytesFor(media("PCMU", "external")), data);
  assertEquals(audio.offers("PCMU"), [media("PCMU", "external")]);
});

Deno.test("call audio: a stereo file offers both channels first, then each alone", () => {
  const audio = CallAudio.fromWav(wavFile("PCMU", 2, someMulaw(100)));
  for (const format of ["PCMU", "L16"] as const) {
    assertEquals(audio.offers(format), [
      media(format, "external", "internal"),
      media(format, "external"),
      media(format, "internal"),
    ]);
  }
});

Deno.test("call audio: one channel of two, and both in inverted order", () => {
  for (const [encoding, data] of [["PCMU", someMulaw(2002)], ["L16", somePcm16(2002)]] as const) {
    const audio = CallAudio.fromWav(wavFile(encoding, 2, data));
    const size = encoding === "PCMU" ? 1 : 2;
    const external = channelOf(data, 0, 2, size);
    const internal = channelOf(data, 1, 2, size);
    assertSameBytes(audio.bytesFor(media(encoding, "external")), external);
    assertSameBytes(audio.bytesFor(media(encoding, "internal")), internal);
    const inverted = audio.bytesFor(media(encoding, "internal", "external"));
    assertEquals(inverted.length, data.length);
    assertSameBytes(channelOf(inverted, 0, 2, size), internal);
    assertSameBytes(channelOf(inverted, 1, 2, size), external);
  }
});

Deno.test("call audio: 16-bit PCM is said as its µ-law encoding, or as it is", () => {
  const data = somePcm16(4000);
  const audio = CallAudio.fromWav(wavFile("L16", 2, data));
  assertEquals(audio.samples, 2000);
  assertSameBytes(audio.bytesFor(media("L16", "external", "internal")), data);
  assertSameBytes(audio.bytesFor(media("PCMU", "external", "internal")), mulawBytes(data));
});

Deno.test("call audio: µ-law said as L16 is again the same µ-law", () => {
  // 0x7F is negative zero, whose encoding is that of zero.
  const data = someMulaw(2000).map((byte) => byte === 0x7f ? 0xff : byte);
  const audio = CallAudio.fromWav(wavFile("PCMU", 2, data));
  const linear = audio.bytesFor(media("L16", "external", "internal"));
  assertEquals(linear.length, 4000);
  assertSameBytes(mulawBytes(linear), data);
});

Deno.test("call audio: any other file gets an error that says what was expected", () => {
  const files: [file: Uint8Array, found: RegExp][] = [
    [wavFile("PCMU", 2, someMulaw(20), 44_100), /44\.1 kHz/],
    [wavFile("L16", 1, somePcm16(20), 16_000), /16 kHz/],
    [wavFile("PCMU", 3, someMulaw(21)), /3 channels/],
    [pcm8File(someMulaw(20)), /8-bit/],
    [new TextEncoder().encode("not a WAV file at all"), /not a WAV/],
    [new Uint8Array(), /not a WAV/],
  ];
  for (const [file, found] of files) {
    const { message } = assertThrows(() => CallAudio.fromWav(file), WavFormatError);
    assertMatch(message, found);
    for (const part of [/8 kHz/, /µ-law/, /16-bit PCM/, /mono/, /stereo/]) {
      assertMatch(message, part);
    }
    assert(!message.includes("\n"));
  }
});

Deno.test("call audio: a tone has two channels, and the length that was asked for", () => {
  for (const format of ["PCMU", "L16"] as const) {
    const audio = CallAudio.tone(440, 1.25, format);
    assertEquals([audio.samples, audio.channels.length], [10_000, 2]);
    const [both, external, internal] = audio.offers(format).map((media) => audio.bytesFor(media));
    const sampleBytes = format === "PCMU" ? 1 : 2;
    assertEquals(both?.length, 20_000 * sampleBytes);
    assertEquals([external?.length, internal?.length], [
      10_000 * sampleBytes,
      10_000 * sampleBytes,
    ]);
    assert(external?.some((byte, index) => byte !== internal?.[index]));
  }
});

Deno.test("call audio: a tone goes on without a jump from one second to the next", () => {
  const audio = CallAudio.tone(997, 2.5, "L16");
  const [, external] = audio.offers("L16");
  const bytes = external && audio.bytesFor(external);
  assertExists(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < bytes.length / 2; i++) {
    const expected = Math.round(16_000 * Math.sin(2 * Math.PI * 997 * i / 8000));
    assertEquals(view.getInt16(2 * i, true), expected);
  }
});

Deno.test("call audio: both tones stay below half of the rate", () => {
  const audio = CallAudio.tone(3900, 1, "L16");
  const internal = audio.offers("L16", ["internal"]).map((media) => audio.bytesFor(media))[0];
  assertExists(internal);
  const view = new DataView(internal.buffer, internal.byteOffset, internal.byteLength);
  assertEquals(view.getInt16(2, true), Math.round(16_000 * Math.sin(2 * Math.PI * 3120 / 8000)));
});

Deno.test("call audio: only the channels that are wanted are offered", () => {
  const audio = CallAudio.tone(440, 0.1, "PCMU");
  const channels = (...wanted: AudioChannel[]) =>
    audio.offers("PCMU", wanted).map((media) => media.channels);
  assertEquals(channels("external"), [["external"]]);
  assertEquals(channels("internal"), [["internal"]]);
  assertEquals(channels("external", "internal"), [
    ["external", "internal"],
    ["external"],
    ["internal"],
  ]);
});
