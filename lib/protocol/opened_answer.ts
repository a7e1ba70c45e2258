/**
 * The answer to `open` (protocol section 6).
 *
 * Imports nothing but its neighbours.
 */
import { isSupportedMedia, type Media, type MediaOffer, sameMedia } from "./media.ts";
import { LocalProtocolError } from "./protocol_error.ts";
import type { ServerParameters } from "./server_messages.ts";

/** What the answer to `open` says. */
export interface OpenedAnswer {
  /** One of the offers; without it the session has no audio. */
  readonly media?: MediaOffer;
  /** Start paused by the server. */
  readonly startPaused?: boolean;
  /** Audio before this position is not needed. */
  readonly discardTo?: string;
  /** Language tags, sent only if the client asked for them. */
  readonly supportedLanguages?: readonly string[];
}

/**
 * The offer that an answer selects, as the client sent it.
 *
 * @returns `undefined` for a session without audio.
 * @throws {LocalProtocolError} If it is none of the offers, or of a kind that is not supported.
 */
export function selectedMedia(
  { media }: OpenedAnswer,
  offers: readonly MediaOffer[],
): (MediaOffer & Media) | undefined {
  if (media === undefined) return undefined;
  const offer = offers.find((candidate) => sameMedia(candidate, media));
  if (offer === undefined) {
    throw new LocalProtocolError("Cannot select media that the client did not offer");
  }
  if (!isSupportedMedia(offer)) {
    throw new LocalProtocolError("Cannot select media of a format that is not supported");
  }
  return offer;
}

/**
 * The parameters of `opened`.
 *
 * @param media See {@link selectedMedia}.
 * @param wantsLanguages Whether the client asked for the supported languages.
 */
export function openedParameters(
  { startPaused, discardTo, supportedLanguages }: OpenedAnswer,
  media: MediaOffer | undefined,
  wantsLanguages: boolean,
): ServerParameters<"opened"> {
  return {
    media: media === undefined ? [] : [media],
    ...(startPaused ? { startPaused } : {}),
    ...(discardTo === undefined ? {} : { discardTo }),
    ...(wantsLanguages ? { supportedLanguages: [...supportedLanguages ?? []] } : {}),
  };
}
