/**
 * Calls in real time, of noise that a seed determines, placed by the client of the project: so that
 * what was recorded can be compared with what was sent, whenever the server was killed.
 */
import { CallAudio } from "../../lib/client/call_audio.ts";
import { type CallOutcome, placeCall } from "../../lib/client/place_call.ts";
import type { AudioFormat } from "../../lib/protocol/mod.ts";
import { wavFile } from "../client/wav_files.ts";
import { noise } from "./wav_check.ts";
import { API_KEY, SECRET } from "./wire_client.ts";

/** Some calls are shorter, and end by themselves. */
const SECONDS = 6;
const SHORT_SECONDS = 0.8;

/** Numbers from 0 to 1 that a seed determines. */
export function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A call that was placed. */
export interface PlacedCall {
  readonly id: string;
  readonly conversationId: string;
  readonly format: AudioFormat;
  readonly channels: 1 | 2;
  /** All of what it says. */
  readonly data: Uint8Array;
  /** How much of it was sent, in samples. */
  sentSamples: number;
  isOpened: boolean;
  readonly outcome: Promise<CallOutcome>;
}

/**
 * Places a call of which the seed determines format, channels, length and audio.
 *
 * @param seconds How long it takes, unless it is one of the short ones.
 */
export function placeRandomCall(
  url: URL,
  seed: number,
  signal: AbortSignal,
  seconds = SECONDS,
): PlacedCall {
  const random = randomNumbers(seed);
  const format = random() < 0.75 ? "PCMU" : "L16";
  const channels = random() < 0.75 ? 2 : 1;
  const samples = (random() < 0.2 ? SHORT_SECONDS : seconds) * 8000;
  const data = noise(samples * channels * (format === "PCMU" ? 1 : 2), seed);
  const audio = CallAudio.fromWav(wavFile(format, channels, data));
  const [id, organizationId, conversationId] = [0, 1, 2].map(() => crypto.randomUUID()) as [
    string,
    string,
    string,
  ];
  const call: PlacedCall = {
    ...{ id, conversationId, format, channels, data },
    sentSamples: 0,
    isOpened: false,
    outcome: placeCall({
      request: {
        url,
        organizationId,
        sessionId: id,
        correlationId: crypto.randomUUID(),
        apiKey: API_KEY,
        clientSecret: SECRET,
      },
      audio,
      open: {
        organizationId,
        conversationId,
        participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
        media: audio.offers(format),
      },
      speed: 1,
      // Frames of 25 ms or more, which are no part of a second: one is sent when it begins.
      frameSamples: 201 + Math.floor(random() * 200),
      signal,
      onEvent: ({ type }) => {
        if (type === "opened") call.isOpened = true;
      },
      onProgress: (samples) => call.sentSamples = samples,
    }),
  };
  return call;
}
