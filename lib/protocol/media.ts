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

/** Schema of one media offer. Loose: an offer that we can't use must not spoil the others. */
export const mediaOfferSchema = z.looseObject({
  type: z.string(),
  format: z.string(),
  channels: z.array(z.string()).min(1).max(8),
  rate: z.number().int().positive(),
});

/** One media offer, as sent; unknown fields are kept, because the answer repeats it unchanged. */
export type MediaOffer = z.infer<typeof mediaOfferSchema>;

/** An offer that we can receive and record. */
export interface Media {
  readonly type: "audio";
  readonly format: AudioFormat;
  readonly channels: readonly AudioChannel[];
  readonly rate: typeof SAMPLE_RATE;
}

/** Tells whether an offer is audio that this implementation can receive. */
export function isSupportedMedia(offer: MediaOffer | Media): offer is MediaOffer & Media {
  return offer.type === "audio" &&
    (offer.format === "PCMU" || offer.format === "L16") &&
    offer.rate === SAMPLE_RATE &&
    offer.channels.length <= 2 &&
    offer.channels.every((channel) => channel === "external" || channel === "internal") &&
    new Set(offer.channels).size === offer.channels.length;
}

/** Tells whether two media are the same: type, format, rate, and channels in the same order. */
export function sameMedia(one: MediaOffer | Media, other: MediaOffer | Media): boolean {
  return one.type === other.type && one.format === other.format && one.rate === other.rate &&
    one.channels.length === other.channels.length &&
    one.channels.every((channel, index) => channel === other.channels[index]);
}

/** Bytes of one sample of one channel. */
export function bytesPerSample(media: Media): 1 | 2 {
  return media.format === "PCMU" ? 1 : 2;
}

/** Bytes of one sample of all channels: every frame is a multiple of it. */
export function bytesPerSampleFrame(media: Media): number {
  return media.channels.length * bytesPerSample(media);
}
