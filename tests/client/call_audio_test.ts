import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
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
