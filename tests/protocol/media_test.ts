import { assertEquals } from "@std/assert";
import {
  bytesPerSample,
  bytesPerSampleFrame,
  isSupportedMedia,
  MAX_AUDIO_FRAME_BYTES,
  type Media,
  type MediaOffer,
  mediaOfferSchema,
  sameMedia,
  SAMPLE_RATE,
} from "../../lib/protocol/media.ts";

const PCMU_STEREO: Media = {
  type: "audio",
  format: "PCMU",
  channels: ["external", "internal"],
  rate: 8000,
};

function offer(changes: Record<string, unknown>): MediaOffer {
  return mediaOfferSchema.parse({ ...PCMU_STEREO, ...changes });
}

Deno.test("media: rate is 8,000 Hz and a frame at most 64,000 bytes", () => {
  assertEquals(SAMPLE_RATE, 8000);
  assertEquals(MAX_AUDIO_FRAME_BYTES, 64_000);
});

Deno.test("media: 100 ms of stereo PCMU are 1,600 bytes", () => {
  assertEquals(bytesPerSampleFrame(PCMU_STEREO) * SAMPLE_RATE / 10, 1600);
});

Deno.test("media: a sample has one byte in PCMU, two in L16, for each channel", () => {
  const geometry = (["PCMU", "L16"] as const).flatMap((format) =>
    ([["external"], ["internal"], ["external", "internal"]] as const).map((channels) => {
      const media: Media = { type: "audio", format, channels, rate: 8000 };
      return [format, channels.length, bytesPerSample(media), bytesPerSampleFrame(media)];
    })
  );
  assertEquals(geometry, [
    ["PCMU", 1, 1, 1],
    ["PCMU", 1, 1, 1],
    ["PCMU", 2, 1, 2],
    ["L16", 1, 2, 2],
    ["L16", 1, 2, 2],
    ["L16", 2, 2, 4],
  ]);
});

Deno.test("media: PCMU and L16 at 8,000 Hz with external and internal are supported", () => {
  for (const format of ["PCMU", "L16"]) {
    for (
      const channels of [
        ["external"],
        ["internal"],
        ["external", "internal"],
        ["internal", "external"],
      ]
    ) {
      assertEquals(isSupportedMedia(offer({ format, channels })), true);
    }
  }
});

Deno.test("media: other formats, rates, types and channels are offers, but not supported", () => {
  for (
    const changes of [
      { format: "OPUS" },
      { format: "pcmu" },
      { rate: 16_000 },
      { type: "video" },
      { channels: ["both"] },
      { channels: ["external", "external"] },
      { channels: ["external", "internal", "external"] },
    ]
  ) {
    assertEquals(isSupportedMedia(offer(changes)), false, JSON.stringify(changes));
  }
});

Deno.test("media: an offer keeps fields that we don't know", () => {
  assertEquals(offer({ ptime: 20, nested: { a: [1] } }), {
    ...PCMU_STEREO,
    channels: ["external", "internal"],
    ptime: 20,
    nested: { a: [1] },
  });
});

Deno.test("media: an offer without its fields, or with wrong ones, is valid but not supported", () => {
  for (const key of ["type", "format", "channels", "rate"]) {
    const { [key]: _, ...without } = PCMU_STEREO as unknown as Record<string, unknown>;
    for (const offer of [without, { ...without, [key]: null }]) {
      assertEquals(mediaOfferSchema.safeParse(offer).success, true, key);
      assertEquals(isSupportedMedia(offer), false, key);
    }
  }
  for (const rate of [0, -8000, 1.5, NaN, "8000"]) {
    assertEquals(isSupportedMedia({ ...PCMU_STEREO, rate }), false);
  }
  assertEquals(isSupportedMedia({ ...PCMU_STEREO, channels: [] }), false);
});

Deno.test("media: an offer that is no object is refused", () => {
  for (const offer of [null, "PCMU", 1, true]) {
    assertEquals(mediaOfferSchema.safeParse(offer).success, false);
  }
});

Deno.test("media: same media means type, format, rate and channels in the same order", () => {
  assertEquals(sameMedia(PCMU_STEREO, offer({})), true);
  for (
    const changes of [
      { type: "video" },
      { format: "L16" },
      { rate: 16_000 },
      { channels: ["internal", "external"] },
      { channels: ["external"] },
    ]
  ) {
    assertEquals(sameMedia(PCMU_STEREO, offer(changes)), false, JSON.stringify(changes));
  }
});
