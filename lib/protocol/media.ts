/**
 * Media: offers, the formats that we understand, and the geometry of a frame (protocol sections 6
 * and 7).
 *
 * Imports nothing but zod.
 */
import { z } from "zod";

/** Samples per second of all AudioHook audio. */
export const SAMPLE_RATE = 8000;

/** Largest binary frame in either direction, in bytes (protocol section 1). */
export const MAX_AUDIO_FRAME_BYTES = 64_000;

/** How samples are coded: µ-law, or 16-bit linear little-endian. */
export type AudioFormat = "PCMU" | "L16";

/** `external` is the customer, `internal` what the customer hears. */
export type AudioChannel = "external" | "internal";

/** Schema of one media offer. Any object: an offer that we can't use must not spoil the others. */
export const mediaOfferSchema = z.looseObject({});

/** One media offer, as sent; all fields are kept, because the answer repeats it unchanged. */
export type MediaOffer = Readonly<Record<string, unknown>>;

/** An offer that we can receive and record. */
// A type, not an interface, which could not be passed as an offer.
export type Media = {
  readonly type: "audio";
  readonly format: AudioFormat;
  readonly channels: readonly AudioChannel[];
  readonly rate: typeof SAMPLE_RATE;
};

const supportedMediaSchema = z.object({
  type: z.literal("audio"),
  format: z.enum(["PCMU", "L16"]),
  channels: z.array(z.enum(["external", "internal"])).min(1).max(2).refine(
    (channels) => new Set(channels).size === channels.length,
  ),
  rate: z.literal(SAMPLE_RATE),
}) satisfies z.ZodType<Media>;

/** Tells whether an offer is audio that this implementation can receive. */
export function isSupportedMedia(offer: MediaOffer): offer is MediaOffer & Media {
  return supportedMediaSchema.safeParse(offer).success;
}

/** Tells whether two media are the same: type, format, rate, and channels in the same order. */
export function sameMedia(one: MediaOffer, other: MediaOffer): boolean {
  return MEDIA_FIELDS.every((field) => JSON.stringify(one[field]) === JSON.stringify(other[field]));
}

const MEDIA_FIELDS = ["type", "format", "channels", "rate"] as const;

/** Tells whether the client plays audio of ours to the caller (protocol section 15). */
export function takesPlayback(media: Media | undefined): media is Media {
  return media?.channels.length === 1 && media.channels[0] === "external";
}

/** Bytes of one sample of one channel. */
export function bytesPerSample(media: Media): 1 | 2 {
  return media.format === "PCMU" ? 1 : 2;
}

/** Bytes of one sample of all channels: every frame is a multiple of it. */
export function bytesPerSampleFrame(media: Media): number {
  return media.channels.length * bytesPerSample(media);
}
