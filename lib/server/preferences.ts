/**
 * One answer to `open` out of what several apps want (protocol section 6).
 *
 * Imports the App interface and the protocol; no I/O.
 */
import { getLogger } from "@logtape/logtape";
import type { OpenPreferences } from "../app/app.ts";
import {
  isSupportedMedia,
  type MediaOffer,
  type OpenedAnswer,
  parseDuration,
  sameMedia,
} from "../protocol/mod.ts";

const log = getLogger(["audiohook", "apps"]);

/**
 * Combines preferences, in the order of the apps. What the protocol would not allow is logged and
 * left out.
 *
 * @param offers What the client offers, in its order of preference.
 */
export function combinePreferences(
  offers: readonly MediaOffer[],
  preferences: readonly OpenPreferences[],
): OpenedAnswer {
  return {
    media: selectMedia(offers, preferences),
    startPaused: preferences.some(({ startPaused }) => startPaused),
    discardTo: earliest(preferences),
  };
}

/** The first app that says something decides; if none does, the first offer that is supported. */
function selectMedia(
  offers: readonly MediaOffer[],
  preferences: readonly OpenPreferences[],
): MediaOffer | undefined {
  const supported = offers.filter((offer) => isSupportedMedia(offer));
  for (const { media } of preferences) {
    if (media === null) return undefined;
    if (media === undefined) continue;
    const offer = supported.find((offer) => sameMedia(offer, media));
    if (offer !== undefined) return offer;
    log.error("An app wants media that was not offered, or is not supported");
  }
  return supported[0];
}

/** Audio that one app needs must not be discarded because another doesn't. */
function earliest(preferences: readonly OpenPreferences[]): string | undefined {
  let first: { readonly text: string; readonly nanoseconds: number } | undefined;
  for (const { discardTo: text = "PT0S" } of preferences) {
    const nanoseconds = parseDuration(text) ?? 0;
    if (first === undefined || nanoseconds < first.nanoseconds) first = { text, nanoseconds };
  }
  return first === undefined || first.nanoseconds === 0 ? undefined : first.text;
}
