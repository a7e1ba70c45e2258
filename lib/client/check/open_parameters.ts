/**
 * What the checker offers when it opens a session (protocol section 6).
 *
 * Imports the protocol.
 */
import { type MediaOffer, SAMPLE_RATE } from "../../protocol/mod.ts";

/** Customer and internal side, µ-law. */
export const STEREO: MediaOffer = pcmu("external", "internal");
/** The customer alone, as a voice bot gets it. */
export const EXTERNAL: MediaOffer = pcmu("external");
/** What the customer hears. */
export const INTERNAL: MediaOffer = pcmu("internal");
/** What Genesys Cloud offers most often. */
export const USUAL_OFFERS: readonly MediaOffer[] = [STEREO, EXTERNAL, INTERNAL];

/** Personal data of the customer, which must not come back in an `info`. */
export const PERSONAL = {
  ani: "+15550100",
  aniName: "Casey Caller",
  dnis: "+15550199",
} as const;

/** Parameters of an `open` that every server should take. */
export function usualOpen(organizationId: string): Record<string, unknown> {
  return {
    organizationId,
    conversationId: crypto.randomUUID(),
    participant: { id: crypto.randomUUID(), ...PERSONAL },
    media: USUAL_OFFERS,
    language: "en-US",
  };
}

/** A µ-law offer. */
export function pcmu(...channels: readonly string[]): MediaOffer {
  return { type: "audio", format: "PCMU", channels, rate: SAMPLE_RATE };
}
