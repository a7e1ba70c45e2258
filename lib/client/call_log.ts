/**
 * What a call came to, over all of its connections: the numbers of its outcome, and the rules that
 * its server broke. Tells whoever placed it.
 *
 * Imports its neighbours.
 */
import type { CallEvent } from "./call_event.ts";
import type { CallOutcome, PlaceCallOptions } from "./place_call.ts";

/** A server that breaks the protocol in each of thousands of messages is not kept in full. */
const MAX_KEPT_VIOLATIONS = 100;

/** A rule that the server broke, with its section of protocol.md. */
type BrokenRule = CallOutcome["violations"][number];

/** Who is told. */
export type CallListeners = Pick<
  PlaceCallOptions,
  "onEvent" | "onAudio" | "onMessage" | "onProgress"
>;

/** Numbers of one call. */
export class CallLog {
  readonly #listeners: CallListeners;
  /** Rules that the server broke: the first hundred. */
  readonly violations: BrokenRule[] = [];
  /** The first violation, in words; late answers are not among them, which may be retried. */
  violation: string | undefined;
  readonly roundTripsMs: number[] = [];
  sentFrames = 0;
  sentAudioBytes = 0;
  receivedAudioBytes = 0;
  openedMs: number | undefined;
  closedMs: number | undefined;

  constructor(listeners: CallListeners) {
    this.#listeners = listeners;
  }

  /** Something happened. */
  event(event: CallEvent): void {
    if (event.type === "pong") this.roundTripsMs.push(event.roundTripMs);
    if (event.type === "violation" || event.type === "timeout") {
      const { section, info } = event;
      if (this.violations.length < MAX_KEPT_VIOLATIONS) this.violations.push({ section, info });
    }
    if (event.type === "violation") {
      this.violation ??= describeViolation(event);
    }
    this.#listeners.onEvent?.(event);
  }

  /** A text frame is on the wire. */
  message(from: "client" | "server", text: string): void {
    this.#listeners.onMessage?.(from, text);
  }

  /** A frame of audio was sent. */
  sentAudio(bytes: number): void {
    this.sentFrames++;
    this.sentAudioBytes += bytes;
  }

  /** A frame of the bot's voice came. */
  receivedAudio(frame: Uint8Array): void {
    this.receivedAudioBytes += frame.length;
    this.#listeners.onAudio?.(frame);
  }

  /** So much of the call is through. */
  progress(positionSamples: number): void {
    this.#listeners.onProgress?.(positionSamples);
  }
}

/** A rule that was broken, in words. */
export function describeViolation(broken: BrokenRule): string {
  return `The server broke the protocol (section ${broken.section}): ${broken.info}`;
}
